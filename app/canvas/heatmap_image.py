"""Probability maps -> translucent pictures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLOR_MAPS = ("inferno", "viridis", "cividis", "gray")
"""What the user may choose from (msarcnn.heatmap_colors, which needs numpy: a tenth of the start-up time)."""


@dataclass(frozen=True, slots=True)
class HeatmapLook:
    """How maps are drawn.

    Attributes:
        everything: All joints of somebody at once, each scaled by its own peak, instead of the selected one.
        logarithmic: Shows three decades, so that weak second peaks are seen; else shares of the peak.
        colors: One of COLOR_MAPS.
        opacity: Of the most probable places, 0..1.
    """

    everything: bool = False
    logarithmic: bool = True
    colors: str = COLOR_MAPS[0]
    opacity: float = 0.65


@dataclass(frozen=True)
class Tile:
    """A map among others side by side.

    Attributes:
        caption: Under it.
        map: Drawn over the whole tile.
        answer: Where the model puts the joint, in shares of the tile's width and height; None: nowhere.
        joint: What a click selects; None: nothing.
        about: Its tool tip.
    """

    caption: str
    map: QImage
    answer: tuple[float, float] | None = None
    joint: int | None = None
    about: str = ""


def colored_heatmap(probabilities: "NDArray[np.floating]", look: HeatmapLook) -> QImage:
    """Colours a map [S, S], row 0 at the top; the picture's alpha is premultiplied."""
    from app.workers.map_colors import colored

    return _picture(*colored(probabilities, look.colors, look.logarithmic), look.opacity)


def colored_joints(maps: "NDArray[np.floating]", look: HeatmapLook) -> QImage:
    """All joints' maps [K, S, S] in one picture: at each place the one that has most of its peak there."""
    from app.workers.map_colors import strongest

    return colored_heatmap(strongest(maps), look)


def colored_difference(first: "NDArray[np.floating]", second: "NDArray[np.floating]", opacity: float) -> QImage:
    """Two maps [S, S], or [K, S, S] of all joints: red where the first has more of its peak, blue where the second."""
    from app.workers import map_colors

    both = [map_colors.strongest(one) if one.ndim == 3 else one for one in (first, second)]
    return _picture(*map_colors.colored_difference(both[0], both[1]), opacity)


def best_cells(probabilities: "NDArray[np.floating]", count: int) -> list[tuple[int, int]]:
    """Returns rows and columns of the most probable cells, falling."""
    from app.workers import map_colors

    return map_colors.best_cells(probabilities, count)


def _picture(colors: "NDArray[np.floating]", cover: "NDArray[np.floating]", opacity: float) -> QImage:
    import numpy as np

    height, width = cover.shape
    alpha = cover[..., None] * opacity
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = colors[..., ::-1] * alpha
    pixels[..., 3:] = 255 * alpha
    return QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()
