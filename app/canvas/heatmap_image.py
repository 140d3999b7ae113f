"""Probability maps -> translucent pictures."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DECADES = 3
"""On the logarithmic scale what is a thousand times less probable than the peak is not drawn."""
COLOR_MAPS = ("inferno", "viridis", "cividis", "gray")
"""Perceptually even ones, by their common names; cividis for eyes that tell red from green badly."""
_DIFFERENCE = "coolwarm"


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


def strongest(maps: "NDArray[np.floating]") -> "NDArray[np.floating]":
    """Maps [K, S, S] in one: at each place the largest share that it has of a map's peak, [S, S] in 0..1."""
    import numpy as np

    values = np.nan_to_num(maps.astype(np.float32))
    shares: NDArray[np.floating] = values / np.maximum(values.max(axis=(1, 2), keepdims=True), 1e-12)
    return shares.max(axis=0)


def colored_heatmap(probabilities: "NDArray[np.floating]", look: HeatmapLook) -> QImage:
    """Colours a probability map: nothing where improbable, the colour map's end at the peak.

    Args:
        probabilities: [S, S], non-negative; row 0 is the top. Scaled by its maximum.
        look: Its `everything` is not about a single map.

    Returns:
        An S x S picture with premultiplied alpha.
    """
    # Only needed once somebody looks at a heatmap: numpy would cost a tenth of the start-up time.
    import numpy as np

    values = np.nan_to_num(probabilities.astype(np.float32))
    level = values / max(float(values.max(initial=0.0)), 1e-12)
    if look.logarithmic:
        # A softmax over thousands of cells is a needle, and the weak second peaks, which are what an annotator looks
        # for, would be invisible beside it.
        level = np.clip(1.0 + np.log10(np.maximum(level, 1e-12)) / _DECADES, 0.0, 1.0)
    alpha = np.clip(level * 1.5, 0.0, 1.0)[..., None] * look.opacity
    return _picture(_colors(look.colors)[(level * 255).astype(np.uint8)], alpha)


def colored_difference(first: "NDArray[np.floating]", second: "NDArray[np.floating]", opacity: float) -> QImage:
    """What one map has of its peak and another has not: red where the first has more, blue where the second has.

    Args:
        first, second: [S, S] probabilities.
        opacity: Of the largest difference, 0..1.
    """
    import numpy as np

    more, less = (strongest(one[None]) for one in (first, second))
    signed = more - less
    alpha = np.clip(np.abs(signed) * 1.5, 0.0, 1.0)[..., None] * opacity
    return _picture(_colors(_DIFFERENCE)[((signed + 1) * 127.5).astype(np.uint8)], alpha)


def peak_cell(probabilities: "NDArray[np.floating]") -> tuple[int, int]:
    """Returns row and column of the most probable cell."""
    return best_cells(probabilities, 1)[0]


def best_cells(probabilities: "NDArray[np.floating]", count: int) -> list[tuple[int, int]]:
    """Returns rows and columns of the most probable cells, falling."""
    import numpy as np

    order = np.argsort(-probabilities, axis=None, kind="stable")[:count]
    return [divmod(int(cell), probabilities.shape[1]) for cell in order]


def _picture(colors: "NDArray[np.floating]", alpha: "NDArray[np.floating]") -> QImage:
    import numpy as np

    height, width = alpha.shape[:2]
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = colors[..., ::-1] * alpha
    pixels[..., 3:] = 255 * alpha
    return QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()


@cache
def _colors(name: str) -> "NDArray[np.float32]":
    """Returns 256 RGB colours, 0..255."""
    import cmap
    import numpy as np

    # The darkest colours would not be seen on the darkened photo.
    first = 0.0 if name == _DIFFERENCE else 0.12
    return (cmap.Colormap(name)(np.linspace(first, 1, 256))[:, :3] * 255).astype(np.float32)
