"""Answers that come when something else is open or under way: they change nothing that they are not about."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.main_window import MainWindow
from app.workers.payloads import DecodedImage, ImageFile

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


def test_pictures_of_another_project_are_not_shown(window: MainWindow, qtbot: QtBot) -> None:
    current = window.session.selection.current_image
    assert current is not None
    mine = window.session.image_file(current)
    theirs = ImageFile(current, mine.path, "/somewhere/else")
    picture = DecodedImage(np.zeros((50, 70, 3), np.uint8), 70, 50)
    qtbot.waitUntil(lambda: not window.model.lacks_thumbnail(current))
    before = window.model.data(window.model.index(0), 0x0100 + 1).toImage()
    for signal in (window.loader.loaded, window.loader.thumbnail_loaded):
        signal.emit(theirs, picture)
    window.photos._converted.emit(theirs, picture, picture.to_qimage())
    for signal in (window.loader.failed, window.loader.thumbnail_failed):
        signal.emit(theirs, "0.jpg: damaged")
    qtbot.wait(50)
    assert window.scene.image_extent() == (320, 240)
    assert window.model.data(window.model.index(0), 0x0100 + 1).toImage() == before
    assert window.model.damage(current) is None
    record = window.session.current_record()
    assert record is not None and (record.width, record.height) == (320, 240)


def test_a_picture_asked_for_before_the_size_was_known_is_shown(window: MainWindow, qtbot: QtBot) -> None:
    current = window.session.selection.current_image
    assert current is not None
    mine = window.session.image_file(current)
    before = ImageFile(current, mine.path, mine.root)
    assert mine.labelled_size == (320, 240) and before != mine
    picture = DecodedImage(np.full((240, 320, 3), 90, np.uint8), 320, 240)
    with qtbot.waitSignal(window.photos.shown):
        window.loader.loaded.emit(before, picture)


def test_a_pre_fill_of_another_project_marks_nothing(window: MainWindow) -> None:
    current = window.session.selection.current_image
    assert current is not None
    window.engine.image_failed.emit(12345, current, "0.jpg: damaged")
    assert window.model.damage(current) is None


def test_an_edit_during_a_refresh_is_in_the_list(window: MainWindow, qtbot: QtBot) -> None:
    current = window.session.selection.current_image
    record = window.session.current_record()
    assert current is not None and record is not None
    with qtbot.waitSignal(window.session.refreshed):
        window.session.refresh(None)
        window.editing.mark_done()
    row = window.model.record(current)
    assert row is not None and row.state.finished


def overlapping(coco_file: Path) -> Path:
    """A file whose person lies on the first one, a little aside."""
    content = json.loads(coco_file.read_text())
    content["annotations"] = [{**content["annotations"][0], "bbox": [62, 42, 100, 180]}]
    path = coco_file.with_name("theirs.json")
    path.write_text(json.dumps(content))
    return path


def ask(window: MainWindow, qtbot: QtBot, file: Path) -> None:
    window.merging.take(file)
    qtbot.waitUntil(lambda: "Theirs" in window.message_bar.choice_texts())


def test_a_merge_that_nobody_answered_can_be_asked_for_again(window: MainWindow, qtbot: QtBot, coco_file: Path) -> None:
    theirs = overlapping(coco_file)
    ask(window, qtbot, theirs)
    window.message_bar.dismiss()
    ask(window, qtbot, theirs)


def test_an_export_does_not_end_the_question_of_a_merge(
    window: MainWindow, qtbot: QtBot, coco_file: Path, tmp_path: Path
) -> None:
    ask(window, qtbot, overlapping(coco_file))
    with qtbot.waitSignal(window.exporting.ended):
        window.exporting.export(tmp_path / "out.json")
    window.message_bar.choose("OK")
    assert "Theirs" in window.message_bar.choice_texts()


def test_what_theirs_replaces_is_in_a_snapshot(window: MainWindow, qtbot: QtBot, coco_file: Path) -> None:
    ask(window, qtbot, overlapping(coco_file))
    project = window.session.path
    assert project is not None
    with qtbot.waitSignal(window.merging.ended):
        window.message_bar.choose("Theirs")
    (copy,) = project.with_name(f"{project.name}.backups").iterdir()
    assert copy.suffix == project.suffix
    assert not window.actions_by_id["undo"].isEnabled()


def test_nothing_is_left_of_a_merge_when_another_project_is_opened(
    window: MainWindow, qtbot: QtBot, coco_file: Path, photos: Path, open_in: Opener
) -> None:
    with qtbot.waitSignal(window.merging.progress):
        window.merging.take(overlapping(coco_file))
    open_in(window, photos)
    assert window.job_strip.isHidden()
    assert "Theirs" not in window.message_bar.choice_texts()
