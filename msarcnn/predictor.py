"""The model as a service: encode an image once, then ask about people and about any box."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from msarcnn.backbone import fold_frozen_batchnorm
from msarcnn.checkpoint import CheckpointInfo, load_checkpoint
from msarcnn.keypoints import decode_keypoints, heatmap_probabilities
from msarcnn.model import MSARCNN, resize_boxes
from msarcnn.model_files import file_hash
from msarcnn.model_library import find_model

DEFAULT_CACHE_BYTES = 512 * 2**20
BOXES_PER_PASS = 32
"""Boxes given to the keypoint head at a time: bounds memory on crowded images."""


class DeviceError(ValueError):
    """A device that this machine does not have."""


def check_device(device: str) -> None:
    """Raises DeviceError, with the cure, when a device cannot be computed on."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device {device!r} cannot be used here: choose cpu, or install a driver for it") from error


@dataclass(frozen=True)
class Features:
    """An encoded image: pyramid maps [1, C, h, w] by level, sizes as (height, width)."""

    maps: dict[str, Tensor]
    size: tuple[int, int]
    original_size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.maps.values())


@dataclass(frozen=True)
class Detections:
    """People found: boxes [N, 4] float32 xyxy in pixels of the image, scores [N] float32 in 0..1, falling."""

    boxes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Poses:
    """Keypoints of N boxes.

    keypoints [N, K, 2] float32 x, y in pixels of the image; confidences [N, K] float32, calibrated, 0..1;
    heatmaps [N, K, S, S] float16, each map the probability of every cell of its box, or None.
    """

    keypoints: np.ndarray
    confidences: np.ndarray
    heatmaps: np.ndarray | None


class FeatureCache:
    """Encoded images by key, the least recently used dropped beyond a number of bytes. Thread-safe."""

    def __init__(self, max_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, Features] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Features | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, features: Features) -> None:
        """Keeps an image; one that alone exceeds the bound is not kept."""
        if features.nbytes > self.max_bytes:
            return
        with self._lock:
            self._entries[key] = features
            self._entries.move_to_end(key)
            while self.nbytes > self.max_bytes:
                self._entries.popitem(last=False)

    @property
    def nbytes(self) -> int:
        return sum(features.nbytes for features in self._entries.values())


class Predictor:
    """A loaded model with a bounded cache of encoded images; two threads may use one at once.

    Args:
        model: The network; put into evaluation mode.
        info: Its description.
        model_hash: Identity of its file, 12 hexadecimal digits.
        cache_bytes: Bound of the feature cache.
    """

    def __init__(
        self, model: MSARCNN, info: CheckpointInfo, model_hash: str = "", cache_bytes: int = DEFAULT_CACHE_BYTES
    ) -> None:
        self._model = model.eval()
        self._cache = FeatureCache(cache_bytes)
        self.info = info
        self.model_hash = model_hash

    @classmethod
    def load(
        cls, model: str | Path | None = None, device: str = "cpu", cache_bytes: int = DEFAULT_CACHE_BYTES
    ) -> "Predictor":
        """Loads bundled weights (None or a preset's name) or a .safetensors file.

        Raises CheckpointError, and DeviceError when the device is not there.
        """
        check_device(device)
        path = find_model(model)
        network, info = load_checkpoint(path, device)
        fold_frozen_batchnorm(network.backbone)
        return cls(network, info, file_hash(path), cache_bytes)

    @property
    def name(self) -> str:
        return self.info.config.name

    @property
    def keypoint_threshold(self) -> float:
        """tau: from this confidence on an accepted joint is labelled visible."""
        return self.info.calibration.threshold

    @property
    def device(self) -> torch.device:
        return next(self._model.parameters()).device

    def cached(self, key: Hashable) -> Features | None:
        """The image encoded under a key, if it is still kept."""
        return self._cache.get(key)

    @torch.inference_mode()
    def encode(
        self, image: np.ndarray, key: Hashable | None = None, checkpoint: Callable[[], None] | None = None
    ) -> Features:
        """Runs the backbone once.

        Args:
            image: [H, W, 3] uint8 RGB.
            key: Where to keep the result; a kept one is returned at once.
            checkpoint: Called between the network's stages; may block to yield or raise to cancel.
        """
        if key is not None and (kept := self._cache.get(key)) is not None:
            return kept
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).to(self.device)
        batch, size = self._model.transform.batch_pixels(pixels)
        maps = self._model.backbone(batch.contiguous(memory_format=torch.channels_last), checkpoint)
        features = Features(maps, size, (image.shape[0], image.shape[1]))
        if key is not None:
            self._cache.put(key, features)
        return features

    @torch.inference_mode()
    def detect(self, features: Features) -> Detections:
        """Finds the people of an encoded image."""
        anchor_frame = features.maps["0"]
        padded = anchor_frame.new_empty((1, 3, anchor_frame.shape[-2] * 4, anchor_frame.shape[-1] * 4))
        batch = ImageList(padded, [features.size])
        proposals = self._model.propose(batch, features.maps)
        boxes, scores = self._model.roi_heads.detect(features.maps, proposals, [features.size])
        scaled = resize_boxes(boxes[0], features.size, features.original_size)
        return Detections(scaled.cpu().numpy(), scores[0].cpu().numpy())

    @torch.inference_mode()
    def estimate(self, features: Features, boxes: np.ndarray, heatmaps: bool = False) -> Poses:
        """Finds the keypoints of any boxes, detected or a person's own.

        Args:
            features: The encoded image.
            boxes: [N, 4] xyxy in pixels of the image, finite, of positive size.
            heatmaps: Whether to return the maps as well.

        Raises:
            ValueError: a box is empty or not finite.
        """
        boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
            raise ValueError("every box needs finite corners with x2 > x1 and y2 > y1")
        passes = [
            self._estimate(features, boxes[start : start + BOXES_PER_PASS], heatmaps)
            for start in range(0, max(len(boxes), 1), BOXES_PER_PASS)
        ]
        return Poses(
            np.concatenate([one.keypoints for one in passes]),
            np.concatenate([one.confidences for one in passes]),
            np.concatenate([one.heatmaps for one in passes if one.heatmaps is not None]) if heatmaps else None,
        )

    def _estimate(self, features: Features, boxes: np.ndarray, heatmaps: bool) -> Poses:
        original = torch.from_numpy(boxes).to(self.device)
        resized = resize_boxes(original, features.original_size, features.size)
        logits = self._model.roi_heads.heatmap_logits(features.maps, [resized], [features.size]).float()
        points, peaks = decode_keypoints(logits, original, self.info.config.decoding)
        maps = heatmap_probabilities(logits).half().cpu().numpy() if heatmaps else None
        return Poses(points.cpu().numpy(), self.info.calibration.confidence(peaks).cpu().numpy(), maps)
