"""A window of its own for every test: settings and projects in a temporary folder, a small real model."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot
from small_models import save_small_model

from app.main_window import MainWindow
from app.storage.settings import Settings
from msarcnn.skeleton import coco17

WindowMaker = Callable[..., MainWindow]


@pytest.fixture(autouse=True)
def nobody_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialog for files that no test answers fails at once: it would wait for ever."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a dialog for files is open, and nobody is there to answer it")

    for name in ("getSaveFileName", "getOpenFileName", "getOpenFileNames", "getExistingDirectory"):
        monkeypatch.setattr(QFileDialog, name, fail)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the shipped architecture, narrow and untrained: answers in a moment, and nonsense."""
    return save_small_model(tmp_path_factory.mktemp("model") / "small.safetensors", seed=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with five pictures, one of them in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for index in range(5):
        image = Image.new("RGB", (320, 240), (40 * index, 90, 120))
        ImageDraw.Draw(image).rectangle((60, 40, 140, 220), fill=(200, 160, 120))
        image.save(folder / ("more" if index == 4 else ".") / f"{index}.jpg")
    return folder


@pytest.fixture
def coco_file(photos: Path) -> Path:
    """Annotations beside the photos' folder: one person on the first image, a crowd on the second."""
    keypoints = [value for index in range(17) for value in (80.0 + 3 * index, 60.0 + 8 * index, 2)]
    content = {
        "info": {"description": "test"},
        "images": [{"id": 7 + i, "file_name": f"{i}.jpg", "width": 320, "height": 240} for i in range(4)],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 1,
                "bbox": [60, 40, 100, 180],
                "area": 9000.0,
                "iscrowd": 0,
                "keypoints": keypoints,
                "num_keypoints": 17,
                "segmentation": [],
            },
            {
                "id": 2,
                "image_id": 8,
                "category_id": 1,
                "bbox": [10, 10, 200, 100],
                "area": 20000.0,
                "iscrowd": 1,
                "segmentation": {"counts": "0", "size": [240, 320]},
            },
        ],
        "categories": [coco17().coco_category()],
    }
    path = photos.parent / "labels" / "train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def make_window(
    qtbot: QtBot, tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WindowMaker]:
    """Makes shown windows, with the engine running if wanted, and ends them and their children afterwards."""
    monkeypatch.setenv("MSARCNN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MSARCNN_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    windows: list[MainWindow] = []

    def make(engine: bool = False, automatic_prefill: bool = False) -> MainWindow:
        settings = Settings(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))
        window = MainWindow(settings, automatic_prefill=automatic_prefill)
        windows.append(window)
        window.show()
        if engine:
            with qtbot.waitSignal(window.engine.ready):
                window.engine.start(str(small_model))
        return window

    yield make
    for window in windows:
        window.closing.finish()
        window.hide()
        window.deleteLater()


@pytest.fixture
def open_in(qtbot: QtBot) -> Callable[[MainWindow, Path], None]:
    """Opens a path and waits until the first image's labels and pixels are there."""

    def open_and_wait(window: MainWindow, path: Path) -> None:
        with qtbot.waitSignal(window.session.opened):
            window.open_paths([path])
        qtbot.waitUntil(lambda: loaded(window))

    return open_and_wait


def loaded(window: MainWindow) -> bool:
    """Whether the current image's labels are in memory and its photo is shown or known to be damaged."""
    key = window.session.selection.current_image
    if key is None or not window.session.document.is_open(key):
        return False
    return window.scene.has_photo or window.model.damage(key) is not None
