"""Parameters by part, shapes and multiply-adds of a model (the paper's Table 2)."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from msarcnn.config import ModelConfig
from msarcnn.cpn import CPN
from msarcnn.crop_config import CropConfig
from msarcnn.model import MSARCNN, Features, build_model


def count_parameters(model: MSARCNN) -> dict[str, int]:
    """Parameters by part of the figure; frozen BatchNorms count by their affine part, not their statistics."""
    heads = model.roi_heads
    parts: dict[str, list[nn.Module]] = {
        "backbone": [model.backbone],
        "ms_roi_align": [heads.box_roi_pool, heads.keypoint_roi_pool],
        "classification_head": [heads.box_head, heads.box_predictor],
        "keypoint_head": [heads.keypoint_head, heads.keypoint_predictor],
        "rpn": [model.rpn],
    }
    if heads.visibility_head:
        parts["visibility_head"] = [heads.visibility_head]
    return {name: sum(map(_count, modules)) for name, modules in parts.items()}


def _count(module: nn.Module) -> int:
    affine = sum(b.numel() for name, b in module.named_buffers() if name.endswith(("weight", "bias")))
    return sum(p.numel() for p in module.parameters()) + affine


def parameters_without_rpn(config: ModelConfig) -> int:
    """What the paper's Table 2 counts, without building the network in memory."""
    with torch.device("meta"):
        parts = count_parameters(build_model(config))
    return sum(parts.values()) - parts["rpn"]


def multiply_adds(model: MSARCNN, height: int, width: int, people: int = 10) -> dict[str, int]:
    """Multiply-adds of one image's passes at test time: encode, detect, and estimate for a number of people.

    A second look at boxes is not counted: it goes to those that have a score, which random weights know nothing of.
    """
    counts: dict[str, int] = {}
    model.eval()
    model.roi_heads.second_look = False
    images = torch.zeros(1, 3, height, width)
    size = [(height, width)]
    boxes = [torch.tensor([[0.0, 0.0, width / 2, height / 2]]).repeat(people, 1)]
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            features = model.backbone(images)
        counts["encode"] = counter.get_total_flops() // 2
        with FlopCounterMode(display=False) as counter:
            model.detect(Features(features, size, size))
        counts["detect"] = counter.get_total_flops() // 2
        with FlopCounterMode(display=False) as counter:
            model.roi_heads.heatmaps(features, boxes, size)
        counts["estimate"] = counter.get_total_flops() // 2
    return counts


def summarise(config: ModelConfig) -> dict[str, Any]:
    """{"model", "parts", "total_without_rpn", "input", "heatmaps", "multiply_adds"} of a configuration."""
    model = build_model(config)
    parts = count_parameters(model)
    height, width = (-(-side // 32) * 32 for side in (config.min_size, config.max_size))
    return {
        "model": config.name,
        "parts": parts,
        "total_without_rpn": sum(parts.values()) - parts["rpn"],
        "input": [1, 3, height, width],
        "heatmaps": ["people", config.keypoints, config.heatmap_size, config.heatmap_size],
        "multiply_adds": multiply_adds(model, height, width),
    }


def summarise_crops(config: CropConfig) -> dict[str, Any]:
    """The same of a network on crops, without its detector; the multiply-adds are a person's."""
    network = CPN(config).eval()
    modules = {"backbone": network.backbone, "global_net": network.global_net, "refine_net": network.refine_net}
    parts = {name: _count(module) for name, module in modules.items()}
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, config.height, config.width))
    return {
        "model": config.name,
        "parts": parts,
        "total_without_rpn": sum(parts.values()),
        "input": ["people", 3, config.height, config.width],
        "heatmaps": ["people", config.keypoints, config.height // 4, config.width // 4],
        "multiply_adds": {"estimate": counter.get_total_flops() // 2},
    }
