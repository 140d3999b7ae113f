"""The dock about the heatmap overlay: opacity and what is shown."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget


class HeatmapPanel(QWidget):
    """Switch and opacity of the selected joint's probability map."""

    shown_changed = Signal(bool)
    opacity_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown = QCheckBox("Show the selected joint's heatmap", self)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(10, 100)
        self.slider.setToolTip("How strongly the heatmap covers the photo")
        self.status = QLabel(self)
        self.status.setProperty("muted", True)
        self.status.setWordWrap(True)
        self.shown.toggled.connect(self.shown_changed)
        self.slider.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))
        row = QHBoxLayout()
        row.addWidget(QLabel("Opacity", self))
        row.addWidget(self.slider, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.shown)
        layout.addLayout(row)
        layout.addWidget(self.status)
        layout.addStretch(1)

    def show_state(self, shown: bool, opacity: float) -> None:
        """Shows the switch and the slider as they are elsewhere."""
        self.shown.setChecked(shown)
        self.slider.setValue(round(opacity * 100))

    def show_status(self, text: str) -> None:
        self.status.setText(text)
