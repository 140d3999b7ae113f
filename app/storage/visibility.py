"""The visibility that a model's joints get when they become labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.document.records import PredictedJoint
from msarcnn.habit import with_habit
from msarcnn.visibility import probable_v


@dataclass(frozen=True, slots=True)
class Habit:
    """How a project's people are labelled, beside what a model expects; see msarcnn.habit.

    Attributes:
        people: From so many labelled people it was learnt.
        factors: K times the logarithms for v = 0, 1, 2.
    """

    people: int
    factors: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """By what a model's joints become labels.

    Attributes:
        tau: From this confidence on a joint of a model that is silent about v is visible; below it is a hint.
        habit: The project's, where the model tells v; None while there is nothing to learn from.
    """

    tau: float
    habit: Habit | None = None


def said_by_model(joints: Sequence[PredictedJoint]) -> bool:
    """Whether the model tells v = 0, 1, 2 apart itself."""
    return bool(joints) and all(joint.visibility is not None for joint in joints)


def accepted_v(joints: Sequence[PredictedJoint], acceptance: Acceptance) -> list[int]:
    """The v of a prediction's K joints."""
    confidences = np.array([joint.confidence for joint in joints])
    probabilities = np.array([joint.visibility for joint in joints]) if said_by_model(joints) else None
    if probabilities is not None and acceptance.habit is not None:
        probabilities = with_habit(probabilities, np.array(acceptance.habit.factors))
    v: list[int] = probable_v(confidences, probabilities, acceptance.tau).tolist()
    return v
