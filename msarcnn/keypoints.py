"""Between keypoints and heatmaps: targets, loss, decoding. Pure functions over tensors, no network."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def keypoints_to_cells(keypoints: Tensor, weights: Tensor, rois: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
    """Labels the heatmap cell that holds each keypoint (model section 8).

    Args:
        keypoints: [N, K, 3] float: x, y in the RoIs' frame and visibility v. v = 0 is not labelled;
            v = 1 (occluded) and v = 2 (visible) are labelled alike.
        weights: [N, K] loss weight of each keypoint, >= 0.
        rois: [N, 4] xyxy.
        heatmap_size: S cells a side.

    Returns:
        cells: [N, K] int64, y * S + x with x = floor((px - x1) * S / (x2 - x1)), same in y; a point exactly on
            the right or bottom edge belongs to the last cell.
        weights: [N, K] float, 0 where the point is not labelled or lies outside its RoI.
    """
    x, y, v = keypoints.unbind(dim=-1)
    x1, y1, x2, y2 = (side[:, None] for side in rois.unbind(dim=-1))
    inside = (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2) & (x2 > x1) & (y2 > y1)
    column = ((x - x1) * heatmap_size / (x2 - x1).clamp(min=1e-6)).floor().long().clamp(0, heatmap_size - 1)
    row = ((y - y1) * heatmap_size / (y2 - y1).clamp(min=1e-6)).floor().long().clamp(0, heatmap_size - 1)
    return row * heatmap_size + column, weights * ((v > 0) & inside)


def keypoint_loss(logits: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy over the S*S cells of each map, averaged over the labelled keypoints (eq. 1).

    Args:
        logits: [N, K, S, S].
        cells: [N, K] int64, the labelled cell.
        weights: [N, K]; 0 takes a keypoint out.

    Returns:
        Scalar; 0, with a gradient of 0, when nothing is labelled.
    """
    total = weights.sum()
    if total <= 0:
        return logits.sum() * 0.0
    losses = functional.cross_entropy(logits.flatten(0, 1).flatten(1), cells.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / total


def heatmap_probabilities(logits: Tensor) -> Tensor:
    """Softmax over the cells of each map: [N, K, S, S] -> [N, K, S, S], each map sums to 1."""
    return logits.flatten(2).softmax(dim=-1).view_as(logits)


def decode_keypoints(
    logits: Tensor, boxes: Tensor, method: Literal["top2", "argmax"] = "top2"
) -> tuple[Tensor, Tensor]:
    """Turns heatmaps into points (paper section 3.4; model section 9).

    Args:
        logits: [N, K, S, S].
        boxes: [N, 4] xyxy, in whatever frame the points are wanted in.
        method: "top2": the two most probable cells, averaged with their probabilities as weights, before any
            resizing. "argmax": the map resized to the box (bicubic), its highest cell; cell centres are at + 0.5.

    Returns:
        points: [N, K, 2] x, y in the boxes' frame.
        peaks: [N, K] probability of the most probable cell, in 0..1 (not yet a confidence).
    """
    size = logits.shape[-1]
    probabilities = logits.flatten(2).softmax(dim=-1)
    peaks, cells = probabilities.topk(2, dim=-1)
    if method == "argmax":
        return _resized_argmax(logits, boxes), peaks[..., 0]
    centres = torch.stack((cells % size, cells // size), dim=-1) + 0.5
    share = peaks / peaks.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    points = (centres * share[..., None]).sum(dim=-2)
    scale = (boxes[:, 2:] - boxes[:, :2]) / size
    return boxes[:, None, :2] + points * scale[:, None], peaks[..., 0]


MAX_RESIZED = 1024
"""Side in pixels beyond which a map is not enlarged any further: a cell of the answer is then a pixel or two."""


def _resized_argmax(logits: Tensor, boxes: Tensor) -> Tensor:
    points = boxes.new_zeros((*logits.shape[:2], 2))
    for index, (maps, box) in enumerate(zip(logits, boxes, strict=True)):
        extent = (box[2:] - box[:2]).clamp(min=1)
        width, height = (min(int(value), MAX_RESIZED) for value in extent.ceil())
        resized = functional.interpolate(maps[None], size=(height, width), mode="bicubic", align_corners=False)[0]
        cells = resized.flatten(1).argmax(dim=-1)
        centres = torch.stack((cells % width, cells // width), dim=-1) + 0.5
        points[index] = box[:2] + centres * extent / extent.new_tensor([width, height])
    return points
