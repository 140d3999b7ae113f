"""From image to image: at the ends, around what the filter hides, and where nothing is left to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.document.records import Box
from app.main_window import MainWindow

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]

_UNFINISHED = 1
"""Row of the state filter."""


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, photos: Path) -> MainWindow:
    """Five images, nobody on them."""
    window = make_window()
    open_in(window, photos)
    return window


def go(window: MainWindow, qtbot: QtBot, row: int) -> None:
    key = list(window.session.rows)[row]
    window.session.selection.current_image = key
    qtbot.waitUntil(lambda: window.session.current_record() is not None)


def at(window: MainWindow) -> int:
    """The current image's place among all images."""
    current = window.session.selection.current_image
    assert current is not None
    return list(window.session.rows).index(current)


def test_from_an_image_that_the_filter_hides_it_goes_to_those_around_it(window: MainWindow, qtbot: QtBot) -> None:
    go(window, qtbot, 2)
    window.editing.mark_done()
    window.image_list.state.setCurrentIndex(_UNFINISHED)
    assert len(window.model.keys) == 4
    for step, expected in ((1, 3), (-1, 1)):
        go(window, qtbot, 2)
        (window.navigation.next if step > 0 else window.navigation.previous)()
        assert at(window) == expected
    for step, expected in ((1, 3), (-1, 1)):
        go(window, qtbot, 2)
        (window.navigation.next_unfinished if step > 0 else window.navigation.previous_unfinished)()
        assert at(window) == expected


def test_people_come_from_the_image_before_though_the_filter_hides_it(window: MainWindow, qtbot: QtBot) -> None:
    go(window, qtbot, 2)
    window.editing.add_person(Box(200, 40, 60, 120))
    window.editing.mark_done()
    window.image_list.state.setCurrentIndex(_UNFINISHED)
    go(window, qtbot, 3)
    window.clipboard.from_previous()
    key = window.session.selection.current_image
    assert key is not None
    qtbot.waitUntil(lambda: [p.box for p in window.session.document.people(key)] == [Box(200, 40, 60, 120)])


def test_next_unfinished_goes_on_at_the_other_end(window: MainWindow, qtbot: QtBot) -> None:
    go(window, qtbot, 4)
    window.editing.mark_done()
    window.navigation.next_unfinished()
    assert at(window) == 0
    window.navigation.previous_unfinished()
    assert at(window) == 3, "the last one is done"
    for row in range(4):
        go(window, qtbot, row)
        window.editing.mark_done()
    window.navigation.next_unfinished()
    window.navigation.previous_unfinished()
    assert at(window) == 3, "nothing is left"


def test_next_ends_at_the_end(window: MainWindow, qtbot: QtBot) -> None:
    go(window, qtbot, 4)
    window.navigation.next()
    assert at(window) == 4
    go(window, qtbot, 0)
    window.navigation.previous()
    assert at(window) == 0
