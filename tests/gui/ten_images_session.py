"""Labels ten photos with nothing but the pointer and the keys, exports, and prints what the pointer drew.

`python ten_images_session.py FOLDER OUT.json PLAN.json SCREENSHOT.png`. The plan says who is where on the photos, as
somebody sees who looks at them: {file name: [{"bbox": [4], "keypoints": [51]}, ...]}. What is printed is computed from
where the pointer was, not from what the program made of it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from person_at_window import POLL_MS, Person, run_program, wait_for
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit

from app.dialogs.export import ExportDialog
from app.document.records import ImageState
from app.main_window import MainWindow
from app.storage.visibility import accepted_v

Labelled = dict[str, Any]
"""{"bbox", "keypoints", "iscrowd"} as in the file."""

_NONE, _CONTROL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_CLICK_PIXELS = 6
"""A shorter drag is a click."""
_DETOUR = QPoint(15, 15)


class Labeller(Person):
    """Draws boxes, and joints in two ways: one after the other, or by correcting the model's."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.drawn: dict[str, list[Labelled]] = {}

    def begin(self) -> None:
        """Waits for the first photo and skips the hints for newcomers."""
        wait_for("the project", lambda: self.selection.current_image is not None)
        self.wait_for_prefill()
        if self.window.tour.isVisible():
            skip = self.window.tour.skip
            self.click(skip.mapTo(self.window, skip.rect().center()))
        assert not self.window.tour.isVisible()

    def click(self, place: QPoint, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        QTest.mouseMove(self.handle, place)
        QTest.mouseClick(self.handle, button, _NONE, place)
        QTest.qWait(POLL_MS)

    def on_photo(self, place: QPoint) -> tuple[float, float]:
        """Pixels of the window to pixels of the upright image."""
        point = self.canvas.mapToScene(self.canvas.viewport().mapFrom(self.window, place))
        return point.x(), point.y()

    def clear_view(self) -> None:
        """No message lies over the photo."""
        while self.window.message_bar.isVisible() and self.window.message_bar.text:
            self.key(Qt.Key.Key_0, Qt.KeyboardModifier.AltModifier)

    def note(self, labelled: Labelled) -> None:
        self.drawn.setdefault(self.document.image(self.image).path, []).append(labelled)

    # One person

    def draw_box(self, bbox: Sequence[float]) -> list[float]:
        """N and a drag; returns the box that was drawn."""
        x, y, w, h = bbox
        self.clear_view()
        start, end = self.to_screen(x, y), self.to_screen(x + w, y + h)
        self.key(Qt.Key.Key_N)
        self.drag(start, end)
        (left, top), (right, bottom) = self.on_photo(start), self.on_photo(end)
        width, height = self.window.scene.image_extent()
        left, right = (min(max(value, 0.0), width) for value in (left, right))
        top, bottom = (min(max(value, 0.0), height) for value in (top, bottom))
        person = self.selection.person
        assert person is not None
        wait_for("the joints", lambda: all(joint.origin for joint in self.document.person(self.image, person).joints))
        return [left, top, right - left, bottom - top]

    def select_joint(self, index: int) -> None:
        """Tab until the joint is selected."""
        for _ in range(18):
            if self.selection.joint == index:
                return
            self.key(Qt.Key.Key_Tab)
        raise AssertionError(f"Tab does not come to joint {index}")

    def place_joints(self, keypoints: Sequence[float]) -> list[float]:
        """Takes the model's joints away, then clicks all that can be seen in the order that is asked for."""
        for index in range(17):
            self.select_joint(index)
            self.key(Qt.Key.Key_Delete)
        placed = [0.0] * 51
        self.key(Qt.Key.Key_J)
        for index, _ in self.window.scene.placing_order:
            assert self.window.canvas.placing and self.selection.joint == index
            x, y, v = keypoints[3 * index : 3 * index + 3]
            if v == 0:
                self.key(Qt.Key.Key_S)
                continue
            place = self.to_screen(x, y)
            self.click(place, Qt.MouseButton.LeftButton if v == 2 else Qt.MouseButton.RightButton)
            placed[3 * index : 3 * index + 3] = [*self.on_photo(place), v]
        assert not self.window.canvas.placing
        return placed

    def correct_joints(self, keypoints: Sequence[float]) -> list[float]:
        """Drags every joint of the model to where it is, says which are occluded, takes away the others."""
        placed = [0.0] * 51
        for index in range(17):
            x, y, v = keypoints[3 * index : 3 * index + 3]
            self.select_joint(index)
            if v == 0:
                self.key(Qt.Key.Key_Delete)
                continue
            person = self.selection.person
            assert person is not None
            # Joints that follow the one before are not grabbed while they move.
            wait_for("joints that follow", lambda: not self.window.estimation.busy)
            joint = self.document.person(self.image, person).joints[index]
            start, end = self.to_screen(joint.x, joint.y), self.to_screen(x, y)
            there = self.drag_from((joint.x, joint.y), start, end)
            assert (self.selection.person, self.selection.joint) == (person, index), "nobody else's joint was taken"
            if v == 1:
                self.key(Qt.Key.Key_V)
            placed[3 * index : 3 * index + 3] = [*there, v]
        return placed

    def drag_from(self, place: tuple[float, float], start: QPoint, end: QPoint) -> tuple[float, float]:
        """Drags what is at `place`; returns where it is then. Whatever is near its goal is taken away first."""
        if (end - start).manhattanLength() < _CLICK_PIXELS:
            away = start + _DETOUR
            place = self.drag_from(place, start, away)
            return self.drag_from(place, away, end)
        self.drag(start, end)
        (x0, y0), (x1, y1) = self.on_photo(start), self.on_photo(end)
        return place[0] + x1 - x0, place[1] + y1 - y0

    def nudge_last_joint(self, keypoints: list[float]) -> None:
        """Three pixels to the right and ten down, by keys."""
        index = max(at for at in range(17) if keypoints[3 * at + 2])
        self.select_joint(index)
        for _ in range(3):
            self.key(Qt.Key.Key_Right)
        self.key(Qt.Key.Key_Down, _SHIFT)
        keypoints[3 * index] += 3
        keypoints[3 * index + 1] += 10

    # One image

    def label_people(self, people: Sequence[Labelled], by_clicks: bool) -> None:
        for person in people:
            box = self.draw_box(person["bbox"])
            keypoints = (self.place_joints if by_clicks else self.correct_joints)(person["keypoints"])
            if by_clicks:
                self.nudge_last_joint(keypoints)
            self.note({"bbox": box, "keypoints": keypoints, "iscrowd": 0})
        self.key(Qt.Key.Key_C, _CONTROL)
        self.key(Qt.Key.Key_Space, _CONTROL)
        assert self.document.image(self.image).state is ImageState.DONE

    def accept(self) -> None:
        """Space makes labels of what is shown, and goes on."""
        image = self.image
        shown = [proposal.prediction for proposal in self.window.proposals.now().shown]
        info = self.window.engine.info
        assert shown and info is not None
        acceptance = self.window.session.acceptance_of(info.hash)  # by then a habit of the seven before is known
        self.key(Qt.Key.Key_Space)
        wait_for("the next image", lambda: self.image != image)
        self.drawn[self.document.image(image).path] = [
            {
                "bbox": [found.box.x, found.box.y, found.box.w, found.box.h],
                # Only what the model thinks to be labelled becomes a label.
                "keypoints": [
                    number
                    for joint, v in zip(found.joints, accepted_v(found.joints, acceptance), strict=True)
                    for number in ((joint.x, joint.y, v) if v else (0, 0, 0))
                ],
                "iscrowd": 0,
            }
            for found in shown
        ]

    def nobody(self) -> None:
        self.key(Qt.Key.Key_E)
        assert self.document.image(self.image).state is ImageState.DONE_EMPTY
        self.drawn[self.document.image(self.image).path] = []

    def crowd_and_paste(self, bbox: Sequence[float], copied: Labelled) -> None:
        """The person who was copied last, moved as little as this photo needs to hold the box, and a crowd."""
        self.key(Qt.Key.Key_V, _CONTROL)
        (x, y, w, h), extent = copied["bbox"], self.window.scene.image_extent()
        dx, dy = min(0.0, extent[0] - x - w), min(0.0, extent[1] - y - h)
        shifts = (dx, dy, 0) * 17
        keypoints = [value + shift for value, shift in zip(copied["keypoints"], shifts, strict=True)]
        assert all(keypoints[2::3]), "a joint without a label would stay at 0, 0"
        self.note({"bbox": [x + dx, y + dy, w, h], "keypoints": keypoints, "iscrowd": 0})
        box = self.draw_box(bbox)
        self.key(Qt.Key.Key_C)
        self.note({"bbox": box, "keypoints": [0.0] * 51, "iscrowd": 1})

    def go_on(self) -> None:
        image = self.image
        self.key(Qt.Key.Key_D)
        wait_for("the next image", lambda: self.image != image)
        self.wait_for_prefill()

    # The file

    def export(self, out: Path) -> None:
        """Ctrl+E, Return, the name, Return."""
        self.key(Qt.Key.Key_E, _CONTROL)
        wait_for("the export dialog", lambda: self.window.findChild(ExportDialog) is not None)
        dialog = self.window.findChild(ExportDialog)
        assert dialog is not None
        wait_for("the export dialog's window", dialog.isVisible)
        ended: list[bool] = []
        self.window.exporting.ended.connect(lambda: ended.append(True))
        QTimer.singleShot(POLL_MS, self.window, lambda: answer_file_dialog(out))
        handle = dialog.windowHandle()
        assert handle is not None
        QTest.keyClick(handle, Qt.Key.Key_Return)
        wait_for("the export", lambda: bool(ended))
        self.window.activateWindow()  # there is no window manager that would do it
        wait_for("the window to be active again", self.window.isActiveWindow)


def answer_file_dialog(out: Path) -> None:
    """Types a name into the file dialog once it is there."""
    dialog = QApplication.activeModalWidget()
    handle = dialog.windowHandle() if isinstance(dialog, QFileDialog) else None
    if dialog is None or handle is None or not handle.isExposed():
        QTimer.singleShot(POLL_MS, lambda: answer_file_dialog(out))
        return
    name = dialog.findChild(QLineEdit, "fileNameEdit")
    assert isinstance(name, QLineEdit)
    name.selectAll()
    QTest.keyClicks(name, str(out))
    QTest.keyClick(name, Qt.Key.Key_Return)


def session(window: MainWindow, out: Path, plan: dict[str, list[Labelled]], screenshot: Path) -> dict[str, Any]:
    """Seven images by hand, one accepted, one empty, one with a crowd and somebody pasted."""
    messages: list[tuple[str, str]] = []
    window.messages.posted.connect(lambda message: messages.append((message.level, message.text)))
    person = Labeller(window)
    person.begin()
    *by_hand, accepted, empty, crowd = sorted(plan)
    for number, name in enumerate(by_hand):
        assert person.document.image(person.image).path == name
        person.label_people(plan[name], by_clicks=number % 2 == 0)
        person.go_on()
    person.accept()
    person.wait_for_prefill()
    person.nobody()
    person.go_on()
    person.crowd_and_paste(plan[crowd][0]["bbox"], person.drawn[by_hand[-1]][-1])
    assert window.screen().grabWindow(window.winId()).save(str(screenshot))
    assert sorted(person.drawn) == sorted(plan) and not person.drawn[empty] and person.drawn[accepted]
    person.export(out)
    trouble = [text for level, text in messages if level in ("warning", "error")]
    person.key(Qt.Key.Key_Q, _CONTROL | _SHIFT)
    assert not window.isVisible() and not window.session.is_open
    return {"drawn": person.drawn, "trouble": trouble}


def main(arguments: list[str]) -> int:
    folder, out, plan, screenshot = arguments
    people = json.loads(Path(plan).read_text())
    return run_program([folder], lambda window: session(window, Path(out), people, Path(screenshot)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
