"""The everyday tool: point at something, drag it."""

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit, Part, hit_test, hits
from app.canvas.tools.base import Gesture, PointerEvent, Stage, Tool
from app.canvas.tools.drag_joint import DragJoint
from app.canvas.tools.move_box import MoveBox, MovePerson
from app.canvas.tools.place_joint import PlaceJoint
from app.canvas.tools.resize_box import CURSORS, ResizeBox


class SelectTool(Tool):
    """Selects on press and starts the gesture that fits what was hit.

    A joint is dragged, a handle resizes, the border or inside of the *selected* box moves the box, a bone (or Ctrl)
    the whole pose. A click on what is selected already goes on to what lies beneath it. While a joint without a place
    is selected (in the People panel), a click puts it there.
    """

    hint = "Drag joints, handles, the box; drag a bone to move the whole pose · right-click: visibility · N: new person"

    def __init__(self, stage: Stage, editor: Editor) -> None:
        super().__init__(stage, editor)
        self._was_selected = False
        self._hit = Hit()

    def press(self, event: PointerEvent) -> None:
        visible = self.stage.visible()
        hit = self._preferred(event)
        self._hit = hit
        waiting = self.stage.joint_to_place()
        if waiting is not None and hit.part is not Part.JOINT:
            self._was_selected = False
            self.gesture = PlaceJoint(self.stage, self.editor, event, *waiting)
            return
        self._was_selected = hit.person is not None and hit.person == visible.selected
        self.gesture = self._gesture(event, hit)
        if not (self._was_selected and hit.part is not Part.JOINT):
            self.stage.select(hit.person, hit.joint, hit.prediction)

    def context_press(self, event: PointerEvent) -> None:
        hit = hit_test(event.x, event.y, event.scale, self.stage.visible())
        if hit.joint is not None and hit.person is not None:
            self.stage.select(hit.person, hit.joint)
            self.editor.cycle_joint(hit.person, hit.joint)

    def clicked(self, event: PointerEvent) -> None:
        """Goes down the pile: the second click in a place selects what lies under the first."""
        if not self._was_selected or self._hit.part in (Part.JOINT, Part.HANDLE):
            return
        pile = [hit for hit in hits(event.x, event.y, event.scale, self.stage.visible()) if hit.part is Part.BODY]
        others = [hit for hit in pile if hit.person != self._hit.person]
        below = pile[_index_after(pile, self._hit.person) :] or pile
        following = next((hit for hit in below if hit in others), others[0] if others else Hit(person=self._hit.person))
        self.stage.select(following.person, None, following.prediction)

    def cursor(self, event: PointerEvent, hit: Hit) -> Qt.CursorShape:
        if self.gesture and self.gesture.dragging:
            return self.gesture.cursor
        if hit.handle:
            return CURSORS[hit.handle]
        if hit.part is Part.JOINT:
            return Qt.CursorShape.PointingHandCursor
        selected = self.stage.visible().selected
        if hit.person is not None and hit.person == selected:
            return Qt.CursorShape.SizeAllCursor
        return Qt.CursorShape.ArrowCursor

    def _preferred(self, event: PointerEvent) -> Hit:
        """Returns the likeliest hit; inside overlapping boxes the selected one, so that it can be dragged."""
        visible = self.stage.visible()
        hit = hit_test(event.x, event.y, event.scale, visible)
        if hit.part is Part.BODY and visible.selected is not None:
            bodies = hits(event.x, event.y, event.scale, visible)
            return next((body for body in bodies if body.person == visible.selected), hit)
        return hit

    def _gesture(self, event: PointerEvent, hit: Hit) -> Gesture | None:
        if hit.person is None:
            return None
        if hit.joint is not None:
            return DragJoint(self.stage, self.editor, event, hit.person, hit.joint)
        if hit.handle is not None:
            return ResizeBox(self.stage, self.editor, event, hit.person, hit.handle)
        if not self._was_selected:
            return None
        if hit.part is Part.BONE or event.ctrl:
            return MovePerson(self.stage, self.editor, event, hit.person)
        return MoveBox(self.stage, self.editor, event, hit.person)


def _index_after(pile: list[Hit], person: int | None) -> int:
    return next((index + 1 for index, hit in enumerate(pile) if hit.person == person), 0)
