"""COCO keypoint and person box AP by pycocotools, and the calibration of confidences."""

import contextlib
import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from msarcnn.checkpoint import Calibration
from msarcnn.coco import read_coco
from msarcnn.dataset import DataError, LabelledImage, ground_truth, labelled_images
from msarcnn.images import ImageError
from msarcnn.predictor import Predictor
from msarcnn.skeleton import load_skeleton

KEYPOINT_FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
BOX_FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
PERSON_CATEGORY = 1


@dataclass(frozen=True)
class ImageResult:
    """What a model found on one image.

    boxes [N, 4] xyxy, scores [N], keypoints [N, K, 2], confidences [N, K]; size is the (width, height) in pixels
    that they are measured in.
    """

    image_id: int
    size: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    keypoints: np.ndarray
    confidences: np.ndarray


def predict_images(
    predictor: Predictor, images: Iterable[LabelledImage], failed: Callable[[ImageError], None]
) -> Iterator[ImageResult]:
    """Runs a model over images; those that cannot be read are reported and left out."""
    for image in images:
        try:
            pixels = image.load()
        except ImageError as error:
            failed(error)
            continue
        features = predictor.encode(pixels)
        found = predictor.detect(features)
        poses = predictor.estimate(features, found.boxes)
        size = (pixels.shape[1], pixels.shape[0])
        yield ImageResult(image.image_id, size, found.boxes, found.scores, poses.keypoints, poses.confidences)


