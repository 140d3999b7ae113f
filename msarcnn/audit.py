"""Looks for labels that are wrong: what a model sees where people were labelled, and what the labels say of themselves.

Errors of joints are named as Ronchi and Perona name them (2017): an inversion is left for right, a swap is a joint on
another person, a miss is far from the joint, jitter is near it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch

from msarcnn.keypoints import PERSON_SHARE, expected_terms
from msarcnn.oks import box_coverage, box_overlaps, oks_terms
from msarcnn.pose_model import People, PoseModel
from msarcnn.skeleton import Skeleton

Kind = Literal["inversion", "swap", "miss", "jitter", "outside", "bone", "person", "duplicate"]
KINDS: dict[str, str] = {
    "inversion": "left and right exchanged",
    "swap": "on another person",
    "miss": "far from where the model sees it",
    "jitter": "near where the model sees it, but off",
    "outside": "outside of its box",
    "bone": "much longer than others",
    "person": "seen by the model, not labelled",
    "duplicate": "labelled twice",
}
_EXCHANGED = 0.15
"""How much better a pair's mean expected OKS term has to be with left and right exchanged."""
_BETTER = 0.25
"""How much better the model's place for a joint has to be than the labelled one."""
_NEAR = 0.5
"""OKS term from which a joint is near a place."""
_SEEN = 0.25
"""Score from which somebody may have been forgotten."""
_SOMEBODY = 0.3
"""IoU from which a box is about somebody who is labelled, and share of it in an ignored region that excuses it."""
_TWICE, _BOX_TWICE = 0.6, 0.8
"""IoU from which two people are one when their joints are near each other, and without joints."""
_BESIDE = 0.05
"""A joint is outside of its box from this share of its longer side on."""
_LEAST_BONES, _LONGEST, _TOO_LONG = 100, 0.99, 1.25
"""Bones are compared with that share of at least so many of their kind, which they may exceed by so much."""


