"""Drag a handle of a box."""

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Handle, resized
from app.canvas.tools.base import PointerEvent, Stage
from app.canvas.tools.subjects import Subject, SubjectGesture
from app.document.records import Box

CURSORS = {
    Handle.N: Qt.CursorShape.SizeVerCursor,
    Handle.S: Qt.CursorShape.SizeVerCursor,
    Handle.E: Qt.CursorShape.SizeHorCursor,
    Handle.W: Qt.CursorShape.SizeHorCursor,
    Handle.NW: Qt.CursorShape.SizeFDiagCursor,
    Handle.SE: Qt.CursorShape.SizeFDiagCursor,
    Handle.NE: Qt.CursorShape.SizeBDiagCursor,
    Handle.SW: Qt.CursorShape.SizeBDiagCursor,
}


class ResizeBox(SubjectGesture):
    """Moves one or two sides of a person's box, on the image; the joints and the other sides stay where they are.

    That goes for a side that lies beside the image, too (of an imported box): nobody has touched it.
    """

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, subject: Subject, handle: Handle) -> None:
        super().__init__(stage, editor, start, subject)
        self.handle = handle
        self.cursor = CURSORS[handle]

    def drag(self, event: PointerEvent) -> None:
        self.subject.show_box(self.person.with_box(self._box(event)))

    def commit(self, event: PointerEvent) -> None:
        self.subject.set_box(self._box(event))

    def _box(self, event: PointerEvent) -> Box:
        return resized(self.person.box, self.handle, *event.on_image(self.stage.image_extent()))
