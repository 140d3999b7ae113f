"""The everyday tool: point at something, drag it."""

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit, Part, hit_test, hits
from app.canvas.tools.base import Gesture, PointerEvent, Stage, Tool
from app.canvas.tools.drag_joint import DragJoint
from app.canvas.tools.drag_proposed_joint import DragProposedJoint
from app.canvas.tools.move_box import MoveBox, MovePerson
from app.canvas.tools.place_joint import PlaceJoint
from app.canvas.tools.resize_box import CURSORS, ResizeBox


class Press(Gesture):
    """On a prediction's box: it can be clicked, but not dragged."""

    def drag(self, event: PointerEvent) -> None:
        pass

    def commit(self, event: PointerEvent) -> None:
        pass


class SelectTool(Tool):
    """Selects on press and starts the gesture that fits what was hit.

    A joint is dragged (a proposal's: that accepts it), a handle resizes, the border or inside of the *selected* box
    moves the box, a bone (or Ctrl) the whole pose. A click on what is selected already goes on to what lies beneath it.
    After a joint without a place was picked (in the Joints panel), a click on the image puts it there.
    """

    hint = (
        "Drag joints (Shift snaps), handles, the box; drag a bone to move the whole pose · right-click: visibility"
        " · {new_person}: new person"
    )

    def __init__(self, stage: Stage, editor: Editor) -> None:
        super().__init__(stage, editor)
        self._again = False
        """Whether what was pressed was selected already."""
        self._hit = Hit()

    def press(self, event: PointerEvent) -> None:
        visible = self.stage.visible()
        hit = self._preferred(event)
        self._hit = hit
        self._again = bool(hit) and (hit.person, hit.prediction) == (visible.selected, visible.prediction)
        if hit.part is Part.JOINT:
            self._again = self._again and hit.joint == visible.joint
        waiting = self.stage.joint_to_place()
        labelled_joint = hit.part is Part.JOINT and hit.person is not None
        if waiting is not None and not labelled_joint and event.means_image(self.stage.image_extent()):
            self._again = False
            self.gesture = PlaceJoint(self.stage, self.editor, event, *waiting)
            return
        self.gesture = self._gesture(event, hit)
        if not self._again:
            self.stage.select(hit.person, hit.joint, hit.prediction)

    def context_press(self, event: PointerEvent) -> None:
        for hit in hits(event.x, event.y, event.scale, self.stage.visible()):
            if hit.joint is not None and hit.person is not None:  # a proposal's joint has no visibility yet
                self.stage.select(hit.person, hit.joint)
                self.editor.cycle_joint(hit.person, hit.joint)
                return

    def clicked(self, event: PointerEvent) -> None:
        """Goes down the pile: the second click in a place selects what lies under the first, joints under a joint."""
        part = self._hit.part
        if not self._again or part is Part.HANDLE:
            return
        kind = Part.JOINT if part is Part.JOINT else Part.BODY
        pile = sorted(
            (hit for hit in hits(event.x, event.y, event.scale, self.stage.visible()) if hit.part is kind),
            key=lambda hit: (hit.person or 0, hit.joint or 0, hit.prediction or 0),
        )
        following = _after(pile, self._hit)
        self.stage.select(following.person, following.joint, following.prediction)

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
        if hit.part is Part.BODY:
            bodies = hits(event.x, event.y, event.scale, visible)
            selected = (visible.selected, visible.prediction)
            return next((body for body in bodies if (body.person, body.prediction) == selected), hit)
        return hit

    def _gesture(self, event: PointerEvent, hit: Hit) -> Gesture | None:
        if hit.prediction is not None:
            proposal = self.stage.proposal(hit.prediction)
            if hit.joint is None or proposal is None:
                return Press(self.stage, self.editor, event)
            return DragProposedJoint(self.stage, self.editor, event, proposal, hit.joint)
        if hit.person is None:
            return None
        if hit.joint is not None:
            return DragJoint(self.stage, self.editor, event, hit.person, hit.joint)
        if hit.handle is not None:
            return ResizeBox(self.stage, self.editor, event, hit.person, hit.handle)
        if not self._again:
            return None
        if hit.part is Part.BONE or event.ctrl:
            return MovePerson(self.stage, self.editor, event, hit.person)
        return MoveBox(self.stage, self.editor, event, hit.person)


def _after(pile: list[Hit], hit: Hit) -> Hit:
    """What comes after a hit's target in the pile, which is a ring; the hit itself when it is alone there."""
    targets = [(other.person, other.joint, other.prediction) for other in pile]
    target = (hit.person, hit.joint, hit.prediction)
    if target in targets:
        return pile[(targets.index(target) + 1) % len(pile)]
    return pile[0] if pile else hit
