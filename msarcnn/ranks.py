"""Processes that train one model together, as torchrun starts them; one alone is a group of one."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor

_Value = TypeVar("_Value")
PATIENCE = timedelta(hours=6)
"""How long the others wait for one that evaluates."""


@dataclass(frozen=True)
class Ranks:
    """A process's place among those that train together.

    Attributes:
        rank, world: Its number, from 0, and how many there are.
        local: Its number on its machine: the GPU that is its own.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether it is the one that logs, saves and evaluates."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks, of the same shape."""
        return self._reduced(values, distributed.ReduceOp.SUM)

    def most(self, values: Tensor) -> Tensor:
        """The maximum over all ranks, of the same shape."""
        return self._reduced(values, distributed.ReduceOp.MAX)

    def all_say(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set on every rank."""
        return bool(self.total(torch.tensor([float(not flag)], device=device)) == 0)

    def told(self, value: _Value) -> _Value:
        """The first rank's value, on every rank."""
        if self.world == 1:
            return value
        values: list[Any] = [value]
        distributed.broadcast_object_list(values, src=0)
        told: _Value = values[0]
        return told

    def gathered(self, value: _Value) -> list[_Value]:
        """Every rank's value, on every rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def _reduced(self, values: Tensor, how: Any) -> Tensor:
        if self.world == 1:
            return values
        shared = values.detach().clone()
        distributed.all_reduce(shared, how)
        return shared


ALONE = Ranks()


def ranks_of_environment() -> Ranks:
    """What torchrun says in the environment; ALONE without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    return Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def join(ranks: Ranks, device: torch.device) -> None:
    """Meets the other ranks; collectives work from here on."""
    if ranks.world == 1 or distributed.is_initialized():
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where what is told and gathered travels
        distributed.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        distributed.init_process_group("gloo", timeout=PATIENCE)


def leave(ranks: Ranks) -> None:
    """Parts from the others."""
    if ranks.world > 1 and distributed.is_initialized():
        distributed.destroy_process_group()
