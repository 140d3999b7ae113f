"""Pre-filling, and what the session tells the workers, with a pretended engine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QObject, QSettings, Signal
from pytestqt.qtbot import QtBot

from app.controllers.listing import Listing
from app.controllers.messages import Messages
from app.controllers.prefill import Prefill
from app.controllers.session import Session
from app.document.records import ImageState
from app.panels.image_model import ImageListModel
from app.storage.project import Project
from app.storage.settings import Settings
from app.storage.shipped import default_skeleton
from app.workers.engine_client import CANCELLED, COMPLETED, FAILED
from app.workers.payloads import EngineInfo, ImageFile, PrefillResult

MODEL = "0123456789ab"
OTHER = "ba9876543210"


class Engine(QObject):
    """Remembers what it is asked for; the tests say what it answers, and when."""

    ready = Signal(object)
    image_done = Signal(int, int, object)
    image_failed = Signal(int, int, str)
    image_set_aside = Signal(int, int, str)
    image_troubled = Signal(int, int, str, bool)
    progress = Signal(int, int, int, float)
    batch_finished = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self.info: EngineInfo | None = None
        self.batches: list[list[ImageFile]] = []
        self.cancelled: list[int] = []
        self.harder: list[bool] = []

    def start(self, model: str, tau: float = 0.5) -> None:
        self.info = EngineInfo(model, "a model", tau, "cpu")
        self.ready.emit(self.info)

    def prefill(self, images: list[ImageFile], urgent: bool = False, harder: bool = False) -> int:
        self.batches.append(list(images))
        self.harder.append(harder)
        return len(self.batches) - 1

    def cancel(self, batch: int) -> None:
        self.cancelled.append(batch)

    def encode_ahead(self, image: ImageFile) -> None:
        pass


def nobody(model: str = MODEL, width: int = 640, height: int = 480) -> PrefillResult:
    none = np.zeros((0, 4), np.float32)
    return PrefillResult(width, height, none, none[:, 0], np.zeros((0, 17, 2)), np.zeros((0, 17)), None, model)


class Desk:
    """A session on a project of three images, with the list and the pre-fill beside it."""

    def __init__(self, qtbot: QtBot, path: Path) -> None:
        self.qtbot = qtbot
        self.session = Session(default_skeleton())
        self.model = ImageListModel()
        self.listing = Listing(self.session, self.model)
        self.messages = Messages(self.session)
        self.engine = Engine()
        settings = Settings(QSettings(str(path.parent / "settings.ini"), QSettings.Format.IniFormat))
        self.prefill = Prefill(self.session, self.engine, self.model, self.messages, settings)  # type: ignore[arg-type]
        self.open(path)

    def open(self, path: Path, read_only: bool = False) -> None:
        with self.qtbot.waitSignal(self.session.opened):
            self.session.open_project(path, self.session.announce, read_only)

    def show(self, key: int) -> None:
        with self.qtbot.waitSignal(self.session.image_loaded):
            self.session.selection.current_image = key

    def answer(self, batch: int, key: int, result: PrefillResult) -> None:
        with self.qtbot.waitSignal(self.prefill.stored):
            self.engine.image_done.emit(batch, key, result)

    def all_unfinished(self) -> None:
        self.prefill.all_unfinished()
        self.settle()

    def settle(self) -> None:
        """Waits for everything that was asked of the file up to now."""
        done: list[object] = []
        self.session.store.submit(lambda project: None, done.append)
        self.qtbot.waitUntil(lambda: bool(done))

    def asked(self, batch: int = -1) -> list[int]:
        return [image.key for image in self.engine.batches[batch]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    project = Project.create(tmp_path / "p.poses")
    project.add_images(project.add_root(tmp_path), ["a.jpg", "b.jpg", "c.jpg"])
    project.close()
    return tmp_path / "p.poses"


@pytest.fixture
def desk(qtbot: QtBot, path: Path) -> Iterator[Desk]:
    desk = Desk(qtbot, path)
    yield desk
    desk.session.close()


def test_an_image_is_the_same_file_open_or_not(qtbot: QtBot, path: Path) -> None:
    project = Project.open(path)
    project.update_image_size(1, 480, 640)
    project.close()
    desk = Desk(qtbot, path)
    before = desk.session.image_file(1), desk.session.image_file(2)
    assert [file.labelled_size for file in before] == [(480, 640), None]
    desk.show(1)
    desk.show(2)
    desk.engine.start(MODEL)
    desk.prefill.this_image()
    desk.answer(0, 2, nobody())
    assert desk.session.document.image(2).width == 640
    assert (desk.session.image_file(1), desk.session.image_file(2)) == before
    desk.session.close()


def test_looking_harder_takes_the_place_of_a_plain_look(desk: Desk) -> None:
    desk.engine.start(MODEL)
    desk.show(1)
    desk.prefill.this_image()
    desk.prefill.this_image()
    assert desk.engine.harder == [False], "it is on its way"
    desk.prefill.look_harder()
    assert desk.engine.cancelled == [0] and desk.engine.harder == [False, True] and desk.asked() == [1]
    desk.prefill.look_harder()
    assert desk.engine.cancelled == [0, 1] and desk.engine.harder == [False, True, True]
    desk.answer(2, 1, nobody())
    desk.engine.batch_finished.emit(2, "completed")
    assert not desk.prefill.awaited


def test_the_rest_is_prefilled_after_a_cancelled_start(desk: Desk) -> None:
    desk.engine.start(MODEL)
    desk.all_unfinished()
    assert desk.asked() == [1, 2, 3]
    desk.answer(0, 1, nobody())
    desk.prefill.cancel()
    assert not desk.prefill.running and desk.engine.cancelled == [0]
    desk.all_unfinished()
    assert desk.asked() == [2, 3]
    desk.engine.batch_finished.emit(0, CANCELLED)  # the engine has stopped at last
    assert desk.prefill.running
    desk.prefill.cancel()
    desk.engine.start(OTHER)
    desk.all_unfinished()
    assert desk.asked() == [1, 2, 3]


def test_nothing_is_left_for_this_model(desk: Desk) -> None:
    desk.engine.start(MODEL)
    desk.all_unfinished()
    for key in (1, 2, 3):
        desk.answer(0, key, nobody())
    desk.engine.batch_finished.emit(0, "completed")
    assert desk.model.record(1).state is ImageState.PREDICTED  # type: ignore[union-attr]
    texts: list[str] = []
    desk.messages.posted.connect(lambda message: texts.append(message.text))
    desk.all_unfinished()
    assert len(desk.engine.batches) == 1 and "nothing to pre-fill" in texts[-1]


def test_an_image_that_another_model_has_looked_at_later_is_not_asked_for_again(desk: Desk) -> None:
    desk.engine.start(MODEL)
    desk.all_unfinished()
    for key in (1, 2):
        desk.answer(0, key, nobody())
    desk.prefill.cancel()
    desk.engine.start(OTHER)
    desk.prefill.set_selected([2, 3])
    desk.prefill.selected()
    for key in (2, 3):
        desk.answer(1, key, nobody(OTHER))
    desk.engine.batch_finished.emit(1, COMPLETED)
    desk.all_unfinished()
    assert desk.asked() == [1]
    desk.prefill.cancel()
    desk.engine.start(MODEL)
    desk.all_unfinished()
    assert desk.asked() == [3]


def test_a_look_that_is_not_shown_is_said_and_an_open_image_is_asked_about_once(desk: Desk, qtbot: QtBot) -> None:
    desk.engine.start(MODEL)
    desk.session.show_model(MODEL)
    desk.show(1)
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 1)  # by itself
    desk.answer(0, 1, nobody())
    desk.engine.batch_finished.emit(0, CANCELLED)
    desk.engine.start(OTHER)
    desk.show(2)
    desk.show(1)
    qtbot.wait(250)
    assert [batch for batch in range(len(desk.engine.batches)) if desk.asked(batch) == [1]] == [0]
    texts = texts_of(desk)
    desk.prefill.this_image()
    desk.answer(len(desk.engine.batches) - 1, 1, nobody(OTHER))
    assert "Another model's predictions are shown" in texts[-1][1]
    record = desk.session.document.image(1)
    assert record.model == MODEL and [look.model for look in record.looks] == [MODEL, OTHER]
    assert desk.session.models == {MODEL: "a model", OTHER: "a model"}


def test_asking_twice_begins_once(desk: Desk) -> None:
    desk.engine.start(MODEL)
    texts = texts_of(desk)
    desk.prefill.all_unfinished()
    desk.prefill.all_unfinished()
    desk.settle()
    assert len(desk.engine.batches) == 1 and texts == [("info", "A pre-fill is running already.")]


def test_while_no_model_is_ready_nothing_is_prefilled_a_second_time(desk: Desk) -> None:
    texts = texts_of(desk)
    desk.all_unfinished()
    assert desk.engine.batches == [] and "not ready yet: try again" in texts[-1][1]
    desk.engine.start(MODEL)
    desk.all_unfinished()
    assert desk.asked() == [1, 2, 3]


def test_nothing_begins_in_a_project_that_was_opened_meanwhile(desk: Desk, path: Path) -> None:
    desk.engine.start(MODEL)
    desk.prefill.all_unfinished()
    desk.open(path)
    desk.settle()
    assert desk.engine.batches == []


def test_coming_back_to_an_image_asks_again(desk: Desk, qtbot: QtBot) -> None:
    desk.engine.start(MODEL)
    desk.show(1)
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 1)
    desk.show(2)
    assert desk.engine.cancelled == [0]
    desk.show(3)
    desk.session.selection.current_image = 1  # open already, and its cancelled batch has not ended yet
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 2)
    assert desk.asked() == [1]
    desk.prefill.cancel()
    desk.prefill.this_image()
    assert desk.asked() == [1] and len(desk.engine.batches) == 3
    desk.answer(2, 1, nobody())
    assert desk.session.document.image(1).model == MODEL


def test_the_next_images_are_prefilled_while_somebody_works(desk: Desk, qtbot: QtBot) -> None:
    desk.engine.start(MODEL)
    desk.show(1)
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 1)
    desk.answer(0, 1, nobody())
    desk.engine.batch_finished.emit(0, COMPLETED)
    assert desk.asked() == [2] and desk.session.selection.current_image == 1
    desk.answer(1, 2, nobody())
    desk.engine.batch_finished.emit(1, COMPLETED)
    assert desk.asked() == [3]
    desk.session.selection.current_image = 2
    assert desk.engine.cancelled == [2], "the engine is needed for what the annotator looks at"
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 4)
    assert desk.asked() == [3], "the second image has its people already"
    desk.session.selection.current_image = 3
    qtbot.wait(250)
    assert desk.engine.cancelled == [2] and len(desk.engine.batches) == 4, "the third is under way"


def test_an_image_ahead_is_asked_for_once_also_while_its_answer_is_being_written(desk: Desk, qtbot: QtBot) -> None:
    desk.engine.start(MODEL)
    desk.show(1)
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 1)
    for batch, key in ((0, 1), (1, 2), (2, 3)):
        desk.engine.image_done.emit(batch, key, nobody())
        desk.engine.batch_finished.emit(batch, COMPLETED)  # the file has not been written yet
    assert [[image.key for image in batch] for batch in desk.engine.batches] == [[1], [2], [3]]


def test_a_damaged_image_ahead_does_not_disturb(desk: Desk, qtbot: QtBot) -> None:
    desk.engine.start(MODEL)
    desk.show(1)
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 1)
    desk.answer(0, 1, nobody())
    desk.engine.batch_finished.emit(0, COMPLETED)
    texts: list[str] = []
    desk.messages.posted.connect(lambda message: texts.append(message.text))
    desk.engine.image_failed.emit(1, 2, "b.jpg is damaged")
    desk.engine.batch_finished.emit(1, COMPLETED)
    assert texts == [] and desk.asked() == [3]


def texts_of(desk: Desk) -> list[tuple[str, str]]:
    texts: list[tuple[str, str]] = []
    desk.messages.posted.connect(lambda message: texts.append((message.level, message.text)))
    return texts


def test_engine_trouble_is_said_once_marks_nothing_and_is_tried_again_last(desk: Desk) -> None:
    desk.engine.start(MODEL)
    texts = texts_of(desk)
    desk.all_unfinished()
    for key, again in ((1, True), (2, True), (1, False)):
        desk.engine.image_troubled.emit(0, key, f"{key}: out of memory. Close other programs.", again)
    assert [text for _, text in texts] == [
        "1: out of memory. Close other programs. The others go on; it is tried again."
    ]
    desk.answer(0, 2, nobody())
    desk.answer(0, 3, nobody())
    desk.engine.batch_finished.emit(0, COMPLETED)
    assert texts[-1] == (
        "warning",
        "The pre-fill is through. The engine failed on 1 image: 1: out of memory. Close other programs. Pre-fill again "
        "to try once more.",
    )
    assert [desk.model.damage(key) for key in (1, 2, 3)] == [None] * 3
    desk.engine.start(OTHER)
    desk.engine.start(MODEL)
    desk.all_unfinished()
    assert desk.asked() == [1]


def test_images_that_the_engine_failed_on_do_not_keep_it_from_the_others_again(desk: Desk) -> None:
    desk.engine.start(MODEL)
    texts = texts_of(desk)
    desk.all_unfinished()
    desk.engine.image_troubled.emit(0, 1, "out of memory.", True)
    desk.engine.batch_finished.emit(0, FAILED)
    assert texts[-1][0] == "error" and "ended early. The engine failed on 1 image: out of memory." in texts[-1][1]
    desk.all_unfinished()
    assert desk.asked() == [2, 3, 1]


def test_an_image_that_the_engine_failed_on_is_not_asked_for_in_a_circle(desk: Desk, qtbot: QtBot) -> None:
    desk.engine.start(MODEL)
    desk.show(1)
    qtbot.waitUntil(lambda: len(desk.engine.batches) == 1)
    desk.answer(0, 1, nobody())
    desk.engine.batch_finished.emit(0, COMPLETED)
    assert desk.asked() == [2]
    texts = texts_of(desk)
    desk.engine.image_troubled.emit(1, 2, "out of memory", False)
    desk.engine.batch_finished.emit(1, COMPLETED)
    assert desk.asked() == [3] and texts == [], "nobody waits for an image ahead"
    desk.answer(2, 3, nobody())
    desk.engine.batch_finished.emit(2, COMPLETED)
    desk.show(2)
    qtbot.waitUntil(lambda: desk.asked() == [2])  # somebody does now
    desk.engine.image_troubled.emit(3, 2, "out of memory", False)
    assert texts == [("error", "out of memory")]


def test_a_photo_that_the_engine_dies_of_is_set_aside_until_another_model_answers(desk: Desk) -> None:
    desk.engine.start(MODEL)
    texts = texts_of(desk)
    desk.all_unfinished()
    desk.engine.image_set_aside.emit(0, 1, "a.jpg: the model cannot do this photo.")
    desk.answer(0, 2, nobody())
    desk.answer(0, 3, nobody())
    desk.engine.batch_finished.emit(0, COMPLETED)
    assert "1 image set aside. The first: a.jpg: the model cannot do this photo." in texts[-1][1]
    assert desk.model.damage(1) is None
    desk.all_unfinished()
    desk.show(1)
    desk.prefill.this_image()
    desk.engine.start(MODEL)  # the same one, restarted
    desk.prefill.this_image()
    assert len(desk.engine.batches) == 1 and texts[-1] == ("warning", "a.jpg: the model cannot do this photo.")
    desk.engine.start(OTHER)
    desk.prefill.this_image()
    assert desk.asked() == [1]


def test_selected_images_are_prefilled_whatever_their_state(desk: Desk) -> None:
    desk.engine.start(MODEL)
    desk.prefill.set_selected([2])
    assert not desk.prefill.has_selected, "the current image has a key of its own"
    desk.prefill.set_selected([3, 1])
    desk.prefill.selected()
    assert desk.asked() == [3, 1] and desk.prefill.running
    desk.prefill.cancel()


def test_a_read_only_project_is_not_prefilled(desk: Desk, path: Path) -> None:
    desk.engine.start(MODEL)
    desk.open(path, read_only=True)
    desk.show(1)
    desk.all_unfinished()
    desk.prefill.this_image()
    assert desk.engine.batches == []


@pytest.mark.parametrize("reopened", [False, True])
def test_each_model_keeps_its_threshold(desk: Desk, path: Path, qtbot: QtBot, reopened: bool) -> None:
    desk.engine.start(MODEL, tau=0.25)
    desk.show(1)
    desk.prefill.this_image()
    desk.answer(0, 1, nobody())
    if reopened:
        desk.session.close()
        desk = Desk(qtbot, path)
    desk.engine.start(OTHER, tau=0.75)
    assert (desk.session.tau_of(MODEL), desk.session.tau_of(OTHER)) == (0.25, 0.75)
    if reopened:
        desk.session.close()


def test_a_batch_reports_the_images_that_were_in_it(desk: Desk) -> None:
    desk.engine.start(MODEL)
    texts = texts_of(desk)
    desk.prefill.set_selected([1, 2])
    desk.prefill.selected()
    desk.engine.image_set_aside.emit(0, 1, "a.jpg: the model cannot do this photo.")
    desk.answer(0, 2, nobody())
    desk.engine.batch_finished.emit(0, COMPLETED)
    assert "1 image set aside." in texts[-1][1]
    desk.prefill.set_selected([2, 3])
    desk.prefill.selected()
    desk.engine.batch_finished.emit(1, COMPLETED)
    assert texts[-1] == ("success", "The pre-fill is complete.")
    desk.prefill.set_selected([1, 2])
    desk.prefill.selected()
    desk.engine.batch_finished.emit(2, COMPLETED)
    assert "1 image set aside." in texts[-1][1], "it was wanted"
