"""What happens to an image and its people before a training step; a pure function of a seeded generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from msarcnn.config import TrainConfig
from msarcnn.targets import Target

KEPT_SHARE = 0.3
"""A person of whom a crop leaves less than this share of the box is ignored rather than taught."""


_BOXES = ("boxes", "ignore_boxes", "proposals")

SMALLEST_PERSON = 8.0
"""Pixels (the square root of the box's area) below which a person is ignored: no anchor fits, nothing is to be seen."""


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
        target: In pixels of that image (see msarcnn.targets).
        config: Strengths.
        sizes: Shortest sides to draw from, in pixels.
        max_ratio: Bound of the longest side as a multiple of the shortest size drawn.
        flip: [K] int64, the keypoint that takes each one's place in a mirror image.
        generator: The only source of chance.

    Returns:
        [3, h, w] float in 0..1 and the target in its frame.
    """
    height, width = pixels.shape[-2:]
    size = sizes[int(torch.randint(len(sizes), (), generator=generator))]
    scale = min(size / min(height, width), size * max_ratio / max(height, width)) * _factor(config, generator)
    limits = (config.crop, config.crop) if config.crop else None
    return _varied(pixels, target, _draw_window(height, width, scale, limits, generator), config, flip, generator)


def mosaic(
    parts: Sequence[tuple[Tensor, Target]], config: TrainConfig, flip: Tensor, generator: torch.Generator
) -> tuple[Tensor, Target]:
    """Puts n * n images into one square of `config.crop` pixels, each varied by itself and filling its cell.

    Args:
        parts: Four or nine images [3, H, W] uint8 and their targets.
        config: Strengths.
        flip: [K] int64, the keypoint that takes each one's place in a mirror image.
        generator: The only source of chance.

    Returns:
        [3, crop, crop] float in 0..1 (grey where an image leaves its cell empty) and the target in its frame.
    """
    side = math.isqrt(len(parts))
    columns, rows = (_lines(config.crop, side, generator) for _ in range(2))
    canvas = torch.full((3, config.crop, config.crop), 0.5)
    targets = []
    for index, (pixels, target) in enumerate(parts):
        left, right = columns[index % side], columns[index % side + 1]
        top, bottom = rows[index // side], rows[index // side + 1]
        height, width = pixels.shape[-2:]
        scale = max((right - left) / width, (bottom - top) / height) * _factor(config, generator)
        window = _draw_window(height, width, scale, (right - left, bottom - top), generator)
        image, target = _varied(pixels, target, window, config, flip, generator)
        canvas[:, top : top + image.shape[-2], left : left + image.shape[-1]] = image
        targets.append(_shifted(target, left, top))
    return canvas, {key: torch.cat([target[key] for target in targets]) for key in targets[0]}


def _lines(length: int, parts: int, generator: torch.Generator) -> list[int]:
    """The borders of `parts` cells along a side, each inner one up to a quarter of a cell off its even place."""
    inner = [round(length / parts * (index + _uniform(generator, -0.25, 0.25))) for index in range(1, parts)]
    return [0, *inner, length]


def _varied(
    pixels: Tensor, target: Target, window: Window, config: TrainConfig, flip: Tensor, generator: torch.Generator
) -> tuple[Tensor, Target]:
    """A window of an image, mirrored or not, in other colours: [3, h, w] float in 0..1 and its target."""
    pixels = _view(pixels, window)
    target = _view_target(target, window)
    if config.flip and _uniform(generator) < 0.5:
        pixels = pixels.flip(-1)
        target = mirror_target(target, window.width, flip)
    image = pixels.float() / 255
    if config.color > 0:
        image = recolour(image, config.color, generator)
    return image, target


def _shifted(target: Target, left: int, top: int) -> Target:
    offset = torch.tensor([left, top], dtype=torch.float32)
    keypoints = target["keypoints"].clone()
    keypoints[..., :2] += offset
    moved = {key: target[key] + offset.repeat(2) for key in _BOXES if key in target}
    return {**target, **moved, "keypoints": keypoints}


def mirror_target(target: Target, width: int, flip: Tensor) -> Target:
    """Mirrors boxes and keypoints in an image of a width: x -> width - x, and left joints become right ones."""
    keypoints = target["keypoints"][:, flip].clone()
    keypoints[..., 0] = width - keypoints[..., 0]
    mirrored = {}
    for key in _BOXES:
        if key in target:
            left, top, right, bottom = target[key].unbind(dim=1)
            mirrored[key] = torch.stack((width - right, top, width - left, bottom), dim=1)
    return {
        **target,
        **mirrored,
        "keypoints": keypoints,
        "keypoint_weights": target["keypoint_weights"][:, flip],
        "visibility": target["visibility"][:, flip],
    }


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _factor(config: TrainConfig, generator: torch.Generator) -> float:
    """A factor on the size, its logarithm even within the jitter."""
    return math.exp(_uniform(generator, math.log(config.jitter[0]), math.log(config.jitter[1])))


def _draw_window(
    height: int, width: int, scale: float, limits: tuple[int, int] | None, generator: torch.Generator
) -> Window:
    """A window of at most `limits` (width, height) pixels, anywhere in the image scaled by `scale`."""
    new_width, new_height = max(round(width * scale), 1), max(round(height * scale), 1)
    view_width, view_height = new_width, new_height
    if limits:
        view_width, view_height = min(new_width, limits[0]), min(new_height, limits[1])
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
    large = sides.clamp(min=0).prod(dim=1) >= SMALLEST_PERSON**2
    kept = visible & large & (share >= KEPT_SHARE)
    ignored = torch.cat((_seen(cut(move(target["ignore_boxes"]))), boxes[visible & ~kept]))
    given = {"proposals": _seen(cut(move(target["proposals"])))} if "proposals" in target else {}
    keypoints = target["keypoints"].clone()
    keypoints[..., :2] = keypoints[..., :2] * scale - offset
    outside = ((keypoints[..., :2] < 0) | (keypoints[..., :2] > limit)).any(dim=-1)
    weights = target["keypoint_weights"] * ~outside
    # What is not in the picture is what COCO leaves without a label.
    visibility = torch.where(outside & (target["visibility"] > 0), 0, target["visibility"])
    return {
        **target,
        **given,
        "boxes": boxes[kept],
        "labels": target["labels"][kept],
        "keypoints": keypoints[kept],
        "keypoint_weights": weights[kept],
        **({"box_weights": target["box_weights"][kept]} if "box_weights" in target else {}),
        "visibility": visibility[kept],
        "ignore_boxes": ignored,
    }


def _seen(boxes: Tensor) -> Tensor:
    """Those that a view has not cut to nothing."""
    seen: Tensor = boxes[((boxes[:, 2:] - boxes[:, :2]) > 1).all(dim=1)]
    return seen


def recolour(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    for adjust in (v2.adjust_brightness, v2.adjust_contrast, v2.adjust_saturation):
        image = adjust(image, _uniform(generator, 1 - strength, 1 + strength))
    if _uniform(generator) < strength / 4:
        image = v2.rgb_to_grayscale(image, num_output_channels=3)
    return image