@dataclass(frozen=True)
class Finding:
    """Something that may be wrong.

    Attributes:
        image: The image's id.
        kind: One of KINDS.
        suspicion: 0..1; the worst first.
        people: The annotations' ids: one, two that are one, none for somebody who is not labelled.
        joints: Indices of the joints it is about.
        box: x, y, w, h in pixels: where to look.
        places: Where the model sees the joints, x, y in pixels; empty where it was not asked.
    """

    image: int
    kind: Kind
    suspicion: float
    people: tuple[int, ...]
    joints: tuple[int, ...]
    box: tuple[float, float, float, float]
    places: tuple[tuple[float, float], ...] = ()

    def figures(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Labelled:
    """A labelled person: id of the annotation, box (x, y, w, h), keypoints [K, 3] x, y, v, area in pixels."""

    id: int
    box: tuple[float, float, float, float]
    keypoints: np.ndarray
    area: float

    @property
    def corners(self) -> list[float]:
        x, y, w, h = self.box
        return [x, y, x + w, y + h]


def audit_image(
    model: PoseModel,
    features: Any,
    image: int,
    people: Sequence[Labelled],
    ignored: Sequence[Sequence[float]],
    found: People,
) -> list[Finding]:
    """What the model has against the labels of an image.

    Args:
        model: Any that has heatmaps over boxes.
        features: Of the image, encoded by it.
        image: The image's id.
        people: Who is labelled; box and joints in pixels.
        ignored: Boxes x, y, w, h of crowds, and where nothing is known about people.
        found: Whom the model finds.
    """
    findings = [*_missing_people(image, people, ignored, found), *_duplicates(image, people, model.skeleton)]
    posed = [person for person in people if (person.keypoints[:, 2] > 0).any()]
    if posed:
        boxes = np.array([person.corners for person in posed], dtype=np.float32)
        maps = model.heatmaps(features, boxes)
        answers = model.decode(maps, boxes).keypoints
        logits, corners = maps.logits.float().cpu(), torch.from_numpy(boxes)
        labels = torch.from_numpy(np.stack([person.keypoints[:, :2] for person in posed]).astype(np.float32))
        sigmas = model.skeleton.sigmas
        terms = expected_terms(logits, corners, labels, sigmas).numpy()
        best = expected_terms(logits, corners, torch.from_numpy(answers), sigmas).numpy()
        for index, person in enumerate(posed):
            others = [other for other in posed if other is not person]
            findings += _joints(image, person, others, terms[index], best[index], answers[index], model.skeleton)
    return findings


def _joints(
    image: int,
    person: Labelled,
    others: Sequence[Labelled],
    terms: np.ndarray,
    best: np.ndarray,
    answers: np.ndarray,
    skeleton: Skeleton,
) -> list[Finding]:
    """terms and best [K maps, K places]: expected OKS terms of the labels and of the model's answers [K, 2]."""
    findings: list[Finding] = []
    explained = set[int]()
    labelled = person.keypoints[:, 2] > 0

    def finding(kind: Kind, suspicion: float, *joints: int) -> Finding:
        places = tuple((float(answers[joint, 0]), float(answers[joint, 1])) for joint in joints)
        return Finding(image, kind, round(float(suspicion), 4), (person.id,), joints, person.box, places)

    for left, right in skeleton.flip_pairs:
        gain = (terms[left, right] + terms[right, left] - terms[left, left] - terms[right, right]) / 2
        if labelled[left] and labelled[right] and gain >= _EXCHANGED:
            findings.append(finding("inversion", gain, left, right))
            explained |= {left, right}
    near = oks_terms(answers, person.keypoints, person.area, skeleton.sigmas)
    for joint in np.flatnonzero(labelled).tolist():
        gain = best[joint, joint] - terms[joint, joint]
        if joint in explained or gain < _BETTER:
            continue
        kind: Kind = "jitter" if near[joint] >= _NEAR else "miss"
        if kind == "miss" and any(_is_at(person.keypoints[joint], other, joint, skeleton) for other in others):
            kind = "swap"
        findings.append(finding(kind, gain, joint))
    return findings


def _is_at(place: np.ndarray, other: Labelled, joint: int, skeleton: Skeleton) -> bool:
    """Whether a place (x, y, v) is that of another person's same joint, or of its twin."""
    for same in {joint, skeleton.flip_permutation[joint]}:
        if other.keypoints[same, 2] > 0:
            far = ((place[:2] - other.keypoints[same, :2]) ** 2).sum()
            if np.exp(-far / (2 * max(other.area, 1.0) * (2 * skeleton.sigmas[same]) ** 2)) >= _NEAR:
                return True
    return False


def _missing_people(
    image: int, people: Sequence[Labelled], ignored: Sequence[Sequence[float]], found: People
) -> list[Finding]:
    taken = np.zeros(len(found.boxes), dtype=bool)
    for person in people:
        taken |= box_overlaps(found.boxes, person.box) >= _SOMEBODY
    for region in ignored:
        taken |= box_coverage(found.boxes, region) >= _SOMEBODY
    findings = []
    for index in np.flatnonzero(~taken & (found.scores >= _SEEN)):
        x1, y1, x2, y2 = (round(float(side), 2) for side in found.boxes[index])
        score = round(float(found.scores[index]), 4)
        findings.append(Finding(image, "person", score, (), (), (x1, y1, x2 - x1, y2 - y1)))
    return findings


def _duplicates(image: int, people: Sequence[Labelled], skeleton: Skeleton) -> list[Finding]:
    findings = []
    for first, second in combinations(people, 2):
        overlap = float(box_overlaps(np.array([first.corners]), second.box)[0])
        both = (first.keypoints[:, 2] > 0) & (second.keypoints[:, 2] > 0)
        if both.any():
            area = (first.area + second.area) / 2
            alike = float(oks_terms(first.keypoints[:, :2], second.keypoints, area, skeleton.sigmas)[both].mean())
            twice, suspicion = overlap >= _TWICE and alike >= _NEAR, (overlap + alike) / 2
        else:
            twice, suspicion = overlap >= _BOX_TWICE, overlap
        if twice:
            findings.append(Finding(image, "duplicate", round(suspicion, 4), (first.id, second.id), (), first.box))
    return findings


def audit_shapes(people: Iterable[tuple[int, Labelled]], skeleton: Skeleton) -> list[Finding]:
    """What labels say of themselves, without a model: joints outside of their boxes, and bones that are too long.

    people: Each with its image's id; bones are compared among all of them.
    """
    everybody = list(people)
    findings = [one for image, person in everybody for one in _outside(image, person)]
    for first, second in skeleton.edges:
        lengths = np.array([_bone(person, first, second) for _, person in everybody])
        known = lengths[~np.isnan(lengths)]
        if len(known) < _LEAST_BONES:
            continue
        limit = float(np.quantile(known, _LONGEST)) * _TOO_LONG
        for (image, person), length in zip(everybody, lengths, strict=True):
            if length > limit:
                findings.append(
                    Finding(image, "bone", round(1 - limit / length, 4), (person.id,), (first, second), person.box)
                )
    return findings


def _bone(person: Labelled, first: int, second: int) -> float:
    """The length of a bone through the square root of the box's area; nan where an end is not labelled."""
    ends = person.keypoints[[first, second]]
    if not (ends[:, 2] > 0).all():
        return float("nan")
    size = (person.box[2] * person.box[3] * PERSON_SHARE) ** 0.5
    return float(np.linalg.norm(ends[0, :2] - ends[1, :2])) / max(size, 1e-6)


def _outside(image: int, person: Labelled) -> list[Finding]:
    x, y, w, h = person.box
    findings = []
    for joint, (px, py, v) in enumerate(person.keypoints.tolist()):
        away = max(x - px, px - x - w, y - py, py - y - h) / max(w, h, 1e-6)
        if v > 0 and away > _BESIDE:
            suspicion = round(min(0.3 + away, 1.0), 4)
            findings.append(Finding(image, "outside", suspicion, (person.id,), (joint,), person.box))
    return findings
