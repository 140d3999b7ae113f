"""Where a model computes: the one place that chooses between CUDA, Apple's MPS and the CPU, and says what is there."""

import os
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from msarcnn.config import DEVICE_HELP

_GPU_SHORTAGE = (
    "out of memory",
    "alloc_failed",
    "cudnn_status_not_initialized",
    "cublas_status_not_initialized",
    "unable to find an engine",
)
"""What CUDA's and Apple's libraries say when memory is short; the errors have no type in common."""
_HOST_SHORTAGE = ("allocate memory", "not enough memory", "defaultcpuallocator")
_CACHE_SHARE = 0.25
_CPU_CACHE_BYTES = (256 << 20, 512 << 20)
_GPU_CACHE_BYTES = (256 << 20, 8 << 30)
"""Least and most for encoded images that are kept: one of ResNet-50's takes 87 MB in single precision."""


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
        return str(self.torch) if self.torch.type == "cuda" else self.torch.type

    @property
    def is_cpu(self) -> bool:
        """Whether nothing is left to fall back on."""
        return self.torch.type == "cpu"

    def total_memory(self) -> int:
        """Bytes of its memory, of the machine's for a CPU; 0 where nobody knows. Does not begin to use it."""
        if self.torch.type == "cuda":
            return int(torch.cuda.get_device_properties(self.torch).total_memory)
        if self.torch.type == "mps":
            return int(torch.mps.recommended_max_memory())
        return _machines_memory("MemTotal", "SC_PHYS_PAGES")

    def free_memory(self) -> int:
        """Bytes that are free now; 0 where nobody knows."""
        if self.torch.type == "cuda":
            return int(torch.cuda.mem_get_info(self.torch)[0])
        if self.torch.type == "mps":
            return max(self.total_memory() - int(torch.mps.driver_allocated_memory()), 0)
        return _machines_memory("MemAvailable", "SC_AVPHYS_PAGES")

    def cache_bytes(self) -> int:
        """Bound for encoded images that are kept on it: a share of what is free now, within limits."""
        least, most = _CPU_CACHE_BYTES if self.is_cpu else _GPU_CACHE_BYTES
        free = self.free_memory()
        return min(max(int(free * _CACHE_SHARE), least), most) if free else least

    def wait(self) -> None:
        """Until everything that was asked of it is done: a GPU only queues what it is told."""
        if self.torch.type == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.torch.type == "mps":
            torch.mps.synchronize()

    def release(self) -> None:
        """Gives memory back that PyTorch holds for later."""
        with suppress(RuntimeError):  # of a device that is lost
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
    """What is there to be chosen, the CPU last; whether a GPU works is seen when it is chosen."""
    return [*_accelerators()[0], CPU]


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
        others = ", ".join(other.id for other in present_devices() if not other.problem())
        raise DeviceError(f"device {wanted!r} cannot be used here ({why}): choose one of auto, {others}")
    return Choice(device)


def is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory was short, the machine's or a GPU's."""
    return is_gpu_shortage(error) or _is_host_shortage(error)


def is_gpu_shortage(error: BaseException) -> bool:
    """Whether a GPU's own memory was short: the same may work with less to do at a time."""
    said = str(error).lower()
    short = isinstance(error, torch.OutOfMemoryError) or any(words in said for words in _GPU_SHORTAGE)
    return short and not _is_host_shortage(error)


def _is_host_shortage(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _HOST_SHORTAGE)


def first_sentence(error: BaseException) -> str:
    """What an error says first, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _named(wanted: str) -> Device:
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"unknown device {wanted!r}: known are {DEVICE_HELP}")
    if device.type == "cpu":
        return CPU
    # With its number: what is put on "mps" says "mps:0" of itself, and the two are not equal.
    device = torch.device(device.type, device.index or 0)
    return next((one for one in _accelerators()[0] if one.torch == device), Device(device, device.type))


def _accelerators() -> tuple[list[Device], str]:
    """The GPUs that PyTorch sees, and why it sees none where a driver is there."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")  # a driver that is too old is told as a warning, once
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [Device(torch.device("cuda", index), torch.cuda.get_device_name(index)) for index in range(count)]
    if torch.backends.mps.is_available():
        devices.append(Device(torch.device("mps", 0), "Apple GPU"))
    return devices, "" if devices else next((_sentence(one.message) for one in said), "")


def _machines_memory(linux: str, posix: str) -> int:
    """Bytes by the name in /proc/meminfo, where it is, else by that of `sysconf`; 0 where neither is known."""
    with suppress(OSError):
        match = re.search(rf"^{linux}:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        if match:
            return int(match[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf(posix)
    except (AttributeError, ValueError, OSError):
        return 0


def _sentence(error: BaseException | Warning | str) -> str:
    """What a library says, without its lists and hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(". ")[0].rstrip(".") if lines else type(error).__name__
