"""How sure a model is of the people that it has found: one number for a box, one for a pose."""

import numpy as np

from msarcnn.calibration import Calibration
from msarcnn.pose_model import People, PosedPeople, Poses


def posed_people(people: People, poses: Poses, calibration: Calibration, pose_score: str) -> PosedPeople:
    """Boxes with their joints, the most probable person first.

    Args:
        people: As the network finds them.
        poses: Their joints.
        calibration: Of the network.
        pose_score: What orders people as poses (ModelConfig.pose_score): their score as a person, or that times the
            pose's certainty, which is high where the joints are.
    """
    certainty = pose_certainty(poses.confidences, poses.visibility)
    scores = calibration.person_score(people.scores, certainty)
    ranks = scores * certainty if pose_score == "joints" else scores
    order = np.argsort(-scores, kind="stable")
    visibility = None if poses.visibility is None else poses.visibility[order]
    return PosedPeople(
        people.boxes[order], scores[order], poses.keypoints[order], poses.confidences[order], visibility, ranks[order]
    )


def pose_certainty(confidences: np.ndarray, visibility: np.ndarray | None) -> np.ndarray:
    """The mean confidence of people's joints [N], each counted by the chance that somebody would label it.

    Where the network's confidences are expected OKS terms, this is the expected OKS.

    Args:
        confidences: [N, K] calibrated, 0..1.
        visibility: [N, K, 3] probabilities of v = 0, 1, 2; None: all joints count the same.
    """
    if visibility is None:
        return confidences.mean(axis=1)
    labelled = np.clip(1 - visibility[..., 0], 1e-6, 1)
    certainty: np.ndarray = (confidences * labelled).sum(axis=1) / labelled.sum(axis=1)
    return certainty
