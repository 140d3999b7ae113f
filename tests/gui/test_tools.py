"""Every gesture with fake events: live preview, one request on release, nothing after Esc."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.canvas.hit_test import Handle, Hit, Visible, handle_places
from app.canvas.tools.base import PointerEvent, Tool
from app.canvas.tools.draw_box import DrawBoxTool
from app.canvas.tools.place_joints import PlaceJointsTool
from app.canvas.tools.select import SelectTool
from app.commands.predictions import Proposal, proposal
from app.document.records import HUMAN, Box, Joint, Person, PredictedJoint, Prediction
from app.storage.visibility import Acceptance

EDGES = ((0, 1),)
PERSON = Person(1, Box(50, 50, 100, 100), (Joint(80, 80, 2, HUMAN), Joint(120, 80, 1, HUMAN)))
INNER = Person(2, Box(90, 100, 30, 30), (Joint(), Joint()))
PREDICTION = Prediction(5, "m", Box(180, 10, 15, 15), 0.9, ())


class FakeStage:
    """Two people and a prediction on a 200 x 200 image."""

    def __init__(self) -> None:
        self.people = {1: PERSON, 2: INNER}
        self.predictions: tuple[Prediction, ...] = (PREDICTION,)
        self.selected: tuple[int | None, int | None, int | None] = (None, None, None)
        self.previews: list[Person] = []
        self.boxes: list[Box | None] = []
        self.marked: list[tuple[int | None, tuple[int, ...]]] = []
        self.joints: tuple[int, ...] = ()
        self.ended = 0
        self.to_place: tuple[int, int] | None = None

    def visible(self) -> Visible:
        person, _, prediction = self.selected
        proposals = tuple(proposal(found, Acceptance(0.5)) for found in self.predictions)
        return Visible(tuple(self.people.values()), proposals, person, EDGES, joints=self.joints, prediction=prediction)

    def image_extent(self) -> tuple[int, int]:
        return 200, 200

    def person(self, key: int) -> Person:
        return self.people[key]

    def has_person(self, key: int) -> bool:
        return key in self.people

    def proposal(self, key: int) -> Proposal | None:
        return next((found for found in self.visible().proposals if found.key == key), None)

    def joint_to_place(self) -> tuple[int, int] | None:
        return self.to_place

    def preview_person(self, person: Person, proposed: bool = False) -> None:
        self.previews.append(person)

    def preview_box_of(self, person: Person, proposed: bool = False) -> None:
        self.previews.append(person)

    def snapped(self, x: float, y: float) -> tuple[float, float]:
        return round(x, -1), round(y, -1)

    def end_preview(self) -> None:
        self.ended += 1

    def preview_box(self, box: Box | None, text: str = "") -> None:
        self.boxes.append(box)

    def preview_joints(self, person: int | None, joints: Sequence[int]) -> None:
        self.marked.append((person, tuple(joints)))

    def select(self, person: int | None, joint: int | None = None, prediction: int | None = None) -> None:
        self.selected, self.joints = (person, joint, prediction), () if joint is None else (joint,)

    def select_joints(self, person: int, joints: Sequence[int]) -> None:
        self.selected, self.joints = (person, joints[-1] if joints else None, None), tuple(joints)


class FakeEditor:
    """Writes down what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def add_person(self, box: Box) -> None:
        self.calls.append(("add", box))

    def set_box(self, person: int, box: Box) -> None:
        self.calls.append(("box", person, box))

    def move_person(self, person: int, dx: float, dy: float) -> None:
        self.calls.append(("move", person, dx, dy))

    def move_joint(self, person: int, joint: int, x: float, y: float) -> None:
        self.calls.append(("joint", person, joint, x, y))

    def move_proposed_joint(self, prediction: int, joint: int, x: float, y: float) -> None:
        self.calls.append(("accept", prediction, joint, x, y))

    def set_proposed_box(self, prediction: int, box: Box) -> None:
        self.calls.append(("accept box", prediction, box))

    def place_joint(self, person: int, joint: int, x: float, y: float, v: int) -> None:
        self.calls.append(("place", person, joint, x, y, v))

    def cycle_joints(self, person: int, joints: Sequence[int]) -> None:
        self.calls.append(("cycle", person, *joints))

    def move_joints(self, person: int, places: Mapping[int, tuple[float, float]]) -> None:
        self.calls.append(("joints", person, dict(places)))


