"""Between keypoints and heatmaps: targets, loss, decoding. Pure functions over tensors, no network."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from msarcnn.config import Decoding


def keypoints_in_cells(keypoints: Tensor, weights: Tensor, rois: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
    """Puts keypoints into the frame of their RoI's heatmap.

    Args:
        keypoints: [N, K, 3] float: x, y in the RoIs' frame and visibility v. v = 0 is not labelled;
            v = 1 (occluded) and v = 2 (visible) are labelled alike.
        weights: [N, K] loss weight of each keypoint, >= 0.
        rois: [N, 4] xyxy.
        heatmap_size: S cells a side.

    Returns:
        points: [N, K, 2] float x, y in cells, (0, 0) the map's top-left corner, (S, S) its bottom-right one.
        weights: [N, K] float, 0 where the point is not labelled or lies outside its RoI.
    """
    x, y, v = keypoints.unbind(dim=-1)
    x1, y1, x2, y2 = (side[:, None] for side in rois.unbind(dim=-1))
    inside = (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2) & (x2 > x1) & (y2 > y1)
    column = (x - x1) * heatmap_size / (x2 - x1).clamp(min=1e-6)
    row = (y - y1) * heatmap_size / (y2 - y1).clamp(min=1e-6)
    return torch.stack((column, row), dim=-1), weights * ((v > 0) & inside)


def labelled_cells(points: Tensor, heatmap_size: int) -> Tensor:
    """The cell that holds each point: [N, K, 2] x, y in cells -> [N, K] int64, row * S + column.

    The cell is the floor of the coordinates; a point exactly on the right or bottom edge belongs to the last cell.
    """
    column, row = points.floor().long().clamp(0, heatmap_size - 1).unbind(dim=-1)
    return row * heatmap_size + column


def keypoint_loss(logits: Tensor, points: Tensor, weights: Tensor, spread: float = 0.0) -> Tensor:
    """Cross-entropy over the S*S cells of each map, averaged over the labelled keypoints (paper, equation 1).

    Args:
        logits: [N, K, S, S].
        points: [N, K, 2] the labelled points, x, y in cells.
        weights: [N, K]; 0 takes a keypoint out.
        spread: Standard deviation in cells of a Gaussian target around the point; 0 is the one-hot cell (paper).

    Returns:
        Scalar; 0, with a gradient of 0, when nothing is labelled.
    """
    total = weights.sum()
    if total <= 0:
        return logits.sum() * 0.0
    size = logits.shape[-1]
    if spread > 0:
        columns, rows = _gaussian(points, size, spread).unbind(dim=-2)
        wanted = torch.einsum("nkyx,nky,nkx->nk", logits, rows, columns)
        losses = logits.flatten(2).logsumexp(dim=-1) - wanted
    else:
        cells = labelled_cells(points, size).flatten()
        losses = functional.cross_entropy(logits.flatten(0, 1).flatten(1), cells, reduction="none").view_as(weights)
    return (losses * weights).sum() / total


def _gaussian(points: Tensor, size: int, spread: float) -> Tensor:
    """A Gaussian on the cell centres around each coordinate: [N, K, 2] -> [N, K, 2, S], each row sums to 1."""
    centres = torch.arange(size, device=points.device) + 0.5
    inside = points.clamp(0, size)
    return (-0.5 * ((inside[..., None] - centres) / spread) ** 2).softmax(dim=-1)


def heatmap_probabilities(logits: Tensor) -> Tensor:
    """Softmax over the cells of each map: [N, K, S, S] -> [N, K, S, S], each map sums to 1."""
    return logits.flatten(2).softmax(dim=-1).view_as(logits)


def decode_keypoints(
    logits: Tensor, boxes: Tensor, method: Decoding = "top2", sigmas: Sequence[float] = ()
) -> tuple[Tensor, Tensor]:
    """Turns heatmaps into points (paper sections 7 and 8.2).

    Args:
        logits: [N, K, S, S].
        boxes: [N, 4] xyxy, in whatever frame the points are wanted in.
        method: "top2": the two most probable cells, averaged with their probabilities as weights, before any
            resizing. "argmax": the map resized to the box (bicubic), its highest cell; cell centres are at + 0.5.
            "expected_oks": the place whose expected OKS term is highest, see `expected_oks`.
        sigmas: K OKS constants, for "expected_oks".

    Returns:
        points: [N, K, 2] x, y in the boxes' frame.
        peaks: [N, K] probability of the most probable cell, or the expected OKS term; in 0..1 (not yet a confidence).
    """
    if method == "expected_oks":
        return expected_oks(logits, boxes, sigmas)
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


PERSON_SHARE = 0.5
"""How much of its box a person covers, about: COCO's area, which OKS is measured by, is the person's."""
_CLIMBS = 4
"""Steps from the best cell to the place between cells: each brings it several times nearer, the narrower the map."""


def expected_oks(logits: Tensor, boxes: Tensor, sigmas: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The places that are best on average, where the joints are as the heatmaps say.

    OKS forgives a joint an error d with exp(-d^2 / (2 s^2 k^2)), s^2 the person's area and k = 2 sigma. Its mean over
    the map's cells is the map blurred by a Gaussian of that width: in the box's shape, as maps span boxes. From the
    highest cell it is climbed by mean shift (Comaniciu and Meer, 2002), which for a Gaussian ends at the maximum.

    Args:
        logits: [N, K, S, S].
        boxes: [N, 4] xyxy.
        sigmas: K OKS constants.

    Returns:
        points [N, K, 2] x, y in the boxes' frame, and the expected OKS term there [N, K], in 0..1.
    """
    size = logits.shape[-1]
    probabilities = logits.float().flatten(2).softmax(dim=-1).view_as(logits)
    extent = (boxes[:, 2:] - boxes[:, :2]).float().clamp(min=1e-3)
    widths = _widths(extent, sigmas, size)
    cells = torch.arange(size, device=logits.device, dtype=torch.float32)
    with torch.autocast(logits.device.type, enabled=False):  # in bfloat16 other cells would be best
        blur = _falloff(cells - cells[:, None], widths[..., None])
        best = (blur[:, :, 1] @ probabilities @ blur[:, :, 0]).flatten(2).argmax(dim=-1)
        points = torch.stack((best % size, best // size), dim=-1).float()
        for _ in range(_CLIMBS):
            near = _near(probabilities, cells, points, widths)
            points = (near * cells).sum(dim=-1) / near.sum(dim=-1).clamp(min=1e-12)
        terms = _near(probabilities, cells, points, widths)[:, :, 0].sum(dim=-1).clamp(max=1)
    return boxes[:, None, :2] + (points + 0.5) * (extent / size)[:, None], terms


def expected_terms(logits: Tensor, boxes: Tensor, points: Tensor, sigmas: Sequence[float]) -> Tensor:
    """What the OKS terms of given points are on average, where the joints are as the heatmaps say.

    Args:
        logits: [N, K, S, S].
        boxes: [N, 4] xyxy.
        points: [N, M, 2] x, y in the boxes' frame.
        sigmas: K OKS constants.

    Returns:
        [N, K, M]: of each point under each joint's map, in 0..1.
    """
    size = logits.shape[-1]
    probabilities = logits.float().flatten(2).softmax(dim=-1).view_as(logits)
    extent = (boxes[:, 2:] - boxes[:, :2]).float().clamp(min=1e-3)
    widths = _widths(extent, sigmas, size)
    places = (points - boxes[:, None, :2]) * size / extent[:, None] - 0.5  # [N, M, 2] in cells
    cells = torch.arange(size, device=logits.device, dtype=torch.float32)
    offsets = cells - places[:, None, :, :, None]  # [N, 1, M, 2, S]
    columns, rows = _falloff(offsets, widths[:, :, None]).unbind(dim=3)
    return torch.einsum("nkyx,nkmy,nkmx->nkm", probabilities, rows, columns).clamp(max=1)


def _widths(extent: Tensor, sigmas: Sequence[float], size: int) -> Tensor:
    """How far off a joint may be, in cells by x and y [N, K, 2], of people in boxes of a size [N, 2] in pixels."""
    reach = 2 * extent.new_tensor(sigmas) * (PERSON_SHARE * extent.prod(dim=-1, keepdim=True)).sqrt()
    return reach[..., None] * size / extent[:, None]


def _near(probabilities: Tensor, cells: Tensor, points: Tensor, widths: Tensor) -> Tensor:
    """Maps [N, K, S, S], cells counted by their OKS term around points [N, K, 2], as sums by x and y [N, K, 2, S]."""
    columns, rows = _falloff(cells - points[..., None], widths).unbind(dim=2)
    by_x = (rows[..., None, :] @ probabilities)[..., 0, :] * columns
    by_y = (probabilities @ columns[..., :, None])[..., 0] * rows
    return torch.stack((by_x, by_y), dim=2)


def _falloff(offsets: Tensor, widths: Tensor) -> Tensor:
    """exp(-d^2 / (2 w^2)) of offsets d [..., S] for widths w [...]."""
    return (-0.5 * (offsets / widths[..., None]) ** 2).exp()


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
