"""Place a person's joints one after the other: click, click, skip, click."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit
from app.canvas.tools.base import PointerEvent, Stage, Tool
from app.canvas.tools.place_joint import PlaceJoint
from app.document.records import Joint


class PlaceJointsTool(Tool):
    """Goes through the joints that are not labelled, in the skeleton's placing order; through all if none is missing.

    The left button places a visible joint (while it is held, the joint follows the pointer), the right one an occluded
    joint, `skip` leaves one as it is; a click beside the image places nothing. `finished` is called behind the last
    one. Whoever selects another joint of the person meanwhile is asked for that one first.
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
        self._placed: list[tuple[int, Joint]] = []
        """What was placed, with the joint as it was before."""
        self._asked = self._left[0]
        self._ask(self._asked)

    @property
    def hint(self) -> str:  # type: ignore[override]
        if not self._left:
            return ""
        number = self._count - len(self._left) + 1
        name = self._names[self._asked]
        keys = "{skip_joint}: skip · {cancel}: stop"
        return f"Click the {name} ({number} of {self._count}) · right-click: occluded · {keys}"

    def press(self, event: PointerEvent) -> None:
        if event.means_image(self.stage.image_extent()):
            self.gesture = PlaceJoint(self.stage, self.editor, event, self.person, self._asked)

    def context_press(self, event: PointerEvent) -> None:
        if self.gesture is None and event.means_image(self.stage.image_extent()):
            before = self._joint()
            x, y = event.on_image(self.stage.image_extent())
            self.editor.place_joint(self.person, self._asked, x, y, 1)
            self._note_placed(before)

    def release(self, event: PointerEvent) -> None:
        if self.gesture is not None:
            before = self._joint()
            super().release(event)
            self._note_placed(before)

    def skip(self) -> None:
        """Leaves the joint that is asked for as it is, and asks for the next one."""
        self.cancel()
        self._go_on()

    def follow(self) -> None:
        """The selection or the person has changed: asks for what is selected now, or again for what was undone."""
        joints, chosen = self.stage.person(self.person).joints, self.stage.visible().joint
        if self._placed and joints[self._placed[-1][0]] == self._placed[-1][1]:
            joint, _ = self._placed.pop()
            self._left = [joint, *(index for index in self._left if index != joint)]
            self._ask(joint)
        elif chosen is None:
            self._ask(self._asked)
        elif chosen != self._asked:
            self.cancel()
            self._asked = chosen

    def cursor(self, event: PointerEvent, hit: Hit) -> Qt.CursorShape:
        if self.gesture and self.gesture.dragging:
            return self.gesture.cursor
        on_image = event.means_image(self.stage.image_extent())
        return Qt.CursorShape.CrossCursor if on_image else Qt.CursorShape.ForbiddenCursor

    def _ask(self, joint: int) -> None:
        self._asked = joint
        self.stage.select(self.person, joint)

    def _go_on(self) -> None:
        if self._asked in self._left:
            self._left.remove(self._asked)
        if self._left:
            self._ask(self._left[0])
        else:
            self._finished()

    def _joint(self) -> Joint:
        return self.stage.person(self.person).joints[self._asked]

    def _note_placed(self, before: Joint) -> None:
        if self._joint() != before:
            self._placed.append((self._asked, before))
        self._go_on()
