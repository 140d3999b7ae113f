"""The model library in the window: what there is, using it, downloading it, and what is said when that fails."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import FileServer, serving
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot
from small_library import name_of, publish, weights_file
from test_offered_model import finished_run
from window_helpers import Opener, WindowMaker

from app.dialogs.fine_tune import FineTuneDialog, LabelCounts
from app.dialogs.model_words import details_of
from app.dialogs.models import ModelsDialog
from app.main_window import MainWindow
from app.workers.library_client import ModelEntry
from msarcnn.library_file import LibraryFile
from msarcnn.model_library import ModelLibrary, find_model

CONTENT = weights_file(3_000_000)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that `make_window` lets the library have."""
    return tmp_path / "library"


@pytest.fixture
def server(home: Path) -> Iterator[FileServer]:
    with serving(CONTENT, name_of(CONTENT)) as served:
        publish(home, served.url, len(CONTENT))
        yield served


def open_dialog(window: MainWindow, qtbot: QtBot, rows: int) -> ModelsDialog:
    """Opens the library from the menu and waits until it is read."""
    window.actions_by_id["models"].trigger()
    (dialog,) = window.findChildren(ModelsDialog)
    qtbot.waitUntil(lambda: dialog.table.rowCount() == rows)
    return dialog


def column(dialog: ModelsDialog, number: int) -> list[str]:
    items = [dialog.table.item(row, number) for row in range(dialog.table.rowCount())]
    return [item.text() if item else "" for item in items]


def states(dialog: ModelsDialog) -> list[str]:
    return column(dialog, 1)


def select(dialog: ModelsDialog, title: str) -> None:
    dialog.table.selectRow(column(dialog, 0).index(title))


def test_it_lists_pose_models_and_lets_another_one_answer(
    make_window: WindowMaker, home: Path, server: FileServer, small_model: Path, qtbot: QtBot
) -> None:
    ModelLibrary(home).add(small_model, title="Kitchen", fine_tuned=True)
    window = make_window(engine=True)
    dialog = open_dialog(window, qtbot, 3)
    assert column(dialog, 0) == ["MSA R-CNN MobileNetV2, wide", "COCO Keypoint R-CNN", "Kitchen"]
    assert states(dialog) == ["ready", "not downloaded", "in use"]
    assert column(dialog, 2) == ["bundled", "published", "fine-tuned here"]
    assert column(dialog, 3)[1] == "0.650"
    select(dialog, "Kitchen")
    assert not dialog.use.isEnabled() and dialog.remove.isEnabled() and str(small_model) in dialog.details.text()
    select(dialog, "COCO Keypoint R-CNN")
    assert not dialog.use.isEnabled() and not dialog.folder.isEnabled() and server.url in dialog.details.text()
    select(dialog, "MSA R-CNN MobileNetV2, wide")
    assert not dialog.remove.isEnabled() and not dialog.download.isEnabled()
    with qtbot.waitSignal(window.engine.ready):
        dialog.use.click()
    assert states(dialog) == ["in use", "not downloaded", "ready"]
    assert window.models.model_path is None and dialog.sentence.text() == ""
    select(dialog, "Kitchen")
    with qtbot.waitSignal(window.engine.ready):
        dialog.use.click()
    assert window.models.model_path == small_model and window.settings.value("model", "") == str(small_model)


def test_what_a_model_is_in_words() -> None:
    trained = ModelEntry("mine", "Mine", "file", figures={"keypoint_ap": 0.5}, figures_on="its held-out images")
    trained = replace(trained, before={"keypoint_ap": 0.4}, parent="aa11", parent_title="First", data=("bb22",))
    assert "AP joints 0.500 (before 0.400), on its held-out images\nTrained from First on labels bb22" in details_of(
        trained
    )
    calibrated = replace(trained, calibrated=True, before={}, figures_on="what its parent was judged on")
    assert "0.500, on what its parent was judged on\nCalibrated from First on labels bb22" in details_of(calibrated)
    missing = ModelEntry("coco", "COCO", "download", here=3 << 20, by_hand="Put it here as x.")
    assert details_of(missing).startswith("3.0 MB of it are here\nPut it here as x.")


