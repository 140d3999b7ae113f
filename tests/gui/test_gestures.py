"""The pointer in a real window: gestures that are interrupted end, and a click means what the user can see."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, people, trigger

from app.dialogs.export import ExportDialog
from app.document.records import Box, Joint, Person
from app.main_window import MainWindow

LEFT, MIDDLE, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.NoButton


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    """The first image's person is selected."""
    window = make_window()
    open_in(window, coco_file)
    window.session.selection.person = people(window)[0].key
    return window


def press(window: MainWindow, x: float, y: float, button: Qt.MouseButton = LEFT) -> None:
    QTest.mousePress(window.canvas.viewport(), button, pos=window.canvas.mapFromScene(x, y))


def move(window: MainWindow, x: float, y: float, held: Qt.MouseButton = LEFT) -> None:
    """What the window system says when the pointer moves, with the buttons that are held."""
    place, viewport = QPointF(window.canvas.mapFromScene(x, y)), window.canvas.viewport()
    none = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(QEvent.Type.MouseMove, place, viewport.mapToGlobal(place), NONE, held, none)
    QApplication.sendEvent(viewport, event)


def release(window: MainWindow, x: float, y: float, button: Qt.MouseButton = LEFT) -> None:
    QTest.mouseRelease(window.canvas.viewport(), button, pos=window.canvas.mapFromScene(x, y))


def click(window: MainWindow, x: float, y: float) -> None:
    press(window, x, y)
    release(window, x, y)


def shown(window: MainWindow) -> Person:
    """The first person as the canvas shows it."""
    return window.scene.person(people(window)[0].key)


def grab(window: MainWindow, index: int = 8) -> Joint:
    """Presses on a joint of the first person and begins to drag it."""
    joint = people(window)[0].joints[index]
    press(window, joint.x, joint.y)
    move(window, joint.x + 10, joint.y)
    assert shown(window).joints[index].x == pytest.approx(joint.x + 10, abs=1)
    return joint


# Interrupted gestures


def test_a_gesture_ends_with_a_release_that_went_elsewhere(window: MainWindow) -> None:
    before = people(window)[0]
    joint = grab(window)
    move(window, joint.x + 60, joint.y, NONE)
    assert shown(window) == people(window)[0] == before
    grab(window)
    press(window, 300, 200)
    release(window, 300, 200)
    assert shown(window) == people(window)[0] == before


def test_a_dialog_ends_the_gesture(window: MainWindow, qtbot: QtBot) -> None:
    handle, before = window.windowHandle(), people(window)[0]
    assert handle is not None
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    joint = before.joints[8]
    place = window.canvas.viewport().mapTo(window, window.canvas.mapFromScene(joint.x, joint.y))
    QTest.mousePress(handle, LEFT, pos=place)
    QTest.mouseMove(handle, place + QPoint(40, 0), 10)
    qtbot.waitUntil(lambda: shown(window) != before)
    window.actions_by_id["export_coco"].trigger()
    qtbot.waitUntil(lambda: window.findChild(ExportDialog) is not None)
    assert shown(window) == before
    dialog = window.findChild(ExportDialog)
    assert dialog is not None
    QTest.mouseRelease(handle, LEFT, pos=place)
    dialog.reject()
    assert people(window)[0] == before


def test_panning_in_the_middle_of_a_drag(window: MainWindow) -> None:
    joint = grab(window)
    window.canvas.zoom_to(window.canvas.screen_scale * 2, window.canvas.mapFromScene(joint.x, joint.y))
    press(window, joint.x + 10, joint.y, MIDDLE)
    release(window, joint.x + 10, joint.y)
    moved = people(window)[0].joints[8]
    assert moved.x == pytest.approx(joint.x + 10, abs=1)
    at, photo = window.canvas.mapFromScene(joint.x + 10, joint.y), window.canvas.mapFromScene(0, 0)
    QTest.mouseMove(window.canvas.viewport(), at + QPoint(30, 0))
    assert window.canvas.mapFromScene(0, 0) == photo + QPoint(30, 0), "the middle button still pans"
    QTest.mouseRelease(window.canvas.viewport(), MIDDLE, pos=at + QPoint(30, 0))
    QTest.mouseMove(window.canvas.viewport(), at + QPoint(60, 0))
    assert window.canvas.mapFromScene(0, 0) == photo + QPoint(30, 0)
    assert shown(window).joints[8] == people(window)[0].joints[8] == moved


def test_somebody_who_is_deleted_cannot_be_dragged_on(window: MainWindow, qtbot: QtBot) -> None:
    joint = grab(window)
    window.session.selection.joint = None
    trigger(window, qtbot, "delete")
    assert people(window) == ()
    move(window, joint.x + 40, joint.y)
    release(window, joint.x + 40, joint.y)
    assert people(window) == () and window.session.undo_stack.count() == 1


