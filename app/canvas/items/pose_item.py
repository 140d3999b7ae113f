"""What a label and a proposal on the canvas share: one pose, selected or not, under a heatmap or not."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.canvas.hit_test import handle_places
from app.canvas.items.base import ScreenSizedItem
from app.canvas.items.painting import draw_names, draw_ring, pen, rect_of
from app.canvas.palette import OUTLINE, SELECTED, Look
from app.document.records import Box, Joint

_HANDLE = 7.0
"""Screen pixels a side."""


class PoseItem(ScreenSizedItem):
    """A box with joints; a selected one lies above the others of its kind and names its joint, if one is selected."""

    def __init__(self, look: Look, z: float, selected_z: float) -> None:
        super().__init__()
        self._look = look
        self._z, self._selected_z = z, selected_z
        self._selected = False
        self._joints: tuple[int, ...] = ()
        self._under_heatmap = False
        self._shows = {"boxes": True, "skeleton": True, "names": False}
        self.setZValue(z)

    def set_selection(self, selected: bool, joints: tuple[int, ...]) -> None:
        if (selected, joints) != (self._selected, self._joints):
            self._selected, self._joints = selected, joints
            self._make_room()
        self.setZValue(self._selected_z if selected else self._z)

    def set_layers(self, boxes: bool, skeleton: bool, names: bool) -> None:
        shows = {"boxes": boxes, "skeleton": skeleton, "names": names}
        if shows != self._shows:
            self._shows = shows
            self._make_room()

    def set_under_heatmap(self, under: bool) -> None:
        """Steps back while a heatmap is shown, so that the map can be seen."""
        if under != self._under_heatmap:
            self._under_heatmap = under
            self.update()

    def _writes(self) -> bool:
        """Whether texts stand beside the pose."""
        return self._selected

    def _make_room(self) -> None:
        self.set_texts(self._writes())
        self.update()

    def _ring_joints(self, painter: QPainter, joints: Sequence[Joint]) -> None:
        """Marks the selected joints."""
        for index in self._joints if self._selected else ():
            joint = joints[index]
            if joint.has_place:
                draw_ring(painter, joint.x, joint.y, self._under_heatmap, self.unit)

    def _paint_handles(self, painter: QPainter, box: Box) -> None:
        size = _HANDLE * self.unit
        painter.setPen(pen(painter, OUTLINE, 1.2))
        painter.setBrush(SELECTED)
        for x, y in handle_places(box).values():
            painter.drawRect(QRectF(x - size / 2, y - size / 2, size, size))

    def _cover(self, box: Box, joints: Sequence[Joint]) -> None:
        """Sets the extent to what the box and the joints with a place take up."""
        extent = rect_of(box)
        for joint in joints:
            if joint.has_place:
                extent = extent.united(QRectF(joint.x, joint.y, 0.01, 0.01))
        self.set_extent(extent)

    def _paint_names(self, painter: QPainter, joints: Sequence[Joint]) -> None:
        """The selected joint's name first, so that it has its place; the others' where names are shown."""
        chosen = self._joints[0] if self._selected and len(self._joints) == 1 else None
        named = [
            (self._look.names[index], joint.x, joint.y)
            for index, joint in sorted(enumerate(joints), key=lambda pair: pair[0] != chosen)
            if joint.has_place and ((self._shows["names"] and joint.v > 0) or index == chosen)
        ]
        draw_names(painter, named, self.unit, self.right_edge)
