"""A network on crops behind a detector, as a `PoseModel`: two networks where MSA R-CNN is one (paper section 8.4)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from msarcnn.checkpoint import CheckpointInfo, built_crop_network, is_crop_network, read_checkpoint
from msarcnn.config import ConfigError
from msarcnn.cpn import CPN, decode_heat
from msarcnn.crop_config import CropConfig
from msarcnn.crops import Frame, crops_of
from msarcnn.devices import CPU, Choice, Device, choose_device, first_sentence
from msarcnn.fast_path import short_numbers
from msarcnn.model import Features
from msarcnn.model_files import file_hash
from msarcnn.model_library import find_model
from msarcnn.people_scores import posed_people
from msarcnn.pose_model import Checkpoint, Heatmaps, People, PosedPeople, Poses, go_on
from msarcnn.precision import inference_dtypes
from msarcnn.predictor import Predictor
from msarcnn.skeleton import Skeleton

CROPS_PER_PASS = 16
_FAINTEST = 1e-6
"""Heat has no logarithm below."""


@dataclass(frozen=True)
class SeenPhoto:
    """A photo for two networks: the detector's features, and the pixels [H, W, 3] that crops are cut out of."""

    features: Features
    pixels: np.ndarray

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.features.original_size

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + self.pixels.nbytes


