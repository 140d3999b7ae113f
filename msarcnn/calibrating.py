"""Fits what a model's numbers are worth (msarcnn.calibration) to people that it was not trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from msarcnn.calibration import Calibration, logit
from msarcnn.evaluation import ImageResult
from msarcnn.oks import box_coverage, box_overlaps, oks_terms
from msarcnn.people_scores import pose_certainty, posed_people
from msarcnn.pose_model import People, Poses
from msarcnn.skeleton import coco17

LEAST_JOINTS = 50
"""Fewer joints fit nothing."""
LEAST_BOXES = 20
"""Fewer boxes that are people, or that are none, fit nothing."""
SAME_PERSON = 0.5
"""IoU from which a box is a labelled person's, and the share of it in a crowd from which it is not judged."""


def calibrate(
    ground_truth: dict[str, Any],
    results: Sequence[ImageResult],
    before: Calibration,
    pose_score: str | None,
    sigmas: Sequence[float] | None = None,
) -> Calibration:
    """Fits the confidences of joints, then the scores of people; what cannot be fitted stays as it was before.

    Args:
        ground_truth: COCO keypoint dataset.
        results: The model's, as it is: made with `Calibration()`.
        before: What may stay.
        pose_score: As in ModelConfig: with "box", people's scores stay in the order of their box scores. None: the
            boxes are another model's, whose scores are none of this one's business.
        sigmas: The skeleton's, K of them; COCO's by default.
    """
    joints = fit_joints(*joint_outcomes(ground_truth, results, sigmas))
    fitted = before if joints is None else joints.with_person(*before.person)
    if pose_score is None:
        return fitted
    outcomes = person_outcomes(ground_truth, results, fitted)
    return fit_people(fitted, *outcomes, use_poses=pose_score == "joints")


def calibrated(result: ImageResult, calibration: Calibration, pose_score: str) -> ImageResult:
    """A result that was made with `Calibration()`, as it is with another one."""
    confidences = calibration.confidence(torch.from_numpy(result.confidences)).numpy()
    poses = Poses(result.keypoints, confidences, result.visibility)
    found = posed_people(People(result.boxes, result.scores), poses, calibration, pose_score)
    return replace(
        result,
        boxes=found.boxes,
        scores=found.scores,
        keypoints=found.keypoints,
        confidences=found.confidences,
        pose_scores=found.ranks,
        visibility=found.visibility,
    )


