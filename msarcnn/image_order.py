"""In which order to label images: by the work that is expected, or as different from each other as can be."""

import numpy as np

from msarcnn.effort import SHOWN_SCORE
from msarcnn.visibility import CORRECTIONS

_BLOCK = 256
"""Labelled images whose distances to all are held at a time."""


def expected_actions(scores: np.ndarray, confidences: np.ndarray, visibility: np.ndarray | None = None) -> float:
    """How many actions (msarcnn.effort) the people found on an image are expected to take, where a model knows itself.

    Somebody shown is deleted, or each joint moved or its v set, as probable as that is; somebody too doubtful to be
    shown is drawn first. Nothing is expected of people whom nobody has found.

    Args:
        scores: [N] chances of being a person.
        confidences: [N, K] chances of a joint's place being right.
        visibility: [N, K, 3] probabilities of v = 0, 1, 2; None: a joint is labelled as probably as it is right.
    """
    if not len(scores):
        return 0.0
    if visibility is None:
        labelled, steps = confidences, np.minimum(confidences, 1 - confidences)
    else:
        labelled, steps = 1 - visibility[..., 0], (visibility @ CORRECTIONS.T).min(axis=-1)
    joints = (labelled * (1 - confidences) + steps).sum(axis=1)
    shown = scores >= SHOWN_SCORE
    return float((scores * joints + np.where(shown, 1 - scores, scores)).sum())


def farthest_first(vectors: np.ndarray, done: np.ndarray, most: int | None = None) -> np.ndarray:
    """Every image as far from those before it as can be (Gonzalez, 1985): a few already show what there is.

    Args:
        vectors: [N, D] of images, near each other where they look alike.
        done: [N] bool: which are labelled already; they come last, and count as before all others.
        most: After so many the others follow by how far they are then.

    Returns:
        [N] indices; without any that are done the first is the one in the middle of all.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    squares = (vectors**2).sum(axis=1)
    open_ones, labelled = np.flatnonzero(~done), np.flatnonzero(done)
    far = np.full(len(vectors), np.inf, dtype=np.float32)
    for start in range(0, len(labelled), _BLOCK):
        some = labelled[start : start + _BLOCK]
        apart = squares[:, None] + squares[some] - 2 * (vectors @ vectors[some].T)
        far = np.minimum(far, apart.min(axis=1))
    order: list[int] = []
    wanted = len(open_ones) if most is None else min(len(open_ones), most)
    while len(order) < wanted:
        if order or len(labelled):
            following = int(open_ones[far[open_ones].argmax()])
        else:
            following = int(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).argmin())
        order.append(following)
        far = np.minimum(far, squares + squares[following] - 2 * (vectors @ vectors[following]))
        open_ones = open_ones[open_ones != following]
    rest = open_ones[np.argsort(-far[open_ones], kind="stable")]
    return np.array([*order, *rest, *labelled], dtype=int)
