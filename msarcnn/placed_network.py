"""A network on a device that may be short of memory, or go away: what is to be done goes on, and the user is told."""

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from msarcnn.devices import CPU, Device, first_sentence, is_gpu_shortage
from msarcnn.fast_path import look_at_fewer, short_numbers
from msarcnn.model import MSARCNN, Features
from msarcnn.pose_model import Checkpoint, FeaturesLostError, go_on

GPU_BATCH = 16
"""Images that go through a network together on a GPU; halved for good when they do not fit into its memory."""

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")


class PlacedNetwork:
    """Runs work on a network where it is; when memory is short with less at a time, at last on the CPU.

    Two threads may use it at once.

    Args:
        network: In evaluation mode, on the device.
        device: Where it is.
        on_the_cpu: Makes the same network in single precision on the CPU; without it, an image that does not fit
            is an error.

    Attributes:
        batch: How many images are to be given at a time at most.
        say: Gets a sentence for the user.
        fast: Whether it takes the fast path (msarcnn.fast_path).
        make_room: Called when memory is short; drops what is only kept to save time.
    """

    def __init__(self, network: MSARCNN, device: Device = CPU, on_the_cpu: Callable[[], MSARCNN] | None = None) -> None:
        self.network, self.device = network, device
        self.batch = 1 if device.is_cpu else GPU_BATCH
        self.say: Callable[[str], None] = lambda text: None
        self.make_room: Callable[[], None] = lambda: None
        self.fast = False
        self._make_spare = on_the_cpu
        self._spare: MSARCNN | None = None
        self._told_short = False
        self._lock = threading.Lock()

    def hurry(self) -> None:
        """Takes the fast path from now on."""
        self.fast = True
        look_at_fewer(self.network)

    def on_images(
        self, images: list[np.ndarray], work: Callable[[MSARCNN, list[np.ndarray]], list[_Result]]
    ) -> list[_Result]:
        """Does work that gives a result for each of some images."""
        for _ in range(2):
            device = self.device
            try:
                results = self._run(work, self.network, images)
            except (RuntimeError, MemoryError) as error:
                said = self._shortage_or_loss(error, device)
            else:
                self._told_short = False
                return results
            self._make_way(device, said)
            if not said:
                return [result for image in images for result in self._run(work, self.network, [image])]
        if len(images) > 1:
            half = len(images) // 2
            self.batch = min(self.batch, len(images) - half)
            return self.on_images(images[:half], work) + self.on_images(images[half:], work)
        self._say_short(said)
        return self._run(work, self.spare(), images)

    def on_features(self, features: Features, work: Callable[[MSARCNN, Features], _Result]) -> _Result:
        """Does work on encoded images, where they are.

        Raises FeaturesLostError when that is no device any more.
        """
        for _ in range(2):
            device, network = self.device, self.network
            here = next(network.parameters()).device
            if features.device != here and features.device.type == "cpu":
                return self._run(work, self.spare(), features)  # the CPU had to encode it
            if features.device != here:
                raise FeaturesLostError(f"the image was encoded on {features.device}, which is not used any more")
            try:
                return self._run(work, network, features)
            except (RuntimeError, MemoryError) as error:
                said = self._shortage_or_loss(error, device)
            self._make_way(device, said)
        self._say_short(said)
        return self._run(work, self.spare(), features.to(torch.device("cpu"), torch.float32))

    def _run(self, work: Callable[[MSARCNN, _Given], _Result], network: MSARCNN, given: _Given) -> _Result:
        with short_numbers(next(network.parameters()).device, self.fast):
            return work(network, given)

    def between_stages(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint, called when a stage is done and not only queued: else nothing waits at it."""
        if checkpoint is go_on or self.device.is_cpu:
            return checkpoint

        def wait_and_check() -> None:
            self.device.wait()
            checkpoint()

        return wait_and_check

    def spare(self) -> MSARCNN:
        """The network on the CPU."""
        with self._lock:
            if self._spare is None:
                if self._make_spare is None:
                    raise MemoryError(f"the memory of {self.device.id} is too small for one image")
                self._spare = self._make_spare()
                if self.fast:
                    look_at_fewer(self._spare)
            return self._spare

    def _shortage_or_loss(self, error: Exception, device: Device) -> str:
        """What the device said when its memory is short, "" when it is lost.

        Raises the error itself when it is about neither, or when there is nowhere to go.
        """
        if device.is_cpu:
            raise error
        if is_gpu_shortage(error):
            return first_sentence(error)
        if self._make_spare is None or not device.problem():
            raise error
        return ""

    def _make_way(self, device: Device, said: str) -> None:
        """Frees memory, or leaves a lost device; outside of the error's handling, which holds tensors."""
        self.make_room()
        if said:
            device.release()
            return
        spare = self.spare()
        with self._lock:
            first = self.device is device
            self.network, self.device, self.batch = spare, CPU, 1
        if first:
            self.make_room()  # once more: its bound is another one now
            self.say(f"{device.id} does not answer any more: the CPU goes on.")

    def _say_short(self, said: str) -> None:
        """Once, until something has fitted again: else a full GPU would say it of every photo."""
        if not self._told_short:
            self._told_short = True
            self.say(
                f"{self.device.id} is short of memory ({said}): the CPU does what does not fit. Close other programs "
                "that use it, or use a smaller model."
            )
