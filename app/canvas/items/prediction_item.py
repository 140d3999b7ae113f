"""A model's open prediction: dashed, coloured by confidence."""

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.canvas.items.base import ScreenSizedItem
from app.canvas.items.painting import draw_frame, draw_names, mark_size, pen, rect_of
from app.canvas.palette import OUTLINE, Look, confidence_color
from app.commands.predictions import Proposal

_JOINT = 3.4


class PredictionItem(ScreenSizedItem):
    """Paints one proposal, but for its score.

    Joints that accepting would leave as hints are hollow, and there only on the selected one.
    """

    def __init__(self, proposal: Proposal, look: Look) -> None:
        super().__init__()
        self._look = look
        self._selected = False
        self._shows = {"boxes": True, "skeleton": True, "names": False}
        self.proposal = proposal
        self.setZValue(10)
        extent = rect_of(proposal.person.box)
        for joint in proposal.person.joints:
            extent = extent.united(QRectF(joint.x, joint.y, 0.01, 0.01))
        self.set_extent(extent)

    def set_selection(self, selected: bool) -> None:
        if selected != self._selected:
            self._selected = selected
            self.set_texts(selected)
            self.update()
        self.setZValue(25 if selected else 10)

    def set_layers(self, boxes: bool, skeleton: bool, names: bool) -> None:
        shows = {"boxes": boxes, "skeleton": skeleton, "names": names}
        if shows != self._shows:
            self._shows = shows
            self.update()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        prediction, joints = self.proposal.prediction, self.proposal.person.joints
        color = confidence_color(prediction.score)
        skeleton = self._shows["skeleton"] or self._selected
        if skeleton:
            self._paint_bones(painter)
            self._paint_joints(painter)
        # Without its skeleton the box is all there is, and what Space would accept has to be seen.
        if self._shows["boxes"] or not skeleton or self._selected:
            draw_frame(painter, prediction.box, color, 2.6 if self._selected else 1.6, dashed=True)
        if self._shows["names"] and self._selected:
            named = zip(self._look.names, joints, strict=True)
            sure = [(name, joint.x, joint.y) for name, joint in named if joint.v]
            draw_names(painter, sure, self.unit, self.right_edge)

    def _paint_bones(self, painter: QPainter) -> None:
        joints, predicted = self.proposal.person.joints, self.proposal.prediction.joints
        lines: dict[int, list[QLineF]] = {}
        for a, b in self._look.edges:
            if joints[a].v and joints[b].v:
                # Ten shades are enough for the eye, and keep the number of pen changes small.
                shade = round(min(predicted[a].confidence, predicted[b].confidence) * 10)
                lines.setdefault(shade, []).append(QLineF(joints[a].x, joints[a].y, joints[b].x, joints[b].y))
        width = 1.8 * mark_size(self.proposal.person.box, self.unit)
        for shade, bones in lines.items():
            painter.setPen(pen(painter, OUTLINE, width + 1.4))
            painter.drawLines(bones)
            line = QPen(pen(painter, confidence_color(shade / 10), width))
            line.setDashPattern([3.0, 2.0])
            painter.setPen(line)
            painter.drawLines(bones)

    def _paint_joints(self, painter: QPainter) -> None:
        person, predicted = self.proposal.person, self.proposal.prediction.joints
        radius = _JOINT * self.unit * mark_size(person.box, self.unit)
        for joint, found in zip(person.joints, predicted, strict=True):
            color, sure = confidence_color(found.confidence), joint.v > 0
            if not (sure or self._selected):
                continue
            color.setAlpha(255 if sure else 130)
            painter.setPen(pen(painter, QColor(0, 0, 0, 140), 1.0) if sure else pen(painter, color, 1.2))
            painter.setBrush(color if sure else Qt.BrushStyle.NoBrush)
            size = radius if sure else radius * 0.7
            painter.drawEllipse(QRectF(joint.x - size, joint.y - size, 2 * size, 2 * size))