def test_a_download_is_watched_cancelled_and_resumed(
    make_window: WindowMaker, home: Path, server: FileServer, qtbot: QtBot
) -> None:
    server.pause = 0.02
    window = make_window()
    dialog = open_dialog(window, qtbot, 2)
    select(dialog, "COCO Keypoint R-CNN")
    dialog.download.click()
    assert dialog.download.text() == "Cancel" and states(dialog)[1] == "connecting…"
    qtbot.waitUntil(lambda: "downloading, " in states(dialog)[1])
    assert dialog.bar.isVisible() and "COCO Keypoint R-CNN, MB" in window.job_strip.text
    dialog.download.click()
    qtbot.waitUntil(lambda: dialog.download.text() == "Resume")
    assert "% is here" in states(dialog)[1] and not dialog.bar.isVisible() and window.job_strip.isHidden()
    assert dialog.remove.isEnabled(), "what is here can be deleted"
    server.pause = 0
    dialog.download.click()
    qtbot.waitUntil(lambda: states(dialog)[1] == "ready")
    assert "Range" in server.asked[-1] and dialog.sentence.text() == "COCO Keypoint R-CNN is here."
    assert dialog.use.isEnabled() and (home / name_of(CONTENT)).read_bytes() == CONTENT
    dialog.remove.click()
    qtbot.waitUntil(lambda: states(dialog)[1] == "not downloaded")
    assert not (home / name_of(CONTENT)).exists()


def test_a_download_goes_on_without_the_dialog_and_says_when_it_is_done(
    make_window: WindowMaker, home: Path, server: FileServer, qtbot: QtBot
) -> None:
    server.pause = 0.01
    window = make_window()
    dialog = open_dialog(window, qtbot, 2)
    window.models.download("coco")
    dialog.reject()
    qtbot.waitUntil(lambda: window.models.arrived[0] > 0)
    window.models.show()
    again = window.findChildren(ModelsDialog)[-1]
    assert again is not dialog and states(again)[1].startswith("downloading, ") and again.bar.isVisible()
    server.pause = 0
    again.reject()
    qtbot.waitUntil(lambda: window.message_bar.text == "COCO Keypoint R-CNN is here.")
    assert window.message_bar.choice_texts() == ("Use it",)
    qtbot.waitUntil(lambda: not window.models.downloading)
    server.content, server.pause = b"<html>Log in</html>", 0
    (home / name_of(CONTENT)).unlink()
    window.models.download("coco")
    qtbot.waitUntil(lambda: "swapped or damaged" in window.message_bar.text)


def test_files_are_added_shown_in_their_folder_and_forgotten(
    make_window: WindowMaker,
    home: Path,
    server: FileServer,
    small_model: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = make_window()
    dialog = open_dialog(window, qtbot, 2)
    odd = tmp_path / "odd.safetensors"
    odd.write_text("not a model")
    answers = [str(odd), str(small_model)]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (answers.pop(0), ""))
    dialog.add.click()
    qtbot.waitUntil(lambda: "odd.safetensors: not a model file" in dialog.sentence.text())
    dialog.add.click()
    assert dialog.sentence.text() == "", "that was about the other one"
    qtbot.waitUntil(lambda: column(dialog, 0)[-1] == "small")
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    select(dialog, "small")
    dialog.folder.click()
    assert opened == [str(small_model.parent)]
    dialog.remove.click()
    qtbot.waitUntil(lambda: dialog.table.rowCount() == 2)
    assert small_model.is_file()