def joint_outcomes(
    ground_truth: dict[str, Any], results: Iterable[ImageResult], sigmas: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the peaks [n] of the joints that can be compared, and whether each is right [n] bool.

    Each person with keypoints is compared with the box that overlaps it most (SAME_PERSON at least); a joint is right
    when it is labelled and its own OKS term is at least 0.5.
    """
    sigmas = sigmas or coco17().sigmas
    people = _by_image(one for one in ground_truth["annotations"] if one.get("num_keypoints") and not one["iscrowd"])
    logits, right = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for result in results:
        for person in people.get(result.image_id, []):
            overlaps = box_overlaps(result.boxes, person["bbox"])
            if not len(overlaps) or overlaps.max() < SAME_PERSON:
                continue
            best = int(overlaps.argmax())
            truth = np.array(person["keypoints"], dtype=float).reshape(-1, 3)
            term = oks_terms(result.keypoints[best], truth, person["area"], sigmas)
            logits.append(logit(result.confidences[best]))
            right.append((term >= 0.5) & (truth[:, 2] > 0))
    return np.concatenate(logits), np.concatenate(right)


def person_outcomes(
    ground_truth: dict[str, Any], results: Iterable[ImageResult], joints: Calibration
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all boxes that can be judged: scores [n], certainty of their poses [n], and whether each is a person [n] bool.

    The best box of a labelled person is that person, another one is nobody; one in a crowd is not judged.

    Args:
        ground_truth: COCO dataset.
        results: As for `calibrate`.
        joints: Makes confidences of their peaks.
    """
    labelled = _by_image(ground_truth["annotations"])
    scores, certainty, right = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for result in results:
        people = labelled.get(result.image_id, [])
        found = _are_people(result, [one["bbox"] for one in people if not one["iscrowd"]])
        crowds = [box_coverage(result.boxes, one["bbox"]) >= SAME_PERSON for one in people if one["iscrowd"]]
        judged = found | ~np.any([np.zeros_like(found), *crowds], axis=0)
        confidences = joints.confidence(torch.from_numpy(result.confidences)).numpy()
        scores.append(result.scores[judged])
        certainty.append(pose_certainty(confidences, result.visibility)[judged])
        right.append(found[judged])
    return np.concatenate(scores), np.concatenate(certainty), np.concatenate(right)


def _are_people(result: ImageResult, people: Sequence[Sequence[float]]) -> np.ndarray:
    """Which boxes [N] are labelled people (x, y, w, h): the surest box has the first choice."""
    found = np.zeros(len(result.boxes), dtype=bool)
    overlaps = np.array([box_overlaps(result.boxes, person) for person in people]).reshape(len(people), len(found))
    for box in np.argsort(-result.scores, kind="stable") if people else ():
        person = int(overlaps[:, box].argmax())
        if overlaps[person, box] >= SAME_PERSON:
            found[box] = True
            overlaps[person] = 0
    return found


def fit_joints(logits: np.ndarray, right: np.ndarray) -> Calibration | None:
    """Fits confidences, with tau = 0.5 (more likely right than wrong), to the outcomes of joints.

    Args:
        logits: [n] logits of their peaks.
        right: [n] bool, whether each is labelled and rightly placed.

    Returns:
        None for fewer than LEAST_JOINTS, for outcomes all alike, and where joints of higher peaks are less often right.
    """
    if len(logits) < LEAST_JOINTS or right.min() == right.max():
        return None
    slope, intercept = _logistic(logits[:, None], right)
    return Calibration(slope, intercept, 0.5, f"{len(logits)} joints") if slope > 0 else None


def fit_people(
    joints: Calibration, scores: np.ndarray, certainty: np.ndarray, right: np.ndarray, use_poses: bool
) -> Calibration:
    """A calibration with scores of people that fit the outcomes of boxes.

    Args:
        joints: The calibration of the joints, which stays; its scores of people stay where these fit nothing.
        scores: [n] box scores.
        certainty: [n] of their poses.
        right: [n] bool, whether each is a person.
        use_poses: Whether the poses are looked at.
    """
    if min(right.sum(), (~right).sum()) < LEAST_BOXES:
        return joints
    columns = np.stack((logit(scores), certainty), axis=1)
    if use_poses:
        slope, weight, intercept = _logistic(columns, right)
    if not use_poses or weight < 0:
        (slope, intercept), weight = _logistic(columns[:, :1], right), 0.0
    if slope <= 0:
        return joints
    return joints.with_person(slope, weight, intercept)


def _logistic(columns: np.ndarray, right: np.ndarray) -> list[float]:
    """The weights of columns [n, d], the first of them held near 1 and the others near 0, and the intercept.

    Held: outcomes that a column tells apart without fault, which few are enough for, would make a weight endless.
    """
    inputs = torch.tensor(np.column_stack((columns, np.ones(len(columns)))), dtype=torch.float64)
    wanted = torch.tensor(right, dtype=torch.float64)
    weights = torch.zeros(inputs.shape[1], dtype=torch.float64)
    weights[0] = 1
    weights.requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        held = 1e-3 * (weights[0] - 1) ** 2 + 1e-4 * (weights[1:-1] ** 2).sum()
        loss = binary_cross_entropy_with_logits(inputs @ weights, wanted) + held
        loss.backward()
        return loss

    optimizer.step(closure)
    return [float(value) for value in weights.detach()]


def _by_image(annotations: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in annotations:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    return by_image
