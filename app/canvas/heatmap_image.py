"""Probability map -> translucent picture."""

from functools import cache
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DECADES = 3
"""What is a thousand times less probable than the peak is not drawn."""


def colored_heatmap(probabilities: "NDArray[np.floating]", opacity: float) -> QImage:
    """Colours a probability map: nothing where improbable, dark violet over orange to light yellow at the peak.

    Args:
        probabilities: [S, S], non-negative; row 0 is the top. Scaled by its maximum.
        opacity: Of the most probable places, 0..1.

    Returns:
        An S x S picture with premultiplied alpha.
    """
    # Only needed once somebody looks at a heatmap: numpy would cost a tenth of the start-up time.
    import numpy as np

    values = np.nan_to_num(probabilities.astype(np.float32))
    # Three decades: a softmax over thousands of cells is a needle, and the weak second peaks, which are what an
    # annotator looks for, would be invisible beside it.
    share = values / max(float(values.max(initial=0.0)), 1e-12)
    level = np.clip(1.0 + np.log10(np.maximum(share, 1e-12)) / _DECADES, 0.0, 1.0)
    colors = _inferno()[(level * 255).astype(np.uint8)]
    alpha = np.clip(level * 1.5, 0.0, 1.0)[..., None] * opacity
    height, width = values.shape
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = colors[..., ::-1] * alpha
    pixels[..., 3:] = 255 * alpha
    return QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()


def peak_cell(probabilities: "NDArray[np.floating]") -> tuple[int, int]:
    """Returns row and column of the most probable cell."""
    row, column = divmod(int(probabilities.argmax()), probabilities.shape[1])
    return row, column


@cache
def _inferno() -> "NDArray[np.float32]":
    """Returns 256 RGB colours between hand-picked stops, dark to bright at an even pace."""
    import numpy as np

    stops = np.array([0, 0.25, 0.5, 0.75, 1.0])
    colors = np.array([[28, 12, 90], [120, 28, 130], [215, 55, 75], [250, 150, 25], [255, 250, 170]], np.float32)
    place = np.linspace(0, 1, 256)
    return np.stack([np.interp(place, stops, colors[:, channel]) for channel in range(3)], 1).astype(np.float32)
