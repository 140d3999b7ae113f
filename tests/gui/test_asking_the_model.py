"""What the window asks the model about a box, with a pretended engine: answers of a model that is gone are not kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
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
        self.done(EstimateResult(320, 240, tuple(self.boxes), places, confidences, maps, model, 0.5))


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
