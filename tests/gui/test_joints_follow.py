"""The model's joints follow a box while it is dragged, with a pretended engine."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from test_asking_the_model import NEW, OLD, Questions, draw_person, switch_model
from test_gestures import move, press, release
from test_proposals import FOUND, propose
from window_helpers import Opener, WindowMaker, people, trigger

from app.document.records import HUMAN, Box, Person, Prediction
from app.main_window import MainWindow

START = Box(200, 40, 60, 120)


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


@pytest.fixture
def questions(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Questions:
    questions = draw_person(window, monkeypatch, START)
    assert window.session.selection.person == people(window)[1].key
    return questions


def drawn(window: MainWindow) -> Person:
    return people(window)[1]


def shown(window: MainWindow) -> Person:
    return window.scene.person(drawn(window).key)


def middle(person: Person) -> tuple[float, float]:
    """Where the joints have to be: the pretended engine puts all of them there."""
    return person.box.x + person.box.w / 2, person.box.y + person.box.h / 2


def at(person: Person, joint: int = 0) -> tuple[float, float]:
    return person.joints[joint].x, person.joints[joint].y


def drag_right_side(window: MainWindow, to: float) -> None:
    press(window, START.right, 100)
    move(window, to, 100)


def test_joints_follow_the_box_before_it_is_let_go(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 280)
    assert [asked.boxes for asked in questions] == [[shown(window).box]] and not questions[0].heatmaps
    assert at(shown(window)) == middle(drawn(window)), "nothing is known of the new box yet"
    questions[0].answer(OLD, 0.9)
    assert at(shown(window)) == pytest.approx(middle(shown(window)))
    assert at(drawn(window)) == middle(drawn(window)) and drawn(window).box == START, "only shown"
    release(window, 280, 100)
    assert len(questions) == 1, "what is known is not asked for again"
    assert drawn(window).box.right == pytest.approx(280, abs=1) and at(drawn(window)) == pytest.approx(
        middle(drawn(window))
    )
    assert window.session.undo_stack.count() == 1, "box and joints are one step"
    window.session.undo_stack.undo()
    assert drawn(window).box == START and at(drawn(window)) == middle(drawn(window))


def test_one_box_is_asked_about_at_a_time_and_then_the_newest(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 270)
    for x in (275, 280, 290):
        move(window, x, 100)
    assert len(questions) == 1
    questions[0].answer(OLD, 0.9)
    assert len(questions) == 2 and questions[1].boxes == [shown(window).box]
    assert at(shown(window))[0] == pytest.approx(235, abs=1), "of the box of a moment ago, while the newest is asked"
    questions[1].answer(OLD, 0.9)
    assert at(shown(window)) == pytest.approx(middle(shown(window))) and len(questions) == 2


def test_a_box_let_go_elsewhere_is_asked_about_anew(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 280)
    release(window, 290, 100)
    assert [asked.cancelled for asked in questions] == [True, False]
    assert questions[1].boxes == [drawn(window).box]
    questions[1].answer(OLD, 0.9)
    assert at(drawn(window)) == pytest.approx(middle(drawn(window)))
    assert window.session.undo_stack.count() == 1


def test_a_box_let_go_where_it_is_waits_for_the_answer_under_way(
    window: MainWindow, questions: Questions, qtbot: QtBot
) -> None:
    drag_right_side(window, 280)
    release(window, 280, 100)
    assert len(questions) == 1 and not questions[0].cancelled
    trigger(window, qtbot, "next_image")
    trigger(window, qtbot, "previous_image")
    questions[0].answer(OLD, 0.9)
    assert at(drawn(window)) == pytest.approx(middle(drawn(window))), "wherever one looks meanwhile"
    window.session.undo_stack.undo()
    assert drawn(window).box == START, "box and joints are one step"


def test_a_box_let_go_and_changed_again_forgets_the_answer_under_way(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 280)
    release(window, 280, 100)
    window.editing.set_box(drawn(window).key, START)
    assert [asked.cancelled for asked in questions] == [True, False] and questions[1].boxes == [START]
    questions[1].answer(OLD, 0.9)
    assert at(drawn(window)) == middle(drawn(window))


def test_the_answer_under_way_is_asked_of_the_new_model_when_there_is_one(
    window: MainWindow, questions: Questions
) -> None:
    drag_right_side(window, 280)
    release(window, 280, 100)
    switch_model(window)
    assert [asked.cancelled for asked in questions] == [True, False]
    questions[1].answer(NEW, 0.9)
    assert {joint.origin for joint in drawn(window).joints} == {NEW}


def test_escape_brings_box_and_joints_back(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 280)
    questions[0].answer(OLD, 0.9)
    move(window, 290, 100)
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert shown(window) == drawn(window) and drawn(window).box == START
    questions[1].answer(OLD, 0.9)
    assert shown(window) == drawn(window), "an answer that comes too late shows nothing"
    assert window.session.undo_stack.count() == 0


def test_joints_that_a_person_placed_stay_where_they_are(window: MainWindow, questions: Questions) -> None:
    key = drawn(window).key
    window.editing.move_joint(key, 5, 210, 150)
    drag_right_side(window, 280)
    questions[0].answer(OLD, 0.9)
    assert at(shown(window), 5) == (210, 150) and at(shown(window)) == pytest.approx(middle(shown(window)))
    release(window, 280, 100)
    assert at(drawn(window), 5) == (210, 150) and drawn(window).joints[5].origin == HUMAN


def test_imported_joints_ask_nothing(window: MainWindow, questions: Questions) -> None:
    imported = people(window)[0]
    window.session.selection.person = imported.key
    press(window, imported.box.right, imported.box.y + imported.box.h / 2)
    move(window, imported.box.right + 20, imported.box.y + imported.box.h / 2)
    release(window, imported.box.right + 20, imported.box.y + imported.box.h / 2)
    assert people(window)[0].box != imported.box and questions == []


def test_moving_the_whole_pose_asks_nothing(window: MainWindow, questions: Questions) -> None:
    x, y = at(drawn(window))
    window.editing.move_joint(drawn(window).key, 0, x, y + 40)  # or the joints lie on one another
    window.session.undo_stack.clear()
    window.editing.move_person(drawn(window).key, 5, 5)
    assert questions == []


@pytest.mark.parametrize("early", [True, False])
def test_a_model_that_fails_while_dragging_is_asked_once_more_and_then_says_so(
    window: MainWindow, questions: Questions, early: bool
) -> None:
    drag_right_side(window, 280)
    if early:
        questions[0].failed("no memory")
        assert window.message_bar.text == ""
        release(window, 280, 100)
    else:
        release(window, 280, 100)
        questions[0].failed("no memory")
    questions[1].failed("no memory")
    assert "could not be estimated: no memory" in window.message_bar.text
    assert drawn(window).box.right == pytest.approx(280, abs=1), "the box is changed all the same"


def test_what_another_model_said_of_the_box_is_forgotten(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 280)
    questions[0].answer(OLD, 0.9)
    switch_model(window)
    release(window, 280, 100)
    questions[1].answer(NEW, 0.9)
    assert {joint.origin for joint in drawn(window).joints} == {NEW}


def test_a_cancelled_drag_leaves_its_late_answer_to_nobody(window: MainWindow, questions: Questions) -> None:
    drag_right_side(window, 280)
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    release(window, 280, 100)
    drag_right_side(window, 300)
    before = at(shown(window))
    questions[0].answer(OLD, 0.9)
    assert at(shown(window)) == before, "not in the next drag either"
    questions[1].answer(OLD, 0.9)
    assert at(shown(window)) == pytest.approx(middle(shown(window)))


@pytest.fixture
def proposed(window: MainWindow, questions: Questions) -> Prediction:
    """A selected proposal beside the labels; its joints are elsewhere than the pretended engine would put them."""
    propose(window, FOUND)
    window.session.undo_stack.clear()
    window.editing.delete()  # the person of `questions` lies there
    window.session.undo_stack.clear()
    found = window.proposals.now().shown[0]
    window.session.selection.prediction = found.key
    return found.prediction


def as_label(window: MainWindow) -> Person:
    """The proposal as the drag shows it."""
    accepted = window.scene._proposed._accepted
    assert accepted is not None
    return accepted.person


def test_a_proposals_box_is_dragged_and_that_accepts_it(
    window: MainWindow, questions: Questions, proposed: Prediction, qtbot: QtBot
) -> None:
    box, count = proposed.box, len(people(window))
    press(window, box.right, box.y + box.h / 2)
    move(window, 290, box.y + box.h / 2)
    assert as_label(window).box.right == pytest.approx(290, abs=1) and len(people(window)) == count
    assert at(as_label(window)) == (proposed.joints[0].x, proposed.joints[0].y)
    questions[0].answer(OLD, 0.9)
    assert at(as_label(window)) == pytest.approx(middle(as_label(window))), "its joints follow"
    release(window, 290, box.y + box.h / 2)
    label = people(window)[-1]
    assert len(people(window)) == count + 1 and window.session.selection.person == label.key
    assert label.box.right == pytest.approx(290, abs=1) and at(label) == pytest.approx(middle(label))
    assert len(questions) == 1, "what is known is not asked for again"
    trigger(window, qtbot, "undo")
    assert len(people(window)) == count and [found.key for found in window.proposals.now().shown] == [proposed.key]
    assert not window.session.undo_stack.canUndo(), "box, joints and accepting are one step"


def test_a_proposals_box_is_moved_from_within_and_escape_brings_it_back(
    window: MainWindow, questions: Questions, proposed: Prediction
) -> None:
    count = len(people(window))
    press(window, 235, 160)  # no joint there
    move(window, 245, 165)
    assert (as_label(window).box.x, as_label(window).box.y) == pytest.approx((190, 35), abs=1)
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    release(window, 245, 165)
    assert len(people(window)) == count and not window.session.undo_stack.canUndo()
    press(window, 235, 160)
    move(window, 245, 165)
    release(window, 245, 165)
    questions[-1].failed("no memory")
    label = people(window)[-1]
    assert label.box.x == pytest.approx(190, abs=1), "the box is changed all the same"
    assert at(label) == (proposed.joints[0].x, proposed.joints[0].y)
