"""Which frames of a video become photos."""

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.buttons import add_primary


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """The answers.

    Attributes:
        video: The file.
        every: Every n-th frame is looked at.
        change: Of them, those that differ by so much from the one before; 0: all.
        suffix: "jpg" or "png".
    """

    video: Path
    every: int
    change: float
    suffix: str


class VideoDialog(QDialog):
    """Asks for `VideoSettings`; `chosen` carries them."""

    chosen = Signal(object)

    def __init__(self, video: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Frames of a video")
        self.setMinimumWidth(420)
        self._video = video
        self.every = QSpinBox(self)
        self.every.setRange(1, 100_000)
        self.every.setValue(10)
        self.every.setToolTip("1: every frame; 25: one a second of most videos")
        self.changed = QCheckBox("Only where something has changed", self)
        self.changed.setChecked(True)
        self.change = QDoubleSpinBox(self)
        self.change.setRange(0.1, 50.0)
        self.change.setValue(2.0)
        self.change.setSuffix(" %")
        self.change.setToolTip("Mean difference to the frame taken before: 2 % leaves out pauses, 10 % all but cuts")
        self.suffix = QComboBox(self)
        self.suffix.addItem("JPEG, quality 95", "jpg")
        self.suffix.addItem("PNG, without loss", "png")
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(20)
        form.addRow("Video", QLabel(video.name, self))
        form.addRow("Take every n-th frame, n =", self.every)
        form.addRow("", self.changed)
        form.addRow("Least change", self.change)
        form.addRow("Photos as", self.suffix)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        go = add_primary(buttons, "Choose folder…")
        go.setDefault(True)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self.changed.toggled.connect(self.change.setEnabled)

    def settings(self) -> VideoSettings:
        """The answers as they stand."""
        change = self.change.value() / 100 if self.changed.isChecked() else 0.0
        return VideoSettings(self._video, self.every.value(), change, self.suffix.currentData())

    def _accept(self) -> None:
        self.accept()
        self.chosen.emit(self.settings())
