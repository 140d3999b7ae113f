"""Joints that somebody has put right say where their neighbours are: offsets between joints, as people have them.

An extra of ours. The logits of a joint's map are added a fraction of what the normal distributions of its offsets to
its known neighbours say of every cell. The maps know the person already, so the fraction is small (docs/decisions.md).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import msgspec
import numpy as np
import torch
from torch import Tensor

from msarcnn.resources import resource_path
from msarcnn.skeleton import Skeleton

WEIGHT = 0.2
"""How much the offsets count beside the maps; chosen by the moves that a simulated annotator makes."""
_LEAST_SPREAD = 1e-4
"""Added to the variances, in units of the box's area: no joint is known better than to a hundredth of a side."""
_FEWEST = 30
"""People with both joints, below whom a pair says nothing."""


class JointPair(msgspec.Struct, frozen=True):
    """Where a joint lies from a neighbour.

    Attributes:
        joint, neighbour: Names of keypoints, joined by a bone or each other's mirror image.
        mean: x, y of the offset, in units of the square root of the box's area.
        covariance: xx, xy, yy.
        people: From so many it was measured.
    """

    joint: str
    neighbour: str
    mean: tuple[float, float]
    covariance: tuple[float, float, float]
    people: int


def measure_pairs(people: Iterable[tuple[np.ndarray, Sequence[float]]], skeleton: Skeleton) -> list[JointPair]:
    """The pairs of neighbours of a skeleton, each in both ways.

    Args:
        people: Keypoints [K, 3] with v, and the box's x, y, w, h.
        skeleton: Its bones and mirrored pairs are the neighbours.
    """
    scaled = [(points[:, :2] / np.sqrt(box[2] * box[3]), points[:, 2] > 0) for points, box in people]
    pairs = []
    for one, other in sorted({*skeleton.edges, *skeleton.flip_pairs}):
        offsets = np.array([places[one] - places[other] for places, there in scaled if there[one] and there[other]])
        if len(offsets) < _FEWEST:
            continue
        x, y = offsets.mean(axis=0).round(4).tolist()
        (xx, xy), (_, yy) = np.cov(offsets.T).round(6).tolist()
        first, second = skeleton.keypoints[one], skeleton.keypoints[other]
        pairs.append(JointPair(first, second, (x, y), (xx, xy, yy), len(offsets)))
        pairs.append(JointPair(second, first, (-x, -y), (xx, xy, yy), len(offsets)))
    return pairs


@cache
def known_pairs(keypoints: tuple[str, ...]) -> tuple[JointPair, ...]:
    """The pairs that ship with the product, for joints of these names; none for others."""
    path = resource_path("skeletons", "coco17_pairs.json")
    pairs = msgspec.json.decode(path.read_bytes(), type=tuple[JointPair, ...])
    return tuple(pair for pair in pairs if pair.joint in keypoints and pair.neighbour in keypoints)


def with_known_joints(logits: Tensor, boxes: np.ndarray, known: np.ndarray, keypoints: Sequence[str]) -> Tensor:
    """Maps of people some of whose joints somebody has placed.

    Args:
        logits: [N, K, S, S], a map spans its box.
        boxes: [N, 4] xyxy.
        known: [N, K, 3] x, y in the boxes' frame, and v: above 0 where the place is known.
        keypoints: The K joints' names.

    Returns:
        [N, K, S, S]; the same tensor where nothing is known, or nothing is known of such joints.
    """
    pairs = [
        (keypoints.index(pair.joint), keypoints.index(pair.neighbour), pair) for pair in known_pairs(tuple(keypoints))
    ]
    told = logits.clone() if (known[..., 2] > 0).any() and pairs else logits
    size = logits.shape[-1]
    centres = (torch.arange(size, device=logits.device, dtype=torch.float32) + 0.5) / size
    for person, (box, points) in enumerate(zip(np.asarray(boxes, dtype=float), known, strict=True)):
        width, height = (box[2:] - box[:2]).clip(min=1e-3).tolist()
        scale = (width * height) ** 0.5
        there = points[:, 2] > 0
        telling = [(joint, near, pair) for joint, near, pair in pairs if there[near] and not there[joint]]
        count = Counter(joint for joint, _, _ in telling)
        for joint, near, pair in telling:
            xx, xy, yy = pair.covariance
            xx, yy = xx + _LEAST_SPREAD, yy + _LEAST_SPREAD
            dx = (box[0] + centres * width - points[near, 0]) / scale - pair.mean[0]
            dy = ((box[1] + centres * height - points[near, 1]) / scale - pair.mean[1])[:, None]
            squares = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / (xx * yy - xy**2)
            told[person, joint] -= WEIGHT * 0.5 / count[joint] ** 0.5 * squares
    return told