@pytest.fixture
def stage() -> FakeStage:
    return FakeStage()


@pytest.fixture
def editor() -> FakeEditor:
    return FakeEditor()


@pytest.fixture
def tool(stage: FakeStage, editor: FakeEditor) -> SelectTool:
    return SelectTool(stage, editor)


def drag(tool: Tool, *places: tuple[float, float], ctrl: bool = False, shift: bool = False) -> None:
    tool.press(PointerEvent(*places[0], ctrl=ctrl, shift=shift))
    for place in places[1:]:
        tool.move(PointerEvent(*place, shift=shift))
    tool.release(PointerEvent(*places[-1], shift=shift))


def test_dragging_a_joint_is_live_and_one_change(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    drag(tool, (81, 80), (85, 82), (91, 90))
    assert [(p.joints[0].x, p.joints[0].y) for p in stage.previews] == [(84, 82), (90, 90)]
    assert editor.calls == [("joint", 1, 0, 90, 90)]
    assert stage.selected == (1, 0, None)


def test_a_click_puts_a_selected_joint_without_a_place(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.to_place = (1, 2)
    drag(tool, (150, 30), (150, 30))
    assert editor.calls == [("place", 1, 2, 150, 30, 2)]
    drag(tool, (150, 30), (400, 30))
    assert editor.calls[-1] == ("place", 1, 2, 200, 30, 2)


@pytest.mark.parametrize("place", [(-60, 30), (260, 30), (30, -60), (30, 260), (900, 900)])
def test_a_click_beside_the_photo_places_nothing(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor, place: tuple[float, float]
) -> None:
    stage.select(2)
    stage.to_place = (2, 1)
    drag(tool, place)
    assert editor.calls == [] and stage.selected == (None, None, None), "it is a click on nothing"
    placing = PlaceJointsTool(stage, editor, 2, ORDER, lambda: None)
    assert placing.cursor(PointerEvent(*place), Hit()) is not placing.cursor(PointerEvent(100, 100), Hit())
    drag(placing, place)
    drag(placing, place, (100, 100))
    placing.context_press(PointerEvent(*place))
    assert editor.calls == [] and "left wrist (1 of 2)" in placing.hint, "the joint is still asked for"


def test_a_click_at_the_very_edge_is_on_the_photo(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.to_place = (1, 2)
    tool.press(PointerEvent(201, 30, scale=4.0))  # four screen pixels beside it
    tool.release(PointerEvent(201, 30, scale=4.0))
    tool.press(PointerEvent(203, 30, scale=4.0))
    tool.release(PointerEvent(203, 30, scale=4.0))
    assert editor.calls == [("place", 1, 2, 200, 30, 2)]


def test_a_box_drawn_beside_the_photo_is_nobody(stage: FakeStage, editor: FakeEditor) -> None:
    tool = DrawBoxTool(stage, editor, lambda: None)
    drag(tool, (-80, -80), (-10, 150))
    assert editor.calls == []
    drag(tool, (-80, -80), (50, 60))
    assert editor.calls == [("add", Box(0, 0, 50, 60))], "begun beside it: somebody at the photo's edge"


def test_an_occluded_joint_stays_occluded_and_on_the_image(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    drag(tool, (120, 80), (500, 80))
    assert stage.previews[0].joints[1] == Joint(200, 80, 1, HUMAN)
    assert editor.calls == [("joint", 1, 1, 200, 80)]


def test_a_click_moves_nothing(tool: SelectTool, editor: FakeEditor) -> None:
    drag(tool, (80, 80), (81, 81))
    assert editor.calls == []


def test_three_pixels_are_a_drag_at_any_scale(tool: SelectTool, editor: FakeEditor) -> None:
    start, scale = 79.0, 46 / 32
    end = start + 3 / scale
    assert (end - start) * scale < 3, "by the last digit"
    tool.press(PointerEvent(start, 80, scale))
    tool.move(PointerEvent(end, 80, scale))
    tool.release(PointerEvent(end, 80, scale))
    assert editor.calls == [("joint", 1, 0, 80 + end - start, 80)]


def test_escape_restores_and_asks_for_nothing(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    tool.press(PointerEvent(80, 80))
    tool.move(PointerEvent(100, 100))
    assert tool.cancel()
    assert stage.ended == 1
    tool.release(PointerEvent(100, 100))
    assert editor.calls == []
    assert not tool.cancel()


def test_a_handle_resizes(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.select(1)
    drag(tool, (150, 150), (170, 180))
    assert stage.previews[-1].box == Box(50, 50, 120, 130)
    assert editor.calls == [("box", 1, Box(50, 50, 120, 130))]
    assert tool.stage.visible().selected == 1


def test_resizing_stops_at_the_image(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.select(1)
    drag(tool, (150, 150), (900, 900))
    assert editor.calls == [("box", 1, Box(50, 50, 150, 150))]


OVER_THE_EDGES = Box(-20, -30, 260, 270)
"""An imported box that reaches over all four sides of the image of 200 x 200."""


@pytest.mark.parametrize(
    ("handle", "start", "end", "box"),
    [
        (Handle.N, (110, -30), (110, 40), Box(-20, 40, 260, 200)),
        (Handle.S, (110, 240), (110, 150), Box(-20, -30, 260, 180)),
        (Handle.W, (-20, 105), (30, 105), Box(30, -30, 210, 270)),
        (Handle.E, (240, 105), (120, 105), Box(-20, -30, 140, 270)),
        (Handle.NW, (-20, -30), (10, 20), Box(10, 20, 230, 220)),
        (Handle.SE, (240, 240), (900, 150), Box(-20, -30, 220, 180)),
    ],
)
def test_a_side_that_nobody_drags_stays_where_it_was(
    tool: SelectTool,
    stage: FakeStage,
    editor: FakeEditor,
    handle: Handle,
    start: tuple[float, float],
    end: tuple[float, float],
    box: Box,
) -> None:
    assert handle_places(OVER_THE_EDGES)[handle] == start
    stage.people = {1: replace(PERSON, box=OVER_THE_EDGES)}
    stage.select(1)
    drag(tool, start, end)
    assert editor.calls == [("box", 1, box)]


@pytest.mark.parametrize("over", [Box(150, 50, 80, 100), Box(50, 150, 100, 80), Box(-30, 50, 80, 100)])
def test_an_overhang_on_any_side_is_kept(tool: SelectTool, stage: FakeStage, editor: FakeEditor, over: Box) -> None:
    stage.people = {1: replace(PERSON, box=over)}
    stage.select(1)
    handle = Handle.N if over.y < 100 else Handle.W
    x, y = handle_places(over)[handle]
    drag(tool, (x, y), (x + 10, y + 10))
    ((_, _, box),) = editor.calls
    assert (box.right, box.bottom) == (over.right, over.bottom)
    assert (box.x, box.y) == ((over.x, over.y + 10) if handle is Handle.N else (over.x + 10, over.y))


def test_the_inside_moves_only_a_selected_box(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    drag(tool, (60, 140), (70, 150))
    assert editor.calls == []
    assert stage.selected[0] == 1
    drag(tool, (60, 140), (70, 150))
    assert editor.calls == [("box", 1, Box(60, 60, 100, 100))]
    assert stage.previews[-1].joints == PERSON.joints


def test_a_moved_box_stays_on_the_image(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.select(1)
    drag(tool, (60, 140), (300, 140))
    assert editor.calls == [("box", 1, Box(100, 50, 100, 100))]


@pytest.mark.parametrize(("start", "ctrl"), [((100, 80), False), ((60, 140), True)])
def test_a_bone_or_ctrl_moves_the_whole_pose(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor, start: tuple[float, float], ctrl: bool
) -> None:
    stage.select(1)
    drag(tool, start, (start[0] + 10, start[1] + 5), ctrl=ctrl)
    assert editor.calls == [("move", 1, 10, 5)]
    assert stage.previews[-1].joints[0] == Joint(90, 85, 2, HUMAN)


def test_a_moved_pose_stays_on_the_photo_with_all_its_joints(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    stage.people[1] = replace(PERSON, joints=(PERSON.joints[0], Joint(190, 80, 1, HUMAN)))
    stage.select(1)
    drag(tool, (60, 140), (110, 140), ctrl=True)
    assert editor.calls == [("move", 1, 10, 0)], "a wrist reaches over the box"


def test_a_second_click_selects_what_lies_beneath(tool: SelectTool, stage: FakeStage) -> None:
    drag(tool, (105, 115))
    assert stage.selected[0] == 2
    drag(tool, (105, 115))
    assert stage.selected[0] == 1
    drag(tool, (105, 115))
    assert stage.selected[0] == 2


def test_clicks_go_through_joints_that_lie_on_each_other(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    first = stage.people[1].joints[0]
    stage.people[1] = replace(stage.people[1], joints=(first, Joint(first.x + 2, first.y, 2, HUMAN)))
    place = (first.x, first.y)
    seen = []
    for _ in range(3):
        drag(tool, place)
        seen.append(stage.selected[:2])
    assert seen == [(1, 0), (1, 1), (1, 0)]
    drag(tool, place)
    assert stage.selected[:2] == (1, 1)
    drag(tool, place, (place[0] + 20, place[1]))
    assert editor.calls == [("joint", 1, 1, place[0] + 22, place[1])], "the one that was clicked to is dragged"


def test_clicks_go_through_predictions_that_lie_on_each_other(tool: SelectTool, stage: FakeStage) -> None:
    stage.people = {}
    stage.predictions = (
        replace(PREDICTION, key=5, box=Box(20, 20, 100, 100)),
        replace(PREDICTION, key=6, box=Box(10, 10, 120, 120)),
    )
    seen = []
    for _ in range(3):
        drag(tool, (60, 60))
        seen.append(stage.selected[2])
    assert seen == [5, 6, 5]


POSED = replace(PREDICTION, joints=(PredictedJoint(182, 12, 0.9), PredictedJoint(192, 22, 0.2)))


def test_a_proposals_joint_is_dragged_live_and_accepted_by_the_release(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    stage.predictions = (POSED,)
    drag(tool, (182, 12), (172, 12), (160, 30))
    assert stage.selected == (None, 0, 5)
    assert stage.previews[-1].joints == (Joint(160, 30, 2, HUMAN), Joint(192, 22, 0, "m"))
    assert editor.calls == [("accept", 5, 0, 160, 30)]
    drag(tool, (182, 12), (182, -80))
    assert editor.calls[-1] == ("accept", 5, 0, 182, 0), "it stays on the photo"
    drag(tool, (192, 22), (170, 60))
    assert editor.calls[-1] == ("accept", 5, 1, 170, 60), "a hint, of the selected one"


def test_where_a_label_and_a_proposal_meet_the_label_is_dragged(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    stage.predictions = (replace(POSED, joints=(PredictedJoint(80, 80, 0.9), PredictedJoint(192, 22, 0.2))),)
    drag(tool, (80, 80), (90, 80))
    assert editor.calls == [("joint", 1, 0, 90, 80)]
    drag(tool, (80, 80))
    assert stage.selected == (None, 0, 5), "a second click goes on to the proposal's"
    tool.context_press(PointerEvent(80, 80))
    assert editor.calls[-1] == ("cycle", 1, 0), "visibility is about labels"


def test_a_gesture_ends_with_the_proposal_it_is_about(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.predictions = (POSED,)
    tool.press(PointerEvent(182, 12))
    assert tool.gesture is not None and tool.gesture.holds()
    stage.predictions = (replace(POSED, score=0.8),)
    assert not tool.gesture.holds()


def test_predictions_and_nothing_can_be_selected(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    drag(tool, (188, 17))
    assert stage.selected == (None, None, 5)
    drag(tool, (10, 190), (40, 195))
    assert stage.selected == (None, None, None)
    assert editor.calls == []


def test_the_right_button_cycles_a_joint(tool: SelectTool, editor: FakeEditor) -> None:
    tool.context_press(PointerEvent(120, 81))
    tool.context_press(PointerEvent(10, 190))
    assert editor.calls == [("cycle", 1, 1)]


def test_the_cursor_tells_what_a_drag_would_do(tool: SelectTool, stage: FakeStage) -> None:
    from app.canvas.hit_test import Part, hit_test

    stage.select(1)
    event = PointerEvent(50, 50)
    hit = hit_test(50, 50, 1.0, stage.visible())
    assert hit.handle is Handle.NW
    cursors = {tool.cursor(event, hit), tool.cursor(event, Hit()), tool.cursor(event, Hit(Part.BODY, person=1))}
    assert len(cursors) == 3


def test_drawing_a_box_adds_one_person(stage: FakeStage, editor: FakeEditor) -> None:
    finished: list[bool] = []
    tool = DrawBoxTool(stage, editor, lambda: finished.append(True))
    drag(tool, (180, 190), (120, 130), (100, 300))
    assert stage.boxes[0] == Box(120, 130, 60, 60)
    assert editor.calls == [("add", Box(100, 190, 80, 10))]
    assert finished == [True]
    assert stage.boxes[-1] is None


ORDER = ((0, "left wrist"), (1, "right wrist"))


def test_joints_are_placed_one_after_the_other(stage: FakeStage, editor: FakeEditor) -> None:
    finished: list[bool] = []
    tool = PlaceJointsTool(stage, editor, 2, ORDER, lambda: finished.append(True))
    assert stage.selected == (2, 0, None) and "left wrist (1 of 2)" in tool.hint
    drag(tool, (100, 110), (104, 300))
    assert stage.selected == (2, 1, None) and "right wrist (2 of 2)" in tool.hint and not finished
    tool.context_press(PointerEvent(-4, 120))
    assert editor.calls == [("place", 2, 0, 104, 200, 2), ("place", 2, 1, 0, 120, 1)]
    assert finished and tool.hint == ""


def test_skipping_a_joint_leaves_it_as_it_is(stage: FakeStage, editor: FakeEditor) -> None:
    stage.people[2] = replace(INNER, joints=(Joint(95, 105, 2, HUMAN), Joint(99, 105, 0, "m")))
    finished: list[bool] = []
    tool = PlaceJointsTool(stage, editor, 2, ORDER, lambda: finished.append(True))
    assert stage.selected == (2, 1, None), "only what is not labelled is asked for"
    tool.skip()
    assert finished and editor.calls == []
    tool = PlaceJointsTool(stage, editor, 1, ORDER, lambda: None)
    assert "left wrist (1 of 2)" in tool.hint, "somebody complete is gone through from the beginning"
    tool.press(PointerEvent(10, 10))
    assert tool.cancel() and editor.calls == []


def test_skipping_while_the_button_is_down_skips_one_joint(stage: FakeStage, editor: FakeEditor) -> None:
    tool = PlaceJointsTool(stage, editor, 2, ORDER, lambda: None)
    tool.press(PointerEvent(100, 110))
    tool.skip()
    tool.release(PointerEvent(100, 110))
    assert editor.calls == [] and "right wrist (2 of 2)" in tool.hint


def test_another_joint_that_is_selected_is_asked_for_first(stage: FakeStage, editor: FakeEditor) -> None:
    stage.people[2] = replace(INNER, joints=(*INNER.joints, Joint(95, 105, 2, HUMAN)))
    tool = PlaceJointsTool(stage, editor, 2, (*ORDER, (2, "nose")), lambda: None)
    tool.press(PointerEvent(100, 110))
    stage.select(2, 2)
    tool.follow()
    tool.release(PointerEvent(100, 110))
    assert editor.calls == [] and "Click the nose" in tool.hint, "what was pressed was about the joint before"
    drag(tool, (101, 111))
    assert editor.calls == [("place", 2, 2, 101, 111, 2)]
    assert stage.selected == (2, 0, None) and "left wrist (1 of 2)" in tool.hint
    stage.select(2)
    tool.follow()
    assert stage.selected == (2, 0, None), "the joint that is asked for is marked again"


def test_what_was_undone_is_asked_for_again(stage: FakeStage, editor: FakeEditor) -> None:
    def place(person: int, joint: int, x: float, y: float, v: int) -> None:
        stage.people[person] = stage.people[person].with_joint(joint, Joint(x, y, v, HUMAN))

    editor.place_joint = place  # type: ignore[method-assign]
    tool = PlaceJointsTool(stage, editor, 1, ORDER, lambda: None)
    drag(tool, (10, 10))
    tool.follow()
    assert "right wrist (2 of 2)" in tool.hint
    stage.people[1] = PERSON
    tool.follow()
    assert stage.selected == (1, 0, None) and "left wrist (1 of 2)" in tool.hint


def test_a_slip_draws_nobody(stage: FakeStage, editor: FakeEditor) -> None:
    tool = DrawBoxTool(stage, editor, lambda: None)
    drag(tool, (10, 10), (13, 13))
    tool.press(PointerEvent(10, 10))
    tool.move(PointerEvent(90, 90))
    assert tool.cancel()
    assert editor.calls == []


def test_a_box_around_joints_selects_them(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    drag(tool, (10, 10), (90, 90), (130, 90))
    assert stage.marked == [(1, (0,)), (1, (0, 1))], "what would be selected is seen while it is spanned"
    assert (stage.selected, stage.joints, editor.calls) == ((1, 1, None), (0, 1), [])
    assert stage.ended == 1 and stage.boxes[-1] is None


def test_with_shift_it_may_begin_on_somebody(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.select(1)
    drag(tool, (70, 60), (70, 60), (90, 100), shift=True)  # inside of the selected box, which moves without Shift
    assert (stage.selected, stage.joints, editor.calls) == ((1, 0, None), (0,), [])
    drag(tool, (60, 60), (70, 70), shift=True)
    assert (stage.selected, stage.joints) == ((1, None, None), ()), "around none: the person stays selected"


def test_the_selected_person_is_meant_where_two_lie(tool: SelectTool, stage: FakeStage) -> None:
    crossing = Person(2, INNER.box, (Joint(82, 82, 2, HUMAN), Joint(84, 84, 0, "m")))
    stage.people[2] = crossing
    drag(tool, (10, 10), (130, 90))
    assert (stage.selected[0], stage.joints) == (1, (0, 1)), "of whom more lies within, hints of others not counted"
    stage.select(2)
    drag(tool, (10, 10), (130, 90))
    assert (stage.selected[0], stage.joints) == (2, (0, 1)), "whoever is selected, hints included"


def test_shift_and_a_click_add_and_take_out(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    drag(tool, (80, 80), shift=True)
    assert stage.joints == (0,)
    drag(tool, (120, 80), shift=True)
    assert stage.joints == (0, 1)
    drag(tool, (80, 80), shift=True)
    assert stage.joints == (1,)
    drag(tool, (120, 80), shift=True)
    assert (stage.selected, stage.joints, editor.calls) == ((1, None, None), (), [])


def test_one_of_several_moves_them_all_and_a_click_selects_it(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    stage.select_joints(1, (0, 1))
    drag(tool, (80, 80), (90, 75), (95, 70))
    assert editor.calls == [("joints", 1, {0: (95, 70), 1: (135, 70)})] and stage.joints == (0, 1)
    assert [joint.v for joint in stage.previews[-1].joints] == [2, 1]
    drag(tool, (80, 80), (80 + 300, 80))
    assert editor.calls[-1] == ("joints", 1, {0: (160, 80), 1: (200, 80)}), "as far as all of them stay on the photo"
    drag(tool, (80, 80))
    assert stage.joints == (0,) and len(editor.calls) == 2


def test_the_right_button_is_for_all_that_are_selected(tool: SelectTool, stage: FakeStage, editor: FakeEditor) -> None:
    stage.select_joints(1, (0, 1))
    tool.context_press(PointerEvent(80, 80))
    stage.select(1, 1)
    tool.context_press(PointerEvent(80, 80))
    assert editor.calls == [("cycle", 1, 0, 1), ("cycle", 1, 0)] and stage.joints == (0,)


def test_a_box_around_joints_is_cancelled(tool: SelectTool, stage: FakeStage) -> None:
    stage.select(1, 1)
    tool.press(PointerEvent(10, 10))
    tool.move(PointerEvent(90, 90))
    assert tool.cancel()
    tool.release(PointerEvent(90, 90))
    assert stage.joints == (1,) and stage.boxes[-1] is None and stage.ended == 1


def test_a_selected_joint_without_a_place_holds_nobody_back(
    tool: SelectTool, stage: FakeStage, editor: FakeEditor
) -> None:
    stage.people[1] = replace(PERSON, joints=(*PERSON.joints, Joint()))
    stage.select_joints(1, (0, 1, 2))
    drag(tool, (80, 80), (60, 65))
    assert editor.calls == [("joints", 1, {0: (60, 65), 1: (100, 65)})]
