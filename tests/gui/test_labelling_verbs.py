"""Verbs of the Person and Edit menus in a real window: triggered as a user would, checked in the document, undone."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people, trigger

from app.document.records import HUMAN, Box, ImageState
from app.main_window import MainWindow


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    """The first image's person is selected."""
    window = make_window()
    open_in(window, coco_file)
    window.session.selection.person = people(window)[0].key
    return window


def go(window: MainWindow, qtbot: QtBot, name: str) -> None:
    trigger(window, qtbot, name)
    qtbot.waitUntil(lambda: window.session.current_record() is not None)


def click(window: MainWindow, x: float, y: float, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
    QTest.mouseClick(window.canvas.viewport(), button, pos=window.canvas.mapFromScene(x, y))


def test_mirror_and_tighten(window: MainWindow, qtbot: QtBot) -> None:
    before = people(window)[0]
    trigger(window, qtbot, "mirror")
    assert people(window)[0].joints[0].x == 2 * before.box.x + before.box.w - before.joints[0].x
    trigger(window, qtbot, "undo")
    assert people(window)[0] == before
    trigger(window, qtbot, "tighten_box")
    # Joints from (80, 60) to (128, 188), a room of a tenth of 128.
    assert people(window)[0].box == Box(67.2, 47.2, pytest.approx(73.6), pytest.approx(153.6))
    trigger(window, qtbot, "undo")
    assert people(window)[0] == before


def test_copy_and_paste_on_another_image(window: MainWindow, qtbot: QtBot) -> None:
    copied = people(window)[0]
    assert not window.actions_by_id["paste_person"].isEnabled()
    trigger(window, qtbot, "copy_person")
    go(window, qtbot, "next_image")
    trigger(window, qtbot, "paste_person")
    pasted = people(window)[-1]
    assert (pasted.box, pasted.joints, pasted.raw) == (copied.box, copied.joints, "")
    assert window.session.selection.person == pasted.key
    trigger(window, qtbot, "paste_person")
    assert people(window)[-1].box == Box(copied.box.x + 10, copied.box.y + 10, copied.box.w, copied.box.h)
    trigger(window, qtbot, "undo")
    trigger(window, qtbot, "undo")
    assert len(people(window)) == 1, "the crowd that was there"


def test_people_from_the_previous_image_come_once(window: MainWindow, qtbot: QtBot) -> None:
    trigger(window, qtbot, "paste_previous")
    assert "first image" in window.message_bar.text
    copied = people(window)[0]
    go(window, qtbot, "next_image")
    trigger(window, qtbot, "paste_previous")
    assert [person.box for person in people(window)[1:]] == [copied.box]
    trigger(window, qtbot, "paste_previous")
    assert len(people(window)) == 2 and "labelled here already" in window.message_bar.text
    go(window, qtbot, "next_image")
    go(window, qtbot, "next_image")
    trigger(window, qtbot, "paste_previous")
    assert people(window) == () and "Nobody is labelled" in window.message_bar.text


def test_joints_are_placed_by_clicks_in_order(window: MainWindow, qtbot: QtBot) -> None:
    go(window, qtbot, "next_image")
    window.editing.add_person(Box(100, 40, 100, 180))
    trigger(window, qtbot, "place_joints")
    assert "nose (1 of 17)" in window.status.hint.text()
    click(window, 150, 60)
    qtbot.waitUntil(window.actions_by_id["skip_joint"].isEnabled)
    QTest.keyClick(window.canvas, Qt.Key.Key_S)
    assert "right eye (3 of 17)" in window.status.hint.text()
    click(window, 145, 55, Qt.MouseButton.RightButton)
    nose, left_eye, right_eye = people(window)[-1].joints[:3]
    assert (round(nose.x), round(nose.y), nose.v, nose.origin) == (150, 60, 2, HUMAN)
    assert left_eye.v == 0 and (round(right_eye.x), right_eye.v) == (145, 1)
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert not window.canvas.placing
    click(window, 10, 230)
    assert people(window)[-1].joints[3].v == 0
    window.session.selection.person = people(window)[-1].key
    trigger(window, qtbot, "place_joints")
    assert "left eye (1 of 15)" in window.status.hint.text(), "those that are missing"
    trigger(window, qtbot, "undo")
    assert people(window)[-1].joints[2].v == 0


def test_clicks_beside_the_photo_place_no_joint(window: MainWindow, qtbot: QtBot) -> None:
    window.editing.delete()
    window.editing.add_person(Box(100, 40, 100, 180))
    trigger(window, qtbot, "place_joints")
    window.canvas.zoom_to(window.canvas.screen_scale / 2, window.canvas.viewport().rect().center())
    steps = window.session.undo_stack.count()
    for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
        click(window, -60, 100, button)
        click(window, 200, 290, button)
    assert not any(joint.v for joint in people(window)[0].joints)
    assert window.session.undo_stack.count() == steps and "nose (1 of 17)" in window.status.hint.text()
    click(window, 150, 60)
    assert people(window)[0].joints[0].v == 2


def test_selecting_somebody_else_ends_placing(window: MainWindow, qtbot: QtBot) -> None:
    trigger(window, qtbot, "place_joints")
    assert window.canvas.placing
    window.session.selection.clear()
    assert not window.canvas.placing
    window.session.selection.person = people(window)[0].key
    trigger(window, qtbot, "place_joints")
    trigger(window, qtbot, "delete")  # a joint is selected: it goes, its person stays
    assert window.canvas.placing
    window.session.selection.clear()
    assert not window.canvas.placing


def test_undo_while_placing_asks_for_the_joint_again(window: MainWindow, qtbot: QtBot) -> None:
    before = people(window)[0]
    trigger(window, qtbot, "place_joints")
    click(window, 100, 100)
    click(window, 110, 100)
    assert "right eye (3 of 17)" in window.status.hint.text()
    for hint in ("left eye (2 of 17)", "nose (1 of 17)"):
        trigger(window, qtbot, "undo")
        assert window.canvas.placing and hint in window.status.hint.text()
    assert people(window)[0] == before and window.session.selection.joint == 0


def test_tab_while_placing_aims_at_the_selected_joint(window: MainWindow, qtbot: QtBot) -> None:
    before = people(window)[0].joints
    trigger(window, qtbot, "place_joints")
    for _ in range(2):
        trigger(window, qtbot, "next_joint")
    click(window, 200, 200)
    after = people(window)[0].joints
    assert [index for index in range(17) if before[index] != after[index]] == [2]
    assert window.session.selection.joint == 0, "nothing is left out"


def test_flag_and_note(window: MainWindow, qtbot: QtBot) -> None:
    first = window.session.selection.current_image
    trigger(window, qtbot, "flag_image")
    qtbot.waitUntil(window.actions_by_id["flag_image"].isChecked)
    trigger(window, qtbot, "note")
    QTest.keyClicks(window.header.note, "who is D?")
    trigger(window, qtbot, "next_image")  # as with the mouse: Return was never pressed
    qtbot.waitUntil(lambda: window.header.note.text() == "")
    assert not window.actions_by_id["flag_image"].isChecked()
    assert first is not None
    record = window.session.document.image(first)
    assert record.flagged and record.note == "who is D?"
    trigger(window, qtbot, "undo")
    assert window.session.document.image(first).note == "" and window.session.selection.current_image == first
    trigger(window, qtbot, "undo")
    assert not window.session.document.image(first).flagged


def test_escape_takes_back_what_was_typed(window: MainWindow, qtbot: QtBot) -> None:
    trigger(window, qtbot, "note")
    QTest.keyClicks(window.header.note, "nonsense")
    QTest.keyClick(window.header.note, Qt.Key.Key_Escape)
    assert window.header.note.text() == "" and window.session.undo_stack.count() == 0
    assert window.canvas.hasFocus()


def test_reviewed_follows_done(window: MainWindow, qtbot: QtBot) -> None:
    trigger(window, qtbot, "mark_done")
    trigger(window, qtbot, "mark_reviewed")
    record = window.session.current_record()
    assert record is not None and record.state is ImageState.REVIEWED
    trigger(window, qtbot, "undo")
    trigger(window, qtbot, "undo")
    record = window.session.current_record()
    assert record is not None and record.state is ImageState.IN_PROGRESS


def test_drag_during_placing_keeps_the_photo_in_place(window: MainWindow, qtbot: QtBot) -> None:
    trigger(window, qtbot, "place_joints")
    start = window.canvas.mapFromScene(100, 100)
    QTest.mousePress(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(window.canvas.viewport(), start + QPoint(20, 0))
    QTest.mouseRelease(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=start + QPoint(20, 0))
    placed = people(window)[0].joints[0]
    assert placed.x == pytest.approx(100 + 20 / window.canvas.screen_scale, abs=1.0)


def test_reestimating_keeps_what_a_person_has_placed(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.editing.add_person(Box(60, 40, 80, 180))
    trigger(window, qtbot, "place_joints")
    click(window, 90, 60)
    window.canvas.cancel()
    before = people(window)[0]
    (by_hand,) = [index for index, joint in enumerate(before.joints) if joint.v]
    with qtbot.waitSignal(window.engine.ready):
        window.engine.start(str(small_model))
    assert window.session.selection.person == before.key
    trigger(window, qtbot, "reestimate")
    qtbot.waitUntil(lambda: people(window)[0] != before)
    after = people(window)[0]
    assert after.joints[by_hand] == before.joints[by_hand] and after.joints[by_hand].origin == HUMAN
    assert after.box == before.box and all(joint.origin for joint in after.joints)
    trigger(window, qtbot, "undo")
    assert people(window)[0] == before
