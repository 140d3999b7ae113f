"""Remembers how the canvas was set: layers, threshold, opacity."""

from PySide6.QtCore import QObject

from app.canvas.layers import SWITCHES, Layers
from app.storage.settings import Settings


class ViewState(QObject):
    """Reads the switches when the window opens and keeps every change. The heatmap starts switched off."""

    def __init__(self, layers: Layers, settings: Settings) -> None:
        super().__init__(layers)
        self._layers, self._settings = layers, settings
        for name in SWITCHES:
            if name != "heatmap":
                layers.switch(name, settings.value(f"layers/{name}", layers.shows(name)))
        layers.set_threshold(settings.value("layers/threshold", layers.threshold))
        layers.set_opacity(settings.value("layers/opacity", layers.opacity))
        layers.changed.connect(self._keep)

    def _keep(self) -> None:
        for name in SWITCHES:
            self._settings.set_value(f"layers/{name}", self._layers.shows(name))
        self._settings.set_value("layers/threshold", self._layers.threshold)
        self._settings.set_value("layers/opacity", self._layers.opacity)
