"""The whole loop with real children, one of which dies at the worst moment, twice: no label is lost."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.controllers.messages import Message
from app.dialogs.fine_tune import FineTuneSettings
from app.document.records import HUMAN, Box, ImageState, Person, PredictionStatus
from app.main_window import MainWindow
from app.storage.project import Project
from msarcnn.synthetic import write_dataset

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]

IMAGES = 6
_TICK_MS = 5


class Watchdog(QObject):
    """Measures how long the window's thread does not come round: a timer that is late tells."""

    def __init__(self) -> None:
        super().__init__()
        self.stalls: dict[str, float] = {}
        self._phase, self._last = "", time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(_TICK_MS)

    def enter(self, phase: str) -> None:
        self._tick()
        self._phase = phase

    def _tick(self) -> None:
        now = time.perf_counter()
        self.stalls[self._phase] = max(self.stalls.get(self._phase, 0.0), (now - self._last) * 1000)
        self._last = now


class Loop:
    """The window and what its tests ask of it again and again."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.document, self.editing = window.session.document, window.editing
        self.messages: list[Message] = []
        window.messages.posted.connect(self.messages.append)

    @property
    def image(self) -> int:
        key = self.window.session.selection.current_image
        assert key is not None
        return key

    def until(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition)

    def said(self, *parts: str) -> bool:
        return any(all(part in message.text for part in parts) for message in self.messages)

    def go_to(self, image: int) -> None:
        self.window.session.selection.current_image = image
        self.until(lambda: self.document.is_open(image) and self.window.scene.has_photo)

    def accept(self) -> int:
        """Accepts the model's people of the current image; returns how many."""
        self.until(lambda: self.document.image(self.image).model != "")
        before = len(self.document.people(self.image))
        self.editing.accept_shown()
        return len(self.document.people(self.image)) - before

    def drag_nose(self, by: QPoint) -> None:
        """Corrects the first person's nose with the mouse, and checks that the correction is a label."""
        person = self.document.people(self.image)[0]
        nose, view = person.joints[0], self.window.canvas
        self.window.session.selection.person = person.key
        start = view.mapFromScene(nose.x, nose.y)
        QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=start)
        QTest.mouseMove(view.viewport(), start + by / 2)
        QTest.mouseMove(view.viewport(), start + by)
        QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=start + by)
        moved = self.document.person(self.image, person.key)
        changed = [index for index, (a, b) in enumerate(zip(person.joints, moved.joints, strict=True)) if a != b]
        assert len(changed) == 1 and moved.joints[changed[0]].origin == HUMAN, "the drag moves one joint"

    def labels(self) -> dict[int, tuple[tuple[Person, ...], ImageState]]:
        """What is in memory: every image here has been opened."""
        return {key: (self.document.people(key), self.document.image(key).state) for key in self.document.open_images()}


