"""How near a pose or a box is to a label: object keypoint similarity (COCO) and intersection over union."""

from collections.abc import Sequence

import numpy as np


def oks_terms(points: np.ndarray, truth: np.ndarray, area: float, sigmas: Sequence[float]) -> np.ndarray:
    """Every joint's own term of the OKS, exp(-d^2 / (2 s^2 k^2)) with s^2 the area and k twice COCO's sigma.

    Args:
        points: [K, 2] x, y in pixels.
        truth: [K, 3] the labelled joints; their visibility is not looked at.
        area: The person's area in pixels; below 1 it counts as 1.
        sigmas: K, the skeleton's.

    Returns:
        [K] in 0..1, 1 at the label.
    """
    variances = (2 * np.array(sigmas)) ** 2
    distance = ((points - truth[:, :2]) ** 2).sum(axis=1)
    terms: np.ndarray = np.exp(-distance / (2 * max(area, 1.0) * variances))
    return terms


def box_overlaps(boxes: np.ndarray, xywh: Sequence[float]) -> np.ndarray:
    """IoU of boxes [N, 4] xyxy with one COCO box (x, y, w, h): [N] in 0..1."""
    shared = _shared(boxes, xywh)
    overlaps: np.ndarray = shared / np.clip(_areas(boxes) + xywh[2] * xywh[3] - shared, 1e-9, None)
    return overlaps


def box_coverage(boxes: np.ndarray, xywh: Sequence[float]) -> np.ndarray:
    """Share of the area of each box [N, 4] xyxy that lies in one COCO box (x, y, w, h): [N] in 0..1."""
    shares: np.ndarray = _shared(boxes, xywh) / np.clip(_areas(boxes), 1e-9, None)
    return shares


def _shared(boxes: np.ndarray, xywh: Sequence[float]) -> np.ndarray:
    x, y, w, h = xywh
    width = np.minimum(boxes[:, 2], x + w) - np.maximum(boxes[:, 0], x)
    height = np.minimum(boxes[:, 3], y + h) - np.maximum(boxes[:, 1], y)
    shared: np.ndarray = np.clip(width, 0, None) * np.clip(height, 0, None)
    return shared


def _areas(boxes: np.ndarray) -> np.ndarray:
    areas: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas
