"""MSA R-CNN as a `PoseModel`: arrays in, arrays out, on any device."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from msarcnn.backbone import fold_frozen_batchnorm
from msarcnn.checkpoint import CheckpointInfo, load_checkpoint
from msarcnn.checkpoint_error import CheckpointError
from msarcnn.devices import CPU, Choice, Device, choose_device, first_sentence, is_gpu_shortage
from msarcnn.joint_pairs import with_known_joints
from msarcnn.level_shares import level_contributions
from msarcnn.model import MSARCNN, Features
from msarcnn.model_files import file_hash
from msarcnn.model_library import find_model
from msarcnn.people_scores import posed_people
from msarcnn.placed_network import PlacedNetwork
from msarcnn.pose_model import Checkpoint, Heatmaps, People, PosedPeople, Poses, go_on
from msarcnn.precision import inference_dtypes
from msarcnn.skeleton import Skeleton

BATCH_BESIDE_A_TRAINING = 4
"""Images at a time of a network that is in training on a GPU: its gradients are there, too."""


class Predictor:
    """A loaded network; two threads may ask at once.

    Attributes:
        info: What the model's file says about it.
        hash: Identity of the file, 12 hexadecimal digits; "" for a network in memory.
        placed: The network, its device, and what happens when that is short of memory.
    """

    def __init__(self, placed: PlacedNetwork, info: CheckpointInfo, model_hash: str = "") -> None:
        self.placed, self.info, self.hash = placed, info, model_hash

    @classmethod
    def load(cls, model: str | Path | None = None, device: str | Choice = "auto") -> "Predictor":
        """Loads bundled weights (None or a preset's name), a model of the library, or a file, onto a device.

        A GPU computes in half precision where that is fast (`inference_dtypes`), the CPU in single precision.
        Raises CheckpointError, DeviceError when the device is not there, and RuntimeError when it has no room.
        """
        chosen = (device if isinstance(device, Choice) else choose_device(device)).device
        path = find_model(model)
        network, info, model_hash = _read(path)
        for dtype in inference_dtypes(chosen.torch):
            network.to(chosen.torch, dtype)
            if dtype is not torch.float16 or not overflows(network):
                break
            network = _read(path, model_hash)[0]
        if not chosen.is_cpu:
            network.to(memory_format=torch.channels_last)
        return cls(PlacedNetwork(network, chosen, lambda: _read(path, model_hash)[0]), info, model_hash)

    @classmethod
    def load_for(cls, model: str | Path | None, device: str | Choice, say: Callable[[str], None]) -> "Predictor":
        """As `load`, on the CPU where a GPU has no room for it; what there is to say of the device is told.

        Raises CheckpointError, DeviceError.
        """
        chosen = device if isinstance(device, Choice) else choose_device(device)
        if chosen.note:
            say(chosen.note)
        try:
            predictor = cls.load(model, chosen)
        except (RuntimeError, MemoryError) as error:
            if chosen.device.is_cpu:
                raise
            said = first_sentence(error)
        else:
            predictor.placed.say = say
            return predictor
        chosen.device.release()
        say(f"The model cannot be loaded onto {chosen.device.id} ({said}): the CPU computes.")
        return cls.load(model, Choice(CPU))

    @classmethod
    def of(cls, network: MSARCNN, info: CheckpointInfo) -> "Predictor":
        """A network in memory, used where and as it is; put into evaluation mode."""
        where = next(network.parameters()).device
        placed = PlacedNetwork(network.eval(), Device(where, str(where)))
        placed.batch = min(placed.batch, BATCH_BESIDE_A_TRAINING)
        return cls(placed, info)

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def lineages(self) -> list[dict[str, Any]]:
        """Of every network in it: where its weights come from."""
        return [self.info.lineage]

    @property
    def tau(self) -> float:
        """From this confidence on an accepted joint is labelled visible, where the model says no more of it."""
        return self.info.calibration.threshold

    @property
    def skeleton(self) -> Skeleton:
        """The K joints that it finds, in heatmap order."""
        return self.info.skeleton

    @property
    def device(self) -> str:
        """Where it computes: another one after the first was lost."""
        return self.placed.device.id

    @property
    def batch(self) -> int:
        """How many images go through the network together at most."""
        return self.placed.batch

    @torch.inference_mode()
    def encode(
        self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on, size: tuple[int, int] | None = None
    ) -> list[Features]:
        """Runs backbone and FPN once an image; those that are padded to one size are encoded together.

        Args:
            images: [H, W, 3] uint8 RGB each.
            checkpoint: Called between the network's stages; may block to yield or raise to cancel.
            size: (shortest side, limit of the longest) in pixels, where it is not the test size.
        """
        waiting = self.placed.between_stages(checkpoint)
        encoded: dict[int, Features] = {}
        for rows in self._of_like_shape(images):
            some = self.placed.on_images(
                [images[row] for row in rows],
                lambda network, few: network.encode(_tensors(network, few), waiting, size).split(),
            )
            encoded.update(zip(rows, some, strict=True))
        return [encoded[row] for row in range(len(images))]

    @torch.inference_mode()
    def detect(self, features: Features, proposals: np.ndarray | None = None) -> People:
        """Finds the people of an encoded image, among given boxes [M, 4] xyxy or the RPN's proposals."""
        given = None if proposals is None else _boxes(proposals)

        def ask(network: MSARCNN, kept: Features) -> People:
            boxes, scores = network.detect(kept, None if given is None else [given.to(kept.device)])
            return People(_array(boxes[0]), _array(scores[0]))

        return self.placed.on_features(features, ask)

    @torch.inference_mode()
    def propose(self, features: Features, count: int | None = None) -> np.ndarray:
        """The RPN's boxes [N, 4] xyxy of an encoded image, the most probable first; at most `count`."""
        return self.placed.on_features(features, lambda network, kept: _array(network.propose(kept, count)[0]))

    @torch.inference_mode()
    def heatmaps(self, features: Features, boxes: np.ndarray) -> Heatmaps:
        """Where the joints of boxes [N, 4] xyxy may be, detected ones or a person's own; on the device.

        Raises ValueError when a box is empty or not finite.
        """
        wanted = _boxes(boxes)
        return self.placed.on_features(features, lambda network, kept: network.heatmaps(kept, [wanted.to(kept.device)]))

    @torch.inference_mode()
    def decode(self, maps: Heatmaps, boxes: np.ndarray, known: np.ndarray | None = None) -> Poses:
        """Joints from heatmaps, in the pixels of the boxes [N, 4]; confidences are calibrated.

        known [N, K, 3] tells where some joints are, and so where their neighbours may be (msarcnn.joint_pairs).
        """
        network, wanted = self.placed.network, _boxes(boxes)
        if known is not None:
            maps = replace(maps, logits=with_known_joints(maps.logits, boxes, known, self.skeleton.keypoints))
        visibility = None if maps.visibility is None else maps.visibility.softmax(dim=-1)
        try:
            return self._poses(*network.decode(maps.logits, wanted.to(maps.logits.device)), visibility)
        except RuntimeError as error:
            if not is_gpu_shortage(error):
                raise
        return self._poses(*network.decode(maps.logits.cpu(), wanted), visibility)

    def estimate(self, features: Features, boxes: np.ndarray) -> Poses:
        """The joints of any boxes: `heatmaps`, then `decode`."""
        return self.decode(self.heatmaps(features, boxes), boxes)

    def levels(self, features: Features, box: np.ndarray, joint: int) -> np.ndarray | None:
        """How much each level of the pyramid speaks for a joint's place [4, s, s]; see `level_contributions`."""
        wanted = _boxes(np.asarray(box)[None])[0]

        def ask(network: MSARCNN, kept: Features) -> Tensor | None:
            return level_contributions(network, kept, wanted.to(kept.device), joint)

        parts = self.placed.on_features(features, ask)
        return None if parts is None else _array(parts)

    @torch.inference_mode()
    def find(
        self, features: Features, checkpoint: Checkpoint = go_on, proposals: np.ndarray | None = None
    ) -> PosedPeople:
        """The people of an encoded image with their joints, ranked; among given boxes [M, 4] xyxy or the RPN's."""
        given = None if proposals is None else _boxes(proposals)

        def ask(network: MSARCNN, kept: Features) -> PosedPeople:
            boxes = None if given is None else [given.to(kept.device)]
            return self._posed(network.find(kept, checkpoint, boxes)[0], kept.summaries()[0])

        return self.placed.on_features(features, ask)

    @torch.inference_mode()
    def predict(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[PosedPeople]:
        """`encode` and `find`, an image each; images of like shape go through the network together."""

        waiting = self.placed.between_stages(checkpoint)

        def ask(network: MSARCNN, few: list[np.ndarray]) -> list[PosedPeople]:
            features = network.encode(_tensors(network, few), waiting)
            waiting()
            return [
                self._posed(result, summary)
                for result, summary in zip(network.find(features, waiting), features.summaries(), strict=True)
            ]

        found: dict[int, PosedPeople] = {}
        for rows in self._of_like_shape(images):
            people = self.placed.on_images([images[row] for row in rows], ask)
            found.update(zip(rows, people, strict=True))
        return [found[row] for row in range(len(images))]

    def _of_like_shape(self, images: Sequence[np.ndarray]) -> list[list[int]]:
        """Rows of images that do not pad one another, at most a batch of them together."""
        rows_by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row, image in enumerate(images):
            rows_by_size[self.placed.network.transform.padded_size(*image.shape[:2])].append(row)
        size = self.batch
        return [rows[start : start + size] for rows in rows_by_size.values() for start in range(0, len(rows), size)]

    def _posed(self, result: dict[str, Tensor], summary: Tensor) -> PosedPeople:
        poses = self._poses(result["keypoints"], result["peaks"], result.get("visibility"))
        people = People(_array(result["boxes"]), _array(result["scores"]))
        posed = posed_people(people, poses, self.info.calibration, self.info.whole.pose_score)
        return replace(posed, summary=_array(summary))

    def _poses(self, points: Tensor, peaks: Tensor, visibility: Tensor | None) -> Poses:
        confidences = _array(self.info.calibration.confidence(peaks))
        return Poses(_array(points), confidences, None if visibility is None else _array(visibility))


@torch.inference_mode()
def overflows(network: MSARCNN) -> bool:
    """Whether values of a network are too large for its precision: on noise, and on edges as hard as they come.

    The pictures have the test size, since resizing would soften them; every head is looked at.
    """
    where = next(network.parameters()).device
    side = network.config.min_size
    noise = torch.randint(0, 256, (3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    cells = torch.arange(side) // 16 % 2
    board = ((cells[:, None] ^ cells[None]) * 255).to(torch.uint8).expand(3, side, side)
    sound: list[bool] = []

    def look(module: nn.Module, inputs: object, output: Any) -> None:
        sound.extend(bool(value.isfinite().all()) for value in _leaves(output))

    heads = network.roi_heads
    parts = [network.backbone, network.rpn.head, heads.box_predictor, heads.keypoint_predictor]
    parts += [heads.visibility_head] if heads.visibility_head else []
    hooks = [part.register_forward_hook(look) for part in parts]
    try:
        for picture in (noise, board):
            features = network.encode([picture.to(where)])
            boxes = torch.tensor([[0.0, 0.0, side, side], [side / 4, side / 8, side / 2, side]], device=where)
            heads.box_predictor(heads.box_head(heads.box_roi_pool(features.maps, [boxes], features.sizes)))
            network.rpn.head(list(features.maps.values()))
            network.heatmaps(features, [boxes])
    finally:
        for hook in hooks:
            hook.remove()
    return not all(sound)


def _leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [leaf for one in inner for leaf in _leaves(one)]


def _read(path: Path, wanted: str = "") -> tuple[MSARCNN, CheckpointInfo, str]:
    """The network of a file, and the hash of exactly what was read.

    Raises CheckpointError, also when the file is another one than `wanted`, or changes meanwhile.
    """
    before = file_hash(path)
    if wanted and before != wanted:
        raise CheckpointError(path, "it has changed since it was loaded", "Load it again")
    network, info = load_checkpoint(path)
    if file_hash(path) != before:
        raise CheckpointError(path, "it is being written", "Load it again when that is done")
    fold_frozen_batchnorm(network.backbone)
    return network.eval(), info, before


def _tensors(network: MSARCNN, images: list[np.ndarray]) -> list[Tensor]:
    where = next(network.parameters()).device
    return [torch.from_numpy(np.ascontiguousarray(image)).to(where).permute(2, 0, 1) for image in images]


def _boxes(boxes: np.ndarray) -> Tensor:
    corners = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    if not np.isfinite(corners).all() or (corners[:, 2:] <= corners[:, :2]).any():
        raise ValueError("every box needs finite corners with x2 > x1 and y2 > y1")
    return torch.from_numpy(corners)


def _array(value: Tensor) -> np.ndarray:
    array: np.ndarray = value.float().cpu().numpy()
    return array
