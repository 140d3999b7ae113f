"""What a training step learns from, and whom it must leave alone."""

import torch
from torch import Tensor

Target = dict[str, Tensor]
"""boxes [N, 4] xyxy, labels [N] int64 (1 = person), keypoints [N, K, 3], keypoint_weights [N, K],
box_weights [N]: of the box's place in the loss (1 where there are none),
visibility [N, K] int64 (v, or -1 where it is unknown; only for a model that learns it),
ignore_boxes [M, 4] xyxy: crowds and regions in which an unlabelled person may stand,
proposals [P, 4] xyxy, where they come from a file,
seed, a scalar int64: of what is drawn from the image, where that must not depend on the other images."""


def covered_by(boxes: Tensor, regions: Tensor, share: float = 0.5) -> Tensor:
    """Whether at least `share` of each box's area lies in one of the regions: [N, 4], [M, 4] xyxy -> [N] bool."""
    if regions.numel() == 0 or boxes.numel() == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    top_left = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=-1).clamp(min=1e-6)
    return (shared / area[:, None] >= share).any(dim=1)
