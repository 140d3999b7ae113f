"""What a model's numbers are worth as chances: of a joint being where it is said to be, of a box being a person."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from msarcnn.checked_fields import check_fields, within

_EPS = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Two logistic regressions, fitted on labels.

    A joint's confidence is sigmoid(slope * logit(peak) + intercept); threshold is tau: a prediction's joint becomes a
    visible label from this confidence on. A person's score is sigmoid(person_slope * logit(box score) +
    person_certainty * certainty of the pose + person_intercept). fitted_on says what the numbers were fitted on; it is
    empty where nothing was fitted, and in files of before this was noted.
    """

    slope: Annotated[float, within(0, 1e6, above=True)] = 1.0
    intercept: Annotated[float, within(-1e6, 1e6)] = 0.0
    threshold: Annotated[float, within(0, 1)] = 0.3
    fitted_on: str = ""
    person_slope: Annotated[float, within(0, 1e6, above=True)] = 1.0
    person_certainty: Annotated[float, within(0, 1e6)] = 0.0
    person_intercept: Annotated[float, within(-1e6, 1e6)] = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def origin(self) -> str:
        """A phrase for people: where the numbers come from."""
        if self.fitted_on:
            return f"fitted on {self.fitted_on}"
        if self == Calibration():
            return "default, fitted on nothing (`calibrate` fits it to labels)"
        return "fitted"

    @property
    def person(self) -> tuple[float, float, float]:
        """What a person's score is made with: slope, weight of the pose's certainty, intercept."""
        return self.person_slope, self.person_certainty, self.person_intercept

    def with_person(self, slope: float, certainty: float, intercept: float) -> "Calibration":
        """The same for joints, with another `person`."""
        return replace(self, person_slope=slope, person_certainty=certainty, person_intercept=intercept)

    def confidence(self, peaks: Tensor) -> Tensor:
        """Peaks in 0..1, any shape -> confidences in 0..1, the same shape."""
        return torch.sigmoid(self.slope * torch.logit(peaks, eps=_EPS) + self.intercept)

    def person_score(self, box_scores: np.ndarray, certainty: np.ndarray) -> np.ndarray:
        """The chance of boxes being people [N] float32.

        Args:
            box_scores: [N], the classification head's, 0..1.
            certainty: [N], how certain their poses are (`people_scores.pose_certainty`), 0..1.
        """
        slope, weight, intercept = self.person
        if self.person == (1.0, 0.0, 0.0):
            return box_scores
        chance: np.ndarray = 1 / (1 + np.exp(-(slope * logit(box_scores) + weight * certainty + intercept)))
        return chance.astype(np.float32)


def logit(chances: np.ndarray) -> np.ndarray:
    """The logarithm of the odds, of chances that are kept away from 0 and 1."""
    clipped = np.clip(chances.astype(float), _EPS, 1 - _EPS)
    logits: np.ndarray = np.log(clipped / (1 - clipped))
    return logits
