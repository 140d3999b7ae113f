"""COCO keypoint and person box AP by pycocotools."""

import contextlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from msarcnn.dataset import PERSON_CATEGORY, LabelledImage
from msarcnn.images import ImageError
from msarcnn.pose_model import PosedPeople, PoseModel
from msarcnn.read_ahead import Readers, outcome, read_ahead
from msarcnn.visibility import probable_v

KEYPOINT_FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
KINDS = ("keypoints", "bbox")
BOX_FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
_GROUP_BYTES = 256 << 20


@dataclass(frozen=True)
class ImageResult:
    """What a model found on one image.

    boxes [N, 4] xyxy, scores [N], keypoints [N, K, 2], confidences [N, K]; size is the (width, height) in pixels
    that they are measured in. scores rank the people as boxes, pose_scores [N] as poses (ModelConfig.pose_score).
    visibility [N, K, 3] are probabilities of v = 0, 1, 2; None where the model does not tell them apart.
    """

    image_id: int
    size: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    keypoints: np.ndarray
    confidences: np.ndarray
    pose_scores: np.ndarray
    visibility: np.ndarray | None = None

    @classmethod
    def of(cls, image_id: int, pixels: np.ndarray, found: PosedPeople) -> "ImageResult":
        """What was found on the pixels [H, W, 3] of an image."""
        size = (pixels.shape[1], pixels.shape[0])
        joints = found.keypoints, found.confidences, found.ranks, found.visibility
        return cls(image_id, size, found.boxes, found.scores, *joints)

    def only(self, rows: np.ndarray) -> "ImageResult":
        """The result with some of its people: a mask [N] or indices."""
        return replace(
            self,
            boxes=self.boxes[rows],
            scores=self.scores[rows],
            keypoints=self.keypoints[rows],
            confidences=self.confidences[rows],
            pose_scores=self.pose_scores[rows],
            visibility=None if self.visibility is None else self.visibility[rows],
        )

    def v(self, tau: float) -> np.ndarray:
        """The v [N, K] that the joints are accepted with; see `probable_v`."""
        return probable_v(self.confidences, self.visibility, tau)


def predict_images(
    model: PoseModel,
    images: Iterable[LabelledImage],
    failed: Callable[[ImageError], None],
    readers: Readers | None = None,
) -> Iterator[ImageResult]:
    """Runs a model over images; those that cannot be read are reported and left out.

    For a model that takes several at a time they are decoded ahead by other processes, and go through it in groups;
    the order is kept. Beside a model on the CPU more processes only disturb it: there they are read one by one.
    Who asks often gives readers of its own, which stay open.
    """
    for group in _groups(_read(images, model.batch > 1, failed, readers), 2 * model.batch if model.batch > 1 else 1):
        found = model.predict([pixels for _, pixels in group])
        for (image, pixels), people in zip(group, found, strict=True):
            yield ImageResult.of(image.image_id, pixels, people)


def encoded_results(
    model: PoseModel, images: Iterable[LabelledImage], failed: Callable[[ImageError], None]
) -> Iterator[tuple[ImageResult, Any]]:
    """As `predict_images`, one image at a time, each with its features; where it has proposals, they are looked at."""
    for image, pixels in _read(images, False, failed):
        features = model.encode([pixels])[0]
        yield ImageResult.of(image.image_id, pixels, model.find(features, proposals=image.proposals)), features


def _read(
    images: Iterable[LabelledImage], ahead: bool, failed: Callable[[ImageError], None], lent: Readers | None = None
) -> Iterator[tuple[LabelledImage, np.ndarray]]:
    chosen = list(images)
    readers = lent or Readers()
    try:
        photos = [image.photo for image in chosen]
        for image, read in zip(chosen, read_ahead(photos, readers) if ahead else map(outcome, photos), strict=True):
            if isinstance(read, ImageError):
                failed(read)
            else:
                yield image, read.pixels
    finally:
        if lent is None:
            readers.close()


