"""The dock about the heatmap overlay: how it is drawn and what is shown."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

_LEGEND = (
    "Cross and frames: the two most probable cells. Diamond: where the model puts the joint. "
    "Numbered rings: other places."
)


class HeatmapPanel(QWidget):
    """Switch and look of the probability maps."""

    shown_changed = Signal(bool)
    look_changed = Signal(bool, bool, str, float)
    """Everything, logarithmic, colours, opacity (HeatmapLook)."""
    grid_wanted = Signal()

    def __init__(self, color_maps: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._color_maps = color_maps
        self.shown = QCheckBox("Show heatmap", self)
        self.shown.setToolTip("Of the joint that is selected, or that the pointer rests on")
        self.grid = QPushButton("All maps…", self)
        self.grid.setToolTip("Every joint's map side by side, two models, a picture of them")
        self.what = _choice(self, ["The joint", "All joints"], "One joint's map, or the strongest of all at each place")
        self.scale = _choice(self, ["Logarithmic", "Linear"], "Logarithmic shows weak second places, too")
        self.colors = _choice(self, [name.capitalize() for name in color_maps], "Perceptually even colour maps")
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(10, 100)
        self.slider.setToolTip("How strongly the heatmap covers the photo")
        self.status = QLabel(self)
        self.status.setProperty("muted", True)
        self.status.setWordWrap(True)
        self.status.setToolTip(_LEGEND)
        self.shown.toggled.connect(self.shown_changed)
        self.grid.clicked.connect(self.grid_wanted)
        for box in (self.what, self.scale, self.colors):
            box.activated.connect(self._changed)
        self.slider.valueChanged.connect(self._changed)
        first = QHBoxLayout()
        first.addWidget(self.shown)
        first.addWidget(self.slider, 1)
        first.addWidget(self.grid)
        choices = QHBoxLayout()
        for box in (self.what, self.scale, self.colors):
            choices.addWidget(box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(8)
        layout.addLayout(first)
        layout.addLayout(choices)
        layout.addWidget(self.status)
        layout.addStretch(1)

    def show_state(self, shown: bool, everything: bool, logarithmic: bool, colors: str, opacity: float) -> None:
        """Shows the switch and the look as they are elsewhere."""
        self.shown.setChecked(shown)
        self.what.setCurrentIndex(int(everything))
        self.scale.setCurrentIndex(int(not logarithmic))
        self.colors.setCurrentIndex(self._color_maps.index(colors))
        self.slider.setValue(round(opacity * 100))

    def show_status(self, text: str) -> None:
        self.status.setText(text)

    def _changed(self) -> None:
        everything, logarithmic = self.what.currentIndex() == 1, self.scale.currentIndex() == 0
        colors = self._color_maps[self.colors.currentIndex()]
        self.look_changed.emit(everything, logarithmic, colors, self.slider.value() / 100)


def _choice(parent: QWidget, texts: Sequence[str], tip: str) -> QComboBox:
    box = QComboBox(parent)
    box.addItems(texts)
    box.setToolTip(tip)
    return box
