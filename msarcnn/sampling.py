"""Drawing what a loss looks at: of every image by its own dice, so that it is the same whoever has the other images."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from msarcnn.targets import Target

_RPN, _HEADS, _KEYPOINTS = 1, 2, 3


class Mean(NamedTuple):
    """A loss: the mean of so many terms (or of weights that add up to it), for processes that share a batch."""

    value: Tensor
    terms: Tensor


def mean_of(value: Tensor, terms: float | Tensor) -> Mean:
    """A loss with what it is the mean of."""
    return Mean(value, torch.as_tensor(terms, dtype=torch.float32, device=value.device))


def no_loss(module: nn.Module, maps: Iterable[Tensor]) -> Tensor:
    """0, with a gradient of 0 for every parameter of a module and for the maps that it would have looked at."""
    zero = sum((parameter.sum() for parameter in module.parameters()), torch.zeros(()))
    return (zero + sum(value.sum() for value in maps)) * 0.0


def dice(target: Target, place: int) -> torch.Generator | None:
    """An image's generator for one of the places where something is drawn; None: torch's own, for targets unseeded."""
    if "seed" not in target:
        return None
    seed = int(target["seed"])
    return torch.Generator(target["boxes"].device).manual_seed((seed * 0x9E3779B1 + place) % 2**63)


class ImageSampler(BalancedPositiveNegativeSampler):
    """torchvision's, image by image with the image's own dice.

    Args:
        batch_size_per_image, positive_fraction: As torchvision's.
        place: Which of an image's dice.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float, place: int) -> None:
        super().__init__(batch_size_per_image, positive_fraction)
        self.place = place

    def drawn(self, labels: list[Tensor], targets: list[Target]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks [N] bool an image of the positive and of the negative examples drawn; labels as torchvision's."""
        masks: tuple[list[Tensor], list[Tensor]] = ([], [])
        for label, target in zip(labels, targets, strict=True):
            generator = dice(target, self.place)
            positive, negative = torch.where(label >= 1)[0], torch.where(label == 0)[0]
            most = int(self.batch_size_per_image * self.positive_fraction)
            wanted = min(len(positive), most)
            for mask, rows, count in (
                (masks[0], positive, wanted),
                (masks[1], negative, min(len(negative), self.batch_size_per_image - wanted)),
            ):
                chosen = torch.zeros_like(label, dtype=torch.bool)
                chosen[rows[torch.randperm(len(rows), generator=generator, device=rows.device)[:count]]] = True
                mask.append(chosen)
        return masks


def rpn_sampler(batch_size_per_image: int, positive_fraction: float) -> ImageSampler:
    return ImageSampler(batch_size_per_image, positive_fraction, _RPN)


def head_sampler(batch_size_per_image: int, positive_fraction: float) -> ImageSampler:
    return ImageSampler(batch_size_per_image, positive_fraction, _HEADS)


def keypoint_dice(target: Target) -> torch.Generator | None:
    return dice(target, _KEYPOINTS)
