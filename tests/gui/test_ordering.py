"""The images are gone through in the order that was chosen, in a real window with real children."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from test_proposals import FOUND, MODEL
from window_helpers import Opener, WindowMaker, current, trigger

from app.main_window import MainWindow
from app.panels.image_filter import STATE_FILTERS
from app.panels.image_list import ORDERS


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, photos: Path) -> MainWindow:
    window = make_window()
    open_in(window, photos)
    return window


def choose(window: MainWindow, name: str) -> None:
    """As somebody does who opens the box and picks a line."""
    row = window.image_list.order.findData(name)
    window.image_list.order.setCurrentIndex(row)
    window.image_list.order.activated.emit(row)


def shown(window: MainWindow) -> str:
    return str(window.image_list.order.currentData())


def look(window: MainWindow, places: list[float], work: list[int]) -> None:
    """A model has looked at the first images: at each it sees a place on a line, and so many people."""
    keys = list(window.model.keys)

    def store(project: object) -> None:
        for key, place, people in zip(keys, places, work, strict=False):
            found = [FOUND] * people
            project.store_predictions(  # type: ignore[attr-defined]
                key, MODEL, found, 320, 240, 0.5, np.array([place, 1.0], np.float32)
            )

    window.session.store.call(store)  # type: ignore[arg-type]


def test_the_list_and_the_keys_follow_the_order(window: MainWindow, qtbot: QtBot) -> None:
    one, two, three, four, five = window.model.keys
    look(window, [0, 4, 5, 11], [1, 0, 3, 2])
    choose(window, "work")
    qtbot.waitUntil(lambda: list(window.model.keys) == [three, four, one, two, five])
    assert shown(window) == "work" and "1 of the images come last" in window.message_bar.text
    assert current(window) == one, "whatever is open stays open"
    trigger(window, qtbot, "next_image")
    assert current(window) == two
    trigger(window, qtbot, "next_image")
    assert current(window) == five
    choose(window, "easy")
    qtbot.waitUntil(lambda: list(window.model.keys) == [two, one, four, three, five])
    choose(window, "difference")
    qtbot.waitUntil(lambda: list(window.model.keys) == [three, four, one, two, five])
    choose(window, "name")
    assert list(window.model.keys) == [one, two, three, four, five]


def test_an_image_that_the_filter_hides_keeps_its_place(window: MainWindow, qtbot: QtBot) -> None:
    one, two, three, four, five = window.model.keys
    look(window, [0, 4, 5, 11, 3], [1, 4, 3, 2, 0])
    choose(window, "work")
    qtbot.waitUntil(lambda: list(window.model.keys) == [two, three, four, one, five])
    window.session.selection.current_image = four
    qtbot.waitUntil(lambda: window.session.current_record() is not None)
    trigger(window, qtbot, "mark_empty")
    window.image_list.state.setCurrentIndex([name for name, _ in STATE_FILTERS].index("Unfinished"))
    assert list(window.model.keys) == [two, three, one, five] and window.model.place_of(four) == 2
    trigger(window, qtbot, "next_image")
    assert current(window) == one


def test_at_random_is_the_same_every_time(window: MainWindow) -> None:
    before = list(window.model.keys)
    choose(window, "random")
    first = list(window.model.keys)
    choose(window, "name")
    choose(window, "random")
    assert list(window.model.keys) == first != before and sorted(first) == sorted(before)


def test_where_nothing_is_known_the_order_stays_and_the_cure_is_said(window: MainWindow, qtbot: QtBot) -> None:
    before = list(window.model.keys)
    choose(window, "difference")
    qtbot.waitUntil(lambda: "pre-fill them all" in window.message_bar.text)
    assert list(window.model.keys) == before and shown(window) == "name"


def test_another_project_begins_in_its_own_order(window: MainWindow, open_in: Opener, coco_file: Path) -> None:
    choose(window, "random")
    open_in(window, coco_file)
    assert shown(window) == "name" and list(window.model.keys) == sorted(window.model.keys)
    window.session.close()
    choose(window, "work")
    assert shown(window) == "name"


def test_a_later_choice_counts(window: MainWindow, qtbot: QtBot) -> None:
    look(window, [0, 4, 5, 11, 3], [1, 4, 3, 2, 0])
    before = list(window.model.keys)
    choose(window, "work")
    choose(window, "name")
    begun = []
    window.session.store.when_saved(lambda: begun.append(True))
    qtbot.waitUntil(lambda: bool(begun))
    qtbot.wait(50)
    assert window.ordering._job is None, "the child of the earlier choice was never begun, or is gone"
    assert list(window.model.keys) == before and shown(window) == "name"
    assert set(ORDERS) == {window.image_list.order.itemData(row) for row in range(window.image_list.order.count())}


def test_the_order_stays_when_the_same_images_are_read_again(window: MainWindow, qtbot: QtBot) -> None:
    choose(window, "random")
    order = list(window.model.keys)
    with qtbot.waitSignal(window.session.refreshed):
        window.session.refresh(None)
    qtbot.wait(50)
    assert list(window.model.keys) == order and shown(window) == "random"
    records = {record.key: record for record in window.model.records()}
    del records[order[0]]
    window.model.set_records(records)
    assert list(window.model.keys) == sorted(order[1:]) and not window.model.has_order
    window.ordering._refreshed()
    assert shown(window) == "name"
