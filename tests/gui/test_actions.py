"""The table of actions is complete, unambiguous, and every row does something."""

from collections import Counter
from collections.abc import Callable

import pytest
from PySide6.QtGui import QIcon, QKeySequence

from app.actions import ACTIONS, MENUS, ActionSpec
from app.canvas.layers import SWITCHES
from app.controllers.conditions import NAMES
from app.icons import icon
from app.main_window import MainWindow


@pytest.mark.parametrize("spec", ACTIONS, ids=lambda spec: spec.id)
def test_every_row_is_complete(spec: ActionSpec) -> None:
    assert spec.text.strip()
    assert spec.icon.startswith("mdi6.")
    assert spec.menu.partition("/")[0] in MENUS
    assert spec.tooltip and not spec.tooltip.endswith(".")
    assert spec.enabled_when == "always" or spec.enabled_when in NAMES
    assert spec.handler.count(".") == 1
    assert not spec.layer or spec.layer in (*SWITCHES, "automatic", "refine", "flag")
    assert all(not QKeySequence(key).isEmpty() for key in spec.shortcuts)


def test_ids_and_keys_are_unique() -> None:
    assert max(Counter(spec.id for spec in ACTIONS).values()) == 1
    keys = Counter(QKeySequence(key).toString() for spec in ACTIONS for key in spec.shortcuts)
    assert [key for key, count in keys.items() if count > 1] == []


def test_the_promised_keys_are_there() -> None:
    promised = "D A Ctrl+D Ctrl+A Space Ctrl+Space E N Q W Esc Del Tab Shift+Tab V X P R Ctrl+P H B K L G F Ctrl+1"
    promised += " T M Ctrl+S Ctrl+C Ctrl+V Ctrl+Shift+V Ctrl+Z Ctrl+Shift+Z Ctrl+E Ctrl+T F1 Return Backspace 1 9"
    promised += " Left Shift+Down"
    known = {key for spec in ACTIONS for key in spec.shortcuts}
    assert set(promised.split()) <= known


def test_icons_exist_and_handlers_resolve(make_window: Callable[..., MainWindow]) -> None:
    window = make_window()
    color = window.palette().color(window.palette().ColorRole.WindowText)
    made: dict[str, QIcon] = {}

    def make(name: str) -> QIcon:
        made[name] = icon(name, color, color)
        return made[name]

    window.show_icons(make)
    assert len(made) == len({spec.icon for spec in ACTIONS})
    assert all(not action.icon().isNull() for action in window.actions_by_id.values())
    assert set(window.actions_by_id) == {spec.id for spec in ACTIONS}


def test_nothing_that_needs_a_project_is_enabled_without_one(make_window: Callable[..., MainWindow]) -> None:
    window = make_window()
    enabled = {name for name, action in window.actions_by_id.items() if action.isEnabled()}
    assert {"open_folder", "open_sample", "keys"} <= enabled
    assert not {"undo", "delete", "export_coco", "prefill_all", "next_image"} & enabled
