"""A labelled person: solid box, bones coloured by side, joints."""

from PySide6.QtCore import QLineF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.canvas.items.painting import (
    FADED,
    draw_dot,
    draw_frame,
    draw_plate,
    mark_size,
    pen,
    rect_of,
)
from app.canvas.items.pose_item import PoseItem
from app.canvas.palette import CROWD, LABEL, OUTLINE, SELECTED, Look
from app.document.records import Person

_JOINT = 4.5
_HINT = 2.6


class PersonItem(PoseItem):
    """Paints one `Person`. Occluded joints (v = 1) are hollow.

    A model's hints (v = 0, placed) are small and faint, and there only on the selected person: those of everybody
    would criss-cross the photo.
    """

    def __init__(self, person: Person, look: Look) -> None:
        super().__init__(look, 20, 30)
        self.person = person
        self.set_person(person)

    def set_person(self, person: Person) -> None:
        self.person = person
        self._cover(person.box, person.joints)
        self._make_room()

    def _writes(self) -> bool:
        return self._selected or self._shows["names"] or self.person.is_crowd

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        full = painter.opacity()  # less than 1 where the item itself is faded
        faint = full * FADED if self._under_heatmap else full
        painter.setOpacity(full if self._selected else faint)
        if self._shows["boxes"] or self._selected:
            self._paint_box(painter)
        painter.setOpacity(faint)
        if self._shows["skeleton"] or self._selected:
            self._paint_bones(painter)
            self._paint_joints(painter)
        painter.setOpacity(full)
        self._ring_joints(painter, self.person.joints)
        if not self._under_heatmap:
            self._paint_names(painter, self.person.joints)
        if self._selected:
            self._paint_handles(painter, self.person.box)

    def _paint_box(self, painter: QPainter) -> None:
        person = self.person
        color = CROWD if person.is_crowd else LABEL
        if person.is_crowd:
            hatch = QBrush(QColor(CROWD.red(), CROWD.green(), CROWD.blue(), 110), Qt.BrushStyle.BDiagPattern)
            hatch.setTransform(painter.worldTransform().inverted()[0])
            painter.fillRect(rect_of(person.box), hatch)
        draw_frame(painter, person.box, SELECTED if self._selected else color, 2.2 if self._selected else 1.6)
        if person.is_crowd:
            draw_plate(painter, "crowd", person.box.x, person.box.y, self.unit, CROWD)

    def _paint_bones(self, painter: QPainter) -> None:
        joints = self.person.joints
        solid: dict[str, list[QLineF]] = {}
        faint: dict[str, list[QLineF]] = {}
        for (a, b), color in zip(self._look.edges, self._look.edge_colors, strict=True):
            if joints[a].placed and joints[b].placed:
                lines = solid if joints[a].v and joints[b].v else faint
                line = QLineF(joints[a].x, joints[a].y, joints[b].x, joints[b].y)
                lines.setdefault(color.name(), []).append(line)
        width = (3.0 if self._selected else 2.2) * mark_size(self.person.box, self.unit)
        painter.setPen(pen(painter, OUTLINE, width + 1.8))
        painter.drawLines([line for lines_of_color in solid.values() for line in lines_of_color])
        for name, lines_of_color in solid.items():
            painter.setPen(pen(painter, QColor(name), width))
            painter.drawLines(lines_of_color)
        for name, lines_of_color in faint.items() if self._selected else ():
            color = QColor(name)
            color.setAlpha(120)
            painter.setPen(pen(painter, color, 1.2, Qt.PenStyle.DotLine))
            painter.drawLines(lines_of_color)

    def _paint_joints(self, painter: QPainter) -> None:
        size = mark_size(self.person.box, self.unit) * self.unit
        for index, joint in enumerate(self.person.joints):
            if not joint.has_place or not (joint.v or self._selected):
                continue
            if self._under_heatmap and self._selected and index in self._joints:
                continue  # the ring says where it is; the dot would hide the peak
            color = QColor(self._look.colors[index])
            radius = (_JOINT + (1.0 if self._selected else 0.0)) * size
            if joint.v == 0:
                color.setAlpha(150)
                radius = _HINT * size
            draw_dot(painter, joint.x, joint.y, radius, color, joint.v == 1, self.unit)
