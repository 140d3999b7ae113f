"""Where a model computes: the one place that chooses between CUDA, Apple's MPS and the CPU, and says what is there."""

import os
import warnings
from dataclasses import dataclass

import torch

from msarcnn.config import DEVICE_HELP

_SHORTAGE = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
"""What the libraries' errors say when memory is short; they have no type in common."""
_CPU_CACHE_BYTES = 512 << 20
_CACHE_SHARE = 0.25
_MOST_CACHE_BYTES = 8 << 30


class DeviceError(ValueError):
    """A device that cannot be computed on; the message says why and what to choose instead."""


@dataclass(frozen=True)
class Device:
    """A device that computes.

    Attributes:
        torch: PyTorch's own name of it, with its number.
        name: What it is called: "NVIDIA H100 80GB HBM3", "Apple GPU", "CPU".
    """

    torch: torch.device
    name: str = "CPU"

    @property
    def id(self) -> str:
        """As it is asked for: "cpu", "cuda:0", "mps"."""
        return str(self.torch)

    @property
    def is_cpu(self) -> bool:
        """Whether nothing is left to fall back on."""
        return self.torch.type == "cpu"

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of its memory, of the machine's for a CPU; zeros where nobody knows."""
        if self.torch.type == "cuda":
            return torch.cuda.mem_get_info(self.torch)
        if self.torch.type == "mps":
            total = torch.mps.recommended_max_memory()
            return max(total - torch.mps.driver_allocated_memory(), 0), total
        try:
            page = os.sysconf("SC_PAGE_SIZE")
            return page * os.sysconf("SC_AVPHYS_PAGES"), page * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):
            return 0, 0

    def cache_bytes(self) -> int:
        """Bound for encoded images that are kept on it: a share of what is free now."""
        return min(int(self.memory()[0] * _CACHE_SHARE), _CPU_CACHE_BYTES if self.is_cpu else _MOST_CACHE_BYTES)

    def release(self) -> None:
        """Gives memory back that PyTorch holds for later."""
        if self.torch.type == "cuda":
            torch.cuda.empty_cache()
        elif self.torch.type == "mps":
            torch.mps.empty_cache()

    def problem(self) -> str:
        """Why it cannot be computed on, "" when it can: a device may be listed, and lie."""
        try:
            found = float(torch.ones(8, device=self.torch).square().sum())
        except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch was built without it
            return _sentence(error)
        return "" if found == 8.0 else f"it computes wrongly (8 ones add up to {found})"


CPU = Device(torch.device("cpu"))


@dataclass(frozen=True)
class Choice:
    """The device that is used, and a sentence about why it is not another one ("" when nothing has to be said)."""

    device: Device
    note: str = ""


def present_devices() -> list[Device]:
    """What is there to be chosen, the CPU last; a GPU that does not compute is left out."""
    return [device for device in _accelerators()[0] if not device.problem()] + [CPU]


def choose_device(wanted: str = "auto") -> Choice:
    """What a wish comes to.

    "auto" is the first GPU that works, else the CPU, with a note if there is a GPU that does not.

    Raises:
        DeviceError: a device that was asked for by name is not known, not there, or does not work.
    """
    if wanted == "auto":
        found, problem = _accelerators()
        problems = [problem] if problem else []
        for device in found:
            if not (why := device.problem()):
                return Choice(device)
            problems.append(f"{device.id}: {why}")
        note = f"A GPU is there but cannot be used ({problems[0]}): computing on the CPU." if problems else ""
        return Choice(CPU, note)
    device = _named(wanted)
    if why := device.problem():
        others = ", ".join(other.id for other in present_devices())
        raise DeviceError(f"device {wanted!r} cannot be used here ({why}): choose one of auto, {others}")
    return Choice(device)


def is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory was short: the same may work with less to do at a time."""
    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in said for words in _SHORTAGE)


def _named(wanted: str) -> Device:
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"unknown device {wanted!r}: known are {DEVICE_HELP}")
    if device.type == "cpu":
        return CPU
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
    return next((one for one in _accelerators()[0] if one.torch == device), Device(device, device.type))


def _accelerators() -> tuple[list[Device], str]:
    """The GPUs that PyTorch sees, and why it sees none where a driver is there."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")  # a driver that is too old is told as a warning, once
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [Device(torch.device("cuda", index), torch.cuda.get_device_name(index)) for index in range(count)]
    if torch.backends.mps.is_available():
        devices.append(Device(torch.device("mps"), "Apple GPU"))
    return devices, "" if devices else next((_sentence(one.message) for one in said), "")


def _sentence(error: BaseException | Warning | str) -> str:
    """What a library says, without its lists and hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(". ")[0].rstrip(".") if lines else type(error).__name__
