"""The panels: what they offer when, and where the keys go after a click in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app import headless
from app.canvas.heatmap_image import colored_heatmap
from app.canvas.layers import Layers
from app.main_window import MainWindow
from msarcnn.effort import SHOWN_SCORE

WindowMaker = Callable[..., MainWindow]
Opener = Callable[[MainWindow, Path], None]


def test_predictions_can_be_asked_for_only_with_an_image(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    panel = window.predictions
    assert not panel.accept.isEnabled() and not panel.prefill.isEnabled()
    open_in(window, photos)
    qtbot.waitUntil(panel.prefill.isEnabled, timeout=5_000)
    panel.show_counts(2, 0, 0)
    assert panel.accept.isEnabled()
    window.session.selection.current_image = None
    qtbot.waitUntil(lambda: not panel.prefill.isEnabled(), timeout=5_000)
    assert not panel.accept.isEnabled()


def test_the_search_field_opens_the_first_hit_and_escape_leaves_it(
    make_window: WindowMaker, open_in: Opener, photos: Path
) -> None:
    window = make_window()
    open_in(window, photos)
    listing, search = window.image_list, window.image_list.search
    listed = list(window.model.keys)
    search.setFocus()
    QTest.keyClicks(search, "3.jpg")
    QTest.keyClick(search, Qt.Key.Key_Return)
    assert window.session.selection.current_image == window.model.keys[0] != listed[0]
    assert window.focusWidget() is window.canvas
    search.setFocus()
    search.setText("not there")
    assert listing.view.isHidden() and not listing.nothing.isHidden()
    QTest.keyClick(search, Qt.Key.Key_Escape)
    assert search.text() == "" and window.focusWidget() is window.canvas
    assert listing.nothing.isHidden() and list(window.model.keys) == listed


def test_the_footer_counts_finished_images(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    assert window.image_list.count.text() == "5 images  ·  0 finished"
    window.actions_by_id["mark_empty"].trigger()
    assert window.image_list.count.text() == "5 images  ·  1 finished"
    qtbot.waitUntil(window.actions_by_id["undo"].isEnabled, timeout=5_000)
    window.actions_by_id["undo"].trigger()
    assert window.image_list.count.text() == "5 images  ·  0 finished"


def test_after_a_click_on_a_person_the_keys_are_the_canvas(
    make_window: WindowMaker, open_in: Opener, coco_file: Path
) -> None:
    window = make_window()
    open_in(window, coco_file)
    tree = window.people.tree
    item = tree.topLevelItem(0)
    assert item is not None
    tree.setFocus()
    QTest.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=tree.visualItemRect(item).center())
    assert window.session.selection.person is not None
    assert window.focusWidget() is window.canvas


def test_the_window_fits_a_small_screen_while_training(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    open_in(window, photos)
    window.training.begin("training")
    window.docks.raise_training()
    least = window.minimumSizeHint()
    assert least.width() <= 1100 and least.height() <= 700


def test_a_weak_second_peak_is_seen_in_the_heatmap() -> None:
    probabilities = np.full((8, 8), 1e-6)
    probabilities[1, 1], probabilities[6, 6] = 0.9, 0.01
    picture = colored_heatmap(probabilities, 1.0)
    assert picture.pixelColor(0, 7).alpha() == 0
    assert picture.pixelColor(6, 6).alpha() > 100
    assert picture.pixelColor(1, 1).alpha() == 255


def test_names_do_not_float_over_a_hidden_skeleton(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> None:
    window = make_window()
    open_in(window, coco_file)
    layers, canvas = window.layers, window.canvas
    with_skeleton = canvas.grab().toImage()
    layers.switch("names", True)
    assert canvas.grab().toImage() != with_skeleton
    layers.switch("skeleton", False)
    hidden = canvas.grab().toImage()
    layers.switch("names", False)
    assert canvas.grab().toImage() == hidden


def test_effort_is_measured_at_the_threshold_that_a_new_user_sees(qapp: object) -> None:
    assert Layers().threshold == headless.ACCEPT_SCORE == SHOWN_SCORE
