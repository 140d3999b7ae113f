"""Makes the user guide's pictures from the app itself, on drawn people (nobody's photo is in them).

    python tools/guide_pictures.py [--output docs/images] [--only busy]

Every picture is a state that a user can be in, reached by the actions of the table. Each is made by a process of its
own with an empty project folder; it fails when the state is not reached within a minute.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from app import application as program
from app.commands.people import span
from app.dialogs.audit import AuditWindow
from app.dialogs.maps import VIEWS, MapsWindow
from app.document.records import ImageRecord, Person
from app.main_window import MainWindow
from msarcnn.resources import resource_path
from msarcnn.skeleton import coco17
from msarcnn.synthetic import make_scene

SECONDS = 60.0
_QUALITY = 88
"""Of the largest pictures, which would take megabytes without loss."""
TILES, TILE = (4, 3), (480, 360)
PEOPLE = 50
"""At least so many are in the crowd."""


class Stage:
    """A shown window and what a user does with it."""

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self.window = window
        self.folder = folder

    def until(self, condition: Callable[[], object]) -> None:
        """Waits; ends the program when it takes too long."""
        for _ in range(round(SECONDS * 50)):
            if condition():
                break
            QTest.qWait(20)
        else:
            sys.exit("the window did not come to the state that a picture is to be taken of")
        QTest.qWait(200)

    def do(self, action: str) -> None:
        """Triggers a row of the action table."""
        self.until(self.window.actions_by_id[action].isEnabled)
        self.window.actions_by_id[action].trigger()

    def start_engine(self) -> None:
        self.window.engine.start(None)
        self.until(lambda: self.window.engine.info is not None)

    def open(self, path: Path) -> None:
        """Opens something with a model that is ready, and waits for the photo."""
        self.start_engine()
        self.window.open_paths([path])
        self.until(self.photo_shown)

    def open_sample(self, name: str) -> None:
        """Opens the sample's photos, goes to one of them and waits for what the model says to it."""
        self.open(resource_path("sample") / "images")
        while not self.record().path.endswith(name):
            self.do("next_image")
            self.until(self.photo_shown)
        self.until(self.predicted)

    def record(self) -> ImageRecord:
        record = self.window.session.current_record()
        assert record is not None
        return record

    def photo_shown(self) -> bool:
        return self.window.session.current_record() is not None and self.window.scene.has_photo

    def predicted(self) -> bool:
        record = self.window.session.current_record()
        return record is not None and bool(record.model)

    def to_screen(self, x: float, y: float) -> QPoint:
        return self.window.canvas.mapFromScene(x, y)

    def click(self, x: float, y: float) -> None:
        QTest.mouseClick(self.window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=self.to_screen(x, y))


WRIST, HIP, LEGS = 9, 11, (13, 14, 15, 16)
SHOWN = "people_0008.jpg"
DRAWN = "people_0007.jpg"


def people_of(name: str) -> list[dict[str, Any]]:
    """The exact labels of a photo of the sample, the largest person first."""
    content = json.loads((resource_path("sample") / "annotations.json").read_text())
    (image,) = (image["id"] for image in content["images"] if image["file_name"].endswith(name))
    people = [person for person in content["annotations"] if person["image_id"] == image]
    return sorted(people, key=lambda person: -float(person["area"]))


def empty(stage: Stage) -> None:
    """Nothing is open."""
    stage.start_engine()


def window(stage: Stage) -> None:
    """The sample project with the model's proposals."""
    stage.open_sample(SHOWN)


def accepted(stage: Stage) -> Person:
    """The largest proposal of the sample's photo is a label now."""
    stage.open_sample(SHOWN)
    session = stage.window.session
    largest = max(stage.window.proposals.now().shown, key=lambda proposal: proposal.person.box.area)
    session.selection.prediction = largest.key
    stage.do("accept")
    image = session.selection.current_image
    assert image is not None
    return session.document.people(image)[0]


