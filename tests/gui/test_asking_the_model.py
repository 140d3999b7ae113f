"""What the window asks the model about a box, with a pretended engine: answers of a model that is gone are not kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, people, trigger

from app.canvas.items.heatmap_item import HeatmapItem
from app.document.records import HUMAN, Box, Joint, PredictedJoint, Prediction
from app.main_window import MainWindow
from app.workers.payloads import EngineInfo, EstimateResult, ImageFile

OLD, NEW = "0123456789ab", "ba9876543210"


@dataclass
class Asked:
    """A question and how to answer it."""

    boxes: Sequence[Box]
    heatmaps: bool
    done: Callable[[EstimateResult], None]
    failed: Callable[[str], None]
    model: str | None = None
    levels_of: int | None = None
    known: Sequence[Joint] | None = None
    cancelled: bool = False

    def answer(
        self,
        model: str,
        confidence: float,
        places: Sequence[tuple[int, int, float]] = (),
        told: tuple[float, float] = (0, 0),
    ) -> None:
        """Every joint in the middle of the box; with places (row, column of 8, probability) these stand out.

        told: how far off the middle they are for what is known.
        """
        assert not self.cancelled, "the engine's client calls nobody who has cancelled"
        box = self.boxes[0]
        joints = np.tile(np.float32([[box.x + box.w / 2, box.y + box.h / 2]]), (1, 17, 1))
        maps = np.full((1, 17, 8, 8), 0 if places else 1 / 64, np.float16) if self.heatmaps else None
        for row, column, probability in places:
            assert maps is not None
            maps[..., row, column] = probability
        confidences = np.full((1, 17), confidence, np.float32)
        levels = None
        if self.levels_of is not None:
            levels = np.zeros((4, 4, 4), np.float32)
            levels[:, 1, 1] = 1, 6, -2, 3
        asked = 320, 240, tuple(self.boxes)
        unaware = joints if self.known else None
        joints = joints + np.float32(told)
        self.done(EstimateResult(*asked, joints, confidences, None, maps, model, 0.5, levels, unaware))


class Questions(list[Asked]):
    """What the engine was asked, in order; takes the place of two methods of its client."""

    def estimate(
        self,
        image: ImageFile,
        boxes: Sequence[Box],
        heatmaps: bool,
        done: Callable[[EstimateResult], None],
        failed: Callable[[str], None],
        model: str | None = None,
        levels_of: int | None = None,
        known: Sequence[Joint] | None = None,
    ) -> int:
        self.append(Asked(boxes, heatmaps, done, failed, model, levels_of, known))
        return len(self) - 1

    def cancel_request(self, request: int) -> None:
        self[request].cancelled = True


def pretend(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Questions:
    """From now on the window's questions about boxes are only written down."""
    questions = Questions()
    monkeypatch.setattr(window.engine, "estimate", questions.estimate)
    monkeypatch.setattr(window.engine, "cancel_request", questions.cancel_request)
    return questions


def draw_person(window: MainWindow, monkeypatch: pytest.MonkeyPatch, box: Box) -> Questions:
    """Somebody was drawn whose joints the model has placed in the middle of the box; nothing is asked any more."""
    questions = pretend(window, monkeypatch)
    window.editing.add_person(box)
    questions[0].answer(OLD, 0.9)
    questions.clear()
    window.session.undo_stack.clear()
    return questions


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


