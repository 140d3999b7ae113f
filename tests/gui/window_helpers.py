"""What tests of the real window do again and again."""

from collections.abc import Callable
from pathlib import Path

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
