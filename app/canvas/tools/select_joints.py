"""Span a box around joints to select them."""

from PySide6.QtCore import Qt

from app.canvas.hit_test import joints_within, spanned
from app.canvas.tools.base import Gesture, PointerEvent


class SelectJoints(Gesture):
    """Selects the joints of one person that the box holds: what a key does next, it does to all of them."""

    cursor = Qt.CursorShape.CrossCursor

    def drag(self, event: PointerEvent) -> None:
        person, joints = self._found(event)
        self.stage.preview_box(spanned(self.start.x, self.start.y, event.x, event.y), _count(len(joints)))
        self.stage.preview_joints(person, joints)

    def commit(self, event: PointerEvent) -> None:
        person, joints = self._found(event)
        if person is None:
            self.stage.select(None)
        else:
            self.stage.select_joints(person, joints)

    def _found(self, event: PointerEvent) -> tuple[int | None, tuple[int, ...]]:
        """Whose joints the box holds, and which; with none in it nobody is meant, or with Shift whoever is selected."""
        visible = self.stage.visible()
        box = spanned(self.start.x, self.start.y, event.x, event.y)
        return joints_within(box, visible) or (visible.selected if self.start.shift else None, ())


def _count(joints: int) -> str:
    return "1 joint" if joints == 1 else f"{joints} joints"