def heatmap(stage: Stage) -> None:
    """Why the model put a wrist where it is."""
    stage.window.session.selection.select_joint(accepted(stage).key, WRIST)
    stage.do("toggle_heatmap")
    QTest.qWait(1500)


def maps(stage: Stage) -> MapsWindow:
    """All maps of a person."""
    stage.window.session.selection.select_joint(accepted(stage).key, WRIST)
    stage.do("show_maps")
    dialog = stage.window.findChild(MapsWindow)
    assert dialog is not None
    stage.until(lambda: dialog.save.isEnabled())
    return dialog


def levels(stage: Stage) -> MapsWindow:
    """Which levels of the pyramid a hip's place comes from."""
    dialog = maps(stage)
    stage.window.session.selection.joint = HIP
    dialog.view.setCurrentIndex(VIEWS.index("Feature levels"))
    QTest.qWait(1500)
    return dialog


def joints(stage: Stage) -> None:
    """A box around the joints of the legs, before the button is let go."""
    person = accepted(stage)
    legs = span([person.joints[index] for index in LEGS if person.joints[index].has_place])
    port, shift = stage.window.canvas.viewport(), Qt.KeyboardModifier.ShiftModifier
    corners = stage.to_screen(legs.x - 6, legs.y - 6), stage.to_screen(legs.right + 6, legs.bottom + 6)
    QTest.mousePress(port, Qt.MouseButton.LeftButton, shift, corners[0])
    place = QPointF(corners[1])
    held = Qt.MouseButton.LeftButton
    move = QMouseEvent(QEvent.Type.MouseMove, place, port.mapToGlobal(place), Qt.MouseButton.NoButton, held, shift)
    QApplication.sendEvent(port, move)


def audit(stage: Stage) -> AuditWindow:
    """The sample's labels, in one of which the arms were exchanged."""
    content = json.loads((resource_path("sample") / "annotations.json").read_text())
    person = max(content["annotations"], key=lambda one: float(one["area"]))
    flat = person["keypoints"]
    for left, right in ((7, 8), (9, 10)):
        flat[3 * left : 3 * left + 3], flat[3 * right : 3 * right + 3] = (
            flat[3 * right : 3 * right + 3],
            flat[3 * left : 3 * left + 3],
        )
    shutil.copytree(resource_path("sample") / "images", stage.folder / "images")
    (stage.folder / "annotations.json").write_text(json.dumps(content))
    stage.open(stage.folder / "annotations.json")
    stage.do("audit")
    dialog = stage.window.findChild(AuditWindow)
    assert dialog is not None
    stage.until(lambda: "suspicions" in dialog.status.text())
    return dialog


def placing(stage: Stage) -> None:
    """Clicking the joints of somebody whom the model does not see, one after the other."""
    stage.open_sample(DRAWN)
    person = people_of(DRAWN)[0]
    x, y, w, h = person["bbox"]
    stage.do("new_person")
    port = stage.window.canvas.viewport()
    QTest.mousePress(port, Qt.MouseButton.LeftButton, pos=stage.to_screen(x, y))
    QTest.mouseMove(port, stage.to_screen(x + w, y + h))
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, pos=stage.to_screen(x + w, y + h))
    QTest.qWait(1500)
    stage.do("place_joints")
    for index, _ in stage.window.scene.placing_order[:6]:
        stage.click(*person["keypoints"][3 * index : 3 * index + 2])
    QTest.mouseMove(port, stage.to_screen(x + w * 0.9, y + h * 0.3))


def busy(stage: Stage) -> None:
    """Everything else is pre-filled in the background, while one person is being corrected."""
    stage.open_sample(SHOWN)
    stage.do("accept_shown")
    image = stage.window.session.selection.current_image
    assert image is not None
    stage.window.session.selection.select_joint(stage.window.session.document.people(image)[0].key, 7)
    stage.do("toggle_names")
    stage.do("prefill_all")
    QTest.qWait(700)


