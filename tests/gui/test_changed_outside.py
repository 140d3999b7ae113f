"""Labels that were imported and have changed outside since: offered, whatever was edited here meanwhile."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people

from app.document.records import Box
from app.main_window import MainWindow

_LONG = 30_000


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def reopened(window: MainWindow, path: Path, open_in: Opener) -> None:
    window.session.close()
    open_in(window, path)


def quiet(window: MainWindow, qtbot: QtBot) -> bool:
    qtbot.waitUntil(lambda: window.merging._merge is None and window.merging._job is None, timeout=_LONG)
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
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts(), timeout=_LONG)
    assert (
        "train.json was changed since it was imported: 1 people are new, 2 are here already" in window.message_bar.text
    )
    window.message_bar.choose("Merge")
    qtbot.waitUntil(lambda: sum(row.people for row in window.session.rows.values()) == 4, timeout=_LONG)
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
    qtbot.waitUntil(lambda: "Theirs" in window.message_bar.choice_texts(), timeout=_LONG)
    assert "1 lie on labels of this project (0.jpg)" in window.message_bar.text
    assert "1 people of its earlier version are not in it any more: they stay here" in window.message_bar.text
    window.message_bar.choose("Theirs")
    qtbot.waitUntil(lambda: people(window)[0].joints[0].x == 99.0, timeout=_LONG)


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


def test_a_changed_yolo_data_set_is_offered_too(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    labels = photos.parent / "labels"
    labels.mkdir()
    (photos.parent / "images").symlink_to(photos)
    (labels / "0.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    yaml = photos.parent / "data.yaml"
    yaml.write_text("train: images\nval: images\nkpt_shape: [17, 3]\nnames:\n  0: person\n")
    window = make_window()
    open_in(window, yaml)
    window.message_bar.clear()
    reopened(window, yaml, open_in)
    assert quiet(window, qtbot)
    (labels / "1.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    reopened(window, yaml, open_in)
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts(), timeout=_LONG)
    assert "1 people are new, 1 are here already" in window.message_bar.text
