"""Gives every Python that is started with this folder in PYTHONPATH a GPU that is none: "fake:0", found by `auto`.

It computes on the CPU. Files in the folder named by FAKE_GPU steer it: `room` holds how many images fit at a time,
`lost` unplugs it, `full` leaves no room for a model, `broken` lets it fail on several images at a time; `batches` gets
the size of every batch that a network on it encodes.
"""

import importlib.abc
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

folder = Path(os.environ["FAKE_GPU"])


def patch(devices: ModuleType) -> None:
    import torch

    class FakeGPU(devices.Device):  # type: ignore[name-defined,misc]
        is_cpu = False
        id = "fake:0"

        def total_memory(self) -> int:
            return 8 << 30

        def free_memory(self) -> int:
            return 6 << 30

        def problem(self) -> str:
            return "it was unplugged" if (folder / "lost").exists() else ""

    gpu = FakeGPU(torch.device("cpu"), "Fake GPU")
    devices._accelerators = lambda: ([gpu], "")
    from msarcnn import placed_network

    make = placed_network.PlacedNetwork.__init__

    def place(self, network, device=devices.CPU, on_the_cpu=None):  # type: ignore[no-untyped-def]
        if device is gpu and (folder / "full").exists():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        make(self, network, device, on_the_cpu)

    placed_network.PlacedNetwork.__init__ = place  # type: ignore[method-assign]
    placed: set[int] = set()
    lost: list[bool] = []

    def limit(module: torch.nn.Module, inputs: tuple[object, ...]) -> None:
        if type(module).__name__ in ("PersonRPN", "MSKpsNet") and (folder / "lost").exists() and not lost:
            lost.append(True)
            raise RuntimeError("CUDA error: unspecified launch failure")
        if type(module).__name__ != "Backbone":
            return
        free = not any((folder / name).exists() for name in ("room", "lost", "broken"))
        if free:
            placed.add(id(module))  # what is loaded later, while it is short or lost, is on the CPU
        elif id(module) in placed:
            if (folder / "broken").exists() and len(inputs[0]) > 1:  # type: ignore[arg-type]
                raise RuntimeError("CUDNN_STATUS_INTERNAL_ERROR")
            if (folder / "lost").exists():
                raise RuntimeError("CUDA error: unspecified launch failure")
            if (folder / "room").exists() and len(inputs[0]) > int((folder / "room").read_text()):  # type: ignore[arg-type]
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        if id(module) in placed:
            with (folder / "batches").open("a") as file:
                file.write(f"{len(inputs[0])}\n")  # type: ignore[arg-type]

    torch.nn.modules.module.register_module_forward_pre_hook(limit)


class PatchOnImport(importlib.abc.MetaPathFinder):
    """Nothing is imported before it is needed: most children never load torch."""

    def find_spec(self, name, path, target=None):  # type: ignore[no-untyped-def]
        if name != "msarcnn.devices":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, PatchOnImport())
