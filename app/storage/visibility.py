"""The visibility that a model's joints get when they become labels."""

from collections.abc import Sequence

import numpy as np

from app.document.records import PredictedJoint
from msarcnn.visibility import probable_v


def said_by_model(joints: Sequence[PredictedJoint]) -> bool:
    """Whether the model tells v = 0, 1, 2 apart itself."""
    return bool(joints) and all(joint.visibility is not None for joint in joints)


def accepted_v(joints: Sequence[PredictedJoint], tau: float) -> list[int]:
    """The v of a prediction's K joints; tau: from this confidence on those of a silent model are visible."""
    confidences = np.array([joint.confidence for joint in joints])
    probabilities = np.array([joint.visibility for joint in joints]) if said_by_model(joints) else None
    v: list[int] = probable_v(confidences, probabilities, tau).tolist()
    return v
