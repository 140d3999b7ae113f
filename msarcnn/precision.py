"""Which numbers are computed with: the one place that decides it, from what the hardware can."""

from dataclasses import dataclass

import torch

_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names in `torch.cpu.get_capabilities()`: x86 vectors, x86 tiles, Arm."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """bf16: whether to compute under bfloat16 autocast. warning: what is wrong with that wish; "" when nothing is."""

    bf16: bool
    warning: str = ""


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than single precision there.

    Without instructions of its own it is emulated: on a processor with AVX2 only, a training step takes ten to seventy
    times as long (docs/benchmarks.md).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # oneDNN's word too: it honours ONEDNN_MAX_CPU_ISA, and it is what computes the convolutions.
    capabilities = torch.cpu.get_capabilities()
    told = any(capabilities.get(name) for name in _BF16_INSTRUCTIONS)
    return told and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(wanted: str, device: torch.device) -> Chosen:
    """What a wish ("auto", "fp32" or "bf16") comes to on a device; a slow wish is obeyed, with a warning."""
    if wanted == "fp32":
        return Chosen(False)
    fast = has_bf16(device)
    if wanted == "auto" or fast:
        return Chosen(fast)
    return Chosen(
        True,
        f"bf16 was asked for, but this {device.type} has no instructions for it: a step may take ten times as long or "
        "more. Leave --precision out, or choose fp32.",
    )


def inference_dtypes(device: torch.device) -> tuple[torch.dtype, ...]:
    """What a network's weights and features may be in when it only answers, the best first.

    Half precision on CUDA: float16, whose ten bits after the point keep joints within a few hundredths of a pixel where
    bfloat16's seven move them by half a pixel and some by twenty (docs/benchmarks.md); bfloat16 for a network whose
    values do not fit. Single precision elsewhere: half precision is slower on CPUs, and Apple's was not measured.
    Anchors, boxes and what follows the last layer of each head are in single precision always.
    """
    if device.type != "cuda":
        return (torch.float32,)
    return (torch.float16, torch.bfloat16 if has_bf16(device) else torch.float32)
