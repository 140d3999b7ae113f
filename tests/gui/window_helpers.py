"""What tests of the real window do again and again."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from pytestqt.qtbot import QtBot

from app.document.records import Person
from app.main_window import MainWindow

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


def current(window: MainWindow) -> int:
    """Key of the current image."""
    key = window.session.selection.current_image
    assert key is not None
    return key


def people(window: MainWindow) -> tuple[Person, ...]:
    """The current image's labels."""
    return window.session.document.people(current(window))


def trigger(window: MainWindow, qtbot: QtBot, name: str) -> None:
    """Triggers an action as its key would: only if it is enabled."""
    action = window.actions_by_id[name]
    qtbot.waitUntil(action.isEnabled)
    action.trigger()


def two_sessions(folder: Path, coco_file: Path) -> Path:
    """Photos of the same names and sizes in two folders, and a file of labels that says nothing of folders."""
    for session, colour in (("monday", "teal"), ("tuesday", "brown")):
        (folder / session).mkdir(parents=True, exist_ok=True)
        for index in range(4):
            Image.new("RGB", (320, 240), colour).save(folder / session / f"{index}.jpg")
    labels = folder / "labels.json"
    labels.write_bytes(coco_file.read_bytes())
    return labels
