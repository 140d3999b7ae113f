"""From pixels to the network's input: resized with antialiasing as in training, normalised, padded into a batch."""

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms.v2 import functional as v2

from msarcnn.config import ModelConfig
from msarcnn.targets import Target


def fitted_size(height: int, width: int, min_size: int, max_size: int) -> tuple[int, int]:
    """(height, width) whose shortest side is min_size, or whose longest is max_size if that is smaller; at least 1."""
    scale = min(min_size / min(height, width), max_size / max(height, width))
    return max(round(height * scale), 1), max(round(width * scale), 1)


class ImageTransform(GeneralizedRCNNTransform):
    """torchvision's, but for the resizing.

    Training images come resized from the augmentation and are left alone. At test time torchvision interpolates
    without antialiasing: a large photo would be point-sampled, unlike anything that the network was trained on.

    Attributes:
        least: (height, width) to which a training batch is padded at least: other processes' share of it counts, too.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.min_size, config.max_size, list(config.image_mean), list(config.image_std))
        self.least = (0, 0)

    def max_by_axis(self, the_list: list[list[int]]) -> list[int]:
        """The size of a batch: the largest image's in every direction, and in training `least`."""
        most: list[int] = super().max_by_axis(the_list)
        if not self.training:
            return most
        return [most[0], max(most[1], self.least[0]), max(most[2], self.least[1])]

    def fit(self, image: Tensor, bounds: tuple[int, int] | None = None) -> Tensor:
        """[3, H, W], uint8 or float, to the test size, or to another (shortest side, limit of the longest)."""
        height, width = image.shape[-2:]
        size = fitted_size(height, width, *(bounds or (self.min_size[-1], self.max_size)))
        return image if size == (height, width) else v2.resize(image, list(size), antialias=True)

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        return (image if self.training else self.fit(image)), target

    def batch(self, images: list[Tensor], bounds: tuple[int, int] | None = None) -> ImageList:
        """Images [3, H, W], uint8 or floats in 0..1, as one padded batch [B, 3, h, w] of the test size (or see `fit`).

        What is uint8 is resized as such, which most CPUs do without a copy in floats.
        """
        ready = []
        for image in images:
            resized = self.fit(image, bounds)
            values = resized if resized.is_floating_point() else resized.to(torch.float32) / 255
            ready.append(self.normalize(values))
        return ImageList(self.batch_images(ready), [(image.shape[-2], image.shape[-1]) for image in ready])

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) that an image takes in a batch by itself: those of one size do not pad each other."""
        fitted = fitted_size(height, width, self.min_size[-1], self.max_size)
        rows, columns = (-(-side // self.size_divisible) * self.size_divisible for side in fitted)
        return rows, columns
