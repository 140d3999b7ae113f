"""What the window asks about a project goes with the project: an answer would be given to the next one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker

from app.main_window import MainWindow


@pytest.fixture
def other(photos: Path) -> Path:
    """A healthy folder to open after another one."""
    return photos / "more"


def ask_about_the_folder(window: MainWindow, asked: list[str]) -> None:
    window.opening.photo_folders.check()


def ask_about_conflicts(window: MainWindow, asked: list[str]) -> None:
    window.merging._ask_whose("Whose labels stay?", asked.append, lambda: None)


def ask_about_unsaved_edits(window: MainWindow, asked: list[str]) -> None:
    choices = [("Close without saving them", lambda: asked.append("lost"))]
    window.messages.post("3 changes are not saved.", "error", choices, topic="closing")


def offer_a_model(window: MainWindow, asked: list[str]) -> None:
    window.fine_tuning._offer_model(Path("/runs/1/best.safetensors"), "The fine-tuning is complete.")


def ask_without_a_topic(window: MainWindow, asked: list[str]) -> None:
    window.messages.post("Which?", "warning", [("This", lambda: asked.append("this"))])


@pytest.mark.parametrize(
    "ask",
    [ask_about_the_folder, ask_about_conflicts, ask_about_unsaved_edits, offer_a_model, ask_without_a_topic],
    ids=lambda ask: ask.__name__,
)
@pytest.mark.parametrize("covered", [False, True])
def test_a_question_goes_with_its_project(
    make_window: WindowMaker,
    open_in: Opener,
    photos: Path,
    tmp_path: Path,
    qtbot: QtBot,
    ask: Callable[[MainWindow, list[str]], None],
    covered: bool,
) -> None:
    healthy = tmp_path / "healthy"
    healthy.mkdir()
    (photos / "more" / "4.jpg").rename(healthy / "4.jpg")
    window = make_window()
    open_in(window, photos)
    photos.rename(tmp_path / "moved")
    asked: list[str] = []
    ask(window, asked)
    assert window.message_bar.choice_texts()
    if covered:
        window.messages.post("Something else.", "info")
    open_in(window, healthy)
    if covered:
        window.message_bar.dismiss()
    assert window.message_bar.choice_texts() == ()
    assert asked == []


def test_a_late_answer_about_the_folder_moves_no_other_project(
    make_window: WindowMaker,
    open_in: Opener,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    """While the file dialog is open, another project is opened: from the command line, say."""
    healthy = tmp_path / "healthy"
    healthy.mkdir()
    (photos / "more" / "4.jpg").rename(healthy / "4.jpg")
    window = make_window()
    open_in(window, photos)

    def choose(title: str) -> Path:
        open_in(window, healthy)
        return tmp_path / "chosen"

    monkeypatch.setattr(window.opening._asker, "folder", choose)
    window.opening.photo_folders.move(photos, "Where?")
    qtbot.wait(200)
    assert list(window.session.store.call(lambda project: project.roots()).values()) == [healthy]


def test_what_is_about_the_window_stays(make_window: WindowMaker, open_in: Opener, photos: Path, other: Path) -> None:
    window = make_window()
    open_in(window, photos)
    window.engine.gave_up.emit("The pose engine stopped.")
    open_in(window, other)
    assert window.message_bar.choice_texts() == ("Start it again",)


def test_the_question_about_a_locked_project_goes_when_another_is_opened(
    make_window: WindowMaker, open_in: Opener, photos: Path, other: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    first, second = make_window(), make_window()
    open_in(first, photos)
    second.open_paths([photos])
    qtbot.waitUntil(lambda: second.message_bar.choice_texts() == ("Open read-only",))
    open_in(second, other)
    assert second.message_bar.choice_texts() == ()


def test_a_coco_file_without_its_images_asks_for_them_once_it_is_open(
    make_window: WindowMaker, coco_file: Path, photos: Path, open_in: Opener, tmp_path: Path, qtbot: QtBot
) -> None:
    alone = tmp_path / "far" / "away" / coco_file.name
    alone.parent.mkdir(parents=True)
    coco_file.rename(alone)
    window = make_window()
    open_in(window, photos)
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([alone])
    while window.message_bar.text and window.message_bar.choice_texts() != ("Choose folder…",):
        window.message_bar.dismiss()
    assert window.message_bar.choice_texts() == ("Choose folder…",)


def test_leave_to_lose_edits_is_given_for_one_project_only(
    make_window: WindowMaker, open_in: Opener, photos: Path, other: Path
) -> None:
    window = make_window()
    open_in(window, photos)
    window.closing._loss_accepted = window.closing._training_decided = True
    open_in(window, other)
    assert not window.closing._loss_accepted
    assert not window.closing._training_decided
