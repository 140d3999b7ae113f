"""Drag one joint of a proposal: that accepts it."""

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import nearest_on_image
from app.canvas.tools.base import Gesture, PointerEvent, Stage
from app.commands.predictions import Proposal
from app.document.records import HUMAN, Joint


class DragProposedJoint(Gesture):
    """Moves a joint as `DragJoint` does. Until the release the proposal is only shown as the label it would become."""

    cursor = Qt.CursorShape.BlankCursor

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, proposal: Proposal, joint: int) -> None:
        super().__init__(stage, editor, start)
        self.proposal, self.joint = proposal, joint

    def holds(self) -> bool:
        # One that a new pre-fill has found elsewhere is not the one that was pressed.
        return self.stage.proposal(self.proposal.key) == self.proposal

    def drag(self, event: PointerEvent) -> None:
        x, y = self._place(event)
        self.stage.preview_accepted(self.proposal.person.with_joint(self.joint, Joint(x, y, 2, HUMAN)))

    def commit(self, event: PointerEvent) -> None:
        self.editor.move_proposed_joint(self.proposal.key, self.joint, *self._place(event))

    def _place(self, event: PointerEvent) -> tuple[float, float]:
        joint = self.proposal.person.joints[self.joint]
        x, y = joint.x + event.x - self.start.x, joint.y + event.y - self.start.y
        if event.shift:
            x, y = self.stage.snapped(x, y)
        return nearest_on_image(x, y, self.stage.image_extent())
