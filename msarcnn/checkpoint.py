"""Model files: safetensors whose metadata rebuild the network, and torchvision's; nothing in them is ever executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from msarcnn.atomic_files import atomic_writer
from msarcnn.calibration import Calibration
from msarcnn.checked_fields import ConfigError, check_fields, check_value, from_plain
from msarcnn.checkpoint_error import CheckpointError, first_line
from msarcnn.config import ModelConfig, NetworkConfig
from msarcnn.cpn import CPN
from msarcnn.crop_config import CropConfig
from msarcnn.model import MSARCNN, build_model
from msarcnn.model_files import FORMAT, is_torch_file
from msarcnn.skeleton import Skeleton, bare_skeleton, coco17
from msarcnn.torch_files import read_torch_file
from msarcnn.torchvision_weights import keypoint_rcnn

__all__ = [
    "CheckpointError",
    "CheckpointInfo",
    "built",
    "built_crop_network",
    "first_line",
    "is_crop_network",
    "load_checkpoint",
    "read_checkpoint",
    "read_tensors",
    "save_checkpoint",
    "write_checkpoint",
]

_Network = TypeVar("_Network", MSARCNN, CPN)


@dataclass(frozen=True)
class CheckpointInfo:
    """What a model file says about itself.

    Attributes:
        config: The network's configuration, a whole one's or one on crops.
        skeleton: The joints that it finds, in heatmap order.
        calibration: What its numbers are worth.
        lineage: Where the weights come from: parent's hash, data hash, settings, step (plain data).
        metrics: Figures at the time of saving (plain data).
        title: What people call it, where that is not the configuration's name.
    """

    config: NetworkConfig
    skeleton: Skeleton = field(default_factory=coco17)
    calibration: Calibration = field(default_factory=Calibration)
    lineage: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    title: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.keypoint_names) != self.config.keypoints:
            raise ConfigError(
                f"keypoint_names has {len(self.keypoint_names)} names, but config.keypoints is {self.config.keypoints}"
            )

    @property
    def whole(self) -> ModelConfig:
        """The configuration of a network that finds people by itself. Raises ConfigError for one on crops."""
        if not isinstance(self.config, ModelConfig):
            raise ConfigError(
                f"{self.config.name} is a network on crops, which needs a detector (`evaluate` and `predict` have "
                "--detector): here a model that finds people by itself is needed"
            )
        return self.config

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """K names in heatmap order."""
        return self.skeleton.keypoints

    @property
    def name(self) -> str:
        """What people are shown."""
        return self.title or self.config.name

    def to_metadata(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "config": json.dumps(self.config.to_dict()),
            "skeleton": msgspec.json.encode(self.skeleton).decode(),
            "keypoint_names": json.dumps(self.keypoint_names),  # programs of before know nothing else
            "calibration": json.dumps(vars(self.calibration)),
            "lineage": json.dumps(self.lineage),
            "metrics": json.dumps(self.metrics),
            "title": json.dumps(self.title),
        }

    @classmethod
    def from_metadata(cls, path: Path, metadata: Mapping[str, str] | None) -> "CheckpointInfo":
        if not metadata or metadata.get("format") != FORMAT:
            raise CheckpointError(
                path, "not a model of this program (no configuration inside)", "Choose a file written by `train`"
            )
        try:
            fields = {name: json.loads(metadata[name]) for name in cls.__dataclass_fields__ if name in metadata}
            for name in ("config", "calibration", "lineage", "metrics"):
                if name not in fields:
                    raise ConfigError(f"{name} is missing")
            on_crops = isinstance(fields["config"], dict) and "kind" in fields["config"]
            kinds: dict[str, type[Any]] = {
                "config": CropConfig if on_crops else ModelConfig,
                "calibration": Calibration,
            }
            for name, kind in kinds.items():
                fields[name] = from_plain(kind, fields[name], f"{name}.")
            names = json.loads(metadata["keypoint_names"]) if "keypoint_names" in metadata else None
            fields["skeleton"] = _skeleton(fields["config"], names, fields.get("skeleton"))
            return from_plain(cls, fields)
        except (ConfigError, json.JSONDecodeError, RecursionError) as error:
            raise CheckpointError(path, f"its description is damaged ({error})", "Choose another file") from error


def _skeleton(config: NetworkConfig, names: Any, described: Any) -> Skeleton:
    """The skeleton in a description, of which older programs wrote the names alone, or nothing: COCO's, then.

    Raises ConfigError.
    """
    if names is None and described is None and config.keypoints != len(coco17().keypoints):
        raise ConfigError("keypoint_names is missing")
    skeleton: Skeleton = coco17() if described is None else check_value("skeleton", described, Skeleton)
    if names is None:
        return skeleton
    known: tuple[str, ...] = check_value("keypoint_names", names, tuple[str, ...])
    if len(known) != config.keypoints:
        raise ConfigError(f"keypoint_names has {len(known)} names, but config.keypoints is {config.keypoints}")
    if known == skeleton.keypoints:
        return skeleton
    if described is not None:
        raise ConfigError("keypoint_names are not those of the skeleton")
    return bare_skeleton(known)


def save_checkpoint(path: Path, model: MSARCNN | CPN, info: CheckpointInfo, half: bool = False) -> None:
    """Writes a model file atomically, in half precision for shipping. Raises OSError."""
    state = {
        key: value.half() if half and value.is_floating_point() else value for key, value in model.state_dict().items()
    }
    write_checkpoint(path, state, info)


def write_checkpoint(path: Path, state: Mapping[str, Tensor], info: CheckpointInfo) -> None:
    """Writes weights by name, of whatever precision, as a model file; atomic. Raises OSError."""
    with atomic_writer(path) as file:
        file.write(save({key: value.contiguous().cpu() for key, value in state.items()}, info.to_metadata()))


def load_checkpoint(
    path: Path, device: str = "cpu", skeleton: Skeleton | None = None
) -> tuple[MSARCNN, CheckpointInfo]:
    """Rebuilds a network from its file, in single precision; the file is never executed.

    Args:
        path: A file of ours, or of torchvision's keypointrcnn_resnet50_fpn (its state dictionary).
        device: Where the network is put.
        skeleton: The joints that are wanted; COCO's by default.

    Raises:
        CheckpointError: no model, a damaged one, or one of other keypoints than the skeleton's.
    """
    state, info = read_checkpoint(path)
    return built(path, state, info, skeleton).to(device), info


def built(path: Path, state: Mapping[str, Tensor], info: CheckpointInfo, skeleton: Skeleton | None = None) -> MSARCNN:
    """The network of a file that was read, on the CPU. Raises CheckpointError; see `load_checkpoint`."""
    _check_keypoints(path, info.keypoint_names, (skeleton or coco17()).keypoints)
    try:
        model = build_model(info.whole, info.skeleton.sigmas)
    except ConfigError as error:
        raise CheckpointError(path, str(error), "Choose another") from error
    return _filled(path, model, state, info)


def built_crop_network(path: Path, state: Mapping[str, Tensor], info: CheckpointInfo) -> CPN:
    """The network on crops of a file that was read, on the CPU. Raises CheckpointError."""
    _check_keypoints(path, info.keypoint_names, coco17().keypoints)
    if not isinstance(info.config, CropConfig):
        raise CheckpointError(path, f"no network on crops, but {info.name}", "Choose another")
    return _filled(path, CPN(info.config), state, info)


def _filled(path: Path, model: _Network, state: Mapping[str, Tensor], info: CheckpointInfo) -> _Network:
    try:
        whole = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        model.load_state_dict(whole)
    except RuntimeError as error:
        raise CheckpointError(
            path, f"its weights do not fit the architecture {info.config.name} ({first_line(error)})", "Choose another"
        ) from error
    return model


def is_crop_network(path: Path) -> bool:
    """Whether a file is of a network on crops; False for what is no readable model file."""
    if is_torch_file(path):
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return isinstance(CheckpointInfo.from_metadata(path, file.metadata()).config, CropConfig)
    except (SafetensorError, OSError, CheckpointError):
        return False


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Reads a model file without building the network: weights by our names as they were saved, and what they are.

    Raises:
        CheckpointError: no model, or a damaged one.
    """
    if is_torch_file(path):
        model = keypoint_rcnn(path, read_torch_file(path))
        return model.state, CheckpointInfo(
            model.config, lineage=model.lineage, metrics=model.metrics, title=model.title
        )
    state, metadata = read_tensors(path)
    return state, CheckpointInfo.from_metadata(path, metadata)


def _check_keypoints(path: Path, names: tuple[str, ...], ours: tuple[str, ...]) -> None:
    """Labels, results and pictures all have the skeleton's keypoints, in its order; a model must, too."""
    if names != ours:
        own, wanted = (f"{len(some)} ({', '.join(some)})" for some in (names, ours))
        raise CheckpointError(
            path, f"its keypoints are not this program's: it finds {own} instead of {wanted}", "Choose another model"
        )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str] | None]:
    """Reads a safetensors file: tensors by name, and its metadata. Raises CheckpointError."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(path, "no such file", "Check the path, or list models with `models`") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            path, f"not a readable safetensors file ({first_line(error)})", "Copy it again, or choose another"
        ) from error
