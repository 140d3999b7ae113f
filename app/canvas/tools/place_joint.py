"""Put a joint that has no place yet where the pointer is."""

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.tools.base import PointerEvent, Stage
from app.canvas.tools.subjects import Label, SubjectGesture
from app.document.records import HUMAN, Joint


class PlaceJoint(SubjectGesture):
    """A click is enough; while the button is held, the joint follows the pointer, on the image."""

    cursor = Qt.CursorShape.BlankCursor

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, person: int, joint: int) -> None:
        super().__init__(stage, editor, start, Label(stage, editor, person))
        self.joint = joint

    def drag(self, event: PointerEvent) -> None:
        self.subject.show(self.person.with_joint(self.joint, Joint(*self._place(event), 2, HUMAN)))

    def release(self, event: PointerEvent) -> bool:
        self.dragging = True
        return super().release(event)

    def commit(self, event: PointerEvent) -> None:
        self.editor.place_joint(self.person.key, self.joint, *self._place(event), 2)

    def _place(self, event: PointerEvent) -> tuple[float, float]:
        return event.on_image(self.stage.image_extent())
