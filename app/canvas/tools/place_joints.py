"""Place a person's joints one after the other: click, click, skip, click."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit
from app.canvas.tools.base import PointerEvent, Stage, Tool
from app.canvas.tools.place_joint import PlaceJoint


class PlaceJointsTool(Tool):
    """Goes through the joints that are not labelled, in the skeleton's placing order; through all if none is missing.

    The left button places a visible joint (while it is held, the joint follows the pointer), the right one an occluded
    joint, `skip` leaves one as it is. `finished` is called behind the last one.
    """

    def __init__(
        self,
        stage: Stage,
        editor: Editor,
        person: int,
        order: Sequence[tuple[int, str]],
        finished: Callable[[], None],
    ) -> None:
        """order: index and name of every joint, in the order in which they are asked for."""
        super().__init__(stage, editor)
        self.person, self._names, self._finished = person, dict(order), finished
        joints = stage.person(person).joints
        missing = [index for index, _ in order if not joints[index].v]
        self._left = missing or [index for index, _ in order]
        self._count = len(self._left)
        self._select()

    @property
    def hint(self) -> str:  # type: ignore[override]
        if not self._left:
            return ""
        number = self._count - len(self._left) + 1
        name = self._names[self._left[0]]
        return f"Click the {name} ({number} of {self._count}) · right-click: occluded · S: skip · Esc: stop"

    def press(self, event: PointerEvent) -> None:
        self.gesture = PlaceJoint(self.stage, self.editor, event, self.person, self._left[0])

    def context_press(self, event: PointerEvent) -> None:
        if self.gesture is None:
            x, y = event.on_image(self.stage.image_extent())
            self.editor.place_joint(self.person, self._left[0], x, y, 1)
            self.skip()

    def release(self, event: PointerEvent) -> None:
        placed = self.gesture is not None
        super().release(event)
        if placed:
            self.skip()

    def skip(self) -> None:
        """Leaves the joint that is asked for as it is, and asks for the next one."""
        self._left.pop(0)
        if self._left:
            self._select()
        else:
            self._finished()

    def cursor(self, event: PointerEvent, hit: Hit) -> Qt.CursorShape:
        return self.gesture.cursor if self.gesture and self.gesture.dragging else Qt.CursorShape.CrossCursor

    def _select(self) -> None:
        self.stage.select(self.person, self._left[0])
