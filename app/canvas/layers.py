"""Which layers the canvas shows, and how: view state, never part of the document."""

from PySide6.QtCore import QObject, Signal

SWITCHES = ("boxes", "skeleton", "names", "predictions", "heatmap")


class Layers(QObject):
    """On/off switches and the two sliders of the canvas.

    Attributes:
        threshold: Open predictions with a lower score are not shown; 0..1.
        opacity: Of the heatmap overlay; 0..1.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._on = {"boxes": True, "skeleton": True, "names": False, "predictions": True, "heatmap": False}
        self.threshold = 0.5
        self.opacity = 0.65

    def shows(self, layer: str) -> bool:
        """Whether a layer of `SWITCHES` is on."""
        return self._on[layer]

    def switch(self, layer: str, on: bool) -> None:
        """Turns a layer of `SWITCHES` on or off."""
        if self._on[layer] != on:
            self._on[layer] = on
            self.changed.emit()

    def toggle(self, layer: str) -> None:
        self.switch(layer, not self._on[layer])

    def set_threshold(self, threshold: float) -> None:
        if threshold != self.threshold:
            self.threshold = threshold
            self.changed.emit()

    def set_opacity(self, opacity: float) -> None:
        if opacity != self.opacity:
            self.opacity = opacity
            self.changed.emit()
