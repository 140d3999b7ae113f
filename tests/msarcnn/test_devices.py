import warnings

import pytest
import torch

from msarcnn import devices
from msarcnn.devices import CPU, Device, DeviceError, choose_device, is_shortage, present_devices


def test_the_cpu_is_there_and_last():
    assert present_devices()[-1] == CPU
    assert CPU.problem() == ""
    free, total = CPU.memory()
    assert 0 < free <= total
    assert 0 < CPU.cache_bytes() <= 512 << 20


def test_auto_takes_the_first_gpu_that_works_else_the_cpu(monkeypatch):
    lying, working = _Fake("cuda:0", problem="CUDA error: no kernel image"), _Fake("cuda:1")
    monkeypatch.setattr(devices, "_accelerators", lambda: ([lying, working], ""))
    assert choose_device("auto").device is working
    assert [device.id for device in present_devices()] == ["cuda:1", "cpu"]
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
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: unspecified launch failure"), False),
        (ValueError("every box needs finite corners"), False),
    ],
)
def test_shortages_are_told_from_other_errors(error, short):
    assert is_shortage(error) is short


class _Fake(Device):
    def __init__(self, name: str, problem: str = "") -> None:
        super().__init__(torch.device(name), name)
        object.__setattr__(self, "_problem", problem)

    def problem(self) -> str:
        return self._problem
