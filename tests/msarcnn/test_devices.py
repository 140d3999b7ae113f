import warnings
from pathlib import Path

import pytest
import torch

from msarcnn import devices
from msarcnn.devices import (
    CPU,
    Device,
    DeviceError,
    choose_device,
    is_gpu_shortage,
    is_shortage,
    present_devices,
)


def test_the_cpu_is_there_and_last():
    assert present_devices()[-1] == CPU
    assert CPU.problem() == ""
    assert 0 < CPU.free_memory() <= CPU.total_memory()
    assert 256 << 20 <= CPU.cache_bytes() <= 512 << 20
    for device in present_devices():
        assert torch.ones(1, device=device.torch).device == device.torch, "what is put there says so of itself"


@pytest.mark.parametrize(("free", "kept"), [(0, 256), (300 << 20, 256), (1600 << 20, 400), (64 << 30, 512)])
def test_what_is_kept_has_room_for_some_images_and_takes_no_more_than_half_a_gigabyte(monkeypatch, free, kept):
    monkeypatch.setattr(Device, "free_memory", lambda self: free)
    assert CPU.cache_bytes() == kept << 20


def test_memory_that_files_only_fill_is_free(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 700 kB\n")
    assert (CPU.total_memory(), CPU.free_memory()) == (1000 * 1024, 700 * 1024)


def test_auto_takes_the_first_gpu_that_works_else_the_cpu(monkeypatch):
    lying, working = _Fake("cuda:0", problem="CUDA error: no kernel image"), _Fake("cuda:1")
    monkeypatch.setattr(devices, "_accelerators", lambda: ([lying, working], ""))
    assert choose_device("auto").device is working
    assert [device.id for device in present_devices()] == ["cuda:0", "cuda:1", "cpu"]
    monkeypatch.setattr(devices, "_accelerators", lambda: ([lying], ""))
    chosen = choose_device("auto")
    assert chosen.device == CPU
    assert "cuda:0: CUDA error: no kernel image" in chosen.note and "CPU" in chosen.note
    monkeypatch.setattr(devices, "_accelerators", lambda: ([], ""))
    assert choose_device("auto") == devices.Choice(CPU)


def test_a_driver_that_is_too_old_is_said_and_the_cpu_computes(monkeypatch):
    def is_available():
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update",
            stacklevel=1,
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    chosen = choose_device("auto")
    assert chosen.device == CPU
    assert "driver on your system is too old (found version 11040)" in chosen.note


@pytest.mark.parametrize("wanted", ["banana", "", "cuda:x", "meta", "xpu", "cpu cuda"])
def test_an_unknown_device_is_refused_with_those_that_are_known(wanted):
    with pytest.raises(DeviceError, match=r"unknown device .* known are auto .*cpu, cuda, cuda:N or mps"):
        choose_device(wanted)


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(DeviceError, match=r"'cuda:3' cannot be used here \(.+\): choose one of auto, .*cpu"):
        choose_device("cuda:3")


def test_a_device_that_adds_up_wrongly_is_not_used(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "square", lambda self: self * 3)
    assert "computes wrongly" in CPU.problem()


@pytest.mark.parametrize(
    ("error", "gpu", "machine"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True, False),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True, False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), True, False),
        (RuntimeError("Unable to find an engine to execute this computation"), True, False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), False, True),
        (MemoryError("Unable to allocate 3 GiB"), False, True),
        (RuntimeError("CUDA error: unspecified launch failure"), False, False),
        (ValueError("every box needs finite corners"), False, False),
    ],
)
def test_shortages_are_told_from_other_errors_and_from_one_another(error, gpu, machine):
    assert is_gpu_shortage(error) is gpu
    assert is_shortage(error) is (gpu or machine)


class _Fake(Device):
    def __init__(self, name: str, problem: str = "") -> None:
        super().__init__(torch.device(name), name)
        object.__setattr__(self, "_problem", problem)

    def problem(self) -> str:
        return self._problem
