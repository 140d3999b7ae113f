"""`python -m msarcnn evaluate`: a model, or a file of results, judged on a COCO file's images."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from msarcnn.augmented import looking
from msarcnn.coco import CocoDataset, Reading, read_coco
from msarcnn.dataset import DataError, ground_truth, labelled_images
from msarcnn.effort import Effort, Shown
from msarcnn.evaluation import (
    KINDS,
    ImageResult,
    encoded_results,
    evaluate_results,
    is_judged,
    predict_images,
    to_coco_results,
)
from msarcnn.images import ImageError
from msarcnn.model_files import file_hash
from msarcnn.pose_model import Heatmaps, PoseModel
from msarcnn.proposals import read_proposals
from msarcnn.reading_notes import reading_notes, why_nobody
from msarcnn.results import read_results
from msarcnn.seen_images import judged_on_seen
from msarcnn.top_down import load_pose_model
from msarcnn.visibility import probable_v

Report = Callable[[int, int, float], None]
"""Called after every image with (done, total, seconds left)."""


@dataclass(frozen=True)
class Judged:
    """The figures by kind ("keypoints", "bbox"; "effort" and "effort_without" where it was asked for).

    problems are sentences: what was repaired, left out or not judged, and which images could not be read.
    """

    figures: dict[str, dict[str, Any]]
    problems: list[str]


def evaluate_model(
    annotations: Path,
    images: Path,
    model: str | None,
    device: str,
    report: Report,
    shown_score: float | None = None,
    reading: Reading | None = None,
    scales: Sequence[float] = (),
    proposals: Path | None = None,
    detector: str | None = None,
    fast: bool = False,
) -> Judged:
    """Judges a model on a COCO file's images.

    Args:
        annotations, images: The file and its image folder.
        model: Name or file; None for the bundled one.
        device: Where to compute.
        report: Told about the progress.
        shown_score: Simulate an annotator who is shown people from this score on; None: do not.
        reading: What somebody has said about annotations that leave it open.
        proposals: A file of proposals to look at, instead of the model's RPN (msarcnn.proposals).
        scales: Sizes to look in, as factors on the test size, mirrored as well; empty: one look (msarcnn.augmented).
        detector: Name or file of what finds the people for a network on crops; None: the bundled model.
        fast: Take the fast path (msarcnn.fast_path).

    Returns:
        The figures; images that could not be read count as nothing found.

    Raises:
        CocoError, CheckpointError, DataError: the file or the model cannot be used, or no image can be read.
    """
    data = read_coco(annotations, keep_raw=False, roots=[images], reading=reading)
    truth = ground_truth(data)
    notes = _notes(data, truth)
    loaded = load_pose_model(model, detector, device, notes.append, fast)
    digest, names = file_hash(annotations), [image.file_name for image in data.images]
    seen = [judged_on_seen(lineage, digest, names) for lineage in loaded.lineages]
    notes += [f"{annotations}: {one}" for one in seen if one]
    asked = looking(loaded, scales)
    problems: list[str] = []
    started, results = time.monotonic(), []
    annotators, people = _Annotators(data.skeleton.sigmas), _people_by_image(truth)
    chosen = labelled_images(data, [images])
    if proposals is not None:
        chosen = read_proposals(proposals).given_to(chosen)

    def take(result: ImageResult) -> None:
        results.append(result)
        seen = len(results) + len(problems)
        report(seen, len(chosen), (time.monotonic() - started) / seen * (len(chosen) - seen))

    def failed(error: ImageError) -> None:
        problems.append(str(error))

    if shown_score is None and proposals is None:
        for result in predict_images(asked, chosen, failed):
            take(result)
    else:
        for result, features in encoded_results(asked, chosen, failed):
            if shown_score is not None:
                annotators.add(people[result.image_id], result.only(result.scores >= shown_score), asked, features)
            take(result)
    if problems and not results:
        raise DataError(f"none of the {len(chosen)} images could be read; the first: {problems[0]}")
    figures: dict[str, dict[str, Any]] = dict(
        evaluate_results(truth, to_coco_results(results), sigmas=data.skeleton.sigmas)
    )
    if shown_score is not None:
        figures |= annotators.figures()
    return Judged(figures, notes + problems)


class _Annotators:
    """Simulated ones on the same images: one with all that the app has, others without parts of it."""

    WITHOUT = ("estimates", "following", "visibility", "groups", "all")
    """No joints from the model after the pre-fill; none that follow those that were moved; v by the threshold on the
    confidence alone; v set one joint at a time; none of these."""

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._complete = Effort(sigmas)
        self._without = {
            name: Effort(sigmas, groups=name not in ("groups", "all"), follow=name != "following")
            for name in self.WITHOUT
        }

    def add(self, people: list[dict[str, Any]], shown: ImageResult, model: PoseModel, features: Any) -> None:
        """Counts an image, of which somebody is shown these people, encoded by the model."""
        tau = model.tau
        by_head = Shown(shown.boxes, shown.keypoints, shown.v(tau))
        by_threshold = Shown(shown.boxes, shown.keypoints, probable_v(shown.confidences, None, tau))
        maps: dict[tuple[float, ...], Heatmaps] = {}
        estimate = partial(_estimate, model, features, maps)
        self._complete.add(people, by_head, estimate)
        self._without["estimates"].add(people, by_head, None)
        self._without["following"].add(people, by_head, estimate)
        self._without["visibility"].add(people, by_threshold, partial(estimate, told=False))
        self._without["groups"].add(people, by_head, estimate)
        self._without["all"].add(people, by_threshold, None)

    def figures(self) -> dict[str, dict[str, Any]]:
        """The effort, and the actions a person of those who do without something."""
        without = {name: effort.figures()["actions_per_person"] for name, effort in self._without.items()}
        return {"effort": self._complete.figures(), "effort_without": without}


def evaluate_predictions(
    annotations: Path, predictions: Path, shown_score: float | None = None, reading: Reading | None = None
) -> Judged:
    """Judges a file of COCO results; a simulated annotator gets no new joints from the boxes that are drawn.

    Keypoints without boxes are judged as keypoints only, boxes without keypoints as boxes only.

    Raises:
        CocoError, DataError: one of the files cannot be used.
    """
    data = read_coco(annotations, keep_raw=False, reading=reading)
    truth = ground_truth(data)
    problems = _notes(data, truth)
    results = read_results(predictions, data)
    problems += results.problems
    figures: dict[str, dict[str, Any]] = dict(
        evaluate_results(truth, results.entries, results.kinds, data.skeleton.sigmas)
    )
    if shown_score is not None and len(results.kinds) < len(KINDS):
        problems.append(f"{predictions}: no effort figures, which need boxes and keypoints")
    elif shown_score is not None:
        effort, people = Effort(data.skeleton.sigmas), _people_by_image(truth)
        shown: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for entry in results.entries:
            if entry.get("box_score", entry["score"]) >= shown_score:
                shown[entry["image_id"]].append(entry)
        for image in truth["images"]:
            found = _shown_entries(shown[image["id"]], len(data.skeleton.keypoints))
            effort.add(people[image["id"]], found, None)
        figures["effort"] = effort.figures()
    return Judged(figures, problems)


def _notes(data: CocoDataset, truth: dict[str, Any]) -> list[str]:
    """What the figures do not say about the annotations. Raises DataError when nobody of a file's people is usable."""
    notes = [str(note) for note in reading_notes(data)]
    if not any(is_judged(annotation, "bbox") for annotation in truth["annotations"]):
        reasons = why_nobody(data)
        if reasons:
            raise DataError(f"{data.path}: nobody in it can be judged by: {reasons}")
        notes.append(f"{data.path}: nobody is labelled in it: AP and AR are -1, there is nothing to find")
    elif not any(is_judged(annotation, "keypoints") for annotation in truth["annotations"]):
        notes.append(f"{data.path}: nobody in it has labelled keypoints: keypoint AP and AR are -1")
    return notes


