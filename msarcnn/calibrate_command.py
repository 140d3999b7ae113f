"""`python -m msarcnn calibrate`: what a model's numbers are worth as chances, fitted on somebody's labels."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msarcnn.calibrating import LEAST_JOINTS, fit_joints, fit_people, joint_outcomes, person_outcomes
from msarcnn.calibration import Calibration
from msarcnn.checkpoint import CheckpointInfo, read_checkpoint, write_checkpoint
from msarcnn.coco import Reading, read_coco
from msarcnn.dataset import DataError, ground_truth, labelled_images
from msarcnn.evaluation import predict_images
from msarcnn.model_files import CALIBRATED, file_hash
from msarcnn.model_library import find_model
from msarcnn.predictor import Predictor
from msarcnn.reading_notes import reading_notes

Report = Callable[[int, int, float], None]
"""Called after every image with (done, total, seconds left)."""
BINS = 10


@dataclass(frozen=True)
class Reliability:
    """How far confidences are from what happens, both 0 at best.

    brier is the mean squared difference between a confidence and what happened (0 or 1); ece, the expected calibration
    error, the mean distance between confidence and share of what happened in ten bins of equal width.
    """

    brier: float
    ece: float


@dataclass(frozen=True)
class Calibrated:
    """What was fitted on how many joints and boxes, right and people the share of them that is; problems are sentences.

    before and after are about the joints' confidences, people_before and people_after about the people's scores.
    """

    calibration: Calibration
    joints: int
    right: float
    before: Reliability
    after: Reliability
    boxes: int
    people: float
    people_before: Reliability
    people_after: Reliability
    people_fitted: bool
    problems: list[str]

    def text(self) -> str:
        """Four lines for people."""
        fitted = self.calibration
        slope, weight, intercept = fitted.person
        unchanged = " (nothing could be fitted: as before)" if not self.people_fitted else ""
        return (
            f"joints: slope {fitted.slope:.3f}, intercept {fitted.intercept:.3f}, tau {fitted.threshold:.2f}, "
            f"fitted on {self.joints} joints, {self.right:.0%} of them right\n"
            f"{_better(self.before, self.after)} (on the same joints)\n"
            f"people: slope {slope:.3f}, {weight:.3f} times the pose's certainty, intercept {intercept:.3f}, "
            f"fitted on {self.boxes} boxes, {self.people:.0%} of them people{unchanged}\n"
            f"{_better(self.people_before, self.people_after)} (on the same boxes)"
        )

    def figures(self) -> dict[str, Any]:
        """Plain data, without the problems."""
        return {name: value for name, value in asdict(self).items() if name != "problems"}


def calibrate_model(
    annotations: Path,
    images: list[Path],
    model: str | None,
    output: Path,
    device: str,
    report: Report,
    reading: Reading | None = None,
    fitted: Callable[[Calibrated], None] = lambda calibrated: None,
) -> Calibrated:
    """Fits a model's confidences to labels, and writes it with them as a model file of ours; the weights stay.

    Args:
        annotations, images: COCO keypoint labels that the model was not trained on, and their image folders.
        model: Name or file, also of torchvision's; None for the bundled one.
        output: The file to write.
        device: Where to compute.
        report: Told about the progress.
        reading: What somebody has said about annotations that leave it open.
        fitted: Told about the result before it is written, which may fail.

    Raises:
        CocoError, CheckpointError, DataError: a file cannot be used, or its joints are too few or all alike; nothing
            is written then.
        OSError: the output cannot be written.
    """
    path = find_model(model)
    _check_output(output, path)
    data = read_coco(annotations, keep_raw=False, roots=images, reading=reading)
    truth, chosen = ground_truth(data), labelled_images(data, images)
    problems = [str(note) for note in reading_notes(data)]
    predictor = Predictor.load_for(path, device, problems.append)
    info = predictor.info
    predictor.info = replace(info, calibration=Calibration())
    unreadable: list[str] = []
    results, started = [], time.monotonic()
    for result in predict_images(predictor, chosen, lambda error: unreadable.append(str(error))):
        results.append(result)
        seen = len(results) + len(unreadable)
        report(seen, len(chosen), (time.monotonic() - started) / seen * (len(chosen) - seen))
    old = info.calibration
    logits, right = joint_outcomes(truth, results, predictor.skeleton.sigmas)
    joints = fit_joints(logits, right)
    if joints is None:
        raise DataError(f"{annotations}: {_why_not(logits, right)}; nothing was written")
    scores, certainty, people = person_outcomes(truth, results, joints)
    of_old = person_outcomes(truth, results, old)[1]
    joints = joints.with_person(*old.person)
    new = fit_people(joints, scores, certainty, people, use_poses=info.config.pose_score == "joints")
    new = replace(new, fitted_on=f"{annotations.name}, {len(logits)} joints")
    peaks = torch.from_numpy(logits).sigmoid()
    calibrated = Calibrated(
        new,
        len(logits),
        round(float(right.mean()), 4),
        reliability(old.confidence(peaks).numpy(), right),
        reliability(new.confidence(peaks).numpy(), right),
        len(people),
        round(float(people.mean()), 4) if len(people) else 0.0,
        reliability(old.person_score(scores, of_old), people),
        reliability(new.person_score(scores, certainty), people),
        new.person != old.person,
        problems + unreadable,
    )
    fitted(calibrated)
    state, info = read_checkpoint(path)
    write_checkpoint(output, state, _described(info, path, annotations, calibrated))
    return calibrated


def _check_output(output: Path, model: Path) -> None:
    """Raises DataError, before the work, for what cannot be written after it, or must not."""
    place = output.resolve()
    if not place.parent.is_dir():
        raise DataError(f"{output}: its folder does not exist: make it, or name another")
    if place.is_dir():
        raise DataError(f"{output}: a folder: name a file in it")
    if place == model.resolve():
        raise DataError(f"{output}: the model itself, which stays as it is: name another file")
    if not os.access(place.parent, os.W_OK):
        raise DataError(f"{output}: its folder cannot be written to: name another")


def reliability(confidences: np.ndarray, right: np.ndarray) -> Reliability:
    """Judges confidences [n] by what happened [n] bool."""
    if not len(right):
        return Reliability(0.0, 0.0)
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    off = np.bincount(bins, confidences - right, minlength=BINS)
    brier, ece = np.mean((confidences - right) ** 2), np.abs(off).sum() / len(right)
    return Reliability(round(float(brier), 4), round(float(ece), 4))


def _better(before: Reliability, after: Reliability) -> str:
    return (
        f"  Brier score {before.brier:.3f} before, {after.brier:.3f} after; "
        f"expected calibration error {before.ece:.3f} before, {after.ece:.3f} after"
    )


def _why_not(logits: np.ndarray, right: np.ndarray) -> str:
    if len(logits) < LEAST_JOINTS:
        return (
            f"{len(logits)} joints of people whom the model finds can be compared, and {LEAST_JOINTS} are needed: "
            "label more people"
        )
    if right.min() == right.max():
        every = "right" if right.all() else "wrong"
        return f"all {len(logits)} joints that can be compared are {every}: choose photos with both kinds"
    return f"of the {len(logits)} joints those that the model is surer of are more often wrong: check the labels"


def _described(info: CheckpointInfo, path: Path, annotations: Path, calibrated: Calibrated) -> CheckpointInfo:
    lineage = {
        "parent": file_hash(path),
        "data": [file_hash(annotations)],
        "start": {"kind": CALIBRATED, "file": path.name, "model": info.name},
        "calibration": calibrated.figures(),
        "metrics": "of the parent",
        "parent_lineage": info.lineage,
    }
    return replace(info, calibration=calibrated.calibration, lineage=lineage)
