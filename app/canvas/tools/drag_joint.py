"""Drag one joint, or those that are selected."""

from collections.abc import Sequence

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import nearest_on_image
from app.canvas.tools.base import PointerEvent, Stage
from app.canvas.tools.move_box import kept_inside
from app.canvas.tools.subjects import Label, Subject, SubjectGesture
from app.commands.joints import placed, with_moved
from app.commands.people import span
from app.document.records import HUMAN, Joint


class DragJoint(SubjectGesture):
    """Moves a joint by the pointer's way since the press, so that grabbing it off-centre does not make it jump.

    With Shift it goes to the place nearby that stands out in its heatmap.
    """

    cursor = Qt.CursorShape.BlankCursor

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, subject: Subject, joint: int) -> None:
        super().__init__(stage, editor, start, subject)
        self.joint = joint

    def drag(self, event: PointerEvent) -> None:
        x, y = self._place(event)
        visibility = self.person.joints[self.joint].v or 2
        self.subject.show(self.person.with_joint(self.joint, Joint(x, y, visibility, HUMAN)))

    def commit(self, event: PointerEvent) -> None:
        self.subject.move_joint(self.joint, *self._place(event))

    def _place(self, event: PointerEvent) -> tuple[float, float]:
        joint = self.person.joints[self.joint]
        x, y = joint.x + event.x - self.start.x, joint.y + event.y - self.start.y
        if event.shift:
            x, y = self.stage.snapped(x, y)
        return nearest_on_image(x, y, self.stage.image_extent())


class DragJoints(SubjectGesture):
    """Moves several joints by the pointer's way, as far as all of them stay on the image."""

    cursor = Qt.CursorShape.ClosedHandCursor

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, person: int, joints: Sequence[int]) -> None:
        super().__init__(stage, editor, start, Label(stage, editor, person))
        self.joints = joints

    def drag(self, event: PointerEvent) -> None:
        self.subject.show(with_moved(self.person, self._places(event)))

    def commit(self, event: PointerEvent) -> None:
        self.editor.move_joints(self.person.key, self._places(event))

    def _places(self, event: PointerEvent) -> dict[int, tuple[float, float]]:
        """Of those that have one."""
        moved = placed(self.person, self.joints)
        way = event.x - self.start.x, event.y - self.start.y
        dx, dy = kept_inside(span(moved.values()), *way, self.stage.image_extent())
        return {index: (joint.x + dx, joint.y + dy) for index, joint in moved.items()}
