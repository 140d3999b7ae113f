"""What is opened together, and what is refused before it becomes part of a project."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app.controllers.messages import Message
from app.controllers.places import SUFFIX
from app.main_window import MainWindow

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


def test_labels_dropped_with_their_folder_are_opened_with_it(
    make_window: WindowMaker, coco_file: Path, photos: Path, qtbot: QtBot
) -> None:
    moved = photos.rename(photos.parents[1] / f"{photos.parent.name}-far-away")
    window = make_window()
    for paths in ([moved, coco_file], [coco_file, moved]):
        with qtbot.waitSignal(window.session.opened, timeout=20_000):
            window.open_paths(paths)
        assert list(window.session.roots.values()) == [moved]
        assert [row.path for row in window.model.records()] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["photos/0.jpg", "notes.txt"], "notes.txt"),
        (["notes.txt"], "notes.txt"),
        (["photos", "notes.txt"], "notes.txt"),
        (["a.json", "b.json"], "a.json"),
        (["photos/0.jpg", "a.json"], "a.json"),
        (["photos", "photos/more", "a.json"], "a.json"),
        ([f"mine{SUFFIX}", "photos"], f"mine{SUFFIX}"),
        (["photos", f"mine{SUFFIX}"], f"mine{SUFFIX}"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    make_window: WindowMaker, photos: Path, names: list[str], named: str, qtbot: QtBot
) -> None:
    for name in ("notes.txt", "a.json", "b.json", f"mine{SUFFIX}"):
        (photos.parent / name).write_text("{}")
    window = make_window()
    window.open_paths([photos.parent / name for name in names])
    assert window.message_bar.text.startswith(f"{named}: ")
    qtbot.wait(200)
    assert not window.session.is_open


def test_what_a_folder_holds_and_cannot_be_taken_is_named(
    make_window: WindowMaker, open_in: Opener, photos: Path
) -> None:
    (photos / "link.jpg").symlink_to("/etc/hostname")
    window = make_window()
    said: list[Message] = []
    window.messages.posted.connect(said.append)
    open_in(window, photos)
    assert window.model.total == 5
    assert any("link.jpg" in message.text and "1 file" in message.text for message in said)


def test_photos_that_cannot_be_read_are_counted_with_the_cure(
    make_window: WindowMaker, open_in: Opener, tmp_path: Path, photos: Path, qtbot: QtBot
) -> None:
    (tmp_path / "telephone").mkdir()
    for index in range(3):
        (tmp_path / f"telephone/IMG_{index}.HEIC").write_bytes(b"x")
        (photos / f"scan_{index}.jp2").write_bytes(b"x")
    window = make_window()
    with qtbot.waitSignal(window.session.opened, timeout=20_000):
        window.open_paths([tmp_path / "telephone"])
    text = "3 HEIC photos are not read (the first: IMG_0.HEIC): convert them to JPEG, or install pillow-heif"
    assert window.message_bar.text.startswith(text)
    assert window.message_bar.property("message") == "warning", "it stays"
    open_in(window, photos)
    assert window.model.total == 5
    assert window.message_bar.text.startswith("3 JPEG 2000 photos are not read (the first: scan_0.jp2)")
    window.open_paths([tmp_path / "telephone/IMG_1.HEIC"])
    assert window.message_bar.text.startswith("1 HEIC photo is not read (the first: IMG_1.HEIC): convert it to JPEG")


def test_the_projects_opened_last_are_in_the_menu(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    (recent,) = [menu for menu in window.findChildren(QMenu) if menu.title() == "&Recent projects"]
    recent.aboutToShow.emit()
    assert [(entry.text(), entry.isEnabled()) for entry in recent.actions()] == [("None yet", False)]
    open_in(window, photos)
    project = window.session.path
    open_in(window, photos / "more")
    recent.aboutToShow.emit()
    assert [entry.text() for entry in recent.actions()] == ["&1 more", "&2 photos"]
    with qtbot.waitSignal(window.session.opened, timeout=20_000):
        recent.actions()[1].trigger()
    assert window.session.path == project


def test_the_photo_that_was_named_is_the_one_shown(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    for name in ("1.jpg", "3.jpg", "0.jpg"):
        open_in(window, photos / name)
        record = window.session.record(window.session.selection.current_image or 0)
        assert record is not None and record.path == name, "earlier ones are in the same project"
    assert window.model.total == 3
    open_in(window, photos)
    assert window.model.total == 5
