"""The keyboard in the panels, for those who work without a mouse."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QWidget

from app.canvas.view import is_space


class PanelFocus:
    """Goes around the panels that are visible.

    stops: each panel with the widget in it that takes the keys first.
    """

    def __init__(self, stops: Sequence[tuple[QWidget, QWidget]], search: QWidget) -> None:
        self._stops, self._search = stops, search

    def next(self) -> None:
        self._step(1)

    def previous(self) -> None:
        self._step(-1)

    def search(self) -> None:
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _step(self, step: int) -> None:
        visible = [(panel, first) for panel, first in self._stops if first.isVisible() and first.isEnabled()]
        if not visible:
            return
        focus = QApplication.focusWidget()
        holding = [focus is not None and (panel is focus or panel.isAncestorOf(focus)) for panel, _ in visible]
        at = (holding.index(True) + step) % len(visible) if True in holding else 0
        visible[at][1].setFocus(Qt.FocusReason.ShortcutFocusReason)


class SpaceKeeper(QObject):
    """Leaves Space to the box, button or list of choices that has the focus, whatever action has that key."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        for kind in (QAbstractButton, QComboBox):
            for widget in window.findChildren(kind):
                widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # Accepting this event means: not a shortcut, a key press for the widget.
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and is_space(event):
            event.accept()
            return True
        return super().eventFilter(watched, event)