def _groups(
    images: Iterable[tuple[LabelledImage, np.ndarray]], most: int
) -> Iterator[list[tuple[LabelledImage, np.ndarray]]]:
    """So many at a time, fewer of large ones."""
    group: list[tuple[LabelledImage, np.ndarray]] = []
    for one in images:
        group.append(one)
        if len(group) >= most or sum(pixels.nbytes for _, pixels in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def to_coco_results(results: Iterable[ImageResult]) -> list[dict[str, Any]]:
    """COCO's results format: an entry a person, all K coordinates kept (v = 1).

    `score` ranks the poses; `box_score`, the person's, and `keypoint_scores` stand beside it, and
    `keypoint_visibility`, the most useful v of every joint, where the model tells them apart.
    """
    entries: list[dict[str, Any]] = []
    for result in results:
        first = len(entries)
        for box, score, box_score, points, confidences in zip(
            result.boxes, result.pose_scores, result.scores, result.keypoints, result.confidences, strict=True
        ):
            flat = np.concatenate((points, np.ones((len(points), 1))), axis=1).ravel()
            entries.append(
                {
                    "image_id": result.image_id,
                    "category_id": PERSON_CATEGORY,
                    "bbox": [round(float(v), 2) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
                    "score": round(float(score), 5),
                    "box_score": round(float(box_score), 5),
                    "keypoints": [round(float(v), 2) for v in flat],
                    "keypoint_scores": [round(float(v), 4) for v in confidences],
                }
            )
        if result.visibility is not None:
            for entry, v in zip(entries[first:], probable_v(result.confidences, result.visibility, 0.0), strict=True):
                entry["keypoint_visibility"] = v.tolist()
    return entries


def evaluate_results(
    ground_truth: dict[str, Any],
    results: Sequence[dict[str, Any]],
    kinds: Collection[str] = KINDS,
    sigmas: Sequence[float] | None = None,
) -> dict[str, dict[str, float]]:
    """COCO's figures for the person category.

    Args:
        ground_truth: A COCO keypoint dataset (images, annotations of category 1, categories).
        results: Entries in COCO's results format; boxes are ranked by `box_score` where an entry has one.
        kinds: What to judge; every entry must have it.
        sigmas: The skeleton's, K of them; COCO's by default.

    Returns:
        {"keypoints": ten figures, "bbox": six}, or those of `kinds`. A figure without any ground truth is -1, as
        pycocotools has it.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        figures = {}
        if "keypoints" in kinds:
            figures["keypoints"] = _run(truth, results, "keypoints", KEYPOINT_FIGURES, sigmas)
        if "bbox" in kinds:
            # Annotations of detection-only images count for the boxes, though they have no keypoints.
            ranked = [{**entry, "score": entry.get("box_score", entry["score"])} for entry in results]
            figures["bbox"] = _run(truth, ranked, "bbox", BOX_FIGURES, None)
    return figures


def _run(
    truth: COCO, results: Sequence[dict[str, Any]], kind: str, names: tuple[str, ...], sigmas: Sequence[float] | None
) -> dict[str, float]:
    if not results:
        # pycocotools cannot load an empty list of results; nothing found is an AP of 0.
        has_truth = any(is_judged(annotation, kind) for annotation in truth.dataset["annotations"])
        return dict.fromkeys(names, 0.0 if has_truth else -1.0)
    # loadRes adds areas from the keypoints' extent, which are not the boxes': each kind gets its own copy.
    entries = [{k: v for k, v in entry.items() if k in ("image_id", "category_id", "score", kind)} for entry in results]
    evaluation = COCOeval(truth, truth.loadRes(entries), kind)
    evaluation.params.catIds = [PERSON_CATEGORY]
    if sigmas is not None:
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {name: round(float(value), 4) for name, value in zip(names, evaluation.stats, strict=False)}


def is_judged(annotation: dict[str, Any], kind: str) -> bool:
    """Whether somebody has to be found: crowds, and for keypoints people without any, are ignored."""
    return not annotation.get("iscrowd") and (kind != "keypoints" or annotation["num_keypoints"] > 0)
