"""Model files: safetensors whose metadata rebuild the network; nothing in a model file is ever executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from msarcnn.atomic_files import atomic_writer
from msarcnn.checked_fields import ConfigError, check_fields, from_plain, within
from msarcnn.config import ModelConfig
from msarcnn.model import MSARCNN, build_model
from msarcnn.model_files import FORMAT, CheckpointError
from msarcnn.skeleton import load_skeleton


@dataclass(frozen=True)
class Calibration:
    """Turns the peak of a heatmap into a confidence: sigmoid(slope * logit(peak) + intercept).

    threshold is tau: a prediction's joint becomes a visible label from this confidence on.
    """

    slope: Annotated[float, within(0, 1e6, above=True)] = 1.0
    intercept: Annotated[float, within(-1e6, 1e6)] = 0.0
    threshold: Annotated[float, within(0, 1)] = 0.3

    def __post_init__(self) -> None:
        check_fields(self)

    def confidence(self, peaks: Tensor) -> Tensor:
        """Peaks in 0..1, any shape -> confidences in 0..1, the same shape."""
        return torch.sigmoid(self.slope * torch.logit(peaks, eps=1e-6) + self.intercept)


@dataclass(frozen=True)
class CheckpointInfo:
    """What a model file says about itself.

    Attributes:
        config: The network's configuration.
        keypoint_names: K names in heatmap order.
        calibration: From peak to confidence.
        lineage: Where the weights come from: parent's hash, data hash, settings, step (plain data).
        metrics: Figures at the time of saving (plain data).
    """

    config: ModelConfig
    keypoint_names: tuple[str, ...] = field(default_factory=lambda: load_skeleton().keypoints)
    calibration: Calibration = Calibration()
    lineage: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.keypoint_names) != self.config.keypoints:
            raise ConfigError(
                f"keypoint_names has {len(self.keypoint_names)} names, but config.keypoints is {self.config.keypoints}"
            )

    def to_metadata(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "config": json.dumps(self.config.to_dict()),
            "keypoint_names": json.dumps(self.keypoint_names),
            "calibration": json.dumps(vars(self.calibration)),
            "lineage": json.dumps(self.lineage),
            "metrics": json.dumps(self.metrics),
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
            for name, kind in (("config", ModelConfig), ("calibration", Calibration)):
                fields[name] = from_plain(kind, fields[name], f"{name}.")
            if "keypoint_names" not in fields and fields["config"].keypoints != len(load_skeleton().keypoints):
                raise ConfigError("keypoint_names is missing")
            return from_plain(cls, fields)
        except (ConfigError, json.JSONDecodeError, RecursionError) as error:
            raise CheckpointError(path, f"its description is damaged ({error})", "Choose another file") from error


def save_checkpoint(path: Path, model: MSARCNN, info: CheckpointInfo, half: bool = False) -> None:
    """Writes a model file atomically, in half precision for shipping. Raises OSError."""
    state = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for key, value in model.state_dict().items()
    }
    with atomic_writer(path) as file:
        file.write(save(state, info.to_metadata()))


def load_checkpoint(path: Path, device: str = "cpu") -> tuple[MSARCNN, CheckpointInfo]:
    """Rebuilds a network from its file, in single precision; the file is never executed.

    Raises:
        CheckpointError: no model, a damaged one, or one of other keypoints than the skeleton's.
    """
    state, metadata = read_tensors(path)
    info = CheckpointInfo.from_metadata(path, metadata)
    _check_keypoints(path, info.keypoint_names)
    model = build_model(info.config)
    try:
        model.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(
            path, f"its weights do not fit the architecture {info.config.name} ({first_line(error)})", "Choose another"
        ) from error
    return model.to(device), info


def _check_keypoints(path: Path, names: tuple[str, ...]) -> None:
    """Labels, results and pictures all have the skeleton's keypoints, in its order; a model must, too."""
    ours = load_skeleton().keypoints
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


def first_line(error: BaseException) -> str:
    """What an error says, without the heading and the details of PyTorch's lists."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0]) if lines else type(error).__name__
