"""View adjustments, fading, filters, the joints table: what is shown follows, labels and files do not change."""

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, trigger

from app.canvas.adjustments import AdjustedPhoto, Adjustments, recoloured
from app.controllers import photos as photos_module
from app.document.records import HUMAN, Box, ImageState, Joint
from app.main_window import MainWindow
from app.panels.image_filter import STATE_FILTERS, ImageFilter
from app.storage.rows import ImageRow
from app.workers.payloads import DecodedImage


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


# Brightness, contrast, gamma


@pytest.mark.parametrize(
    ("adjustments", "values"),
    [
        (Adjustments(), {0: 0, 100: 100, 255: 255}),
        (Adjustments(brightness=0.2), {0: 51, 100: 151, 250: 255}),
        (Adjustments(contrast=0.5), {0: 0, 63: 0, 192: 255, 255: 255}),  # slope 2 around 127.5
        (Adjustments(contrast=-0.5), {0: 64, 100: 114, 255: 191}),  # slope 1/2
        (Adjustments(gamma=2.0), {0: 0, 64: 128, 255: 255}),  # 255 * sqrt(64 / 255)
    ],
)
def test_the_table_of_values(adjustments: Adjustments, values: dict[int, int]) -> None:
    table = adjustments.table()
    assert len(table) == 256
    assert {value: table[value] for value in values} == values


def test_every_pixel_goes_through_the_table() -> None:
    image = QImage(5, 3, QImage.Format.Format_RGB32)  # rows of 15 bytes in RGB888, padded to 16
    image.fill(QColor(10, 20, 30))
    image.setPixelColor(4, 2, QColor(0, 100, 255))
    table = bytes(255 - value for value in range(256))
    changed = recoloured(image, table)
    assert changed.pixelColor(0, 0) == QColor(245, 235, 225) and changed.pixelColor(4, 2) == QColor(255, 155, 0)
    assert image.pixelColor(0, 0) == QColor(10, 20, 30)


def test_a_large_photo_is_first_shown_small_then_in_full(qtbot: QtBot) -> None:
    photo = QImage(2000, 1500, QImage.Format.Format_RGB888)
    photo.fill(QColor(100, 100, 100))
    adjusted = AdjustedPhoto()
    shown: list[QImage] = []
    adjusted.changed.connect(shown.append)
    adjusted.set_photo(photo)
    assert [picture.width() for picture in shown] == [2000]
    adjusted.set_adjustments(Adjustments(brightness=0.1))
    adjusted.set_adjustments(Adjustments(brightness=0.2))
    assert [picture.width() < 1300 for picture in shown[1:]] == [True, True]
    qtbot.waitUntil(lambda: shown[-1].width() == 2000)
    assert shown[-1].pixelColor(7, 7) == QColor(151, 151, 151) and len(shown) == 4
    adjusted.set_adjustments(Adjustments())
    assert shown[-1].pixelColor(7, 7) == QColor(100, 100, 100)


def test_a_result_that_comes_too_late_is_not_shown(qtbot: QtBot) -> None:
    photo = QImage(2000, 1500, QImage.Format.Format_RGB888)
    photo.fill(QColor(100, 100, 100))
    adjusted = AdjustedPhoto()
    shown: list[QImage] = []
    adjusted.changed.connect(shown.append)
    adjusted.set_photo(photo)
    adjusted.set_adjustments(Adjustments(brightness=0.2))
    adjusted._begin()
    adjusted.set_photo(None)
    qtbot.wait(300)
    assert len(shown) == 2


def test_keys_and_sliders_adjust_the_view_alone(window: MainWindow, qtbot: QtBot) -> None:
    before = window.scene.shown_pixels().pixelColor(5, 5)
    trigger(window, qtbot, "brighter")
    brighter = window.scene.shown_pixels().pixelColor(5, 5)
    assert brighter.green() == pytest.approx(before.green() + 25.5, abs=1)
    assert window.view_panel.brightness.value() == 10
    window.view_panel.gamma.setValue(100)
    assert window.layers.adjustments == Adjustments(0.1, 0.0, 5.0)
    trigger(window, qtbot, "reset_photo")
    assert window.scene.shown_pixels().pixelColor(5, 5) == before
    qtbot.waitUntil(lambda: not window.actions_by_id["reset_photo"].isEnabled())
    assert window.session.undo_stack.count() == 0


def test_others_fade_while_somebody_is_selected(window: MainWindow, qtbot: QtBot) -> None:
    image = window.session.selection.current_image
    assert image is not None
    first = window.session.document.people(image)[0]
    window.editing.add_person(Box(200, 40, 60, 120))

    def color_of_the_others_border() -> QColor:
        shot = window.canvas.viewport().grab().toImage()
        return shot.pixelColor(window.canvas.mapFromScene(200, 100) * shot.devicePixelRatio())

    window.session.selection.clear()
    plain = color_of_the_others_border()
    window.session.selection.person = first.key
    assert color_of_the_others_border() == plain
    trigger(window, qtbot, "toggle_fade")
    assert color_of_the_others_border() != plain
    window.session.selection.clear()
    assert color_of_the_others_border() == plain
    assert window.view_panel.fade.isChecked()


def test_a_very_large_photo_is_shown_without_stopping_the_window(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos_module, "_AT_ONCE_BYTES", 1000)
    threads: list[threading.Thread] = []
    convert = DecodedImage.to_qimage

    def noted(self: DecodedImage) -> QImage:
        if self.pixels.shape[:2] == (240, 320):  # the photo, not a thumbnail
            threads.append(threading.current_thread())
        return convert(self)

    monkeypatch.setattr(DecodedImage, "to_qimage", noted)
    image = window.session.selection.current_image
    with qtbot.waitSignal(window.photos.shown):
        window.navigation.next()
    assert window.session.selection.current_image != image
    assert window.scene.has_photo and window.scene.image_extent() == (320, 240)
    assert threads and threading.main_thread() not in threads
    with qtbot.waitSignal(window.photos.shown) as last:
        window.navigation.previous()
        window.navigation.next()
    assert last.args == [window.session.selection.current_image], "nobody sees the photo that was passed by"


