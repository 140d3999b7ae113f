"""The fast path: fewer proposals, and bfloat16 where a CPU is faster with it. docs/benchmarks.md has what it costs."""

from contextlib import AbstractContextManager

import torch

from msarcnn.model import MSARCNN
from msarcnn.precision import has_bf16

FAST_PROPOSALS = 300
"""Boxes an image for the classification head: the paper's thousand are for eighty classes."""


def look_at_fewer(network: MSARCNN) -> None:
    """Has a network look at FAST_PROPOSALS boxes of an image at most."""
    limit = network.rpn._post_nms_top_n
    limit["testing"] = min(limit["testing"], FAST_PROPOSALS)


def short_numbers(device: torch.device, wanted: bool = True) -> AbstractContextManager[None]:
    """Within it a CPU that has the instructions computes in bfloat16; a GPU has its own half precision anyway."""
    on: AbstractContextManager[None] = torch.autocast(
        "cpu", torch.bfloat16, enabled=wanted and device.type == "cpu" and has_bf16(device)
    )
    return on