def test_skipping_a_joint_takes_the_press_back(window: MainWindow, qtbot: QtBot) -> None:
    before = people(window)[0]
    trigger(window, qtbot, "place_joints")
    press(window, 100, 100)
    trigger(window, qtbot, "skip_joint")
    release(window, 100, 100)
    assert "(2 of 17)" in window.status.hint.text() and people(window)[0] == before


# Joints without a place


def test_a_deleted_joint_does_not_come_back_with_the_next_click(window: MainWindow, qtbot: QtBot) -> None:
    window.editing.add_person(Box(200, 50, 80, 150))
    first, second = people(window)
    click(window, first.joints[5].x, first.joints[5].y)
    trigger(window, qtbot, "delete")
    click(window, 240, 120)
    assert window.session.selection.person == second.key
    assert people(window)[0].joints[5].v == 0
    click(window, 310, 230)
    assert window.session.selection.person is None and people(window)[0].joints[5].v == 0


def test_after_deleting_a_joint_tab_goes_on_from_there(window: MainWindow, qtbot: QtBot) -> None:
    window.session.selection.select_joint(people(window)[0].key, 5)
    trigger(window, qtbot, "delete")
    trigger(window, qtbot, "next_joint")
    assert window.session.selection.joint == 6


def test_a_joint_picked_in_the_panel_is_placed_by_one_click(window: MainWindow, qtbot: QtBot) -> None:
    key, table = people(window)[0].key, window.joints.table
    window.session.selection.select_joint(key, 5)
    trigger(window, qtbot, "delete")
    row = table.visualRect(window.joints.model.index(5, 0)).center()
    QTest.mouseClick(table.viewport(), LEFT, pos=row)  # it is the current row already
    click(window, 240, 120)
    assert people(window)[0].joints[5].x == pytest.approx(240, abs=1)
    trigger(window, qtbot, "undo")
    assert window.session.selection.joint == 5
    click(window, 310, 230)
    assert people(window)[0].joints[5].v == 0 and window.session.selection.person is None


def test_the_row_that_the_keyboard_comes_to_is_not_picked(window: MainWindow, qtbot: QtBot) -> None:
    window.session.selection.select_joint(people(window)[0].key, 0)
    trigger(window, qtbot, "delete")
    window.session.selection.joint = None
    window.joints.table.setFocus(Qt.FocusReason.ShortcutFocusReason)
    click(window, 310, 230)
    assert people(window)[0].joints[0].v == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda window: window.actions_by_id["brighter"].trigger(),
        lambda window: window.layers.set_threshold(0.9),
        lambda window: window.layers.switch("names", True),
        lambda window: window.session.set_tau("0123456789ab", 0.4),
        lambda window: window.session.document.set_predictions(current(window), [], "0123456789ab"),
    ],
    ids=["brightness", "the threshold", "a layer", "a model", "a pre-fill"],
)
def test_a_picked_joint_waits_for_its_place_whatever_is_shown(
    window: MainWindow, qtbot: QtBot, change: Callable[[MainWindow], None]
) -> None:
    key, table = people(window)[0].key, window.joints.table
    window.session.selection.select_joint(key, 5)
    trigger(window, qtbot, "delete")
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualRect(window.joints.model.index(5, 0)).center())
    change(window)
    QApplication.processEvents()
    assert window.scene.joint_to_place() == (key, 5)
    window.session.selection.clear()
    assert window.scene.joint_to_place() is None


def test_what_a_key_does_it_does_to_all_joints_in_the_box(window: MainWindow, qtbot: QtBot) -> None:
    before = people(window)[0]
    low = max(before.joints[index].y for index in (9, 10, 11, 12)) + 1
    legs = [index for index, joint in enumerate(before.joints) if joint.y > low]
    assert 2 <= len(legs) < 17
    press(window, 2, 238)
    move(window, 300, low)
    release(window, 300, low)
    assert window.session.selection.joints == tuple(legs) and window.session.undo_stack.count() == 0
    marked = {index.row() for index in window.joints.table.selectionModel().selectedRows()}
    assert marked == set(legs)
    trigger(window, qtbot, "cycle_visibility")
    assert [joint.v for joint in people(window)[0].joints] == [1 if index in legs else 2 for index in range(17)]
    trigger(window, qtbot, "nudge_left_far")
    assert {people(window)[0].joints[index].x - before.joints[index].x for index in legs} == {-10}
    trigger(window, qtbot, "delete")
    assert [joint.has_place for joint in people(window)[0].joints] == [index not in legs for index in range(17)]
    for _ in range(3):
        trigger(window, qtbot, "undo")
    assert people(window)[0] == before and window.session.selection.joints == tuple(legs)
    click(window, before.joints[legs[0]].x, before.joints[legs[0]].y)
    assert window.session.selection.joints == (legs[0],)
    assert {index.row() for index in window.joints.table.selectionModel().selectedRows()} == {legs[0]}
    trigger(window, qtbot, "cancel")
    assert window.session.selection.joints == () and window.session.selection.person == before.key
