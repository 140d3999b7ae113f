"""The dock about how the photo and the labels are shown."""

from math import log

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

_STEPS = 100


class ViewPanel(QWidget):
    """Sliders for brightness, contrast and gamma."""

    adjusted = Signal(float, float, float)
    """Brightness, contrast and gamma, as in the canvas's `Adjustments`."""
    reset_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._showing = False
        self.brightness = self._slider("Brighter or darker; the file stays as it is")
        self.contrast = self._slider("More or less contrast; the file stays as it is")
        self.gamma = self._slider("Right: see into the shadows; left: see into the lights")
        self.reset = QPushButton("Reset", self)
        self.reset.setToolTip("Show the photo as it is")
        self.reset.clicked.connect(self.reset_wanted)
        self.fade = QCheckBox("Fade all but the selected", self)
        self.fade.setToolTip("Everybody but the selected person steps back")
        grid = QGridLayout()
        grid.setVerticalSpacing(6)
        for row, (name, slider) in enumerate(self._sliders()):
            grid.addWidget(QLabel(name, self), row, 0)
            grid.addWidget(slider, row, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(8)
        layout.addLayout(grid)
        switches = QHBoxLayout()
        switches.addWidget(self.fade, 1)
        switches.addWidget(self.reset)
        layout.addLayout(switches)
        layout.addStretch(1)
        self.show_adjustments(0.0, 0.0, 1.0)

    def set_fade_action(self, action: QAction) -> None:
        """The box shows and triggers the action."""
        action.toggled.connect(self.fade.setChecked)
        self.fade.setChecked(action.isChecked())
        self.fade.clicked.connect(lambda: action.trigger())

    def show_adjustments(self, brightness: float, contrast: float, gamma: float) -> None:
        """Shows values that were set elsewhere, without a signal."""
        self._showing = True
        values = round(brightness * _STEPS), round(contrast * _STEPS), round(log(gamma, 5) * _STEPS)
        for (_, slider), value in zip(self._sliders(), values, strict=True):
            slider.setValue(value)
        self.reset.setEnabled(any(values))
        self._showing = False

    def _sliders(self) -> tuple[tuple[str, QSlider], ...]:
        return ("Brightness", self.brightness), ("Contrast", self.contrast), ("Gamma", self.gamma)

    def _slider(self, tooltip: str) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(-_STEPS, _STEPS)
        slider.setToolTip(tooltip)
        slider.valueChanged.connect(self._moved)
        return slider

    def _moved(self) -> None:
        if not self._showing:
            share = 1.0 / _STEPS
            gamma = 5 ** (self.gamma.value() * share)
            self.adjusted.emit(self.brightness.value() * share, self.contrast.value() * share, gamma)
