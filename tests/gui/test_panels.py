"""The panels: what they offer when, and where the keys go after a click in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app import headless
from app.canvas.heatmap_image import HeatmapLook, colored_heatmap
from app.canvas.layers import Layers
from app.main_window import MainWindow
from msarcnn.effort import SHOWN_SCORE

WindowMaker = Callable[..., MainWindow]
Opener = Callable[[MainWindow, Path], None]


def test_cancel_in_the_status_bar_ends_what_is_shown_and_nothing_else(make_window: WindowMaker) -> None:
    window = make_window()
    strip, cancelled = window.job_strip, []

    class Work(QObject):
        progress = Signal(str, int, int)
        ended = Signal()

    download, export = Work(strip), Work(strip)
    strip.watch(download.progress, download.ended, lambda: cancelled.append("download"))
    strip.watch(export.progress, export.ended, lambda: cancelled.append("export"))
    download.progress.emit("Downloading", 1, 9)
    export.progress.emit("Exporting", 0, 0)
    download.progress.emit("Downloading", 2, 9)
    assert strip.text == "Exporting", "it began last"
    strip.cancel.click()
    assert cancelled == ["export"]
    export.ended.emit()
    assert not strip.isHidden() and strip.text == "Downloading 2 of 9"
    strip.cancel.click()
    assert cancelled == ["export", "download"]
    download.ended.emit()
    assert strip.isHidden()


def test_predictions_can_be_asked_for_only_with_an_image(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    panel = window.predictions
    assert not panel.accept.isEnabled() and not panel.prefill.isEnabled()
    open_in(window, photos)
    qtbot.waitUntil(panel.prefill.isEnabled)
    panel.show_counts(2, 0, 0)
    assert panel.accept.isEnabled()
    window.session.selection.current_image = None
    qtbot.waitUntil(lambda: not panel.prefill.isEnabled())
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


def test_the_arrow_keys_go_through_the_list_and_a_click_gives_the_keys_to_the_canvas(
    make_window: WindowMaker, open_in: Opener, photos: Path
) -> None:
    window = make_window()
    open_in(window, photos)
    view = window.image_list.view
    view.setFocus()
    for row in (1, 2):
        QTest.keyClick(view, Qt.Key.Key_Down)
        assert window.session.selection.current_image == window.model.keys[row]
        assert window.focusWidget() is view
    place = view.visualRect(window.model.index(0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert window.session.selection.current_image == window.model.keys[0]
    assert window.focusWidget() is window.canvas


@pytest.mark.parametrize("name", ["check box", "button", "combo box"])
def test_space_belongs_to_the_widget_that_has_the_focus(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot, name: str
) -> None:
    window = make_window()
    open_in(window, photos)
    window.activateWindow()
    qtbot.waitUntil(lambda: window.isActiveWindow() and window.actions_by_id["accept_and_go_on"].isEnabled())
    image = window.session.selection.current_image
    panels = {"check box": window.heatmap_panel.shown, "button": window.image_list.more}
    widget: QWidget = panels.get(name, window.image_list.state)
    widget.setFocus()
    QTest.keyClick(widget, Qt.Key.Key_Space)
    assert window.session.selection.current_image == image
    if name == "check box":
        assert window.layers.shows("heatmap")
    elif name == "button":
        assert window.image_list.more.isChecked()
    else:
        popup = QApplication.activePopupWidget()
        assert popup is not None
        popup.close()
    window.image_list.view.setFocus()
    QTest.keyClick(window.image_list.view, Qt.Key.Key_Space)
    assert window.session.selection.current_image != image, "elsewhere it is the window's"


def test_what_is_typed_into_the_joints_table_stays_while_other_joints_change(
    make_window: WindowMaker, open_in: Opener, coco_file: Path
) -> None:
    window = make_window()
    open_in(window, coco_file)
    window.editing.select_person(1)
    key, table, model = window.session.selection.person, window.joints.table, window.joints.model
    assert key is not None
    changed: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last, _: changed.append((first.row(), first.column())))
    table.edit(model.index(3, 1))
    field = table.viewport().findChild(QLineEdit)
    assert isinstance(field, QLineEdit)
    field.selectAll()
    QTest.keyClicks(field, "12")
    window.editing.move_joint(key, 9, 111, 112)
    assert field.text() == "12"
    assert changed == [(9, 1), (9, 2), (9, 4)], "x, y, and who placed it"


def test_a_note_that_is_being_typed_is_kept_when_another_project_opens(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    project, image = window.session.path, window.session.selection.current_image
    assert project is not None
    window.activateWindow()
    qtbot.waitUntil(lambda: window.isActiveWindow() and window.actions_by_id["note"].isEnabled())
    window.actions_by_id["note"].trigger()
    QTest.keyClicks(window.header.note, "who is D?")
    open_in(window, photos)
    record = window.session.current_record()
    assert record is not None and record.note == ""
    open_in(window, project)
    window.session.selection.current_image = image
    qtbot.waitUntil(lambda: window.session.current_record() is not None)
    record = window.session.current_record()
    assert record is not None and record.note == "who is D?"


def test_a_closed_panel_stays_closed(make_window: WindowMaker, open_in: Opener, photos: Path, coco_file: Path) -> None:
    window = make_window()
    open_in(window, photos)
    docks = {dock.objectName(): dock for dock in window.docks.all}
    assert [name for name, dock in docks.items() if dock.isHidden()] == ["training"]
    docks["joints"].close()
    open_in(window, coco_file)
    assert [name for name, dock in docks.items() if dock.isHidden()] == ["joints", "training"]
    window.close()
    again = make_window()
    open_in(again, photos)
    assert [dock.objectName() for dock in again.docks.all if dock.isHidden()] == ["joints", "training"]
    again.close()
    make_window().close()  # without a project no panel is shown
    last = make_window()
    open_in(last, photos)
    assert [dock.objectName() for dock in last.docks.all if dock.isHidden()] == ["joints", "training"]


def test_effort_that_is_asked_for_twice_is_shown_once(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    counted: list[object] = []
    window.effort.counted.connect(lambda *_: counted.append(1))
    for _ in range(2):
        window.effort.show()
    qtbot.waitUntil(lambda: len(counted) == 1)
    qtbot.wait(1500)
    assert len(counted) == 1
    window.effort.show()
    qtbot.waitUntil(lambda: len(counted) == 2)


def test_the_footer_counts_finished_images(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    assert window.image_list.count.text() == "5 images  ·  0 finished"
    window.actions_by_id["mark_empty"].trigger()
    assert window.image_list.count.text() == "5 images  ·  1 finished"
    qtbot.waitUntil(window.actions_by_id["undo"].isEnabled)
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
    picture = colored_heatmap(probabilities, HeatmapLook(opacity=1.0))
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
