"""What the window asks the model about a box, with a pretended engine: answers of a model that is gone are not kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, people

from app.document.records import Box, PredictedJoint, Prediction
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
    cancelled: bool = False

    def answer(self, model: str, confidence: float) -> None:
        """Every joint in the middle of the box."""
        assert not self.cancelled, "the engine's client calls nobody who has cancelled"
        box = self.boxes[0]
        places = np.tile(np.float32([[box.x + box.w / 2, box.y + box.h / 2]]), (1, 17, 1))
        maps = np.full((1, 17, 8, 8), 1 / 64, np.float16) if self.heatmaps else None
        confidences = np.full((1, 17), confidence, np.float32)
        self.done(EstimateResult(320, 240, tuple(self.boxes), places, confidences, None, maps, model, 0.5))


class Questions(list[Asked]):
    """What the engine was asked, in order; takes the place of two methods of its client."""

    def estimate(
        self,
        image: ImageFile,
        boxes: Sequence[Box],
        heatmaps: bool,
        done: Callable[[EstimateResult], None],
        failed: Callable[[str], None],
    ) -> int:
        self.append(Asked(boxes, heatmaps, done, failed))
        return len(self) - 1

    def cancel_request(self, request: int) -> None:
        self[request].cancelled = True


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


@pytest.fixture
def questions(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Questions:
    questions = Questions()
    monkeypatch.setattr(window.engine, "estimate", questions.estimate)
    monkeypatch.setattr(window.engine, "cancel_request", questions.cancel_request)
    return questions


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
