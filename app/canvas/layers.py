"""Which layers the canvas shows, and how: view state, never part of the document."""

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.canvas.adjustments import Adjustments
from app.canvas.heatmap_image import HeatmapLook

SWITCHES = ("boxes", "skeleton", "names", "predictions", "heatmap", "fade")


class Layers(QObject):
    """On/off switches and the two sliders of the canvas.

    Attributes:
        threshold: Open predictions with a lower score are not shown; 0..1.
        heatmap: How the heatmap overlay is drawn.
        adjustments: Of the photo's brightness, contrast and gamma; not remembered from day to day.
    """

    changed = Signal()
    switched = Signal(str, bool)
    """A layer of `SWITCHES` was turned on or off; `changed` follows."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._on = {name: name in ("boxes", "skeleton", "predictions") for name in SWITCHES}
        self.threshold = 0.5
        self.heatmap = HeatmapLook()
        self.adjustments = Adjustments()

    def shows(self, layer: str) -> bool:
        """Whether a layer of `SWITCHES` is on."""
        return self._on[layer]

    def switch(self, layer: str, on: bool) -> None:
        """Turns a layer of `SWITCHES` on or off."""
        if self._on[layer] != on:
            self._on[layer] = on
            self.switched.emit(layer, on)
            self.changed.emit()

    def toggle(self, layer: str) -> None:
        self.switch(layer, not self._on[layer])

    def set_threshold(self, threshold: float) -> None:
        if threshold != self.threshold:
            self.threshold = threshold
            self.changed.emit()

    def set_adjustments(self, adjustments: Adjustments) -> None:
        if adjustments != self.adjustments:
            self.adjustments = adjustments
            self.changed.emit()

    def brighten(self, step: float) -> None:
        """Changes the photo's brightness by a share of the whole range."""
        brightness = min(max(self.adjustments.brightness + step, -1.0), 1.0)
        self.set_adjustments(replace(self.adjustments, brightness=round(brightness, 2)))

    def lift_shadows(self, factor: float) -> None:
        """Multiplies the photo's gamma."""
        gamma = min(max(self.adjustments.gamma * factor, 0.2), 5.0)
        self.set_adjustments(replace(self.adjustments, gamma=round(gamma, 4)))

    def reset_adjustments(self) -> None:
        """Shows the photo as it is."""
        self.set_adjustments(Adjustments())

    def set_heatmap(self, look: HeatmapLook) -> None:
        if look != self.heatmap:
            self.heatmap = look
            self.changed.emit()
