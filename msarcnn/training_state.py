"""What a training run goes on from after a break: weights, optimizer, average and progress, in one file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import torch
from safetensors.torch import save
from torch import Tensor, nn

from msarcnn.atomic_files import atomic_writer
from msarcnn.checked_fields import ConfigError, check_fields, from_plain, within
from msarcnn.checkpoint import CheckpointError, first_line, read_tensors
from msarcnn.weight_average import WeightAverage

Figures = dict[str, dict[str, float]]
"""{"keypoints": {"AP", ...}, "bbox": {"AP", ...}}; of an RPN alone {"proposals": {"AR100", "AR1000"}}."""


@dataclass
class Progress:
    """Where a run stands: step counts finished steps.

    best is the highest score of a trained model so far (None before any); before and after are the figures on the
    held-out images of the model that the run started from, and of the best one.
    """

    step: Annotated[int, within(0, 1_000_000_000)] = 0
    best: float | None = None
    before: Figures = field(default_factory=dict)
    after: Figures = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)

    def verdict(self, held_out: int) -> str:
        """A sentence about what the run has brought; empty when nothing was held out."""
        if not self.before or not self.after:
            return ""
        if "proposals" in self.before:
            before, after = (figures["proposals"]["AR100"] for figures in (self.before, self.after))
            return f"AR of 100 proposals {before:.3f} before, {after:.3f} after, on {held_out} held-out images."
        kind = "bbox" if self.before["keypoints"]["AP"] < 0 else "keypoints"  # nobody held out has keypoints
        before, after = (figures[kind]["AP"] for figures in (self.before, self.after))
        advice = "" if score_of(self.after) >= score_of(self.before) else " It is not better: more labels may help."
        name = "Keypoint AP" if kind == "keypoints" else "Box AP"
        return f"{name} {before:.3f} before, {after:.3f} after, on {held_out} held-out images.{advice}"


def score_of(figures: Figures) -> float:
    """What the best model is chosen by: keypoint AP, and a tenth of box AP; of an RPN alone, the recall."""
    if "proposals" in figures:
        return figures["proposals"]["AR100"]
    return figures["keypoints"]["AP"] + 0.1 * figures["bbox"]["AP"] if figures else 0.0


@dataclass(frozen=True)
class TrainingState:
    """Everything that a step changes: the model, its parameters that move by name, what moves and averages them."""

    model: nn.Module
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: WeightAverage

    def save(self, path: Path, progress: Progress) -> None:
        """Writes everything needed to go on bitwise. Atomic. Raises OSError."""
        tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.values.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        state = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        with atomic_writer(path) as file:
            file.write(save(state, {"progress": json.dumps(asdict(progress))}))

    def load(self, path: Path) -> Progress:
        """Goes back to a saved state; returns where the run stood. Raises CheckpointError."""
        tensors, metadata = read_tensors(path)
        if not metadata or "progress" not in metadata:
            raise CheckpointError(path, "not a resumable state", "Start a new run")
        try:
            progress = from_plain(Progress, json.loads(metadata["progress"]), "progress.")
            self._restore(tensors)
        except (ConfigError, json.JSONDecodeError, RecursionError, RuntimeError) as error:
            raise CheckpointError(path, f"not a state of this run ({first_line(error)})", "Start a new run") from error
        return progress

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        """Takes over what was saved. Raises ConfigError, RuntimeError for tensors of something else."""
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for key, value in tensors.items():
            group, _, rest = key.partition(".")
            if group not in groups:
                raise ConfigError(f"unknown tensor {key}")
            groups[group][rest] = value
        if set(groups["average"]) != set(self.average.values):
            raise ConfigError("its averaged weights are those of other settings")
        self.model.load_state_dict(groups["model"])
        self.average.load(groups["average"])
        restore_optimizer(self.optimizer, self.parameters, groups["optimizer"])


def restore_optimizer(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], saved: dict[str, Tensor]
) -> None:
    """Puts saved state into an optimizer, by its own rules of what lives where.

    A fused AdamW wants its step count beside the parameters, on their device; another optimizer keeps it on the CPU.

    Args:
        optimizer: Of any device.
        parameters: The parameters it moves, by name.
        saved: State by "KIND.NAME", e.g. "exp_avg.backbone.body.0.weight".

    Raises:
        ConfigError: state of a parameter that the optimizer does not move.
        RuntimeError: state of another shape.
    """
    names = {parameter: name for name, parameter in parameters.items()}
    moved = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    numbers = {name: number for number, name in enumerate(moved)}  # as `state_dict` numbers them
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        kind, _, name = key.partition(".")
        if name not in numbers:
            raise ConfigError(f"the optimizer does not move {name!r}")
        if kind != "step":
            # Loading keeps the layout of what it is given; the steps after it are exact in the parameter's only.
            value = torch.empty_like(parameters[name]).copy_(value)
        state.setdefault(numbers[name], {})[kind] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
