"""The first-run hints: at most five, skippable, with the user's own keys, once."""

import re
from collections.abc import Callable
from pathlib import Path

from app.actions import ACTIONS
from app.main_window import MainWindow
from app.panels.tour import HINTS

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


def test_hints_are_few_and_name_actions_that_exist() -> None:
    assert 0 < len(HINTS) <= 5
    named = {name for _, text in HINTS for name in re.findall(r"{(\w+)}", text)}
    assert named <= {spec.id for spec in ACTIONS} and len(named) > 8


def test_the_tour_comes_once(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    window.offer_tour()
    assert window.tour.isHidden()
    open_in(window, photos)
    assert not window.tour.isHidden() and "Space" in window.tour.text.text()
    for _ in HINTS:
        assert not window.tour.isHidden()
        window.tour.following.click()
    assert window.tour.isHidden()
    window.closing.finish()
    other = make_window()
    other.offer_tour()
    open_in(other, photos)
    assert other.tour.isHidden()


def test_it_can_be_skipped_and_shows_changed_keys(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    window.keys.set("accept_and_go_on", ("F12",))
    open_in(window, photos)
    window.actions_by_id["tour"].trigger()
    assert "F12" in window.tour.text.text()
    window.tour.skip.click()
    assert window.tour.isHidden()
