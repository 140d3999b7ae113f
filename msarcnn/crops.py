"""One person's crop out of a photo, and the samples that a network on crops learns from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from msarcnn.augmentation import recolour
from msarcnn.config import TrainConfig
from msarcnn.crop_config import CropConfig
from msarcnn.dataset import LabelledImage, Sample, mixed_seed
from msarcnn.images import ImageError
from msarcnn.skeleton import Skeleton

_NOTHING = tuple(round(255 * value) for value in (0.485, 0.456, 0.406))
"""What a crop shows beyond the photo: the mean of the normalisation, which a network sees as 0."""


@dataclass(frozen=True)
class Frame:
    """Where a crop lies in a photo.

    Attributes:
        x, y: Its centre, in pixels of the photo.
        width: Of the crop, in pixels of the photo; its shape is the network's.
        angle: In degrees, by which the photo turns clockwise in the crop.
        mirrored: Whether left and right change places in the crop.
    """

    x: float
    y: float
    width: float
    angle: float = 0.0
    mirrored: bool = False

    @classmethod
    def around(cls, box: np.ndarray, config: CropConfig) -> "Frame":
        """The smallest one that holds a box (4 numbers, xyxy) with its surroundings."""
        left, top, right, bottom = map(float, box)
        width, height = (right - left) * config.context[0], (bottom - top) * config.context[1]
        return cls((left + right) / 2, (top + bottom) / 2, max(width, height * config.width / config.height))

    def matrix(self, config: CropConfig) -> np.ndarray:
        """[2, 3], from x, y, 1 in the photo to pixels of the crop; (0, 0) is a corner, of the first pixel's."""
        scale, turn = config.width / self.width, math.radians(self.angle)
        cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
        turned = np.array([[cosine, -sine], [sine, cosine]])
        if self.mirrored:
            turned[0] *= -1
        moved = np.array([config.width / 2, config.height / 2]) - turned @ (self.x, self.y)
        return np.column_stack((turned, moved))

    def corners(self, config: CropConfig) -> np.ndarray:
        """[4]: the crop's left, top, right and bottom in the photo, of one that is not turned."""
        half = np.array([self.width, self.width * config.height / config.width]) / 2
        centre = np.array([self.x, self.y])
        return np.concatenate((centre - half, centre + half))


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points [..., 2] through a matrix [2, 3]."""
    out: np.ndarray = points @ matrix[:, :2].T + matrix[:, 2]
    return out


def cut(pixels: np.ndarray, frame: Frame, config: CropConfig) -> np.ndarray:
    """A crop [height, width, 3] uint8 of a photo [H, W, 3] uint8; what is made smaller is averaged first."""
    matrix = frame.matrix(config)
    size = (config.width, config.height)
    outline = np.array([[0, 0], [size[0], 0], [0, size[1]], size], dtype=float)
    inverse = np.linalg.inv(np.vstack((matrix, [0, 0, 1])))[:2]
    seen = moved(outline, inverse)
    height, width = pixels.shape[:2]
    left, top = np.clip(np.floor(seen.min(axis=0)) - 1, 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=0)) + 1, 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return np.full((size[1], size[0], 3), _NOTHING, dtype=np.uint8)
    part = pixels[top:bottom, left:right]
    scale = config.width / frame.width
    shrunk = [max(round(side * min(scale, 1.0)), 1) for side in (right - left, bottom - top)]
    if scale < 1:
        part = cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA)
    # From pixels of the part to the photo's, and on into the crop.
    linear = matrix[:, :2] * ((right - left) / part.shape[1], (bottom - top) / part.shape[0])
    start = moved(np.array([left, top], dtype=float), matrix)
    # OpenCV's coordinates are those of pixels' centres.
    centred = start + linear.sum(axis=1) / 2 - 0.5
    return cv2.warpAffine(part, np.column_stack((linear, centred)), size, flags=cv2.INTER_LINEAR, borderValue=_NOTHING)


def taught_people(images: Sequence[LabelledImage]) -> list[tuple[int, int]]:
    """(image, person) of everybody with a joint that is taught."""
    return [
        (index, person)
        for index, image in enumerate(images)
        for person in np.flatnonzero((image.keypoint_weights > 0).any(axis=1)).tolist()
    ]


class CropDataset(Dataset[Sample]):
    """A person's crop a sample, addressed by (step, place in `people`): the same pair always gives the same sample.

    The crop is `jitter` times as wide as the box asks for, turned by up to `rotation` degrees, mirrored, recoloured.

    Attributes:
        people: (image, person) of everybody with a joint that is taught.
    """

    def __init__(self, images: list[LabelledImage], config: TrainConfig, crop: CropConfig, skeleton: Skeleton) -> None:
        self.images, self.config, self.crop = images, config, crop
        self.flip = list(skeleton.flip_permutation)
        self.nothing = empty_crop(crop)
        self.people = taught_people(images)

    def __len__(self) -> int:
        return len(self.people)

    @property
    def photos(self) -> int:
        """How many images are read."""
        return len({index for index, _ in self.people})

    def __getitem__(self, item: tuple[int, int]) -> Sample:
        step, place = item
        index, person = self.people[place]
        image = self.images[index]
        generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, step, image.image_id, person))
        try:
            pixels = image.load()
        except ImageError as error:
            return Sample(torch.zeros(3, self.crop.height, self.crop.width), {}, f"{error} (left out of the training)")
        frame = self._varied(Frame.around(image.boxes[person], self.crop), generator)
        points, weights = image.keypoints[person].copy(), image.keypoint_weights[person]
        points[:, :2] = moved(points[:, :2], frame.matrix(self.crop))
        if frame.mirrored:
            points, weights = points[self.flip], weights[self.flip]
        inside = (points[:, :2] >= 0).all(axis=1) & (points[:, :2] < (self.crop.width, self.crop.height)).all(axis=1)
        shown = torch.from_numpy(cut(pixels, frame, self.crop)).permute(2, 0, 1).float() / 255
        if self.config.color > 0:
            shown = recolour(shown, self.config.color, generator)
        target = {
            "keypoints": torch.from_numpy(points)[None],
            "keypoint_weights": torch.from_numpy(weights * inside)[None],
        }
        return Sample(shown, target)

    def _varied(self, frame: Frame, generator: torch.Generator) -> Frame:
        def even(low: float, high: float) -> float:
            return low + (high - low) * float(torch.rand((), generator=generator))

        low, high = self.config.jitter
        return replace(
            frame,
            width=frame.width * math.exp(even(math.log(low), math.log(high))),
            angle=even(-self.config.rotation, self.config.rotation),
            mirrored=self.config.flip and even(0, 1) < 0.5,
        )


def empty_crop(config: CropConfig) -> Sample:
    """Teaches nothing."""
    target = {
        "keypoints": torch.zeros(1, config.keypoints, 3),
        "keypoint_weights": torch.zeros(1, config.keypoints),
    }
    return Sample(torch.zeros(3, config.height, config.width), target)


def crops_of(pixels: np.ndarray, frames: list[Frame], config: CropConfig) -> Tensor:
    """[N, 3, height, width] in 0..1."""
    shown = [torch.from_numpy(cut(pixels, frame, config)).permute(2, 0, 1) for frame in frames]
    return torch.stack(shown).float() / 255 if shown else torch.zeros(0, 3, config.height, config.width)
