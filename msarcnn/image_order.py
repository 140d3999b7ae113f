"""In which order to label images: by the work that is expected, or as different from each other as can be."""

import numpy as np

from msarcnn.effort import SHOWN_SCORE
from msarcnn.visibility import CORRECTIONS


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
    open_ones = np.flatnonzero(~done)
    far = np.full(len(vectors), np.inf, dtype=np.float32)
    for index in np.flatnonzero(done).tolist():
        far = np.minimum(far, _distances(vectors, index))
    order: list[int] = []
    if len(open_ones) and not done.any():
        middle = vectors.mean(axis=0)
        order.append(int(np.argmin(((vectors - middle) ** 2).sum(axis=1))))
        far = _distances(vectors, order[0])
    far[done] = far[order] = -1.0
    while len(order) < min(len(open_ones), len(open_ones) if most is None else most):
        farthest = int(far.argmax())
        order.append(farthest)
        far = np.minimum(far, _distances(vectors, farthest))
        far[farthest] = -1.0
    far[order] = -1.0
    rest = [index for index in np.argsort(-far, kind="stable").tolist() if far[index] >= 0]
    return np.array([*order, *rest, *np.flatnonzero(done)], dtype=int)


def _distances(vectors: np.ndarray, index: int) -> np.ndarray:
    squares: np.ndarray = ((vectors - vectors[index]) ** 2).sum(axis=1)
    return squares
