"""Which weights a network has: their names and shapes, without building it in memory."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from msarcnn.config import ModelConfig
from msarcnn.model import build_model


@lru_cache(maxsize=8)
def shapes_of(config: ModelConfig) -> Mapping[str, torch.Size]:
    """Every entry of the state dictionary of a configuration's network, and its shape."""
    with torch.device("meta"):
        return {name: value.shape for name, value in build_model(config).state_dict().items()}


def misfits(state: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> list[str]:
    """What keeps weights from being those of a network: a phrase for each entry that does not fit."""
    wrong = [f"{name} is missing" for name in expected if name not in state]
    for name, value in state.items():
        if name not in expected:
            wrong.append(f"{name} is too much")
        elif value.shape != expected[name]:
            wrong.append(f"{name} is {list(value.shape)} instead of {list(expected[name])}")
    return wrong


def modules_of(names: Iterable[str]) -> dict[str, int]:
    """Entries counted by the part of the network that they belong to, e.g. {"backbone.body": 265, "rpn.head": 6}."""
    counts: dict[str, int] = {}
    for name in names:
        path = name.split(".")
        part = ".".join(path[:-1][:2]) or name
        counts[part] = counts.get(part, 0) + 1
    return counts
