"""The ways to look at heatmaps, with a pretended engine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent, qGray
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from test_asking_the_model import NEW, OLD, TWO_PLACES, Questions, center, pretend
from test_gestures import LEFT, NONE, move, press
from window_helpers import Opener, WindowMaker, people, trigger

from app.canvas.heatmap_image import (
    COLOR_MAPS,
    HeatmapLook,
    colored_difference,
    colored_heatmap,
)
from app.canvas.items.heatmap_item import HeatmapItem
from app.canvas.map_grid import MapGrid
from app.controllers.maps import crop
from app.document.records import HUMAN, Box
from app.main_window import MainWindow
from app.workers.payloads import EngineInfo
from msarcnn import heatmap_colors
from msarcnn.heatmap_colors import best_cells, strongest


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


@pytest.fixture
def questions(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Questions:
    return pretend(window, monkeypatch)


def models(window: MainWindow, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    """Says which models there are: one that answers and, perhaps, the one before it."""
    infos = [EngineInfo(one, name, 0.5, "cpu") for one, name in ((OLD, "the old one"), (NEW, "the new one"))]
    monkeypatch.setattr(type(window.engine), "before", property(lambda _: infos[0] if before else None))
    monkeypatch.setattr(type(window.engine), "info", property(lambda _: infos[1]))


def overlay(window: MainWindow) -> HeatmapItem:
    (item,) = [one for one in window.scene.items() if isinstance(one, HeatmapItem)]
    return item


def status(window: MainWindow) -> str:
    return window.heatmap_panel.status.text()


# Pictures


def test_the_scale_decides_how_much_of_a_weak_place_is_seen() -> None:
    probabilities = np.full((8, 8), 1e-6)
    probabilities[1, 1], probabilities[6, 6] = 0.9, 0.009
    linear = colored_heatmap(probabilities, HeatmapLook(logarithmic=False, opacity=1.0))
    logarithmic = colored_heatmap(probabilities, HeatmapLook(opacity=1.0))
    assert linear.pixelColor(6, 6).alpha() <= 4 and logarithmic.pixelColor(6, 6).alpha() > 100
    assert linear.pixelColor(1, 1) == logarithmic.pixelColor(1, 1)


@pytest.mark.parametrize("colors", COLOR_MAPS)
def test_colours_become_lighter_towards_the_peak(colors: str) -> None:
    ramp = np.linspace(0.01, 1, 64).reshape(8, 8)
    picture = colored_heatmap(ramp, HeatmapLook(logarithmic=False, colors=colors, opacity=1.0))
    light = [qGray(picture.pixelColor(x, y).rgb()) for y in range(4, 8) for x in range(8)]
    assert light == sorted(light) and light[-1] > 180


def test_the_window_offers_the_librarys_colours() -> None:
    assert COLOR_MAPS == heatmap_colors.COLOR_MAPS


def test_of_all_maps_each_counts_by_its_own_peak() -> None:
    maps = np.zeros((2, 4, 4))
    maps[0, 0, 0], maps[0, 1, 1], maps[1, 3, 3], maps[1, 1, 1] = 0.8, 0.4, 0.02, 0.005
    together = strongest(maps)
    assert together[0, 0] == 1 and together[3, 3] == 1 and together[1, 1] == pytest.approx(0.5)
    assert strongest(np.zeros((2, 4, 4))).max() == 0, "a map of nothing is nothing"


def test_a_difference_is_red_where_the_first_has_more() -> None:
    first, second = np.zeros((2, 4, 4))
    first[0, 0], second[3, 3], first[1, 1], second[1, 1] = 0.5, 0.1, 0.5, 0.1
    picture = colored_difference(first, second, 1.0)
    red, blue = picture.pixelColor(0, 0), picture.pixelColor(3, 3)
    assert red.red() > red.blue() + 50 and blue.blue() > blue.red() + 50
    assert picture.pixelColor(1, 1).alpha() == 0, "both have their peak there"


def test_the_best_cells_come_in_order() -> None:
    assert best_cells(np.array([[0.1, 0.4], [0.3, 0.2]]), 2) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("box", "red", "size"),
    [(Box(10, 5, 20, 10), 255, (20, 10)), (Box(-10, 0, 20, 10), 0, (20, 10)), (Box(5, 5, 0.2, 0.2), 255, (1, 1))],
)
def test_what_a_box_has_beside_the_photo_is_black(box: Box, red: int, size: tuple[int, int]) -> None:
    photo = QImage(100, 50, QImage.Format.Format_RGB32)
    photo.fill(Qt.GlobalColor.red)
    part = crop(photo, box, (100, 50))
    assert part.pixelColor(0, 0).red() == red and (part.width(), part.height()) == size
    assert crop(photo, box, (200, 100)).width() == max(size[0] // 2, 1), "the photo is shown in half its size"
    assert crop(QImage(), box, (100, 50)).isNull()


# The overlay


def test_all_joints_of_somebody_are_shown_without_one_selected(window: MainWindow, questions: Questions) -> None:
    window.layers.set_heatmap(replace(window.layers.heatmap, everything=True))
    window.layers.switch("heatmap", True)
    assert questions == [] and not overlay(window).shown
    window.session.selection.person = people(window)[0].key
    questions[0].answer(OLD, 0.5, TWO_PLACES)
    assert overlay(window).shown and status(window) == "All joints, each by its own peak"
    window.session.selection.joint = 9
    assert len(questions) == 1, "it is the same box"


def test_the_panel_sets_how_maps_are_drawn(window: MainWindow, questions: Questions) -> None:
    panel = window.heatmap_panel
    panel.what.setCurrentIndex(1)
    panel.what.activated.emit(1)
    panel.colors.setCurrentIndex(2)
    panel.colors.activated.emit(2)
    panel.scale.setCurrentIndex(1)
    panel.scale.activated.emit(1)
    panel.slider.setValue(40)
    assert window.layers.heatmap == HeatmapLook(True, False, COLOR_MAPS[2], 0.4)


def test_the_look_is_remembered(make_window: WindowMaker) -> None:
    look = HeatmapLook(True, False, "viridis", 0.3)
    make_window().layers.set_heatmap(look)
    assert make_window().layers.heatmap == look


def test_colours_that_are_not_known_any_more_are_the_usual_ones(make_window: WindowMaker) -> None:
    window = make_window()
    window.settings.set_value("heatmap/colors", "jet")
    again = make_window()
    assert again.layers.heatmap.colors == COLOR_MAPS[0] == again.heatmap_panel.colors.currentText().lower()


def test_where_the_model_puts_the_joint_and_its_best_cells_are_marked(window: MainWindow, questions: Questions) -> None:
    window.layers.switch("heatmap", True)
    person = people(window)[0]
    window.session.selection.select_joint(person.key, 9)
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    marks = overlay(window).marks
    assert marks.answer is not None
    assert (marks.answer.x(), marks.answer.y()) == (person.box.x + person.box.w / 2, person.box.y + person.box.h / 2)
    first, second = marks.cells
    assert (first.center().x(), first.center().y()) == pytest.approx(center(person.box, 1, 1))
    assert (second.center().x(), second.center().y()) == pytest.approx(center(person.box, 6, 5))


def test_the_value_under_the_pointer_is_said(window: MainWindow, questions: Questions) -> None:
    window.layers.switch("heatmap", True)
    person = people(window)[0]
    window.session.selection.select_joint(person.key, 9)
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    window.heatmaps.point(*center(person.box, 6, 5))
    assert status(window) == "left wrist: confidence 0.75\nhere 25.0% of it"
    window.heatmaps.point(*center(person.box, 0, 0))
    assert status(window).endswith("here less than 0.1% of it")
    window.heatmaps.point(person.box.x - 5, person.box.y)
    assert status(window) == "left wrist: confidence 0.75"


def hover(window: MainWindow, joint: int) -> None:
    place = people(window)[0].joints[joint]
    move(window, place.x, place.y, NONE)


def test_a_joint_that_the_pointer_rests_on_shows_its_map(
    window: MainWindow, questions: Questions, qtbot: QtBot
) -> None:
    person = people(window)[0]
    window.layers.switch("heatmap", True)
    hover(window, 5)
    assert questions == [], "it only passes"
    qtbot.waitUntil(lambda: len(questions) == 1)
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    assert status(window).startswith("left shoulder") and window.session.selection.person is None
    move(window, person.box.x - 40, person.box.y, NONE)
    assert not overlay(window).shown and "Select a joint" in status(window)
    hover(window, 6)
    qtbot.waitUntil(lambda: overlay(window).shown)
    assert status(window).startswith("right shoulder") and len(questions) == 1, "the box's maps are kept"


def test_the_pointer_rests_on_nothing_once_another_image_is_shown(
    window: MainWindow, questions: Questions, qtbot: QtBot
) -> None:
    window.layers.switch("heatmap", True)
    hover(window, 5)
    qtbot.waitUntil(lambda: len(questions) == 1)
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    assert overlay(window).shown
    trigger(window, qtbot, "next_image")
    window.layers.set_heatmap(HeatmapLook(opacity=0.3))
    assert not overlay(window).shown and "Select a joint" in status(window)


def test_the_map_of_somebody_who_is_deleted_goes(window: MainWindow, questions: Questions, qtbot: QtBot) -> None:
    window.layers.switch("heatmap", True)
    hover(window, 5)
    qtbot.waitUntil(lambda: len(questions) == 1)
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    window.session.selection.person = people(window)[0].key
    window.editing.delete()
    assert not overlay(window).shown


def test_a_status_does_not_stay_at_computing(window: MainWindow, questions: Questions) -> None:
    person = people(window)[0]
    window.layers.switch("heatmap", True)
    window.session.selection.select_joint(person.key, 9)
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    window.editing.set_box(person.key, Box(60, 40, 95, 120))
    assert status(window) == "computing…"
    window.session.undo_stack.undo()
    assert status(window) == "left wrist: confidence 0.75" and questions[1].cancelled


def test_the_pointer_asks_nothing_while_heatmaps_are_off(
    window: MainWindow, questions: Questions, qtbot: QtBot
) -> None:
    hover(window, 5)
    qtbot.wait(400)
    assert questions == []


def test_of_many_boxes_the_last_ones_maps_are_kept(window: MainWindow, questions: Questions) -> None:
    person = people(window)[0]
    window.layers.switch("heatmap", True)
    window.session.selection.select_joint(person.key, 9)
    for step in range(12):
        questions[-1].answer(OLD, 0.75, TWO_PLACES)
        window.editing.set_box(person.key, Box(60, 40, 90 + step, 120))
    assert len(questions) == 13
    window.session.undo_stack.undo()
    window.session.undo_stack.undo()
    assert len(questions) == 13, "the box of before is known"
    for _ in range(9):
        window.session.undo_stack.undo()
    assert len(questions) > 13


def drag(window: MainWindow, joint: int, to: tuple[float, float], shift: bool) -> None:
    """Drags a joint of the first person, and lets it go."""
    place, viewport = people(window)[0].joints[joint], window.canvas.viewport()
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    press(window, place.x, place.y)
    for x, y in ((place.x + 9, place.y + 9), to):
        at = QPointF(window.canvas.mapFromScene(x, y))
        event = QMouseEvent(QEvent.Type.MouseMove, at, viewport.mapToGlobal(at), NONE, LEFT, modifier)
        QApplication.sendEvent(viewport, event)
    QTest.mouseRelease(viewport, LEFT, modifier, window.canvas.mapFromScene(*to))


def test_a_joint_dragged_with_shift_snaps_to_a_place_nearby(window: MainWindow, questions: Questions) -> None:
    person = people(window)[0]
    x, y = center(person.box, 6, 5)
    drag(window, 9, (x + 6, y + 4), shift=True)
    moved = people(window)[0].joints[9]
    assert (moved.x, moved.y) == pytest.approx((x + 6, y + 4), abs=1.5), "nothing is known yet: it goes where it is put"
    assert len(questions) == 1 and questions[0].heatmaps
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    drag(window, 9, (x + 8, y - 5), shift=True)
    snapped = people(window)[0].joints[9]
    assert (snapped.x, snapped.y) == pytest.approx((x, y)) and snapped.origin == HUMAN
    drag(window, 9, (x + 8, y - 5), shift=False)
    assert people(window)[0].joints[9].x == pytest.approx(x + 8, abs=1.5), "only with Shift"
    drag(window, 9, (x - 60, y - 50), shift=True)
    assert people(window)[0].joints[9].x == pytest.approx(x - 60, abs=1.5), "nothing stands out near there"
    assert len(questions) == 1


# The window with all maps


@pytest.fixture
def grid(window: MainWindow, questions: Questions, qtbot: QtBot) -> MapGrid:
    """The window is open, nobody is selected."""
    trigger(window, qtbot, "show_maps")
    assert window.maps_window is not None
    (grid,) = window.maps_window.findChildren(MapGrid)
    return grid


def test_all_maps_of_a_person_are_shown_and_choose_the_joint(
    window: MainWindow, questions: Questions, grid: MapGrid, qtbot: QtBot
) -> None:
    person = people(window)[0]
    assert window.maps_window is not None and not window.maps_window.save.isEnabled()
    assert questions == [] and grid.tiles == ()
    window.session.selection.person = person.key
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    assert len(grid.tiles) == 17 and grid.tiles[9].caption == "left wrist 0.75"
    assert grid.tiles[9].answer == pytest.approx((0.5, 0.5))
    places = grid.places()
    assert len({place.top() for place in places}) > 1 and all(place.width() > 40 for place in places)
    ratio = places[0].width() / places[0].height()
    assert ratio == pytest.approx(person.box.w / person.box.h, rel=0.05)
    grid.grab()
    QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=places[9].center().toPoint())
    assert (window.session.selection.person, window.session.selection.joint) == (person.key, 9)
    QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert window.session.selection.joint == 9 and len(questions) == 1
    window.session.selection.clear()
    assert grid.tiles == () and not window.maps_window.save.isEnabled()


def test_a_window_that_is_closed_asks_nothing(window: MainWindow, questions: Questions, grid: MapGrid) -> None:
    assert window.maps_window is not None
    window.maps_window.close()
    window.session.selection.person = people(window)[0].key
    assert questions == []


def test_two_models_stand_beside_each_other_with_their_difference(
    window: MainWindow, questions: Questions, grid: MapGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(window, monkeypatch, before=True)
    assert window.maps_window is not None
    window.session.selection.select_joint(people(window)[0].key, 9)
    questions[0].answer(NEW, 0.75, TWO_PLACES)
    window.maps_window.view.setCurrentIndex(1)
    assert questions[1].model == OLD and questions[1].heatmaps
    questions[1].answer(OLD, 0.5, [(6, 5, 1.0)])
    assert [tile.caption for tile in grid.tiles] == ["the new one 0.75", "the old one 0.50", "difference"]
    assert grid.tiles[2].map.pixelColor(1, 1).red() > grid.tiles[2].map.pixelColor(1, 1).blue(), "the new one's peak"
    window.session.selection.joint = 10
    assert len(questions) == 2 and len(grid.tiles) == 3
    window.session.selection.joint = None
    assert grid.tiles[0].caption == "the new one", "all joints' together"


def test_without_another_model_it_says_how_to_get_one(
    window: MainWindow, questions: Questions, grid: MapGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(window, monkeypatch, before=False)
    assert window.maps_window is not None
    notes: list[str] = []
    window.maps.noted.connect(notes.append)
    window.maps_window.view.setCurrentIndex(1)
    window.session.selection.person = people(window)[0].key
    assert "Train, Models" in notes[-1] and questions == []


def test_what_the_model_cannot_do_is_said_in_the_window(
    window: MainWindow, questions: Questions, grid: MapGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(window, monkeypatch, before=True)
    assert window.maps_window is not None
    notes: list[str] = []
    window.maps.noted.connect(notes.append)
    window.session.selection.person = people(window)[0].key
    questions[0].failed("no memory")
    assert notes[-1] == "no memory"
    window.session.selection.joint = 9
    questions[1].answer(NEW, 0.75, TWO_PLACES)
    window.maps_window.view.setCurrentIndex(1)
    questions[2].failed("not loaded any more")
    assert notes[-1] == "the old one: not loaded any more"
    grid.grab()


def test_the_levels_of_the_pyramid_are_told_apart(window: MainWindow, questions: Questions, grid: MapGrid) -> None:
    assert window.maps_window is not None
    notes: list[str] = []
    window.maps.noted.connect(notes.append)
    window.maps_window.view.setCurrentIndex(2)
    window.session.selection.person = people(window)[0].key
    assert "Select a joint" in notes[-1] and questions == []
    window.session.selection.joint = 9
    assert questions[0].levels_of == 9
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    assert [tile.caption for tile in grid.tiles] == ["left wrist 0.75", "P2 10%", "P3 60%", "P4 0%", "P5 30%"]
    covers = [tile.map.pixelColor(1, 1).alpha() for tile in grid.tiles[1:]]
    assert covers[1] == max(covers) and covers[2] == 0, "the strongest level is the brightest"
    window.session.selection.joint = 10
    assert questions[1].levels_of == 10


def test_while_somebody_elses_maps_are_computed_nobodys_are_shown(
    window: MainWindow, questions: Questions, grid: MapGrid
) -> None:
    window.editing.add_person(Box(200, 40, 60, 120))
    first, second = people(window)
    (joints,) = [asked for asked in questions if not asked.heatmaps]
    joints.answer(OLD, 0.9)
    window.session.selection.person = first.key
    questions[-1].answer(OLD, 0.75, TWO_PLACES)
    assert len(grid.tiles) == 17
    count = len(questions)
    window.session.selection.person = second.key
    assert grid.tiles == () and window.maps_window is not None and not window.maps_window.save.isEnabled()
    for opacity in (0.5, 0.4, 0.3):
        window.layers.set_heatmap(HeatmapLook(opacity=opacity))
    assert len(questions) <= count + 1, "asked once, however often it is drawn anew"
    window.session.selection.person = first.key
    assert len(grid.tiles) == 17 and questions[-1].cancelled, "nobody waits for the other one's any more"


def test_late_answers_of_a_former_model_are_not_shown_as_the_new_ones(
    window: MainWindow, questions: Questions, grid: MapGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(window, monkeypatch, before=True)
    window.session.selection.select_joint(people(window)[0].key, 9)
    questions[0].answer(NEW, 0.75, TWO_PLACES)
    assert window.maps_window is not None
    window.maps_window.view.setCurrentIndex(1)
    window.engine.ready.emit(EngineInfo("cccccccccccc", "a third one", 0.5, "cpu"))
    assert questions[1].cancelled, "what the model before was asked"
    assert grid.tiles == () and not questions[2].cancelled


def test_the_window_and_the_overlay_ask_once_together(window: MainWindow, questions: Questions, grid: MapGrid) -> None:
    window.layers.switch("heatmap", True)
    window.session.selection.select_joint(people(window)[0].key, 9)
    assert len(questions) == 1
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    assert overlay(window).shown and len(grid.tiles) == 17


def test_models_with_maps_of_different_sizes_are_compared() -> None:
    first, second = np.zeros((8, 8)), np.zeros((4, 4))
    first[6, 6], second[1, 1] = 1, 1
    picture = colored_difference(first, second, 1.0)
    red, blue = picture.pixelColor(6, 6), picture.pixelColor(2, 2)
    assert picture.width() == 8 and red.red() > red.blue() and blue.blue() > blue.red()
    assert picture.pixelColor(3, 3) == blue, "a cell of the smaller one is four of the larger"


@pytest.mark.parametrize("there", [True, False])
def test_the_maps_are_saved_as_a_picture(
    window: MainWindow,
    questions: Questions,
    grid: MapGrid,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
) -> None:
    window.session.selection.person = people(window)[0].key
    questions[0].answer(OLD, 0.75, TWO_PLACES)
    place = (tmp_path if there else tmp_path / "nowhere") / "maps.png"
    monkeypatch.setattr(window.maps._asker, "save", lambda *_: place)
    assert window.maps_window is not None and window.maps_window.save.isEnabled()
    window.maps_window.save.click()
    if there:
        assert QImage(str(place)).size() == grid.size() * 2
        assert window.message_bar.text == f"Saved: {place}"
    else:
        assert "could not be written: choose another folder" in window.message_bar.text
