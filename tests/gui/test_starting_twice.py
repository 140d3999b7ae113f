"""What waits until the labels are on the disk has begun: asking again meanwhile must not begin it twice."""

from collections.abc import Callable
from pathlib import Path

from pytestqt.qtbot import QtBot

from app.controllers import places
from app.controllers.messages import Message
from app.dialogs.fine_tune import FineTuneSettings
from app.document.records import Box
from app.main_window import MainWindow

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


def test_a_second_export_is_refused_while_the_first_waits_for_the_disk(
    make_window: WindowMaker, open_in: Opener, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    said: list[Message] = []
    window.messages.posted.connect(said.append)
    window.editing.add_person(Box(60, 40, 80, 180))
    with qtbot.waitSignal(window.exporting.ended):
        window.exporting.export(tmp_path / "first.json")
        window.exporting.export(tmp_path / "second.json")
    assert any("running already" in message.text for message in said)
    assert (tmp_path / "first.json").is_file() and not (tmp_path / "second.json").exists()
    with qtbot.waitSignal(window.exporting.ended):
        window.exporting.export(tmp_path / "third.json")


def test_a_second_fine_tuning_is_refused_while_the_first_waits_for_the_disk(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.models.model_path = small_model
    said: list[Message] = []
    window.messages.posted.connect(said.append)
    window.editing.add_person(Box(60, 40, 80, 180))
    window.actions_by_id["mark_done"].trigger()
    settings = FineTuneSettings("labelled", 0.0, 1, "heads", 1, 1, 0.001, "cpu")
    window.fine_tuning.start(settings)
    assert window.fine_tuning.running
    window.fine_tuning.start(settings)
    assert any("is under way" in message.text for message in said)
    qtbot.waitUntil(lambda: window.trainer.run_folder is not None)
    window.fine_tuning.cancel()
    qtbot.waitUntil(lambda: not window.fine_tuning.running)
    path = window.session.path
    assert path is not None and len(places.runs_newest_first(path)) == 1


def test_a_wait_ends_with_its_project(
    make_window: WindowMaker, open_in: Opener, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.exporting.export(tmp_path / "never.json")
    window.fine_tuning.start(FineTuneSettings("labelled", 0.0, 1, "heads", 1, 1, 0.001, "cpu"))
    open_in(window, photos / "more")
    assert not window.fine_tuning.running
    with qtbot.waitSignal(window.exporting.ended):
        window.exporting.export(tmp_path / "out.json")
    assert (tmp_path / "out.json").is_file() and not (tmp_path / "never.json").exists()
