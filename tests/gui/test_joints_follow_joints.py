"""The model's joints follow those beside them that somebody puts right, with a pretended engine."""

from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from test_asking_the_model import NEW, OLD, Questions, draw_person
from test_proposals import FOUND, propose
from window_helpers import Opener, WindowMaker, people, trigger

from app.document.records import HUMAN, Box, Joint, Person, PredictedJoint
from app.main_window import MainWindow
from app.workers.engine_client import EngineClient
from app.workers.payloads import EngineInfo
from msarcnn.skeleton import coco17

BOX = Box(200, 40, 60, 120)
NAMES = coco17().keypoints
ELBOW, WRIST = NAMES.index("left_elbow"), NAMES.index("left_wrist")
BESIDE_WRIST = {NAMES.index(name) for name in ("left_elbow", "right_wrist")}
MIDDLE = (230, 100)


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    monkeypatch.setattr(EngineClient, "info", property(lambda _: EngineInfo(OLD, "a model", 0.5, "cpu")))
    window = make_window()
    open_in(window, coco_file)
    return window


@pytest.fixture
def questions(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Questions:
    return draw_person(window, monkeypatch, BOX)


def drawn(window: MainWindow) -> Person:
    return people(window)[1]


def at(joint: Joint) -> tuple[float, float]:
    return joint.x, joint.y


def answered(window: MainWindow, questions: Questions) -> set[int]:
    """Which joints the answer has moved: for what is known, the model sees all of them four pixels higher."""
    before = drawn(window).joints
    questions[-1].answer(OLD, 0.9, told=(0, -4))
    return {index for index, joint in enumerate(drawn(window).joints) if joint != before[index]}


def test_the_joints_beside_follow_in_the_same_undo_step(window: MainWindow, questions: Questions, qtbot: QtBot) -> None:
    before = drawn(window)
    window.editing.move_joint(before.key, WRIST, 210, 150)
    assert questions[0].boxes == [before.box] and not questions[0].heatmaps
    known = questions[0].known
    assert known is not None and [index for index, joint in enumerate(known) if joint.v] == [WRIST]
    assert at(known[WRIST]) == (210, 150)
    assert answered(window, questions) == BESIDE_WRIST
    assert drawn(window).joints[WRIST] == Joint(210, 150, 2, HUMAN)
    assert all(drawn(window).joints[index].from_model for index in BESIDE_WRIST), "the next one may move them again"
    trigger(window, qtbot, "undo")
    assert drawn(window) == before and not window.session.undo_stack.canUndo()


def test_all_that_are_known_by_then_are_told(window: MainWindow, questions: Questions) -> None:
    key = drawn(window).key
    window.editing.move_joint(key, WRIST, 210, 150)
    window.editing.move_joint(key, ELBOW, 215, 130)
    assert [asked.cancelled for asked in questions] == [True, False]
    known = questions[1].known
    assert known is not None and {index for index, joint in enumerate(known) if joint.v} == {WRIST, ELBOW}
    assert ELBOW not in answered(window, questions)
    window.editing.set_box(key, Box(190, 50, 80, 120))
    assert questions[-1].known == known, "also about another box"


def test_joints_of_another_model_and_of_people_stay(
    window: MainWindow, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = people(window)[0]
    window.editing.move_joint(imported.key, WRIST, 100, 100)
    assert not questions
    monkeypatch.setattr(EngineClient, "info", property(lambda _: EngineInfo(NEW, "another", 0.5, "cpu")))
    window.editing.move_joint(drawn(window).key, WRIST, 210, 150)
    assert not questions, "another model would be of another mind about all of them"


def test_whoever_wants_them_to_stay_switches_it_off(window: MainWindow, questions: Questions, qtbot: QtBot) -> None:
    trigger(window, qtbot, "refine")
    window.editing.move_joint(drawn(window).key, WRIST, 210, 150)
    assert not questions and not window.estimation.refines
    qtbot.waitUntil(lambda: not window.actions_by_id["refine"].isChecked())


def test_a_proposals_joint_takes_its_neighbours_along(window: MainWindow, questions: Questions, qtbot: QtBot) -> None:
    window.editing.delete()
    window.session.undo_stack.clear()
    box = FOUND.box
    middle = tuple(PredictedJoint(box.x + box.w / 2, box.y + box.h / 2, 0.9) for _ in range(17))
    propose(window, replace(FOUND, joints=middle))
    window.editing.move_proposed_joint(window.proposals.now().shown[0].key, WRIST, 210, 150)
    assert len(questions) == 1 and questions[0].boxes == [FOUND.box]
    assert answered(window, questions) == BESIDE_WRIST
    trigger(window, qtbot, "undo")
    assert len(people(window)) == 1 and len(window.proposals.now().shown) == 1, (
        "accepted, moved and followed in one step"
    )


def test_joints_that_are_elsewhere_than_the_model_puts_them_stay(window: MainWindow, questions: Questions) -> None:
    key = drawn(window).key
    window.editing.move_person(key, 0, 20)  # or somebody has looked harder
    window.editing.set_box(key, BOX)
    questions[-1].failed("it is not asked again")
    window.editing.move_joint(key, WRIST, 210, 150)
    assert answered(window, questions) == set()


def test_v_is_not_asked_for(window: MainWindow, questions: Questions) -> None:
    key = drawn(window).key
    window.editing.set_visibility(key, 8, 1)
    window.editing.move_joint(key, WRIST, 210, 150)
    before = [joint.v for joint in drawn(window).joints]
    questions[-1].answer(OLD, 0.1, told=(0, -4))
    assert [joint.v for joint in drawn(window).joints] == before, "though the model is less sure of them now"


@pytest.mark.parametrize("meanwhile", ["undo", "delete joint", "mark", "done", "box", "delete", "other model"])
def test_a_late_answer_is_for_nobody_who_has_gone_on(
    window: MainWindow, questions: Questions, qtbot: QtBot, meanwhile: str
) -> None:
    key = drawn(window).key
    window.editing.move_joint(key, WRIST, 210, 150)
    asked = questions[0]
    window.session.selection.select_joint(key, WRIST if meanwhile != "mark" else 3)
    if meanwhile == "undo":
        trigger(window, qtbot, "undo")
    elif meanwhile == "delete joint":
        window.editing.delete()
    elif meanwhile == "mark":
        window.editing.cycle_visibility()
    elif meanwhile == "done":
        window.editing.mark_done()
    elif meanwhile == "box":
        window.editing.set_box(key, Box(190, 40, 70, 120))
        assert asked.cancelled
        return
    elif meanwhile == "delete":
        window.session.selection.person = key
        window.editing.delete()
    else:
        window.engine.ready.emit(EngineInfo(NEW, "another", 0.5, "cpu"))
        assert asked.cancelled and len(questions) == 1, "another model is not asked about it"
        return
    before, steps, redo = people(window), window.session.undo_stack.count(), window.session.undo_stack.canRedo()
    asked.answer(OLD, 0.9, told=(0, -4))
    assert people(window) == before and window.session.undo_stack.count() == steps
    assert window.session.undo_stack.canRedo() == redo


def test_joints_of_a_changed_box_are_all_asked_for_with_what_is_known_by_then(
    window: MainWindow, questions: Questions, qtbot: QtBot
) -> None:
    key = drawn(window).key
    window.editing.set_box(key, Box(190, 40, 100, 120))
    window.editing.move_joint(key, WRIST, 210, 150)
    assert [asked.cancelled for asked in questions] == [True, False] and questions[1].known
    questions[1].answer(OLD, 0.9)
    moved = [index for index, joint in enumerate(drawn(window).joints) if at(joint) == (240, 100)]
    assert moved == [index for index in range(17) if index != WRIST]
    assert window.session.undo_stack.count() == 3, "the box, the joint, and all the others, which fit none of these"


def test_the_key_and_the_switch(window: MainWindow, questions: Questions, qtbot: QtBot) -> None:
    key = drawn(window).key
    window.editing.move_joint(key, WRIST, 210, 150)
    trigger(window, qtbot, "refine")
    window.editing.set_box(key, Box(190, 40, 80, 120))
    assert questions[-1].known is None, "what is switched off is off for boxes, too"


def test_a_model_that_fails_on_it_is_not_worth_a_word(window: MainWindow, questions: Questions) -> None:
    before = drawn(window)
    window.editing.move_joint(before.key, WRIST, 210, 150)
    questions[0].failed("no memory")
    assert window.message_bar.text == "" and drawn(window).joints[ELBOW] == before.joints[ELBOW]
