"""What happens to an image and its people before a training step; a pure function of a seeded generator."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from msarcnn.config import TrainConfig
from msarcnn.roi_heads import Target

KEPT_SHARE = 0.3
"""A person of whom a crop leaves less than this share of the box is ignored rather than taught."""


@dataclass(frozen=True)
class Window:
    """A view of an image: scaled by `scale` (x, y), then cut at (left, top) with a size, all in resized pixels."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int


def augment(
    pixels: Tensor,
    target: Target,
    config: TrainConfig,
    sizes: tuple[int, ...],
    max_ratio: float,
    flip: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Target]:
    """Resizes, crops, mirrors and recolours one image with its targets.

    Args:
        pixels: [3, H, W] uint8.
        target: In pixels of that image (see roi_heads.Target).
        config: Strengths.
        sizes: Shortest sides to draw from, in pixels.
        max_ratio: Bound of the longest side as a multiple of the shortest size drawn.
        flip: [K] int64, the keypoint that takes each one's place in a mirror image.
        generator: The only source of chance.

    Returns:
        [3, h, w] float in 0..1 and the target in its frame.
    """
    window = _draw_window(pixels.shape[-2], pixels.shape[-1], config, sizes, max_ratio, generator)
    pixels = _view(pixels, window)
    target = _view_target(target, window)
    if config.flip and _uniform(generator) < 0.5:
        pixels = pixels.flip(-1)
        target = mirror_target(target, window.width, flip)
    image = pixels.float() / 255
    if config.color > 0:
        image = _recolour(image, config.color, generator)
    return image, target


def mirror_target(target: Target, width: int, flip: Tensor) -> Target:
    """Mirrors boxes and keypoints in an image of a width: x -> width - x, and left joints become right ones."""
    boxes, ignored, keypoints = target["boxes"], target["ignore_boxes"], target["keypoints"][:, flip].clone()
    keypoints[..., 0] = width - keypoints[..., 0]
    return {
        **target,
        "boxes": torch.stack((width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]), dim=1),
        "ignore_boxes": torch.stack((width - ignored[:, 2], ignored[:, 1], width - ignored[:, 0], ignored[:, 3]), 1),
        "keypoints": keypoints,
        "keypoint_weights": target["keypoint_weights"][:, flip],
    }


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _draw_window(
    height: int, width: int, config: TrainConfig, sizes: tuple[int, ...], max_ratio: float, generator: torch.Generator
) -> Window:
    size = sizes[int(torch.randint(len(sizes), (), generator=generator))]
    factor = math.exp(_uniform(generator, math.log(config.jitter[0]), math.log(config.jitter[1])))
    scale = min(size / min(height, width), size * max_ratio / max(height, width)) * factor
    new_width, new_height = max(round(width * scale), 1), max(round(height * scale), 1)
    view_width, view_height = new_width, new_height
    if config.crop:
        view_width, view_height = min(new_width, config.crop), min(new_height, config.crop)
    left = round(_uniform(generator) * (new_width - view_width))
    top = round(_uniform(generator) * (new_height - view_height))
    return Window(new_width / width, new_height / height, left, top, view_width, view_height)


def _view(pixels: Tensor, window: Window) -> Tensor:
    height, width = pixels.shape[-2:]
    size = [round(height * window.scale_y), round(width * window.scale_x)]
    resized = v2.resize(pixels, size, antialias=True)
    cut: Tensor = resized[
        :, window.top : window.top + window.height, window.left : window.left + window.width
    ].contiguous()
    return cut


def _view_target(target: Target, window: Window) -> Target:
    scale = torch.tensor([window.scale_x, window.scale_y])
    offset = torch.tensor([window.left, window.top], dtype=torch.float32)
    limit = torch.tensor([window.width, window.height], dtype=torch.float32)

    def move(boxes: Tensor) -> Tensor:
        return boxes * scale.repeat(2) - offset.repeat(2)

    def cut(boxes: Tensor) -> Tensor:
        return torch.cat((boxes[:, :2].clamp(min=0), torch.minimum(boxes[:, 2:], limit)), dim=1)

    whole = move(target["boxes"])
    boxes = cut(whole)
    sides = boxes[:, 2:] - boxes[:, :2]
    visible = (sides > 1).all(dim=1)
    share = sides.clamp(min=0).prod(dim=1) / (whole[:, 2:] - whole[:, :2]).prod(dim=1).clamp(min=1e-6)
    kept = visible & (share >= KEPT_SHARE)
    ignored = cut(move(target["ignore_boxes"]))
    ignored = torch.cat((ignored[((ignored[:, 2:] - ignored[:, :2]) > 1).all(dim=1)], boxes[visible & ~kept]))
    keypoints = target["keypoints"].clone()
    keypoints[..., :2] = keypoints[..., :2] * scale - offset
    outside = ((keypoints[..., :2] < 0) | (keypoints[..., :2] > limit)).any(dim=-1)
    weights = target["keypoint_weights"] * ~outside
    return {
        **target,
        "boxes": boxes[kept],
        "labels": target["labels"][kept],
        "keypoints": keypoints[kept],
        "keypoint_weights": weights[kept],
        "ignore_boxes": ignored,
    }


def _recolour(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    for adjust in (v2.adjust_brightness, v2.adjust_contrast, v2.adjust_saturation):
        image = adjust(image, _uniform(generator, 1 - strength, 1 + strength))
    if _uniform(generator) < strength / 4:
        image = v2.rgb_to_grayscale(image, num_output_channels=3)
    return image
