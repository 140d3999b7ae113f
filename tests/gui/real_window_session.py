"""Does what a person does in the real program, with the pointer and the keys, and prints what it expects of the export.

`python real_window_session.py FOLDER OUT.json SCREENSHOT.png`; the display is the one that Qt finds. Events are given
to the window as the window system would give them: Qt decides what receives them (focus, overlaps, shortcuts). The last
line of the output is a JSON object. The exit status is 1 when something did not happen.
"""

import json
import math
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWindow
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app import application as program
from app.document.records import HUMAN, ImageState, Joint
from app.main_window import MainWindow

_SECONDS = 60.0
_POLL_MS = 20
_DRAG = QPoint(34, -22)
"""Screen pixels that the joint is dragged by."""


def wait_for(what: str, condition: Callable[[], bool], seconds: float = _SECONDS) -> None:
    """Lets the program run until something has happened. Raises TimeoutError."""
    for _ in range(round(seconds * 1000 / _POLL_MS)):
        if condition():
            return
        QTest.qWait(_POLL_MS)
    raise TimeoutError(f"{what}: not within {seconds:.0f} seconds")


class Person:
    """Somebody at the window."""

    def __init__(self, window: MainWindow) -> None:
        self.window, self.canvas = window, window.canvas
        self.document, self.selection = window.session.document, window.session.selection
        self.people: dict[str, int] = {}

    @property
    def image(self) -> int:
        key = self.selection.current_image
        assert key is not None
        return key

    @property
    def handle(self) -> QWindow:
        handle = self.window.windowHandle()
        assert handle is not None
        return handle

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.handle, key, modifiers)
        QTest.qWait(_POLL_MS)

    def to_screen(self, x: float, y: float) -> QPoint:
        """Pixels of the upright image to pixels of the window."""
        return self.canvas.viewport().mapTo(self.window, self.canvas.mapFromScene(QPointF(x, y)))

    def can_point_at(self, point: QPoint) -> bool:
        """Whether the photo is what lies on top there: a message may float over it."""
        return self.window.childAt(point) is self.canvas.viewport()

    def drag(self, start: QPoint, end: QPoint) -> None:
        button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseMove(self.handle, start)
        QTest.mousePress(self.handle, button, none, start)
        for step in range(1, 6):
            QTest.mouseMove(self.handle, start + (end - start) * step / 5, 5)
        QTest.mouseRelease(self.handle, button, none, end)
        QTest.qWait(_POLL_MS)

    def wait_for_prefill(self) -> None:
        """The photo is on screen, and the engine has answered without having been asked by hand."""
        wait_for("the photo", lambda: self.window.scene.has_photo and self.document.is_open(self.image))
        wait_for("the automatic pre-fill", lambda: self.document.image(self.image).model != "")

    def accept_and_go_on(self) -> int:
        """Space; returns how many people it made labels. The last image has no next one."""
        self.wait_for_prefill()
        before, shown = self.image, len(self.window.scene.shown_predictions())
        following = self.window.navigation.neighbour(1)
        self.key(Qt.Key.Key_Space)
        expected = following or before
        wait_for("the next image", lambda: self.image == expected)
        accepted = len(self.document.people(before))
        # Of two predictions of the same person only the better one becomes a label.
        assert bool(accepted) == bool(shown) and accepted <= shown, (accepted, shown)
        self.people[self.document.image(before).path] = accepted
        return accepted

    def draw(self) -> int:
        """N and a drag around the middle of the photo; returns the new person's key when its joints are there."""
        width, height = self.window.scene.image_extent()
        steps, before = self.window.session.undo_stack.count(), set(self.document.people(self.image))
        self.key(Qt.Key.Key_N)
        self.drag(self.to_screen(width * 0.3, height * 0.25), self.to_screen(width * 0.62, height * 0.93))
        (drawn,) = set(self.document.people(self.image)) - before
        assert self.selection.person == drawn.key
        wait_for("the joints", lambda: all(joint.origin for joint in self.joints(drawn.key)))
        assert self.window.session.undo_stack.count() == steps + 1, "drawing with its joints is one step"
        return drawn.key

    def joints(self, person: int) -> tuple[Joint, ...]:
        return self.document.person(self.image, person).joints

    def easiest_joint(self, person: int) -> int:
        """The joint of a person that lies farthest from every other one: nobody else's is grabbed by mistake."""
        places = [(p.key, i, j) for p in self.document.people(self.image) for i, j in enumerate(p.joints)]

        def room(index: int) -> float:
            joint = self.joints(person)[index]
            start = self.to_screen(joint.x, joint.y)
            if not (self.can_point_at(start) and self.can_point_at(start + _DRAG)):
                return -1.0
            others = [j for key, i, j in places if (key, i) != (person, index)]
            return min(math.hypot(joint.x - other.x, joint.y - other.y) for other in others)

        return max(range(len(self.joints(person))), key=room)

    def drag_joint(self, person: int, index: int) -> Joint:
        """Drags a joint; returns where it is then."""
        before = self.joints(person)[index]
        start = self.to_screen(before.x, before.y)
        self.drag(start, start + _DRAG)
        moved = self.joints(person)[index]
        scale = self.canvas.screen_scale
        assert moved.origin == HUMAN and moved.v > 0, moved
        assert math.dist((moved.x - before.x, moved.y - before.y), (_DRAG.x() / scale, _DRAG.y() / scale)) < 0.01
        return moved


