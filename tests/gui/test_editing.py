"""What must not become a label: gestures of an image that is gone, unsavable edits, joints without a place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current

from app.document.records import Box, Joint, PredictedJoint, Prediction, PredictionStatus
from app.main_window import MainWindow


def labelled(window: MainWindow, key: int) -> bool:
    """Whether an image's labels are in memory."""
    return window.session.document.is_open(key)


def press(window: MainWindow, place: QPoint) -> None:
    QTest.mousePress(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseMove(window.canvas.viewport(), place + QPoint(15, 10))


def release(window: MainWindow, place: QPoint) -> None:
    QTest.mouseMove(window.canvas.viewport(), place + QPoint(45, 45))
    QTest.mouseRelease(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=place + QPoint(45, 45))


def go_on(window: MainWindow, qtbot: QtBot) -> int:
    """Goes to the next image while a button is down."""
    window.navigation.next()
    key = current(window)
    qtbot.waitUntil(lambda: labelled(window, key))
    return key


def test_a_box_begun_on_one_image_is_not_drawn_on_the_next(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    first = current(window)
    window.canvas.draw_new_person()
    place = window.canvas.mapFromScene(40, 40)
    press(window, place)
    second = go_on(window, qtbot)
    release(window, place)
    document = window.session.document
    assert document.people(first) == () and document.people(second) == ()
    assert window.session.undo_stack.count() == 0


def test_a_joint_grabbed_on_one_image_lets_go_with_it(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    first = current(window)
    before = window.session.document.people(first)
    place = window.canvas.mapFromScene(before[0].joints[5].x, before[0].joints[5].y)
    window.session.selection.person = before[0].key
    press(window, place)
    second = go_on(window, qtbot)
    release(window, place)
    assert window.session.document.people(first) == before
    assert window.session.undo_stack.count() == 0
    assert window.session.selection.person in (None, *(p.key for p in window.session.document.people(second)))


def test_a_click_that_lost_its_image_selects_nobody(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    person = window.session.document.people(current(window))[0]
    window.session.selection.person = person.key
    place = window.canvas.mapFromScene(person.box.right - 8, person.box.y + 8)
    QTest.mousePress(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=place)
    go_on(window, qtbot)
    QTest.mouseRelease(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert window.session.selection.person is None


def test_a_read_only_window_refuses_every_edit_in_one_sentence(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    path = window.session.path
    assert path is not None
    window.closing.finish()
    reader = make_window()
    with qtbot.waitSignal(reader.session.opened):
        reader.opening.open_project(path, read_only=True)
    qtbot.waitUntil(lambda: labelled(reader, current(reader)))
    image = current(reader)
    before = reader.session.document.people(image)
    reader.joints.model.visibility_set.emit(before[0].key, 5, 1)
    assert "read-only" in reader.message_bar.text
    reader.editing.add_person(Box(10, 10, 50, 50))
    reader.editing.move_joint(before[0].key, 0, 5, 5)
    assert reader.session.document.people(image) == before
    assert reader.session.undo_stack.count() == 0
    qtbot.waitUntil(lambda: reader.actions_by_id["next_image"].isEnabled())
    for name in ("prefill_all", "prefill_image", "new_person"):
        assert not reader.actions_by_id[name].isEnabled(), name
    reader.message_bar.dismiss()
    reader.predictions.prefill_wanted.emit()
    assert reader.message_bar.text == ""


def test_a_read_only_project_can_be_looked_at_by_keys(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    path = window.session.path
    assert path is not None
    window.opening.open_project(path, read_only=True)
    qtbot.waitUntil(lambda: window.session.read_only and window.session.current_record() is not None)
    actions = window.actions_by_id
    for name in ("fit", "one_to_one", "brighter", "lighten_shadows", "cancel", "next_person", "select_person_1"):
        qtbot.waitUntil(actions[name].isEnabled)
    actions["select_person_1"].trigger()
    qtbot.waitUntil(lambda: actions["next_joint"].isEnabled() and actions["copy_person"].isEnabled())
    actions["next_joint"].trigger()
    assert window.session.selection.joint == 0
    actions["brighter"].trigger()
    qtbot.waitUntil(actions["reset_photo"].isEnabled)
    assert window.header.note.isReadOnly()
    for name in ("note", "delete", "nudge_left", "mark_done", "place_joints", "cycle_visibility", "paste_person"):
        assert not actions[name].isEnabled(), name


@pytest.mark.parametrize("how", ["threshold", "switch", "done"])
def test_a_prediction_that_is_not_shown_any_more_is_not_decided_by_keys(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot, how: str
) -> None:
    window = make_window()
    open_in(window, coco_file)
    image, document = current(window), window.session.document
    joints = tuple(PredictedJoint(200.0 + index, 50.0 + 5 * index, 0.9) for index in range(17))
    document.set_predictions(image, [Prediction(9, "m" * 8, Box(190, 40, 60, 120), 0.6, joints)], "m" * 8)
    window.session.selection.prediction = 9
    qtbot.waitUntil(window.actions_by_id["accept"].isEnabled)
    people = document.people(image)
    if how == "threshold":
        window.layers.set_threshold(0.7)
    elif how == "switch":
        window.layers.toggle("predictions")
    else:
        window.editing.mark_done()
    window.editing.accept()
    window.editing.delete()
    assert document.people(image) == people
    assert document.prediction(image, 9).status is PredictionStatus.OPEN
    qtbot.waitUntil(lambda: not window.actions_by_id["accept"].isEnabled())


def without_places(path: Path, *kept: int) -> None:
    """Leaves only some of the joints of a COCO file's first person with a place."""
    content = json.loads(path.read_text())
    values = content["annotations"][0]["keypoints"]
    for index in range(17):
        if index not in kept:
            values[3 * index : 3 * index + 3] = [0, 0, 0]
    path.write_text(json.dumps(content))


def test_joints_without_a_place_are_passed_over_and_not_nudged(
    make_window: WindowMaker, open_in: Opener, coco_file: Path
) -> None:
    without_places(coco_file, 3, 9)
    window = make_window()
    open_in(window, coco_file)
    selection, document, image = window.session.selection, window.session.document, current(window)
    before = document.people(image)[0]
    selection.person = before.key
    stepped: list[int | None] = []
    for step in (1, 1, 1, -1):
        window.editing.step_joint(step)
        stepped.append(selection.joint)
    assert stepped == [3, 9, 3, 9]
    selection.joint = 0
    window.editing.nudge((1.0, 0.0))
    assert document.people(image)[0] == before
    window.editing.step_joint(-1)
    assert selection.joint == 9


def test_nobody_has_a_place_to_step_to(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> None:
    without_places(coco_file)
    window = make_window()
    open_in(window, coco_file)
    window.session.selection.person = window.session.document.people(current(window))[0].key
    window.editing.step_joint(1)
    assert window.session.selection.joint is None


def test_nudging_stays_on_the_image(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> None:
    window = make_window()
    open_in(window, coco_file)
    selection, document, image = window.session.selection, window.session.document, current(window)
    person = document.people(image)[0]
    selection.select_joint(person.key, 0)
    for _ in range(9):
        window.editing.nudge((-10.0, -10.0))
    moved = document.people(image)[0].joints[0]
    assert (moved.x, moved.y) == (0.0, 0.0)
    window.session.undo_stack.undo()
    selection.joint = None
    for _ in range(20):
        window.editing.nudge((0.0, 10.0))
    shifted = document.people(image)[0]
    assert shifted.box == replace(person.box, y=60.0)
    assert shifted.joints[1] == Joint(83.0, person.joints[1].y + 20, 2, shifted.joints[1].origin)
