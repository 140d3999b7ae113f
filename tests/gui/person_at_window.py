"""Somebody at the window of the real program, for the sessions that tests run in processes of their own.

Events are given to the window as the window system would give them: Qt decides what receives them (focus, overlaps,
shortcuts). The last line of a session's output is a JSON object; its exit status is 1 when something did not happen.
"""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWindow
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app import application as program
from app.main_window import MainWindow

_SECONDS = 60.0
POLL_MS = 20


def wait_for(what: str, condition: Callable[[], bool], seconds: float = _SECONDS) -> None:
    """Lets the program run until something has happened. Raises TimeoutError."""
    for _ in range(round(seconds * 1000 / POLL_MS)):
        if condition():
            return
        QTest.qWait(POLL_MS)
    raise TimeoutError(f"{what}: not within {seconds:.0f} seconds")


class Person:
    """Somebody at the window."""

    def __init__(self, window: MainWindow) -> None:
        self.window, self.canvas = window, window.canvas
        self.document, self.selection = window.session.document, window.session.selection

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
        QTest.qWait(POLL_MS)

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
        QTest.qWait(POLL_MS)

    def wait_for_photo(self) -> None:
        wait_for("the photo", lambda: self.window.scene.has_photo and self.document.is_open(self.image))

    def wait_for_prefill(self) -> None:
        """The photo is on screen, and the engine has answered without having been asked by hand."""
        self.wait_for_photo()
        wait_for("the automatic pre-fill", lambda: self.document.image(self.image).model != "")


def run_program(arguments: list[str], session: Callable[[MainWindow], dict[str, Any]]) -> int:
    """Starts the program as `main.py ARGUMENTS...` does, with somebody at the window; prints what came out."""
    application = program.make_application("light")
    result: dict[str, Any] = {}

    def begin() -> None:
        (window,) = (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))
        window.activateWindow()  # there is no window manager that would do it
        try:
            wait_for("the window to be active", window.isActiveWindow)
            result.update(session(window))
        except Exception:  # noqa: BLE001 whatever it is, the window must not stay open
            traceback.print_exc()
            window.closing.finish()
            application.exit(1)

    QTimer.singleShot(0, begin)
    status = program.show_window(application, program.parse_arguments(arguments))
    heavy = {name.partition(".")[0] for name in sys.modules} & {"torch", "torchvision", "cv2"}
    print(json.dumps(result | {"heavy_modules": sorted(heavy), "platform": application.platformName()}))
    return status if result else 1
