"""Background work in the status bar: what, how far, how long still, pause and cancel."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QToolButton, QWidget

from app.panels.durations import time_left


class ProgressStrip(QWidget):
    """Hidden while nothing runs."""

    cancel_wanted = Signal()
    pause_wanted = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(140)
        self.pause = QToolButton(self)
        self.pause.setText("Pause")
        self.pause.setCheckable(True)
        self.pause.setToolTip("Let the background work wait")
        self.cancel = QToolButton(self)
        self.cancel.setText("Cancel")
        self.cancel.setToolTip("End the background work; what is done stays")
        self.pause.toggled.connect(self.pause_wanted)
        self.cancel.clicked.connect(self.cancel_wanted)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 0)
        layout.setSpacing(8)
        for widget in (self._label, self._bar, self.pause, self.cancel):
            layout.addWidget(widget)
        self.hide()

    def show_progress(
        self, name: str, done: int, total: int, seconds_left: float | None, pausable: bool = True
    ) -> None:
        """Shows how far the work is; a total of 0 means unknown."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        left = f"  ·  {time_left(seconds_left)}" if seconds_left is not None else ""
        self._label.setText(f"{name} {done:,} of {total:,}{left}" if total else name)
        self.pause.setVisible(pausable)
        self.show()

    @property
    def text(self) -> str:
        return self._label.text()

    def finish(self) -> None:
        self.pause.setChecked(False)
        self.hide()
