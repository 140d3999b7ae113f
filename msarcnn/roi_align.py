"""RoIAlign with two samples a bin and side (He et al., "Mask R-CNN", 2017), fast in both directions on a CPU."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional
from torchvision import ops

_FEWEST_TO_SHARE = 64
"""Boxes below which handing them to other threads is not worth it."""
SAMPLES = 2
"""Sampling points a bin, along each side (the sampling ratio)."""


def roi_align(features: Tensor, boxes: list[Tensor], size: int, stride: int) -> Tensor:
    """Pools boxes from one pyramid level.

    Without gradients, or off the CPU, this is torchvision's operator. Its gradient on a CPU runs on one thread and
    costs several times the forward pass; there, RoIAlign is written as what it is, a linear map that is separable
    into rows and columns: two matrix products a box, in the features' own precision.

    Args:
        features: [B, C, h, w].
        boxes: B tensors [N_i, 4], xyxy in pixels of the (padded) image.
        size: Bins a side.
        stride: Pixels a cell of the level.

    Returns:
        [sum N_i, C, size, size], in the features' precision.
    """
    if features.device.type == "cpu" and features.requires_grad and torch.is_grad_enabled():
        return _matrix_roi_align(features, boxes, size, stride)
    single = features.float()
    if features.device.type == "cpu" and sum(map(len, boxes)) >= _FEWEST_TO_SHARE and torch.get_num_threads() > 1:
        return _shared_roi_align(single, boxes, size, stride).to(features.dtype)
    pooled: Tensor = ops.roi_align(single, boxes, size, spatial_scale=1 / stride, sampling_ratio=SAMPLES)
    return pooled.to(features.dtype)


def _shared_roi_align(features: Tensor, boxes: list[Tensor], size: int, stride: int) -> Tensor:
    """torchvision's operator on all cores: by itself it runs on one thread. The numbers are the same."""
    rois = torch.cat([functional.pad(some, (1, 0), value=index) for index, some in enumerate(boxes)])
    # The operator copies what is not laid out plainly: once is enough.
    plain, inference = features.contiguous(), torch.is_inference_mode_enabled()

    def pool(some: Tensor) -> Tensor:
        with torch.inference_mode(inference), torch.no_grad():  # modes are a thread's own
            pooled: Tensor = ops.roi_align(plain, some, size, spatial_scale=1 / stride, sampling_ratio=SAMPLES)
            return pooled

    return torch.cat(list(_threads().map(pool, rois.chunk(torch.get_num_threads()))))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="roi_align")


def _matrix_roi_align(features: Tensor, boxes: list[Tensor], size: int, stride: int) -> Tensor:
    channels, height, width = features.shape[1:]
    pooled = []
    for one, rois in zip(features.permute(0, 2, 3, 1), boxes, strict=True):
        rows = sampling_weights(rois[:, 1], rois[:, 3], size, height, stride).to(one.dtype)
        columns = sampling_weights(rois[:, 0], rois[:, 2], size, width, stride).to(one.dtype)
        strips = (rows.flatten(0, 1) @ one.reshape(height, width * channels)).view(len(rois), size, width, channels)
        pooled.append(torch.matmul(columns[:, None], strips))
    return torch.cat(pooled).permute(0, 3, 1, 2)


def sampling_weights(low: Tensor, high: Tensor, size: int, length: int, stride: int) -> Tensor:
    """How much every cell of a row counts for every bin of an interval.

    Args:
        low, high: [N] ends of the intervals in pixels; an interval shorter than a cell is taken as one cell long.
        size: Bins an interval.
        length: Cells a row.
        stride: Pixels a cell.

    Returns:
        [N, size, length]: the mean over a bin's samples of the linear interpolation's weights. A sample beyond the
        map by up to a cell reads the cell at its border, one further out reads 0 (as in torchvision's operator).
    """
    start, end = low / stride, high / stride
    bins = (end - start).clamp(min=1.0) / size
    offsets = (torch.arange(size * SAMPLES, device=low.device) + 0.5) / SAMPLES
    points = start[:, None] + offsets * bins[:, None]
    inside = (points >= -1) & (points <= length)
    distance = (points.clamp(0, length - 1)[..., None] - torch.arange(length, device=low.device)).abs()
    weights = (1 - distance).clamp(min=0) * inside[..., None]
    return weights.view(len(low), size, SAMPLES, length).mean(dim=2)


class LevelRoIAlign(ops.MultiScaleRoIAlign):
    """torchvision's: a box is pooled from the one level that its size chooses (FPN); in single precision.

    Boxes in half precision would be off by pixels, and torchvision's operator wants both alike.
    """

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """As torchvision's; the result is in the features' precision."""
        dtype = next(iter(features.values())).dtype
        single = {level: value.float() for level, value in features.items() if level in self.featmap_names}
        pooled: Tensor = super().forward(single, boxes, image_shapes)
        return pooled.to(dtype)
