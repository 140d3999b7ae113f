"""Where else a joint may be: the places that stand out in its map. numpy only."""

from dataclasses import dataclass

import numpy as np

REACH = 2
"""A peak is the most probable cell within so many cells around it; that square's probability is the peak's."""
FAINTEST = 0.05
"""Peaks with a smaller share of the best one's probability are none."""
APART = 1 / 12
"""Two places are further apart than this share of the map's longer side; the less probable one of two is none."""
MOST = 9


@dataclass(frozen=True)
class Peak:
    """A place where a joint may be.

    Attributes:
        x, y: In shares of the map's width and height, 0..1.
        probability: Of the joint being there, within REACH cells.
    """

    x: float
    y: float
    probability: float


def peaks(probabilities: np.ndarray) -> list[Peak]:
    """The places that stand out in a map [H, W] of probabilities, the most probable first; MOST at most.

    A place is the mean of the cells around its best one, weighted by their probabilities.
    """
    values = np.nan_to_num(probabilities.astype(np.float64))
    height, width = values.shape
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, REACH), (2 * REACH + 1, 2 * REACH + 1))
    # Of equals in a flat place the first one stands for all of them.
    flat = around.reshape(height, width, -1)
    centre = flat.shape[-1] // 2
    highest = (values >= flat.max(axis=-1)) & (values > 0) & (flat[..., :centre] < values[..., None]).all(axis=-1)
    rows, columns = np.nonzero(highest)
    mass = flat[rows, columns].sum(axis=-1)
    order = np.argsort(-mass, kind="stable")
    found: list[Peak] = []
    taken: list[tuple[int, int]] = []
    for place in order[mass[order] >= FAINTEST * mass.max(initial=0.0)]:
        row, column = int(rows[place]), int(columns[place])
        if len(found) == MOST or any(
            max(abs(row - y), abs(column - x)) <= APART * max(height, width) for y, x in taken
        ):
            continue
        taken.append((row, column))
        top, left = max(row - 1, 0), max(column - 1, 0)
        near = values[top : row + 2, left : column + 2]
        ys, xs = np.mgrid[top : top + near.shape[0], left : left + near.shape[1]] + 0.5
        weight = near.sum()
        x, y = float((near * xs).sum() / weight / width), float((near * ys).sum() / weight / height)
        found.append(Peak(x, y, float(mass[place])))
    return found