def test_a_file_that_is_gone_says_so_and_can_be_taken_out(
    make_window: WindowMaker, home: Path, server: FileServer, small_model: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(small_model.read_bytes())
    ModelLibrary(home).add(copy)
    copy.unlink()
    dialog = open_dialog(make_window(), qtbot, 3)
    select(dialog, "mine")
    assert states(dialog)[2] == "file is gone" and "Put it back" in dialog.details.text()
    assert not dialog.use.isEnabled() and not dialog.folder.isEnabled() and dialog.remove.isEnabled()


def test_a_damaged_library_is_a_sentence_in_the_dialog(make_window: WindowMaker, home: Path, qtbot: QtBot) -> None:
    home.mkdir()
    (home / "library.json").write_text("{")
    window = make_window()
    window.actions_by_id["models"].trigger()
    (dialog,) = window.findChildren(ModelsDialog)
    qtbot.waitUntil(lambda: "library.json: damaged" in dialog.sentence.text())


def test_a_model_that_is_gone_is_said_until_another_is_chosen(
    make_window: WindowMaker, server: FileServer, tmp_path: Path, qtbot: QtBot
) -> None:
    window, gone = make_window(), str(tmp_path / "gone.safetensors")
    window.settings.set_value("model", gone)
    with qtbot.waitSignal(window.engine.ready):
        window.models.start_engine()
    assert window.message_bar.text.startswith(f"{gone}: the file of the model that was used last is gone. Put it back")
    assert window.settings.value("model", "") == gone, "its disk may be back tomorrow"
    with qtbot.waitSignal(window.engine.ready):
        window.models.use_bundled()
    assert window.message_bar.text == "" and window.settings.value("model", "") == ""


def test_a_model_that_is_refused_is_said_in_the_dialog(
    make_window: WindowMaker, home: Path, server: FileServer, qtbot: QtBot
) -> None:
    (home / name_of(CONTENT)).write_bytes(CONTENT)
    window = make_window(engine=True)
    before = window.models.in_use
    dialog = open_dialog(window, qtbot, 2)
    select(dialog, "COCO Keypoint R-CNN")
    with qtbot.waitSignal(window.engine.refused):
        dialog.use.click()
    assert "cannot be used" in dialog.sentence.text() and window.models.in_use == before


def test_the_larger_model_is_offered_once_to_whom_it_would_be_fast(
    make_window: WindowMaker, server: FileServer, qtbot: QtBot
) -> None:
    window = make_window()

    def offer(device: str) -> tuple[str, ...]:
        window.message_bar.clear()
        with qtbot.waitSignal(window.models.listed):
            window.models.offer_download_once(device)
            window.models.refresh()
        return window.message_bar.choice_texts()

    assert offer("cpu") == ()
    assert offer("cuda:0") == ("Download COCO Keypoint R-CNN (2.9 MB)…", "Not now")
    window.message_bar.choose("Not now")
    assert offer("cuda:0") == () and server.asked == []
    window.settings.remove("coco_offered")
    assert offer("mps")[1] == "Not now"
    window.message_bar.choose(1)
    (dialog,) = window.findChildren(ModelsDialog)
    qtbot.waitUntil(lambda: states(dialog)[-1:] == ["ready"])
    window.settings.remove("coco_offered")
    assert offer("cuda:0") == (), "it is here"


def test_what_a_run_has_made_joins_the_library_when_it_is_found(
    make_window: WindowMaker,
    open_in: Opener,
    home: Path,
    server: FileServer,
    photos: Path,
    small_model: Path,
    qtbot: QtBot,
) -> None:
    window = make_window(engine=True)
    open_in(window, photos)
    assert window.session.path is not None
    best = finished_run(window.session.path, small_model)
    window.session.close()
    with qtbot.waitSignal(window.models.listed):
        open_in(window, photos)
    (entry,) = [entry for entry in window.models.known if entry.kind == "fine-tuned"]
    assert (entry.title, entry.path) == ("photos, 2026-01-02 03:04", best)
    assert entry.name == "photos-2026-01-02-03-04" and LibraryFile(home).read().added[0].path == str(best)
    with qtbot.waitSignal(window.models.listed):
        window.training.use.click()
    assert entry.name in [known.name for known in window.models.known] and len(LibraryFile(home).read().added) == 1


def test_a_fine_tuning_starts_from_any_model_that_is_here(
    make_window: WindowMaker, home: Path, server: FileServer, small_model: Path, qtbot: QtBot
) -> None:
    ModelLibrary(home).add(small_model, title="Kitchen")
    window = make_window()
    window.fine_tuning.asked.emit(LabelCounts(6, 9, 20, 60))
    (dialog,) = window.findChildren(FineTuneDialog)
    qtbot.waitUntil(lambda: dialog.init.count() == 3)
    texts = [dialog.init.itemText(index) for index in range(3)]
    assert texts == ["the bundled model, in use", "MSA R-CNN MobileNetV2, wide", "Kitchen"], "nothing that is not here"
    assert dialog.settings().init is None
    dialog.init.setCurrentIndex(2)
    with qtbot.waitSignal(window.models.listed):
        window.models.refresh()
    assert dialog.settings().init == small_model, "the choice stays"
    arguments = window.fine_tuning.arguments(Path("labels.json"), [], dialog.settings())
    assert arguments[arguments.index("--init") + 1] == str(small_model)
    dialog.init.setCurrentIndex(0)
    window.models.model_path = None
    arguments = window.fine_tuning.arguments(Path("labels.json"), [], dialog.settings())
    assert arguments[arguments.index("--init") + 1] == str(find_model(None))


def test_closing_the_window_ends_a_download_and_keeps_its_beginning(
    make_window: WindowMaker, home: Path, server: FileServer, qtbot: QtBot
) -> None:
    server.pause = 0.02
    window = make_window()
    window.models.download("coco")
    part = home / f"{name_of(CONTENT)}.part"
    qtbot.waitUntil(lambda: part.is_file() and part.stat().st_size > 0)
    window.closing.finish()
    assert CONTENT.startswith(part.read_bytes()) and not (home / name_of(CONTENT)).exists()
