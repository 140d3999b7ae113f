"""How soon the window answers about a photo that is encoded: joints of a changed box, heatmaps, all maps of a person.

    python benchmarks/asking.py [--models msa_rcnn_mobilenet_v2_175 msa_rcnn_resnet50_fpn] [--runs 40]

The real window and the real engine, offscreen unless a display is set, on a drawn photo of 640 x 480; a preset without
bundled weights gets random ones, which take as long. Figures to meet (two cores): from a changed box to its joints on
the screen 50 ms (light) and 120 ms (full model, p50), the overlay on and off 16 ms, all seventeen maps 50 ms.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtTest import QTest
from workbench import make_window, spread, wait

from app import application as program
from app.canvas.map_grid import MapGrid
from app.document.records import Box
from app.main_window import MainWindow
from msarcnn.checkpoint import CheckpointInfo, save_checkpoint
from msarcnn.model import build_model
from msarcnn.presets import DEFAULT_MODEL, preset
from msarcnn.synthetic import write_dataset

BOX = Box(180.0, 60.0, 140.0, 320.0)


def weights(folder: Path, name: str) -> str:
    """The model to ask for: the bundled one by name, else a file with random weights."""
    if name == DEFAULT_MODEL:
        return name
    path = folder / f"{name}.safetensors"
    config = preset(name)
    save_checkpoint(path, build_model(config), CheckpointInfo(config))
    return str(path)


def timed(runs: int, act: Callable[[int], None]) -> str:
    times = []
    for run in range(runs):
        began = time.perf_counter()
        act(run)
        times.append((time.perf_counter() - began) * 1000)
        QTest.qWait(20)
    return spread(times)


def use(window: MainWindow, model: str) -> None:
    """Starts the engine with a model, or switches it."""
    before = window.engine.info
    if before is None:
        window.engine.start(model)
    else:
        window.engine.load(model)
    wait(lambda: window.engine.info is not None and window.engine.info != before)


def measure(window: MainWindow, runs: int) -> None:
    image = window.session.selection.current_image
    assert image is not None
    window.editing.add_person(BOX)
    document, viewport = window.session.document, window.canvas.viewport()
    key = document.people(image)[-1].key

    def joints() -> object:
        return document.person(image, key).joints

    wait(lambda: document.person(image, key).joints[0].has_place)

    def change_box(run: int) -> None:
        before = joints()
        window.editing.set_box(key, Box(BOX.x + 0.5 * (run + 1), BOX.y, BOX.w, BOX.h))
        wait(lambda: joints() != before)
        viewport.repaint()

    print(f"  a changed box, until its joints are drawn: {timed(runs, change_box)}")
    window.session.selection.select_joint(key, 9)
    window.layers.switch("heatmap", True)
    wait(lambda: window.scene._heatmap.shown)

    def switch(run: int) -> None:
        window.layers.switch("heatmap", run % 2 == 1)
        viewport.repaint()

    print(f"  the overlay on or off: {timed(runs, switch)}")

    def other_joint(run: int) -> None:
        window.session.selection.joint = run % 17
        viewport.repaint()

    print(f"  another joint's map: {timed(runs, other_joint)}")
    window.show_maps()
    assert window.maps_window is not None
    grid = window.maps_window.findChild(MapGrid)
    assert grid is not None
    wait(lambda: len(grid.tiles) == 17)

    def all_maps(run: int) -> None:
        window.maps.refresh()
        grid.repaint()

    print(f"  all seventeen maps: {timed(runs, all_maps)}")
    window.maps_window.close()
    window.layers.switch("heatmap", False)
    window.editing.delete()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[DEFAULT_MODEL, "msa_rcnn_resnet50_fpn"])
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program.make_application()
        write_dataset(folder, images=1, seed=1, size=(640, 480))
        window = make_window(folder)
        window.open_paths([folder / "images"])
        wait(lambda: window.scene.has_photo)
        for model in options.models:
            use(window, weights(folder, model))
            print(f"{model}:")
            measure(window, options.runs)
        window.closing.finish()
        window.close()


if __name__ == "__main__":
    main()
