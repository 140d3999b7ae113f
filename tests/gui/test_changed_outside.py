"""Labels that were imported and have changed outside since: offered, whatever was edited here meanwhile."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people, two_sessions

from app.document.records import Box
from app.main_window import MainWindow


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def reopened(window: MainWindow, path: Path, open_in: Opener) -> None:
    window.session.close()
    open_in(window, path)


def quiet(window: MainWindow, qtbot: QtBot) -> bool:
    qtbot.waitUntil(lambda: window.merging._merge is None and window.merging._job is None)
    qtbot.wait(50)
    return window.message_bar.text == ""


def test_new_labels_are_offered_though_the_project_was_edited_since(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    window.editing.add_person(Box(200, 20, 60, 100))

    def add(content: dict[str, Any]) -> None:
        new = {**content["annotations"][0], "id": 9, "image_id": 9, "bbox": [5, 5, 50, 90]}
        content["annotations"].append(new)

    change(coco_file, add)
    os.utime(coco_file, (1, 1))  # older than the project: its content says that it is another one
    reopened(window, coco_file, open_in)
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts())
    assert "train.json was changed since it was imported: 1 person is new, 2 here already" in window.message_bar.text
    window.message_bar.choose("Merge")
    qtbot.waitUntil(lambda: sum(row.people for row in window.session.rows.values()) == 4)
    window.message_bar.clear()
    reopened(window, coco_file, open_in)
    assert quiet(window, qtbot), "what was merged is not asked about again"


def test_corrected_joints_are_offered_and_deletions_are_said(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)

    def correct(content: dict[str, Any]) -> None:
        content["annotations"][0]["keypoints"][0] = 99.0
        del content["annotations"][1]

    change(coco_file, correct)
    reopened(window, coco_file, open_in)
    qtbot.waitUntil(lambda: "Theirs" in window.message_bar.choice_texts())
    assert "1 lies on labels of this project (0.jpg)" in window.message_bar.text
    assert "1 person of its earlier version is not in it any more, but stays here" in window.message_bar.text
    window.message_bar.choose("Theirs")
    qtbot.waitUntil(lambda: people(window)[0].joints[0].x == 99.0)


def test_nothing_is_said_about_a_file_that_says_the_same(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    reopened(window, coco_file, open_in)
    assert quiet(window, qtbot)
    change(coco_file, lambda content: content["info"].update(comment="another spelling of the same labels"))
    window.session.selection.person = people(window)[0].key
    window.editing.delete()
    reopened(window, coco_file, open_in)
    assert quiet(window, qtbot), "also not about somebody who was deleted here"


def yolo_data_set(photos: Path) -> Path:
    """Its .yaml; one person on the first photo."""
    labels = photos.parent / "labels"
    labels.mkdir(exist_ok=True)
    (photos.parent / "images").symlink_to(photos)
    (labels / "0.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    yaml = photos.parent / "data.yaml"
    yaml.write_text("train: images\nval: images\nkpt_shape: [17, 3]\nnames:\n  0: person\n")
    return yaml


def test_a_changed_yolo_data_set_is_offered_too(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    yaml = yolo_data_set(photos)
    labels = yaml.parent / "labels"
    window = make_window()
    open_in(window, yaml)
    window.message_bar.clear()
    reopened(window, yaml, open_in)
    assert quiet(window, qtbot)
    (labels / "1.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    reopened(window, yaml, open_in)
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts())
    assert "1 person is new, 1 here already" in window.message_bar.text


def add_a_person(content: dict[str, Any]) -> None:
    new = {**content["annotations"][0], "id": 9, "image_id": 9, "bbox": [5, 5, 50, 90]}
    content["annotations"].append(new)


def merged_people(window: MainWindow, qtbot: QtBot) -> dict[str, int]:
    """Merges what is offered; people by the photo's path."""
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts())
    with qtbot.waitSignal(window.session.refreshed):
        window.message_bar.choose("Merge")
    return {str(window.session.image_path(row.key)): row.people for row in window.session.rows.values() if row.people}


def test_changed_labels_come_onto_the_photos_that_they_were_imported_for(
    make_window: WindowMaker, coco_file: Path, tmp_path: Path, open_in: Opener, qtbot: QtBot
) -> None:
    labels = two_sessions(tmp_path / "both", coco_file)
    window = make_window()
    window.open_paths([labels])
    window.message_bar.choose("tuesday")
    qtbot.waitUntil(lambda: window.model.total == 4)
    change(labels, add_a_person)
    reopened(window, labels, open_in)
    tuesday = tmp_path / "both" / "tuesday"
    assert merged_people(window, qtbot) == {str(tuesday / f"{name}.jpg"): 1 for name in (0, 1, 2)}
    assert list(window.session.roots.values()) == [tuesday]


def test_changed_labels_far_from_their_photos_add_no_images(
    make_window: WindowMaker, coco_file: Path, photos: Path, tmp_path: Path, open_in: Opener, qtbot: QtBot
) -> None:
    labels = coco_file.rename(tmp_path / "labels.json")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    moved = photos.rename(tmp_path / "deep" / "down" / "photos")
    window = make_window()
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([labels], moved)
    change(labels, add_a_person)
    reopened(window, labels, open_in)
    assert merged_people(window, qtbot) == {str(moved / f"{name}.jpg"): 1 for name in (0, 1, 2)}
    assert window.model.total == 4


def delete_the_crowd(content: dict[str, Any]) -> None:
    del content["annotations"][1]


def test_what_somebody_has_read_is_not_said_again(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    change(coco_file, delete_the_crowd)
    for _ in range(2):  # nobody has read it the first time
        reopened(window, coco_file, open_in)
        qtbot.waitUntil(lambda: "1 person of its earlier version" in window.message_bar.text)
    window.message_bar.dismiss()
    reopened(window, coco_file, open_in)
    assert quiet(window, qtbot)
    change(coco_file, lambda content: content["info"].update(comment="another content"))
    reopened(window, coco_file, open_in)
    qtbot.waitUntil(lambda: "1 person of its earlier version" in window.message_bar.text)


@pytest.mark.parametrize("yolo", [False, True])
def test_what_was_left_is_not_offered_again_and_can_be_merged_by_the_menu(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, photos: Path, qtbot: QtBot, yolo: bool
) -> None:
    source = yolo_data_set(photos) if yolo else coco_file
    window = make_window()
    open_in(window, source)
    if yolo:
        (source.parent / "labels" / "1.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    else:
        change(coco_file, add_a_person)
    reopened(window, source, open_in)
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts())
    window.message_bar.choose("Leave it")
    window.message_bar.clear()
    before = sum(row.people for row in window.session.rows.values())
    reopened(window, source, open_in)
    assert quiet(window, qtbot)
    window.merging.take(source)
    merged = merged_people(window, qtbot)
    assert sum(merged.values()) == before + 1