@pytest.fixture
def questions(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Questions:
    return pretend(window, monkeypatch)


def switch_model(window: MainWindow, model: str = NEW) -> None:
    window.engine.ready.emit(EngineInfo(model, "a model", 0.5, "cpu"))


def look_at_a_joint(window: MainWindow) -> None:
    window.layers.switch("heatmap", True)
    window.session.selection.select_joint(people(window)[0].key, 9)


def test_a_heatmap_asked_of_the_former_model_is_not_shown_as_the_new_ones(
    window: MainWindow, questions: Questions
) -> None:
    switch_model(window, OLD)
    look_at_a_joint(window)
    switch_model(window)
    assert [asked.cancelled for asked in questions] == [True, False]
    questions[1].answer(NEW, 0.75)
    assert window.heatmap_panel.status.text() == "left wrist: confidence 0.75"
    switch_model(window, OLD)
    assert len(questions) == 3, "the maps of the model that is gone are not kept"


def test_the_heatmap_is_there_for_proposals_and_stays_when_they_are_accepted(
    window: MainWindow, questions: Questions
) -> None:
    joints = tuple(PredictedJoint(200.0 + index, 60.0 + 5 * index, 0.9) for index in range(17))
    found = Prediction(9, OLD, Box(190, 50, 60, 120), 0.8, joints)
    window.session.document.set_predictions(current(window), [found], OLD)
    window.layers.switch("heatmap", True)
    window.session.selection.prediction = 9
    assert questions == [] and "Select a joint" in window.heatmap_panel.status.text()
    window.session.selection.joint = 9
    assert [(asked.boxes, asked.heatmaps) for asked in questions] == [([found.box], True)]
    questions[0].answer(NEW, 0.75)
    assert window.heatmap_panel.status.text() == "left wrist: confidence 0.75"
    assert window.scene._heatmap.shown
    window.session.selection.joint = 10
    assert window.heatmap_panel.status.text() == "right wrist: confidence 0.75"
    window.editing.accept()
    assert window.session.selection.person is not None and window.session.selection.joint == 10
    assert window.scene._heatmap.shown and len(questions) == 1, "it is the same box"


def test_joints_asked_of_the_former_model_are_asked_of_the_new_one(window: MainWindow, questions: Questions) -> None:
    window.editing.add_person(Box(200, 40, 60, 120))
    switch_model(window)
    assert [asked.cancelled for asked in questions] == [True, False]
    questions[1].answer(NEW, 0.9)
    assert {joint.origin for joint in people(window)[1].joints} == {NEW}
    assert window.session.undo_stack.count() == 1
    switch_model(window, OLD)
    assert len(questions) == 2, "what is answered is not asked again"


def test_nothing_is_waited_for_when_the_project_is_closed(
    window: MainWindow, questions: Questions, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    look_at_a_joint(window)
    window.editing.add_person(Box(200, 40, 60, 120))
    assert len(questions) == 2
    open_in(window, photos)
    assert all(asked.cancelled for asked in questions)
    switch_model(window)
    assert len(questions) == 2 and window.session.document.people(current(window)) == ()


def test_a_late_answer_finds_an_image_that_was_left_long_ago(
    make_window: WindowMaker, open_in: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(14):
        Image.new("RGB", (320, 240)).save(folder / f"{index:02}.jpg")
    window = make_window()
    open_in(window, folder)
    questions = Questions()
    monkeypatch.setattr(window.engine, "estimate", questions.estimate)
    monkeypatch.setattr(window.engine, "cancel_request", questions.cancel_request)
    first = current(window)
    window.editing.add_person(Box(200, 40, 60, 120))

    def go_on(images: int) -> None:
        for _ in range(images):
            window.navigation.next()
            qtbot.waitUntil(lambda: window.session.document.is_open(current(window)))

    go_on(10)
    switch_model(window)  # the engine is back
    questions[-1].answer(NEW, 0.9)
    (person,) = window.session.document.people(first)
    assert {joint.origin for joint in person.joints} == {NEW}
    go_on(1)
    assert not window.session.document.is_open(first), "nobody waits for it any more"
    assert len(window.session.document.open_images()) == 8


def test_the_model_that_does_not_answer_hides_no_question_about_the_engine(
    window: MainWindow, questions: Questions
) -> None:
    window.engine.gave_up.emit("The pose engine stopped.")
    window.editing.add_person(Box(200, 40, 60, 120))
    questions[0].failed("The pose engine stopped.")
    assert "could not be estimated" in window.message_bar.text
    window.editing.add_person(Box(100, 40, 60, 120))
    questions[1].answer(NEW, 0.9)
    assert window.message_bar.choice_texts() == ("Start it again",), "joints can be estimated again"


def test_a_model_that_was_refused_is_named_though_another_one_answers(window: MainWindow) -> None:
    window.engine.refused.emit("/models/mine.safetensors", "the engine died.")
    switch_model(window, OLD)
    assert window.message_bar.text == "/models/mine.safetensors cannot be used: the engine died."
    window.models.use(Path("/models/other.safetensors"))
    switch_model(window)
    assert window.message_bar.text == "", "somebody has chosen another one"


TWO_PLACES = ((1, 1, 0.75), (6, 5, 0.25))


def center(box: Box, row: int, column: int) -> tuple[float, float]:
    """Of one of eight times eight cells, in pixels."""
    return box.x + (column + 0.5) * box.w / 8, box.y + (row + 0.5) * box.h / 8


def test_a_joint_goes_from_place_to_place_and_the_model_is_asked_once(
    window: MainWindow, qtbot: QtBot, questions: Questions
) -> None:
    switch_model(window)
    person = people(window)[0]
    window.session.selection.select_joint(person.key, 9)
    before = person.joints[9]

    def joint() -> tuple[float, float]:
        now = people(window)[0].joints[9]
        return now.x, now.y

    trigger(window, qtbot, "next_place")
    (question,) = questions
    assert question.heatmaps and question.boxes == [person.box] and joint() == (before.x, before.y)
    question.answer(NEW, 0.75, TWO_PLACES)
    assert joint() == pytest.approx(center(person.box, 1, 1))
    assert window.message_bar.text == "left wrist: place 1 of 2, probability 0.75"
    assert people(window)[0].joints[9].origin == HUMAN
    trigger(window, qtbot, "next_place")
    assert joint() == pytest.approx(center(person.box, 6, 5))
    assert window.message_bar.text == "left wrist: place 2 of 2, probability 0.25"
    trigger(window, qtbot, "next_place")
    assert joint() == pytest.approx(center(person.box, 1, 1)), "after the last one the first comes again"
    trigger(window, qtbot, "previous_place")
    assert joint() == pytest.approx(center(person.box, 6, 5))
    assert len(questions) == 1
    for _ in range(4):
        trigger(window, qtbot, "undo")
    assert people(window)[0].joints[9] == before
    trigger(window, qtbot, "previous_place")
    assert joint() == pytest.approx(center(person.box, 6, 5)), "from elsewhere back is to the last one"


def test_the_overlay_marks_the_places_that_the_key_goes_to(window: MainWindow, questions: Questions) -> None:
    switch_model(window, OLD)
    look_at_a_joint(window)
    box = people(window)[0].box
    questions[-1].answer(OLD, 0.75, TWO_PLACES)
    (item,) = [one for one in window.scene.items() if isinstance(one, HeatmapItem)]
    (second,) = item.marks.others
    assert (second.x(), second.y()) == pytest.approx(center(box, 6, 5))
    window.grab()  # it is drawn, too


def test_a_joint_without_another_place_stays(window: MainWindow, qtbot: QtBot, questions: Questions) -> None:
    person = people(window)[0]
    window.session.selection.select_joint(person.key, 9)
    trigger(window, qtbot, "next_place")
    questions[0].answer(NEW, 0.75, [(3, 3, 1.0)])
    trigger(window, qtbot, "next_place")
    trigger(window, qtbot, "previous_place")
    now = people(window)[0].joints[9]
    assert (now.x, now.y) == pytest.approx(center(person.box, 3, 3))
    assert window.message_bar.text == "The model sees no other place for the left wrist in this box."


def test_an_answer_about_places_that_nobody_waits_for_moves_nothing(
    window: MainWindow, qtbot: QtBot, questions: Questions
) -> None:
    before = people(window)
    window.session.selection.select_joint(before[0].key, 9)
    trigger(window, qtbot, "next_place")
    window.session.selection.select_joint(before[0].key, 4)
    questions[0].answer(NEW, 0.75, TWO_PLACES)
    assert people(window) == before
    trigger(window, qtbot, "next_place")
    assert len(questions) == 1, "the maps of all joints came with the first answer"
    window.session.selection.select_joint(before[0].key, 9)
    window.editing.set_box(before[0].key, Box(10, 10, 80, 90))
    asked = len(questions)
    trigger(window, qtbot, "next_place")
    assert len(questions) == asked + 1 and questions[-1].boxes == [Box(10, 10, 80, 90)], "in the box as it is now"
    questions[-1].failed("the engine is busy")
    assert "could not be asked for other places: the engine is busy" in window.message_bar.text


def test_a_proposals_joint_at_another_place_accepts_it(window: MainWindow, qtbot: QtBot, questions: Questions) -> None:
    image, box = current(window), Box(200, 40, 80, 160)
    joints = tuple(PredictedJoint(210.0 + index, 60.0 + index, 0.9) for index in range(17))
    window.session.document.set_predictions(image, (Prediction(1, NEW, box, 0.9, joints),), NEW)
    window.session.selection.prediction = 1
    window.session.selection.joint = 9
    count = len(people(window))
    trigger(window, qtbot, "next_place")
    questions[-1].answer(NEW, 0.75, TWO_PLACES)
    added = people(window)[-1]
    assert len(people(window)) == count + 1
    # The proposed joint is at (219, 69), which is the first place.
    assert (added.joints[9].x, added.joints[9].y) == pytest.approx(center(box, 6, 5))
