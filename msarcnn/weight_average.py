"""A moving average of the weights in training: what is evaluated and saved, while the optimizer moves the others."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of some parameters; with a decay of 0 there is none, and nothing costs anything.

    Attributes:
        values: The averages by the parameters' names, empty without a decay.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self._parameters = parameters
        self._decay = decay
        self.values: dict[str, Tensor] = {}
        if decay:
            self.values = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def update(self, step: int) -> None:
        """Takes in the weights after a step, counted from 0."""
        if not self.values:
            return
        # A young average follows closely, so that short runs are not held back by their random start.
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            weights = [self._parameters[name].detach() for name in self.values]
            torch._foreach_lerp_(list(self.values.values()), weights, 1 - decay)

    def load(self, values: dict[str, Tensor]) -> None:
        """Goes back to saved averages."""
        for name, average in self.values.items():
            average.copy_(values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model's parameters hold the averages."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        with torch.no_grad():
            for name, average in self.values.items():
                kept = average.clone()
                average.copy_(self._parameters[name])
                self._parameters[name].copy_(kept)