@pytest.fixture(params=["drawn", pytest.param("real", marks=pytest.mark.shared_data)])
def photos(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with drawn people, or with real photos of COCO's training split."""
    if request.param == "drawn":
        return write_dataset(tmp_path / "people", IMAGES, seed=3).parent / "images"
    coco: Path = request.getfixturevalue("coco_photos")
    labels = json.loads((coco / "annotations" / "person_keypoints_train.json").read_text())
    large = {a["image_id"] for a in labels["annotations"] if a["num_keypoints"] >= 10 and a["area"] > 10_000}
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in [image["file_name"] for image in labels["images"] if image["id"] in large][:IMAGES]:
        shutil.copy(coco / "images" / name, folder)
    return folder


@pytest.fixture
def loop(make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot) -> Loop:
    """A window with the bundled model on photos of people, the first of which is pre-filled by itself."""
    window = make_window(automatic_prefill=True)
    with qtbot.waitSignal(window.engine.ready):
        window.models.start_engine()
    open_in(window, photos)
    return Loop(window, qtbot)


def settings(epochs: int) -> FineTuneSettings:
    return FineTuneSettings("labelled", 0.0, 1, "heads", epochs, 1, 0.0005, "cpu")


def test_no_label_is_lost_when_engine_and_trainer_are_killed(loop: Loop) -> None:
    watchdog = Watchdog()
    first = loop.image
    watchdog.enter("first labels")
    make_first_labels(loop)
    watchdog.enter("engine killed")
    kill_the_engine_in_a_prefill(loop, first)
    watchdog.enter("accepting")
    accept_everything(loop)
    watchdog.enter("trainer killed")
    kill_the_trainer(loop)
    watchdog.enter("fine-tuning")
    fine_tune_and_use_the_model(loop)
    last_edit_then_reopen(loop, watchdog)
    watchdog.enter("")
    print("longest stall of the window's thread, ms:", {name: round(ms) for name, ms in watchdog.stalls.items()})


def make_first_labels(loop: Loop) -> None:
    """Accepts what was pre-filled on opening; where the model finds nobody somebody is drawn."""
    if loop.accept() == 0:
        loop.editing.add_person(Box(100, 60, 160, 260))
        drawn = loop.document.people(loop.image)[0].key
        loop.until(lambda: loop.document.person(loop.image, drawn).joints[0].origin != "")
    loop.drag_nose(QPoint(22, -14))


def kill_the_engine_in_a_prefill(loop: Loop, first: int) -> None:
    """Work goes on while the engine is away; what was asked meanwhile is answered when it is back."""
    window = loop.window
    progress: list[int] = []
    window.prefill.progress.connect(lambda done, total, left: progress.append(done))
    window.prefill.all_unfinished()
    loop.until(lambda: max(progress, default=0) >= 1)
    assert progress[-1] < IMAGES - 1, "the pre-fill is in its middle"
    killed = window.engine.pid
    assert killed is not None
    before = loop.labels()[first]
    os.kill(killed, signal.SIGKILL)
    loop.until(lambda: "not affected" in window.message_bar.text)
    assert "pose engine stopped" in window.message_bar.text and window.engine.info is None
    assert loop.labels()[first] == before
    assert window.prefill.running
    loop.drag_nose(QPoint(-18, 10))
    loop.editing.add_person(Box(200, 40, 120, 280))
    drawn = window.session.selection.person
    assert drawn is not None and window.engine.info is None, "both edits were made without an engine"
    loop.until(lambda: not window.prefill.running)
    loop.until(lambda: all(row.state is not ImageState.UNSEEN for row in window.model.records()))
    assert window.engine.pid not in (None, killed)
    loop.until(lambda: loop.document.person(first, drawn).joints[0].origin != "")
    assert loop.said("pre-fill is complete")
    assert window.message_bar.text == "" or "not affected" not in window.message_bar.text


def accept_everything(loop: Loop) -> None:
    """Every image is visited; some are marked done."""
    for number, row in enumerate(list(loop.window.model.records())):
        loop.go_to(row.key)
        loop.accept()
        if number % 2 and loop.document.people(row.key):
            loop.editing.mark_done()


def kill_the_trainer(loop: Loop) -> None:
    """A sentence with the cure, and a window that goes on."""
    window = loop.window
    before = loop.labels()
    steps: list[int] = []
    window.fine_tuning.logged.connect(lambda event: steps.append(1) if event["event"] == "step" else None)
    window.fine_tuning.start(settings(epochs=500))
    loop.until(lambda: bool(steps))
    pid = window.trainer.pid
    assert pid is not None and window.fine_tuning.running
    os.kill(pid, signal.SIGKILL)
    loop.until(lambda: not window.fine_tuning.running)
    assert "SIGKILL" in window.message_bar.text and "not affected" in window.message_bar.text
    assert "start it again" in window.message_bar.text and len(window.message_bar._buttons) == 1
    assert loop.labels() == before
    loop.until(window.actions_by_id["fine_tune"].isEnabled)
    loop.editing.add_person(Box(20, 20, 90, 200))


def fine_tune_and_use_the_model(loop: Loop) -> None:
    """The second run completes, and its model answers."""
    window = loop.window
    old = window.engine.info
    assert old is not None
    window.fine_tuning.start(settings(epochs=1))
    loop.until(lambda: not window.fine_tuning.running)
    assert loop.said("fine-tuning is complete"), window.message_bar.text
    (button,) = window.message_bar._buttons
    button.click()
    loop.until(lambda: window.engine.info is not None and window.engine.info.hash != old.hash)
    new = window.engine.info
    assert new is not None and window.models.model_path is not None
    assert window.settings.value("model", "") == str(window.models.model_path)
    window.prefill.this_image()
    loop.until(lambda: loop.document.image(loop.image).model == new.hash)
    shown = loop.document.predictions(loop.image)
    assert {p.model for p in shown if p.status is PredictionStatus.OPEN} <= {new.hash}


def last_edit_then_reopen(loop: Loop, watchdog: Watchdog) -> None:
    """The window is closed right after an edit; the file holds what was in memory."""
    path = loop.window.session.path
    assert path is not None
    watchdog.enter("last edit")
    loop.editing.add_person(Box(150, 100, 80, 120))
    expected = loop.labels()
    watchdog.enter("closing, hidden")
    assert len(expected) == IMAGES and sum(len(people) for people, _ in expected.values()) >= 4
    assert loop.window.close()
    project = Project.open(path, read_only=True)
    try:
        loaded = {row.key: project.load_image(row.key) for row in project.image_rows()}
    finally:
        project.close()
    assert {key: (people, record.state) for key, (record, people, _) in loaded.items()} == expected