def _people_by_image(truth: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in truth["annotations"]:
        people[annotation["image_id"]].append(annotation)
    return people


def _estimate(
    model: PoseModel,
    features: Any,
    maps: dict[tuple[float, ...], Heatmaps],
    box: np.ndarray,
    known: np.ndarray | None,
    told: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The model's joints for a box, as `effort.Estimate`; told: with the v that it tells, else by the threshold.

    maps keeps the heatmaps of an image's boxes: which joints are known changes how they are read only.
    """
    place = tuple(box.tolist())
    if place not in maps:
        maps[place] = model.heatmaps(features, box[None])
    poses = model.decode(maps[place], box[None], None if known is None else known[None])
    return poses.keypoints[0], probable_v(poses.confidences, poses.visibility if told else None, model.tau)[0]


def _shown_entries(entries: list[dict[str, Any]], count: int) -> Shown:
    """Results from elsewhere: a joint is what is said of it, else visible unless it is more likely wrong."""
    boxes = np.array([entry["bbox"] for entry in entries], dtype=float).reshape(-1, 4)
    points = np.array([entry["keypoints"] for entry in entries], dtype=float).reshape(-1, count, 3)
    scores = [entry.get("keypoint_scores", [1.0] * count) for entry in entries]
    v = [
        entry.get("keypoint_visibility") or probable_v(np.array(some, dtype=float), None, 0.5)
        for entry, some in zip(entries, scores, strict=True)
    ]
    corners = np.column_stack((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]))
    return Shown(corners, points[..., :2], np.array(v, dtype=np.int64).reshape(-1, count))
