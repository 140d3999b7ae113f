"""Which levels of the pyramid a joint's place comes from: their parts in MS-RoIAlign's sum (paper section 5)."""

import torch
from torch import Tensor

from msarcnn.model import MSARCNN, Features, resize_boxes
from msarcnn.ms_roi_align import MSRoIAlign


def level_contributions(network: MSARCNN, features: Features, box: Tensor, joint: int) -> Tensor | None:
    """How much each level's features speak for the joint's most probable cell.

    The keypoint head sees the sum of the levels (or all of them side by side), so what it makes of a small change is
    told apart by level: gradient of the cell's log probability times activation, summed over the channels. That is
    exact to first order, and no more.

    Args:
        network: With MS-RoIAlign in front of its keypoint head.
        features: Of one image.
        box: [4] xyxy in pixels of the image.
        joint: Its index.

    Returns:
        [4, s, s] float32 on the CPU, P2 to P5, over the box; below 0 where a level speaks against it. None for a
        network whose keypoint head sees one level.
    """
    heads = network.roi_heads
    pool = heads.keypoint_roi_pool
    if not isinstance(pool, MSRoIAlign):
        return None
    resized = resize_boxes(box[None], features.original_sizes[0], features.sizes[0])
    with torch.inference_mode(mode=False), torch.enable_grad():
        # What was made in inference mode cannot be looked back at: copies can.
        maps = {level: value.clone() for level, value in features.maps.items()}
        with torch.no_grad():
            pooled = pool.by_level(maps, [resized.clone()])
        for level in pooled:
            level.requires_grad_()
        logits = heads.keypoint_predictor(heads.keypoint_head(pool.aggregated(pooled)))[0, joint].float().flatten()
        gradients = torch.autograd.grad(logits.log_softmax(dim=0).max(), pooled)
    parts = [(gradient * level).sum(dim=1)[0] for gradient, level in zip(gradients, pooled, strict=True)]
    return torch.stack(parts).detach().float().cpu()
