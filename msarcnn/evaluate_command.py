"""`python -m msarcnn evaluate`: a model, or a file of results, judged on a COCO file's images."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from msarcnn.coco import read_coco
from msarcnn.dataset import DataError, ground_truth, labelled_images
from msarcnn.effort import Effort, Estimate, Shown
from msarcnn.evaluation import (
    PERSON_CATEGORY,
    ImageResult,
    encoded_results,
    evaluate_results,
    to_coco_results,
)
from msarcnn.joint_names import joint_order
from msarcnn.predictor import Features, Predictor
from msarcnn.skeleton import load_skeleton

Report = Callable[[int, int, float], None]
"""Called after every image with (done, total, seconds left)."""


@dataclass(frozen=True)
class Judged:
    """The figures by kind ("keypoints", "bbox", and "effort" where it was asked for), and what could not be read."""

    figures: dict[str, dict[str, Any]]
    problems: list[str]


def evaluate_model(
    annotations: Path,
    images: Path,
    model: str | None,
    device: str,
    report: Report,
    shown_score: float | None = None,
) -> Judged:
    """Judges a model on a COCO file's images.

    Args:
        annotations, images: The file and its image folder.
        model: Name or file; None for the bundled one.
        device: Where to compute.
        report: Told about the progress.
        shown_score: Simulate an annotator who is shown people from this box score on; None: do not.

    Returns:
        The figures; images that could not be read count as nothing found.

    Raises:
        CocoError, CheckpointError, DataError: the file or the model cannot be used, or no image can be read.
    """
    data = read_coco(annotations, keep_raw=False)
    truth = ground_truth(data)
    predictor = Predictor.load(model, device)
    problems: list[str] = []
    started, results = time.monotonic(), []
    effort, people = Effort(), _people_by_image(truth)
    chosen = labelled_images(data, [images])
    for result, features in encoded_results(predictor, chosen, lambda error: problems.append(str(error))):
        results.append(result)
        if shown_score is not None:
            estimate = _estimate(predictor, features)
            effort.add(people[result.image_id], _shown(result, shown_score, predictor.keypoint_threshold), estimate)
        seen = len(results) + len(problems)
        report(seen, len(chosen), (time.monotonic() - started) / seen * (len(chosen) - seen))
    if problems and not results:
        raise DataError(f"none of the {len(chosen)} images could be read; the first: {problems[0]}")
    figures: dict[str, dict[str, Any]] = dict(evaluate_results(truth, to_coco_results(results)))
    if shown_score is not None:
        figures["effort"] = effort.figures()
    return Judged(figures, problems)


def evaluate_predictions(annotations: Path, predictions: Path, shown_score: float | None = None) -> Judged:
    """Judges a file of COCO results; a simulated annotator gets no new joints from the boxes that are drawn.

    Raises:
        CocoError, DataError: one of the files cannot be used.
    """
    truth = ground_truth(read_coco(annotations, keep_raw=False))
    entries = _read_results(predictions, truth)
    figures: dict[str, dict[str, Any]] = dict(evaluate_results(truth, entries))
    if shown_score is not None:
        effort, people = Effort(), _people_by_image(truth)
        shown: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for entry in entries:
            if entry.get("box_score", entry["score"]) >= shown_score:
                shown[entry["image_id"]].append(entry)
        for image in truth["images"]:
            effort.add(people[image["id"]], _shown_entries(shown[image["id"]]), None)
        figures["effort"] = effort.figures()
    return Judged(figures, [])


def _people_by_image(truth: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in truth["annotations"]:
        people[annotation["image_id"]].append(annotation)
    return people


def _estimate(predictor: Predictor, features: Features) -> Estimate:
    def estimate(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        poses = predictor.estimate(features, boxes)
        return poses.keypoints, poses.confidences >= predictor.keypoint_threshold

    return estimate


def _shown(result: ImageResult, score: float, threshold: float) -> Shown:
    chosen = result.only(result.scores >= score)
    return Shown(chosen.boxes, chosen.keypoints, chosen.confidences >= threshold)


def _shown_entries(entries: list[dict[str, Any]]) -> Shown:
    """Results from elsewhere: a joint is visible unless its own score says that it is more likely wrong."""
    count = len(load_skeleton().keypoints)
    boxes = np.array([entry["bbox"] for entry in entries], dtype=float).reshape(-1, 4)
    points = np.array([entry["keypoints"] for entry in entries], dtype=float).reshape(-1, count, 3)
    scores = [entry.get("keypoint_scores", [1.0] * count) for entry in entries]
    visible = np.array(scores, dtype=float).reshape(-1, count) >= 0.5
    return Shown(np.column_stack((boxes[:, :2], boxes[:, :2] + boxes[:, 2:])), points[..., :2], visible)


def _read_results(path: Path, truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Reads COCO results; raises DataError naming the first entry that does not fit."""
    try:
        entries: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise DataError(f"{path}: not COCO results ({error}): give a JSON list of detections") from error
    known = {image["id"] for image in truth["images"]}
    length = 3 * len(load_skeleton().keypoints)
    for index, entry in enumerate(entries):
        fits = len(entry.get("bbox", ())) == 4 and len(entry.get("keypoints", ())) == length and "score" in entry
        if not fits or entry.get("image_id") not in known:
            raise DataError(
                f"{path}: entry {index} needs bbox (4), keypoints ({length}), score and an image_id of the annotations"
            )
    return [{**entry, "category_id": PERSON_CATEGORY, "keypoints": _in_order(entry)} for entry in entries]


def _in_order(entry: dict[str, Any]) -> list[float]:
    """An entry's keypoints in the skeleton's order, where `keypoint_names` says that they are in another one."""
    keypoints, names = entry["keypoints"], entry.get("keypoint_names")
    order = joint_order(names) if isinstance(names, list) else None
    if order is None:
        return keypoints
    triples = [keypoints[at : at + 3] for at in range(0, len(keypoints), 3)]
    return [value for triple in order.read(triples, [0, 0, 0]) for value in triple]
