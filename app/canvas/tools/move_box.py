"""Drag a box, or a person's whole pose."""

from dataclasses import replace

from PySide6.QtCore import Qt

from app.canvas.tools.base import PointerEvent
from app.canvas.tools.subjects import SubjectGesture
from app.commands.people import moved, reach
from app.document.records import Box


class MoveBox(SubjectGesture):
    """Moves a person's box; the joints stay, but for the model's own, which follow it as the model sees them there."""

    cursor = Qt.CursorShape.ClosedHandCursor

    def drag(self, event: PointerEvent) -> None:
        self.subject.show_box(self.person.with_box(self._box(event)))

    def commit(self, event: PointerEvent) -> None:
        self.subject.set_box(self._box(event))

    def _box(self, event: PointerEvent) -> Box:
        box = self.person.box
        dx, dy = kept_inside(box, event.x - self.start.x, event.y - self.start.y, self.stage.image_extent())
        return replace(box, x=box.x + dx, y=box.y + dy)


class MovePerson(SubjectGesture):
    """Moves box and joints together."""

    cursor = Qt.CursorShape.ClosedHandCursor

    def drag(self, event: PointerEvent) -> None:
        self.subject.show(moved(self.person, *self._way(event)))

    def commit(self, event: PointerEvent) -> None:
        self.editor.move_person(self.person.key, *self._way(event))

    def _way(self, event: PointerEvent) -> tuple[float, float]:
        way = event.x - self.start.x, event.y - self.start.y
        return kept_inside(reach(self.person), *way, self.stage.image_extent())


def kept_inside(box: Box, dx: float, dy: float, extent: tuple[int, int]) -> tuple[float, float]:
    """Returns the way shortened so that the box stays on the image (an extent of 0 means unknown)."""
    width, height = extent
    if width:
        dx = min(max(dx, min(-box.x, 0.0)), max(width - box.right, 0.0))
        dy = min(max(dy, min(-box.y, 0.0)), max(height - box.bottom, 0.0))
    return dx, dy