class TopDown:
    """A detector finds the people, a network on crops their joints.

    Args:
        detector: Whose boxes are looked into.
        network: In evaluation mode, on the detector's device.
        info: The network's description.
        file: Hash of the network's file, "" for one in memory.
    """

    batch = 1

    def __init__(self, detector: Predictor, network: CPN, info: CheckpointInfo, file: str = "") -> None:
        self.detector, self.network, self.info = detector, network, info
        both = hashlib.sha256(f"{file} {detector.hash}".encode()).hexdigest()[:12]
        self.hash = both if file else ""
        self.config: CropConfig = network.config
        self.say: Callable[[str], None] = lambda text: None

    @classmethod
    def load_for(
        cls, model: Path, detector: str | Path | None, device: str | Choice, say: Callable[[str], None]
    ) -> "TopDown":
        """Both from their files; None is the bundled detector. Raises CheckpointError, DeviceError."""
        chosen = device if isinstance(device, Choice) else choose_device(device)
        finds = Predictor.load_for(detector, chosen, say)
        state, info = read_checkpoint(model)
        pipeline = cls(finds, built_crop_network(model, state, info).eval(), info, file_hash(model))
        pipeline.say = say
        pipeline.move(finds.placed.device)
        return pipeline

    @property
    def name(self) -> str:
        return f"{self.info.name} behind {self.detector.name}"

    @property
    def lineages(self) -> list[dict[str, Any]]:
        """Of both networks."""
        return [self.info.lineage, *self.detector.lineages]

    @property
    def tau(self) -> float:
        return self.info.calibration.threshold

    @property
    def skeleton(self) -> Skeleton:
        return self.info.skeleton

    @property
    def device(self) -> str:
        return self.detector.device

    def encode(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[SeenPhoto]:
        """The detector's features; the photos are kept."""
        features = self.detector.encode(images, checkpoint)
        return [SeenPhoto(*pair) for pair in zip(features, images, strict=True)]

    def detect(self, features: SeenPhoto, proposals: np.ndarray | None = None) -> People:
        """As the detector does."""
        return self.detector.detect(features.features, proposals)

    @torch.inference_mode()
    def heatmaps(self, features: SeenPhoto, boxes: np.ndarray) -> Heatmaps:
        """Maps [N, K, H, W] of the boxes' crops, which reach beyond them: logarithms of the heat.

        Raises ValueError when a box is empty or not finite.
        """
        corners = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        if not np.isfinite(corners).all() or (corners[:, 2:] <= corners[:, :2]).any():
            raise ValueError("every box needs finite corners with x2 > x1 and y2 > y1")
        frames = [Frame.around(box, self.config) for box in corners]
        maps = [torch.zeros(0, self.config.keypoints, self.config.height // 4, self.config.width // 4)]
        for first in range(0, len(frames), CROPS_PER_PASS):
            crops = crops_of(features.pixels, frames[first : first + CROPS_PER_PASS], self.config)
            maps.append(self._heat(crops).float().cpu())
        return Heatmaps(torch.cat(maps).clamp(min=_FAINTEST).log())

    def _heat(self, crops: Tensor) -> Tensor:
        """Of crops on the CPU; on it as well from when a GPU is short of memory, or does not answer any more."""
        weight = next(self.network.parameters())
        try:
            with short_numbers(weight.device, self.detector.placed.fast):
                heat: Tensor = self.network(crops.to(weight.device, weight.dtype))[1]
                return heat
        except (RuntimeError, MemoryError) as error:
            if weight.device.type == "cpu":
                raise
            said = first_sentence(error)
        self.say(f"{self.info.name} cannot go on on {weight.device} ({said}): the CPU computes.")
        self.move(CPU)
        return self._heat(crops)

    def move(self, device: Device) -> None:
        """Puts the network on crops onto a device, in the precision that is fast there; the CPU if there is no room."""
        try:
            self.network.to(device.torch, inference_dtypes(device.torch)[0])
        except (RuntimeError, MemoryError) as error:
            if device.is_cpu:
                raise
            said = first_sentence(error)
        else:
            return
        self.say(f"{self.info.name} cannot be loaded onto {device.id} ({said}): the CPU computes.")
        self.move(CPU)

    @torch.inference_mode()
    def decode(self, maps: Heatmaps, boxes: np.ndarray, known: np.ndarray | None = None) -> Poses:
        """The hottest cell of each map, a quarter of a cell towards the second; confidences are calibrated.

        Joints that are known tell it nothing.
        """
        shares, peaks = decode_heat(maps.logits.exp())
        frames = [Frame.around(box, self.config).corners(self.config) for box in np.asarray(boxes).reshape(-1, 4)]
        corners = np.array(frames, dtype=np.float32).reshape(-1, 1, 4)
        points = corners[..., :2] + shares.cpu().numpy() * (corners[..., 2:] - corners[..., :2])
        confidences = self.info.calibration.confidence(peaks).cpu().numpy()
        return Poses(points.astype(np.float32), confidences, None)

    def find(
        self, features: SeenPhoto, checkpoint: Checkpoint = go_on, proposals: np.ndarray | None = None
    ) -> PosedPeople:
        """The people of a photo with their joints, ranked."""
        people = self.detect(features, proposals)
        checkpoint()
        poses = self.decode(self.heatmaps(features, people.boxes), people.boxes)
        return posed_people(people, poses, self.info.calibration, self.config.pose_score)

    def predict(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[PosedPeople]:
        """`encode` and `find`, an image each."""
        return [self.find(self.encode([image], checkpoint)[0], checkpoint) for image in images]


def load_pose_model(
    model: str | Path | None,
    detector: str | Path | None,
    device: str | Choice,
    say: Callable[[str], None],
    fast: bool = False,
) -> Predictor | TopDown:
    """Any model by its name or file, with the detector that a network on crops needs (None: the bundled model).

    fast: Whether it takes the fast path (msarcnn.fast_path).

    Raises CheckpointError, DeviceError, and ConfigError where there is a detector and no use for it.
    """
    path = find_model(model)
    if is_crop_network(path):
        pipeline = TopDown.load_for(path, detector, device, say)
        if fast:
            pipeline.detector.placed.hurry()
        return pipeline
    if detector is not None:
        raise ConfigError(f"--detector is for a network on crops, and {path} finds people by itself: leave it out")
    predictor = Predictor.load_for(model, device, say)
    if fast:
        predictor.placed.hurry()
    return predictor
