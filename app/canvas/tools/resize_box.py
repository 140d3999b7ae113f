"""Drag a handle of a box."""

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Handle, clipped, resized
from app.canvas.tools.base import PersonGesture, PointerEvent, Stage
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


class ResizeBox(PersonGesture):
    """Moves one or two sides of a person's box; the joints stay where they are."""

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, person: int, handle: Handle) -> None:
        super().__init__(stage, editor, start, person)
        self.handle = handle
        self.cursor = CURSORS[handle]

    def drag(self, event: PointerEvent) -> None:
        self.stage.preview_person(self.person.with_box(self._box(event)))

    def commit(self, event: PointerEvent) -> None:
        self.editor.set_box(self.person.key, self._box(event))

    def _box(self, event: PointerEvent) -> Box:
        width, height = self.stage.image_extent()
        x = min(max(event.x, 0.0), width) if width else event.x
        y = min(max(event.y, 0.0), height) if height else event.y
        box = resized(self.person.box, self.handle, x, y)
        # A box that reached over the border before (imported) keeps the side that nobody dragged.
        return box if self.person.box.x < 0 or self.person.box.y < 0 else clipped(box, width, height)
