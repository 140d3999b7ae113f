"""A model's open prediction: dashed, coloured by confidence."""

from PySide6.QtCore import QLineF
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.canvas.items.painting import FADED, draw_dot, draw_frame, mark_size, pen
from app.canvas.items.pose_item import PoseItem
from app.canvas.palette import OUTLINE, Look, confidence_color
from app.commands.predictions import Proposal

_JOINT = 3.4
_HINT = 0.6
"""A hint's size, as a share of a joint's."""


class PredictionItem(PoseItem):
    """Paints one proposal, but for its score.

    Joints look as accepting would leave them: occluded ones are hollow, hints small and there only on the selected one.
    Under its heatmap joints and bones step back; the box and the ring stay.
    """

    def __init__(self, proposal: Proposal, look: Look) -> None:
        super().__init__(look, 10, 25)
        self.proposal = proposal
        self._cover(proposal.person.box, proposal.person.joints)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        prediction, joints = self.proposal.prediction, self.proposal.person.joints
        color = confidence_color(prediction.score)
        full = painter.opacity()  # less than 1 where the item itself is faded
        painter.setOpacity(full * FADED if self._under_heatmap else full)
        skeleton = self._shows["skeleton"] or self._selected
        if skeleton:
            self._paint_bones(painter)
            self._paint_joints(painter)
        painter.setOpacity(full)
        # Without its skeleton the box is all there is, and what Space would accept has to be seen.
        if self._shows["boxes"] or not skeleton or self._selected:
            draw_frame(painter, prediction.box, color, 2.6 if self._selected else 1.6, dashed=True)
        self._ring_joints(painter, joints)
        if self._selected and not self._under_heatmap:
            self._paint_names(painter, joints)
        if self._selected:
            self._paint_handles(painter, prediction.box)

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
        for index, (joint, found) in enumerate(zip(person.joints, predicted, strict=True)):
            if self._under_heatmap and index in self._joints:
                continue  # the ring says where it is; the dot would hide the peak
            if not (joint.v or self._selected):
                continue
            color = confidence_color(found.confidence)
            if joint.v == 0:
                color.setAlpha(150)
            size = radius if joint.v else radius * _HINT
            draw_dot(painter, joint.x, joint.y, size, color, joint.v == 1, self.unit)
