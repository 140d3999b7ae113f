"""What a project's own labels say about v = 0, 1, 2: every project has its own habit of leaving joints out.

An extra of ours. A model's probabilities of v are multiplied by factors of each joint and v, fitted to labels: logistic
regression with the model's logits as offsets, which moves the shares of the three v and leaves the order of doubtful
joints to the model. Few labels move little: all joints share a first fit, each joint's own stays near it.
"""

import numpy as np

from msarcnn.visibility import STATES

SHARED_PRECISION = 3.0
"""Of the normal distribution that the logarithms of the shared factors are expected to come from, around 0."""
OWN_PRECISION = 1.0
"""Of the one around the shared factors that a joint's own come from."""
_STEPS = 30
_MOST_A_STEP = 2.0


def learn_habit(probabilities: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Fits the factors to people whose joints somebody has labelled.

    Args:
        probabilities: [M, K, 3] of v = 0, 1, 2, as the model said them.
        v: [M, K] the labels.

    Returns:
        [K, 3] logarithms of the factors; the first is 0, all are without people.
    """
    offsets = np.log(np.clip(probabilities.astype(float), 1e-6, 1.0))
    v = v.astype(int)
    shared = _fit(offsets.reshape(-1, STATES), v.ravel(), np.zeros(STATES - 1), SHARED_PRECISION)
    joints = range(probabilities.shape[1])
    own = [_fit(offsets[:, joint], v[:, joint], shared, OWN_PRECISION) for joint in joints]
    return np.column_stack((np.zeros(len(own)), np.array(own).reshape(-1, STATES - 1)))


def with_habit(probabilities: np.ndarray, habit: np.ndarray) -> np.ndarray:
    """Probabilities [..., K, 3] of v as they are where people label by a habit [K, 3]."""
    weighed = np.asarray(probabilities, dtype=float) * np.exp(habit)
    weighed /= weighed.sum(axis=-1, keepdims=True)
    return weighed


def _fit(offsets: np.ndarray, v: np.ndarray, centre: np.ndarray, precision: float) -> np.ndarray:
    """The logarithms [2] that are most probable, by Newton's method: the sum is concave, so there is one best place."""
    found = centre.copy()
    counts = np.bincount(v, minlength=STATES)[1:]
    for _ in range(_STEPS):
        shares = with_habit(np.exp(offsets), np.concatenate(([0.0], found)))[:, 1:]
        slope = counts - shares.sum(axis=0) - precision * (found - centre)
        bend = np.diag(shares.sum(axis=0)) - shares.T @ shares + precision * np.eye(STATES - 1)
        step = np.clip(np.linalg.solve(bend, slope), -_MOST_A_STEP, _MOST_A_STEP)
        found += step
        if np.abs(step).max() < 1e-6:
            break
    return found
