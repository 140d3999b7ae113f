"""The everyday tool: point at something, drag it."""

from collections.abc import Sequence

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit, Part, hit_test, hits
from app.canvas.tools.base import Gesture, PointerEvent, Stage, Tool
from app.canvas.tools.drag_joint import DragJoint, DragJoints
from app.canvas.tools.move_box import MoveBox, MovePerson
from app.canvas.tools.place_joint import PlaceJoint
from app.canvas.tools.resize_box import CURSORS, ResizeBox
from app.canvas.tools.select_joints import SelectJoints
from app.canvas.tools.subjects import Label, Proposed, Subject


class SelectTool(Tool):
    """Selects on press and starts the gesture that fits what was hit.

    A joint is dragged, a handle resizes, the border or inside of the *selected* box moves the box: of a proposal, that
    accepts it. A bone (or Ctrl) moves the whole pose. A click on what is selected already goes on to what lies beneath.
    A drag that begins beside everybody, or with Shift anywhere but on a joint or handle, selects the joints that it
    goes around; Shift and a click are for one joint more or less; where several are selected, a drag of one moves all.
    After a joint without a place was picked (in the Joints panel), a click on the image puts it there.
    """

    hint = (
        "Drag joints, handles, the box, a bone for the pose · Shift: snap, or select several joints"
        " · right-click: visibility · {new_person}: new"
    )

    def __init__(self, stage: Stage, editor: Editor) -> None:
        super().__init__(stage, editor)
        self._again = False
        """Whether what was pressed was selected already."""
        self._joints_before: Sequence[int] = ()
        """The selected joints, if it was somebody with several whom the press was about."""
        self._hit = Hit()

    def press(self, event: PointerEvent) -> None:
        visible = self.stage.visible()
        hit = self._preferred(event)
        self._hit = hit
        self._again = bool(hit) and (hit.person, hit.prediction) == (visible.selected, visible.prediction)
        self._joints_before = visible.joints if self._again and hit.person is not None else ()
        if hit.part is Part.JOINT:
            self._again = self._again and tuple(visible.joints) == (hit.joint,)
        waiting = self.stage.joint_to_place()
        labelled_joint = hit.part is Part.JOINT and hit.person is not None
        if waiting is not None and not labelled_joint and event.means_image(self.stage.image_extent()):
            self._again = False
            self.gesture = PlaceJoint(self.stage, self.editor, event, *waiting)
            return
        self.gesture = self._gesture(event, hit)
        # What several joints are selected for comes after the press, and a press beside everybody may go around some.
        if not self._again and not isinstance(self.gesture, DragJoints | SelectJoints):
            self.stage.select(hit.person, hit.joint, hit.prediction)

    def context_press(self, event: PointerEvent) -> None:
        for hit in hits(event.x, event.y, event.scale, self.stage.visible()):
            if hit.joint is not None and hit.person is not None:  # a proposal's joint has no visibility yet
                joints = self._selected_with(hit) or (hit.joint,)
                self.stage.select_joints(hit.person, joints)
                self.editor.cycle_joints(hit.person, joints)
                return

    def clicked(self, event: PointerEvent) -> None:
        """Goes down the pile: the second click in a place selects what lies under the first, joints under a joint."""
        hit, part = self._hit, self._hit.part
        if event.shift and hit.person is not None and hit.joint is not None:
            others = [joint for joint in self._joints_before if joint != hit.joint]
            self.stage.select_joints(hit.person, others if hit.joint in self._joints_before else [*others, hit.joint])
            return
        if not self._again:
            self.stage.select(hit.person, hit.joint, hit.prediction)
            return
        if part is Part.HANDLE:
            return
        kind = Part.JOINT if part is Part.JOINT else Part.BODY
        pile = sorted(
            (hit for hit in hits(event.x, event.y, event.scale, self.stage.visible()) if hit.part is kind),
            key=lambda hit: (hit.person or 0, hit.joint or 0, hit.prediction or 0),
        )
        following = _after(pile, hit)
        self.stage.select(following.person, following.joint, following.prediction)

    def cursor(self, event: PointerEvent, hit: Hit) -> Qt.CursorShape:
        if self.gesture and self.gesture.dragging:
            return self.gesture.cursor
        if hit.handle:
            return CURSORS[hit.handle]
        if hit.part is Part.JOINT:
            return Qt.CursorShape.PointingHandCursor
        visible = self.stage.visible()
        if hit and (hit.person, hit.prediction) == (visible.selected, visible.prediction):
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

    def _selected_with(self, hit: Hit) -> Sequence[int]:
        """The selected joints, if the joint that was hit is one of several."""
        visible = self.stage.visible()
        among = hit.person == visible.selected and hit.joint in visible.joints and len(visible.joints) > 1
        return visible.joints if among else ()

    def _gesture(self, event: PointerEvent, hit: Hit) -> Gesture | None:
        if event.shift and hit.part in (Part.EDGE, Part.BONE, Part.BODY):
            return SelectJoints(self.stage, self.editor, event)
        proposal = None if hit.prediction is None else self.stage.proposal(hit.prediction)
        if proposal is not None:
            subject: Subject = Proposed(self.stage, self.editor, proposal)
        elif hit.person is not None:
            subject = Label(self.stage, self.editor, hit.person)
        else:
            return SelectJoints(self.stage, self.editor, event)
        if hit.joint is not None:
            if hit.person is not None and (joints := self._selected_with(hit)):
                return DragJoints(self.stage, self.editor, event, hit.person, joints)
            return DragJoint(self.stage, self.editor, event, subject, hit.joint)
        if hit.handle is not None:
            return ResizeBox(self.stage, self.editor, event, subject, hit.handle)
        if not self._again:
            return None
        if hit.person is not None and (hit.part is Part.BONE or event.ctrl):
            return MovePerson(self.stage, self.editor, event, subject)
        return MoveBox(self.stage, self.editor, event, subject)


def _after(pile: list[Hit], hit: Hit) -> Hit:
    """What comes after a hit's target in the pile, which is a ring; the hit itself when it is alone there."""
    targets = [(other.person, other.joint, other.prediction) for other in pile]
    target = (hit.person, hit.joint, hit.prediction)
    if target in targets:
        return pile[(targets.index(target) + 1) % len(pile)]
    return pile[0] if pile else hit
