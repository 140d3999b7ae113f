"""Whether a joint that a model has placed becomes a label: v = 0 (not labelled), 1 (occluded) or 2 (visible)."""

import numpy as np

STATES = 3
"""v is 0, 1 or 2, as in COCO."""

CORRECTIONS = np.array(
    [
        [0, 2, 1],
        [1, 0, 2],
        [1, 1, 0],
    ]
)
"""Steps from the v that is shown (row) to the v that is wanted (column): V goes 0, 2, 1, 0, and a joint is deleted by
one."""


def probable_v(confidences: np.ndarray, probabilities: np.ndarray | None, tau: float) -> np.ndarray:
    """The v that a model's joints are shown and accepted with.

    Args:
        confidences: [...] calibrated, 0..1.
        probabilities: [..., 3] of v = 0, 1, 2; None from a model that does not tell them apart.
        tau: From this confidence on a joint of such a model is visible; below it is not labelled.

    Returns:
        [...] int64: with probabilities, the v that takes the fewest corrections to be expected.
    """
    if probabilities is None:
        return np.where(np.asarray(confidences) >= tau, 2, 0)
    expected = np.asarray(probabilities) @ CORRECTIONS.T
    return expected.argmin(axis=-1)
