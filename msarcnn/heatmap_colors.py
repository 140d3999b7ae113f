"""Colours of probability maps, for the window and for pictures on disk. numpy only."""

from functools import cache

import numpy as np

COLOR_MAPS = ("inferno", "viridis", "cividis", "gray")
"""Perceptually even ones, by their common names; cividis for eyes that tell red from green badly."""
_DIFFERENCE = "coolwarm"
_DECADES = 3
"""On the logarithmic scale what is a thousand times less probable than the peak is not drawn."""


def colored(probabilities: np.ndarray, colors: str, logarithmic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Colours a probability map: nothing where improbable, the colour map's end at the peak.

    Args:
        probabilities: [S, S], non-negative; scaled by its maximum.
        colors: One of COLOR_MAPS.
        logarithmic: Shows three decades; else shares of the peak.

    Returns:
        Colours [S, S, 3] float32, RGB in 0..255, and how much of them to lay over the photo [S, S] float32, 0..1.
    """
    level = shares(probabilities)
    if logarithmic:
        # A softmax over thousands of cells is a needle, and the weak second peaks, which are what an annotator looks
        # for, would be invisible beside it.
        level = np.clip(1.0 + np.log10(np.maximum(level, 1e-12)) / _DECADES, 0.0, 1.0)
    return _colors(colors)[(level * 255).astype(np.uint8)], np.clip(level * 1.5, 0.0, 1.0)


def colored_difference(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What one map [S, S] has of its peak and another has not: red where the first has more, blue the second.

    Returns:
        As `colored`, in the first one's size.
    """
    rows, columns = (
        (np.arange(many) * 2 + 1) * few // (2 * many) for many, few in zip(first.shape, second.shape, strict=True)
    )
    signed = shares(first) - shares(second)[np.ix_(rows, columns)]
    return _colors(_DIFFERENCE)[((signed + 1) * 127.5).astype(np.uint8)], np.clip(np.abs(signed) * 1.5, 0.0, 1.0)


def strongest(maps: np.ndarray) -> np.ndarray:
    """Maps [K, S, S] in one: at each place the largest share that it has of a map's peak, [S, S] in 0..1."""
    together: np.ndarray = np.stack([shares(one) for one in maps]).max(axis=0)
    return together


def shares(probabilities: np.ndarray) -> np.ndarray:
    """A map through its maximum, 0..1; what is no number is 0."""
    values = np.nan_to_num(probabilities.astype(np.float32))
    scaled: np.ndarray = values / max(float(values.max(initial=0.0)), 1e-12)
    return scaled


def best_cells(probabilities: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Rows and columns of the most probable cells, falling."""
    order = np.argsort(-probabilities, axis=None, kind="stable")[:count]
    return [divmod(int(cell), probabilities.shape[1]) for cell in order]


@cache
def _colors(name: str) -> np.ndarray:
    """256 RGB colours, 0..255 float32."""
    import cmap

    # The darkest colours would not be seen on a darkened photo.
    first = 0.0 if name == _DIFFERENCE else 0.12
    return (np.asarray(cmap.Colormap(name)(np.linspace(first, 1, 256)))[:, :3] * 255).astype(np.float32)