def evaluate_files(
    annotations: Path,
    images: Path | None,
    model: str | None,
    predictions: Path | None,
    device: str,
    report: Callable[[int, int, float], None],
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Judges a model on a COCO file's images, or a file of COCO results.

    Returns:
        The figures of `evaluate_results`, and the images that could not be read (they count as nothing found).

    Raises:
        CocoError, CheckpointError, DataError: the file, the model or the predictions cannot be used.
    """
    data = read_coco(annotations, keep_raw=False)
    truth = ground_truth(data)
    if predictions is not None:
        return evaluate_results(truth, _read_results(predictions, truth)), []
    if images is None:
        raise DataError("evaluate needs --images, the folder of the annotated images (or --predictions)")
    problems: list[str] = []
    started, results = time.monotonic(), []
    chosen = labelled_images(data, [images])
    for result in predict_images(Predictor.load(model, device), chosen, lambda error: problems.append(str(error))):
        results.append(result)
        seen = len(results) + len(problems)
        report(seen, len(chosen), (time.monotonic() - started) / seen * (len(chosen) - seen))
    if problems and not results:
        raise DataError(f"none of the {len(chosen)} images could be read; the first: {problems[0]}")
    return evaluate_results(truth, to_coco_results(results)), problems


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
    return [{**entry, "category_id": PERSON_CATEGORY} for entry in entries]


def to_coco_results(results: Iterable[ImageResult]) -> list[dict[str, Any]]:
    """COCO's results format: an entry a person, all K coordinates kept (v = 1), `keypoint_scores` beside them."""
    entries = []
    for result in results:
        for box, score, points, confidences in zip(
            result.boxes, result.scores, result.keypoints, result.confidences, strict=True
        ):
            flat = np.concatenate((points, np.ones((len(points), 1))), axis=1).ravel()
            entries.append(
                {
                    "image_id": result.image_id,
                    "category_id": PERSON_CATEGORY,
                    "bbox": [round(float(v), 2) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
                    "score": round(float(score), 5),
                    "keypoints": [round(float(v), 2) for v in flat],
                    "keypoint_scores": [round(float(v), 4) for v in confidences],
                }
            )
    return entries


def evaluate_results(ground_truth: dict[str, Any], results: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """COCO's figures for the person category.

    Args:
        ground_truth: A COCO keypoint dataset (images, annotations of category 1, categories).
        results: Entries in COCO's results format.

    Returns:
        {"keypoints": ten figures, "bbox": six}. A figure without any ground truth is -1, as pycocotools has it.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        keypoints = _run(truth, results, "keypoints", KEYPOINT_FIGURES)
        # Annotations of detection-only images count for the boxes, though they have no keypoints.
        boxes = _run(truth, results, "bbox", BOX_FIGURES)
    return {"keypoints": keypoints, "bbox": boxes}


def _run(truth: COCO, results: Sequence[dict[str, Any]], kind: str, names: tuple[str, ...]) -> dict[str, float]:
    if not results:
        # pycocotools cannot load an empty list of results; nothing found is an AP of 0.
        has_truth = any(not a.get("iscrowd") for a in truth.dataset["annotations"])
        return dict.fromkeys(names, 0.0 if has_truth else -1.0)
    # loadRes adds areas from the keypoints' extent, which are not the boxes': each kind gets its own copy.
    entries = [{k: v for k, v in entry.items() if k in ("image_id", "category_id", "score", kind)} for entry in results]
    evaluation = COCOeval(truth, truth.loadRes(entries), kind)
    evaluation.params.catIds = [PERSON_CATEGORY]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {name: round(float(value), 4) for name, value in zip(names, evaluation.stats, strict=False)}


def calibrate(ground_truth: dict[str, Any], results: Sequence[ImageResult], peaks: Calibration) -> Calibration:
    """Fits confidence = P(the joint is labelled, and rightly placed | its peak) on validation people.

    A detection is matched to the person with keypoints it overlaps most (IoU >= 0.5); a joint is right when
    its own OKS term exp(-d^2 / (2 s^2 k^2)) is at least 0.5. Logistic regression on the peak's logit.

    Args:
        ground_truth: COCO keypoint dataset.
        results: The model's, with confidences made by `peaks`.
        peaks: The calibration that made them; its inverse gives the peaks back.

    Returns:
        The fitted calibration with tau = 0.5 (more likely right than wrong); `peaks` itself when fewer than
        fifty joints can be matched.
    """
    logits, right = _joint_outcomes(ground_truth, results, peaks)
    if len(logits) < 50 or right.min() == right.max():
        return peaks
    inputs = torch.tensor(logits, dtype=torch.float64)
    wanted = torch.tensor(right, dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(weights[0] * inputs + weights[1], wanted)
        loss = loss + 1e-3 * (weights[0] - 1) ** 2
        loss.backward()
        return loss

    optimizer.step(closure)
    slope, intercept = (float(value) for value in weights.detach())
    return Calibration(slope, intercept, 0.5) if slope > 0 else peaks


def _joint_outcomes(
    ground_truth: dict[str, Any], results: Sequence[ImageResult], peaks: Calibration
) -> tuple[np.ndarray, np.ndarray]:
    variances = (2 * np.array(load_skeleton().sigmas)) ** 2
    people: dict[int, list[dict[str, Any]]] = {}
    for annotation in ground_truth["annotations"]:
        if annotation.get("num_keypoints") and not annotation.get("iscrowd"):
            people.setdefault(annotation["image_id"], []).append(annotation)
    logits, right = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for result in results:
        for person in people.get(result.image_id, []):
            overlaps = _overlaps(result.boxes, person["bbox"])
            if not len(overlaps) or overlaps.max() < 0.5:
                continue
            best = int(overlaps.argmax())
            truth = np.array(person["keypoints"], dtype=float).reshape(-1, 3)
            distance = ((result.keypoints[best] - truth[:, :2]) ** 2).sum(axis=1)
            term = np.exp(-distance / (2 * max(person["area"], 1.0) * variances))
            confidence = np.clip(result.confidences[best].astype(float), 1e-6, 1 - 1e-6)
            logits.append((np.log(confidence / (1 - confidence)) - peaks.intercept) / peaks.slope)
            right.append((term >= 0.5) & (truth[:, 2] > 0))
    return np.concatenate(logits), np.concatenate(right)


def _overlaps(boxes: np.ndarray, xywh: Sequence[float]) -> np.ndarray:
    """IoU of boxes [N, 4] xyxy with one COCO box: [N]."""
    x, y, w, h = xywh
    width = np.minimum(boxes[:, 2], x + w) - np.maximum(boxes[:, 0], x)
    height = np.minimum(boxes[:, 3], y + h) - np.maximum(boxes[:, 1], y)
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    union = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) + w * h - shared
    return shared / np.clip(union, 1e-9, None)