def fifty(stage: Stage) -> None:
    """A crowd of labelled people."""
    stage.open(write_crowd(stage.folder))
    image = stage.window.session.selection.current_image
    assert image is not None
    people = stage.window.session.document.people(image)
    assert len(people) >= PEOPLE
    stage.window.session.selection.person = people[PEOPLE // 2].key


def write_crowd(folder: Path) -> Path:
    """One picture with fifty drawn people, and its COCO file."""
    canvas = np.zeros((TILES[1] * TILE[1], TILES[0] * TILE[0], 3), dtype=np.uint8)
    annotations: list[dict[str, object]] = []
    for index in range(TILES[0] * TILES[1]):
        scene = make_scene(index, TILE, people=5)
        left, top = index % TILES[0] * TILE[0], index // TILES[0] * TILE[1]
        canvas[top : top + TILE[1], left : left + TILE[0]] = scene.pixels
        for person in scene.annotations:
            x, y, width, height = person.box
            labelled = person.keypoints[:, 2:] > 0
            keypoints = person.keypoints + labelled * np.array([left, top, 0], dtype=np.float32)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 1,
                    "category_id": 1,
                    "bbox": [x + left, y + top, width, height],
                    "area": float(person.area),
                    "iscrowd": 0,
                    "keypoints": keypoints.ravel().tolist(),
                    "num_keypoints": int(labelled.sum()),
                }
            )
    Image.fromarray(canvas).save(folder / "crowd.png")
    content = {
        "images": [{"id": 1, "file_name": "crowd.png", "width": canvas.shape[1], "height": canvas.shape[0]}],
        "annotations": annotations,
        "categories": [coco17().coco_category()],
    }
    path = folder / "crowd.json"
    path.write_text(json.dumps(content))
    return path


@dataclass(frozen=True)
class Picture:
    """How a picture is made: its state, colours, size in logical pixels, the display's scale, the kind of file."""

    state: Callable[[Stage], QWidget | None]
    """Comes to the state; returns the window to take a picture of, None: the main one."""
    dark: bool = True
    size: tuple[int, int] = (1440, 900)
    scale: int = 1
    kind: str = "png"


PICTURES = {
    "empty": Picture(empty),
    "window": Picture(window),
    "window_light": Picture(window, dark=False),
    "heatmap": Picture(heatmap),
    "maps": Picture(maps),
    "levels": Picture(levels),
    "joints": Picture(joints, kind="jpg"),
    "audit": Picture(audit, dark=False),
    "placing": Picture(placing, dark=False),
    "busy": Picture(busy),
    "fifty": Picture(fifty, size=(1920, 1080), kind="jpg"),
    "4k": Picture(fifty, dark=False, size=(1920, 1080), scale=2, kind="jpg"),
}


def make(name: str, output: Path, folder: Path) -> None:
    """Makes one picture, in this process."""
    picture = PICTURES[name]
    program.make_application("dark" if picture.dark else "light")
    shown = MainWindow(program.make_settings(), automatic_prefill=True)
    program.set_icons(shown)
    shown.resize(*picture.size)
    shown.show()
    taken = picture.state(Stage(shown, folder)) or shown
    if picture.state is not busy:
        shown.message_bar.clear()
    QTest.qWait(400)
    taken.grab().save(str(output / f"guide_{name}.{picture.kind}"), quality=_QUALITY if picture.kind == "jpg" else -1)
    shown.closing.finish()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", choices=PICTURES)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        make(options.only, options.output, options.here)
        return
    for name in [options.only] if options.only else PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {
                "QT_QPA_PLATFORM": "offscreen",
                "QT_SCALE_FACTOR": str(PICTURES[name].scale),
                "MSARCNN_DATA_DIR": str(Path(folder) / "data"),
                "MSARCNN_SETTINGS": str(Path(folder) / "settings.ini"),
            }
            command = [sys.executable, __file__, "--only", name, "--here", folder, "--output", str(options.output)]
            subprocess.run(command, check=True, env=environment)
            print(f"guide_{name}.{PICTURES[name].kind}", flush=True)


if __name__ == "__main__":
    main()