def label_everything(window: MainWindow, screenshot: Path) -> dict[str, Any]:
    """Accepts on every image; on the last one draws, drags, takes back, drags again. Returns what must be exported."""
    person = Person(window)
    wait_for("the window to be active", window.isActiveWindow)
    wait_for("the project", lambda: person.selection.current_image is not None)
    accepted = sum(person.accept_and_go_on() for _ in range(window.model.total))
    key = person.draw()
    before = person.joints(key)
    index = person.easiest_joint(key)
    person.drag_joint(key, index)
    person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert person.joints(key) == before, "undo puts the joint back exactly"
    moved = person.drag_joint(key, index)
    person.key(Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    record = person.document.image(person.image)
    assert record.state is ImageState.DONE
    picture = window.screen().grabWindow(window.winId())
    assert picture.save(str(screenshot))
    return {
        "accepted": accepted,
        "people": person.people | {record.path: len(person.document.people(person.image))},
        "dragged_file": record.path,
        "dragged_box": [getattr(person.document.person(person.image, key).box, name) for name in "xywh"],
        "dragged_index": index,
        "dragged": [moved.x, moved.y, moved.v],
        "dragged_labelled": person.document.person(person.image, key).labelled_joints,
    }


def session(window: MainWindow, out: Path, screenshot: Path) -> dict[str, Any]:
    """Labels, exports and closes the window."""
    messages: list[tuple[str, str]] = []
    window.messages.posted.connect(lambda message: messages.append((message.level, message.text)))
    expected = label_everything(window, screenshot)
    ended: list[bool] = []
    window.exporting.ended.connect(lambda: ended.append(True))
    window.exporting.export(out)
    wait_for("the export", lambda: bool(ended))
    assert window.close()
    assert not window.session.is_open
    return expected | {"trouble": [text for level, text in messages if level in ("warning", "error")]}


def main(arguments: list[str]) -> int:
    """Starts the program as `main.py FOLDER` does, with somebody at the window."""
    folder, out, screenshot = arguments
    application = program.make_application("light")
    result: dict[str, Any] = {}

    def begin() -> None:
        (window,) = (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))
        window.activateWindow()  # there is no window manager that would do it
        try:
            result.update(session(window, Path(out), Path(screenshot)))
        except Exception:  # noqa: BLE001 whatever it is, the window must not stay open
            traceback.print_exc()
            window.closing.finish()
            application.exit(1)

    QTimer.singleShot(0, begin)
    status = program.show_window(application, program.parse_arguments([folder]))
    heavy = {name.partition(".")[0] for name in sys.modules} & {"torch", "torchvision", "cv2"}
    print(json.dumps(result | {"heavy_modules": sorted(heavy), "platform": application.platformName()}))
    return status if result else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