# Filters


def row(key: int = 1, path: str = "a/b.jpg", state: ImageState = ImageState.UNSEEN, people: int = 0,
        predictions: int = 0, lowest: float | None = None, flagged: bool = False) -> ImageRow:  # fmt: skip
    return ImageRow(key, 1, path, state, people, predictions, lowest, flagged, 0, 0, "")


@pytest.mark.parametrize(
    ("wanted", "passing", "failing"),
    [
        (ImageFilter("B A/"), row(), row(path="x/b.jpg")),
        (ImageFilter(flagged=True), row(flagged=True), row()),
        (ImageFilter(predicted=True), row(predictions=1), row()),
        (ImageFilter(least_people=2), row(people=2), row(people=1)),
        (ImageFilter(most_people=0), row(), row(people=1)),
        (ImageFilter(confidence_below=0.4), row(predictions=1, lowest=0.39), row(predictions=1, lowest=0.4)),
        (ImageFilter(confidence_below=0.4), row(predictions=2, lowest=0.1), row()),
        (ImageFilter(state=7), row(state=ImageState.REVIEWED), row(state=ImageState.DONE)),
    ],
)
def test_each_condition(wanted: ImageFilter, passing: ImageRow, failing: ImageRow) -> None:
    assert wanted.keep([passing, failing], ()) == [passing]


def test_all_conditions_must_hold() -> None:
    wanted = ImageFilter("b", flagged=True, least_people=1, most_people=2)
    assert wanted.extras == 2
    passing = row(people=2, flagged=True)
    assert wanted.keep([passing, row(people=3, flagged=True), row(people=2)], ()) == [passing]
    assert wanted.keep([row(people=2, flagged=True, path="x")], ()) == []


def test_the_states_are_what_the_box_calls_them() -> None:
    rows = [row(key, state=state, people=key % 2) for key, state in enumerate(ImageState)]
    kept = {
        text: [one.key for one in ImageFilter(state=index).keep(rows, {4})]
        for index, (text, _) in enumerate(STATE_FILTERS)
    }
    assert kept == {
        "All images": [0, 1, 2, 3, 4, 5],
        "Unfinished": [0, 1, 2],
        "Unseen": [0],
        "Pre-filled": [1],
        "In progress": [2],
        "Finished": [3, 4, 5],
        "Nobody here": [4],
        "Reviewed": [5],
        "With people": [1, 3, 5],
        "Damaged": [4],
    }


def test_the_list_follows_the_controls(window: MainWindow, qtbot: QtBot) -> None:
    listing = window.image_list
    trigger(window, qtbot, "flag_image")
    listing.more.setChecked(True)
    assert not listing.controls.isHidden()
    listing.controls.flagged.setChecked(True)
    assert [window.model.record(key).path for key in window.model.keys] == ["0.jpg"]  # type: ignore[union-attr]
    assert listing.more.text() == "Filter · 1"
    listing.controls.least.setValue(2)
    assert list(window.model.keys) == [] and not listing.nothing.isHidden()
    listing.controls.clear.click()
    assert len(window.model.keys) == 4 and listing.more.text() == "Filter"


# The joints table


def test_the_table_shows_and_changes_joints(window: MainWindow, qtbot: QtBot) -> None:
    image = window.session.selection.current_image
    assert image is not None
    assert window.joints.table.isHidden()
    person = window.session.document.people(image)[0]
    window.session.selection.person = person.key
    model = window.joints.model
    assert model.rowCount() == 17 and not window.joints.table.isHidden()
    texts = [model.data(model.index(9, column)) for column in range(model.columnCount())]
    assert texts == ["left wrist", "107.0", "132.0", "visible", "file"]
    assert model.setData(model.index(9, 1), "111,5")
    assert window.session.document.people(image)[0].joints[9] == Joint(111.5, 132.0, 2, HUMAN)
    assert model.setData(model.index(9, 3), "occluded")
    assert window.session.document.people(image)[0].joints[9].v == 1
    assert model.data(model.index(9, 4)) == "you"
    assert model.setData(model.index(9, 2), "99999")
    assert window.session.document.people(image)[0].joints[9].y == 240.0, "kept on the image"
    for nonsense in ("far", "nan", "inf"):
        model.setData(model.index(9, 1), nonsense)
    assert not model.setData(model.index(9, 3), "maybe")
    assert window.session.document.people(image)[0].joints[9].x == 111.5
    for _ in range(3):
        trigger(window, qtbot, "undo")
    assert window.session.document.people(image)[0] == person


def test_table_and_canvas_select_the_same_joint(window: MainWindow) -> None:
    image = window.session.selection.current_image
    assert image is not None
    person = window.session.document.people(image)[0]
    window.session.selection.select_joint(person.key, 5)
    assert window.joints.table.currentIndex().row() == 5
    window.joints.table.setCurrentIndex(window.joints.model.index(7, 2))
    assert (window.session.selection.person, window.session.selection.joint) == (person.key, 7)
    window.session.selection.clear()
    assert window.joints.model.rowCount() == 0 and window.joints.table.isHidden()
    editable = window.joints.model.flags(window.joints.model.index(0, 0)) & Qt.ItemFlag.ItemIsEditable
    assert not editable
