"""Remembers how the canvas was set: layers, threshold, how heatmaps are drawn."""

from PySide6.QtCore import QObject

from app.canvas.heatmap_image import COLOR_MAPS, HeatmapLook
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
        layers.set_heatmap(self._heatmap())
        layers.changed.connect(self._keep)

    def _keep(self) -> None:
        for name in SWITCHES:
            self._settings.set_value(f"layers/{name}", self._layers.shows(name))
        self._settings.set_value("layers/threshold", self._layers.threshold)
        look = self._layers.heatmap
        self._settings.set_value("layers/opacity", look.opacity)
        self._settings.set_value("heatmap/everything", look.everything)
        self._settings.set_value("heatmap/logarithmic", look.logarithmic)
        self._settings.set_value("heatmap/colors", look.colors)

    def _heatmap(self) -> HeatmapLook:
        look, value = self._layers.heatmap, self._settings.value
        colors = value("heatmap/colors", look.colors)
        return HeatmapLook(
            value("heatmap/everything", look.everything),
            value("heatmap/logarithmic", look.logarithmic),
            colors if colors in COLOR_MAPS else look.colors,
            value("layers/opacity", look.opacity),
        )
