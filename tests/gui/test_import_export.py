"""Importing and exporting with real children: what is cancelled, and a file that is its own import."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.controllers.importing import LabelImport
from app.main_window import MainWindow
from app.storage.writer import ProjectStore

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


@pytest.mark.parametrize(
    ("stage", "sentence"), [("Reading", "nothing was taken over"), ("Importing", "only a part of it is here")]
)
def test_a_cancelled_import_says_so(
    coco_file: Path, photos: Path, tmp_path: Path, qapp: QObject, qtbot: QtBot, stage: str, sentence: str
) -> None:
    store = ProjectStore.create(tmp_path / "p.poses")
    running = LabelImport(store, coco_file, photos, qapp)  # as in the window, its parent outlives it
    running.progress.connect(lambda what, done, total: running.cancel() if what.startswith(stage) else None)
    with qtbot.waitSignal(running.finished) as finished:
        pass
    assert sentence in finished.args[0].text and finished.args[0].report is None
    store.close()


def test_exporting_over_the_opened_file_and_opening_it_again(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    content = json.loads(coco_file.read_text())
    content["categories"].append({"id": 2, "name": "dog"})
    content["annotations"].append(
        {"id": 3, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    )
    coco_file.write_text(json.dumps(content))
    window = make_window()
    open_in(window, coco_file)
    for _ in range(2):
        with qtbot.waitSignal(window.exporting.ended):
            window.exporting.export(coco_file)
        open_in(window, coco_file)
        assert window.session.store.call(lambda project: len(project.sources())) == 1
    assert json.loads(coco_file.read_text()) == content
