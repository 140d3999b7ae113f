"""Draw the box of a new person."""

from collections.abc import Callable

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit, clipped, spanned
from app.canvas.tools.base import Gesture, PointerEvent, Stage, Tool
from app.document.records import Box

SMALLEST = 4.0
"""Image pixels; a smaller box is taken for a slip of the hand."""


class DrawBox(Gesture):
    """Spans a box from the press to the release."""

    cursor = Qt.CursorShape.CrossCursor

    def drag(self, event: PointerEvent) -> None:
        box = self._box(event)
        self.stage.preview_box(box, f"{box.w:.0f} × {box.h:.0f}")

    def commit(self, event: PointerEvent) -> None:
        box = self._box(event)
        if box.w >= SMALLEST and box.h >= SMALLEST:
            self.editor.add_person(box)

    def _box(self, event: PointerEvent) -> Box:
        return clipped(spanned(self.start.x, self.start.y, event.x, event.y), *self.stage.image_extent())


class DrawBoxTool(Tool):
    """One new person, then `finished` is called (to go back to selecting)."""

    hint = "Drag a box around the person · {cancel} cancels"

    def __init__(self, stage: Stage, editor: Editor, finished: Callable[[], None]) -> None:
        super().__init__(stage, editor)
        self._finished = finished

    def press(self, event: PointerEvent) -> None:
        self.gesture = DrawBox(self.stage, self.editor, event)

    def release(self, event: PointerEvent) -> None:
        drawn = self.gesture is not None and self.gesture.dragging
        super().release(event)
        if drawn:
            self._finished()

    def cursor(self, event: PointerEvent, hit: Hit) -> Qt.CursorShape:
        return Qt.CursorShape.CrossCursor
