"""Test-time augmentation: a model that looks at an image in several sizes, and mirrored (paper section 8.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from msarcnn.config import ConfigError, ModelConfig
from msarcnn.model import Features
from msarcnn.people_scores import posed_people
from msarcnn.pose_model import Checkpoint, Heatmaps, People, PosedPeople, PoseModel, Poses, go_on
from msarcnn.predictor import Predictor
from msarcnn.presets import ALL_SCALES
from msarcnn.skeleton import Skeleton

LONGEST = 2.5
"""Bound of the longest side as a factor on the shortest test size: for 800 px the paper's 2000."""


@dataclass(frozen=True)
class Look:
    """An encoded image, or its mirror image."""

    features: Features
    mirrored: bool


@dataclass(frozen=True)
class Looks:
    """An image as an augmented model sees it; all of them are kept."""

    looks: tuple[Look, ...]

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width) of the image as given."""
        return self.looks[0].features.original_size

    @property
    def nbytes(self) -> int:
        return sum(look.features.nbytes for look in self.looks)


class AugmentedModel:
    """Another model's looks taken together: boxes pooled before one NMS, heatmaps averaged as logits.

    It is the same model to whoever stores what it finds: same hash, same threshold.

    Args:
        predictor: Who looks.
        scales: Factors on its test size.
        mirror: Whether it looks at mirror images, too.
    """

    batch = 1

    def __init__(self, predictor: Predictor, scales: Sequence[float] = ALL_SCALES, mirror: bool = True) -> None:
        self.predictor = predictor
        self.sizes = [scaled_size(predictor.info.whole, scale) for scale in scales]
        self.mirrored = (False, True) if mirror else (False,)
        self._flip = torch.tensor(predictor.skeleton.flip_permutation)

    @property
    def hash(self) -> str:
        return self.predictor.hash

    @property
    def name(self) -> str:
        return self.predictor.name

    @property
    def tau(self) -> float:
        return self.predictor.tau

    @property
    def skeleton(self) -> Skeleton:
        return self.predictor.skeleton

    @property
    def device(self) -> str:
        return self.predictor.device

    def encode(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[Looks]:
        """Every image in every size, and mirrored."""
        return [self._encode(image, checkpoint) for image in images]

    def _encode(self, image: np.ndarray, checkpoint: Checkpoint) -> Looks:
        looks = []
        for mirrored in self.mirrored:
            seen = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
            for size in self.sizes:
                looks.append(Look(self.predictor.encode([seen], checkpoint, size)[0], mirrored))
                checkpoint()
        return Looks(tuple(looks))

    def detect(self, features: Looks, proposals: np.ndarray | None = None, checkpoint: Checkpoint = go_on) -> People:
        """Whom any look finds: the boxes of all of them before one NMS."""
        width, config = features.original_size[1], self.predictor.info.whole
        found = []
        for look in features.looks:
            given = mirror_boxes(proposals, width) if look.mirrored and proposals is not None else proposals
            people = self.predictor.detect(look.features, given)
            checkpoint()
            found.append((mirror_boxes(people.boxes, width) if look.mirrored else people.boxes, people.scores))
        boxes, scores = (np.concatenate(some) for some in zip(*found, strict=True))
        kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), config.box_nms)[: config.detections_per_image]
        return People(boxes[kept.numpy()], scores[kept.numpy()])

    def heatmaps(self, features: Looks, boxes: np.ndarray, checkpoint: Checkpoint = go_on) -> Heatmaps:
        """The mean of all looks' logits. Raises ValueError as the model does."""
        width, answers = features.original_size[1], []
        for look in features.looks:
            seen = mirror_boxes(boxes, width) if look.mirrored else boxes
            answer = self.predictor.heatmaps(look.features, seen)
            answers.append(self._turned(answer) if look.mirrored else answer)
            checkpoint()
        visibility = [answer.visibility for answer in answers if answer.visibility is not None]
        return Heatmaps(_mean([answer.logits for answer in answers]), _mean(visibility) if visibility else None)

    def _turned(self, maps: Heatmaps) -> Heatmaps:
        """What a mirror image's maps say of the image: left and right changed places, joints and columns alike."""
        visibility = None if maps.visibility is None else maps.visibility[:, self._flip]
        return Heatmaps(maps.logits[:, self._flip].flip(-1), visibility)

    def decode(self, maps: Heatmaps, boxes: np.ndarray, known: np.ndarray | None = None) -> Poses:
        """As the model does."""
        return self.predictor.decode(maps, boxes, known)

    def estimate(self, features: Looks, boxes: np.ndarray) -> Poses:
        """The joints of any boxes: `heatmaps`, then `decode`."""
        return self.decode(self.heatmaps(features, boxes), boxes)

    def find(self, features: Looks, checkpoint: Checkpoint = go_on, proposals: np.ndarray | None = None) -> PosedPeople:
        """The people of an encoded image with their joints, ranked."""
        people = self.detect(features, proposals, checkpoint)
        poses = self.decode(self.heatmaps(features, people.boxes, checkpoint), people.boxes)
        info = self.predictor.info
        return posed_people(people, poses, info.calibration, info.whole.pose_score)

    def predict(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[PosedPeople]:
        """`encode` and `find`, one image after the other: the looks of one are many."""
        return [self.find(self._encode(image, checkpoint), checkpoint) for image in images]


def looking(model: PoseModel, scales: Sequence[float] = ()) -> PoseModel:
    """A model that looks in these sizes and at mirror images; without any, as its configuration says.

    Raises ConfigError for one that cannot.
    """
    if not isinstance(model, Predictor):
        if scales:
            raise ConfigError(f"--tta is for a model that finds people by itself, not for {model.name}: leave it out")
        return model
    chosen = scales or model.info.whole.test_scales
    return AugmentedModel(model, chosen) if chosen else model


def scaled_size(config: ModelConfig, scale: float) -> tuple[int, int]:
    """(shortest side, limit of the longest) in pixels, of a scale of the test size."""
    return max(round(config.min_size * scale), 1), max(round(config.min_size * LONGEST), 1)


def mirror_boxes(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes [N, 4] xyxy in the mirror image of an image of a width, or back."""
    corners = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return np.stack((width - corners[:, 2], corners[:, 1], width - corners[:, 0], corners[:, 3]), axis=1)


def _mean(values: Sequence[Tensor]) -> Tensor:
    total = values[0].clone()
    for value in values[1:]:
        total += value.to(total.device)
    return total / len(values)
