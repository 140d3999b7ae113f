"""A network on a device that may be short of memory, or go away: what is to be done goes on, and the user is told."""

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from msarcnn.devices import CPU, Device, is_shortage
from msarcnn.model import MSARCNN, Features
from msarcnn.pose_model import FeaturesLostError

GPU_BATCH = 16
"""Images that go through a network together on a GPU; halved for good when they do not fit into its memory."""

_Result = TypeVar("_Result")


class PlacedNetwork:
    """Runs work on a network where it is; when memory is short with less at a time, at last on the CPU.

    Two threads may use it at once.

    Args:
        network: In evaluation mode, on the device.
        device: Where it is.
        on_the_cpu: Makes the same network in single precision on the CPU; without it, trouble is raised.

    Attributes:
        batch: How many images are to be given at a time at most.
        say: Gets a sentence for the user.
        make_room: Called when memory is short; drops what is only kept to save time.
    """

    def __init__(self, network: MSARCNN, device: Device = CPU, on_the_cpu: Callable[[], MSARCNN] | None = None) -> None:
        self.network, self.device = network, device
        self.batch = 1 if device.is_cpu else GPU_BATCH
        self.say: Callable[[str], None] = lambda text: None
        self.make_room: Callable[[], None] = lambda: None
        self._make_spare = on_the_cpu
        self._spare: MSARCNN | None = None
        self._lock = threading.Lock()

    def on_images(
        self, images: list[np.ndarray], work: Callable[[MSARCNN, list[np.ndarray]], list[_Result]]
    ) -> list[_Result]:
        """Does work that gives a result for each of some images."""
        for _ in range(2):
            device = self.device
            try:
                return work(self.network, images)
            except (RuntimeError, MemoryError) as error:
                said = self._shortage_or_loss(error, device)
            self._make_way(device, said)
            if not said:
                return [result for image in images for result in work(self.network, [image])]
        if len(images) > 1:
            half = len(images) // 2
            self.batch = min(self.batch, half)
            return self.on_images(images[:half], work) + self.on_images(images[half:], work)
        self._say_short(said)
        return work(self.spare(), images)

    def on_features(self, features: Features, work: Callable[[MSARCNN, Features], _Result]) -> _Result:
        """Does work on encoded images, where they are.

        Raises FeaturesLostError when that is no device any more.
        """
        for _ in range(2):
            device = self.device
            if features.device != device.torch and features.device.type == "cpu":
                return work(self.spare(), features)  # the CPU had to encode it
            if features.device != device.torch:
                raise FeaturesLostError(f"the image was encoded on {features.device}, which is not used any more")
            try:
                return work(self.network, features)
            except (RuntimeError, MemoryError) as error:
                said = self._shortage_or_loss(error, device)
            self._make_way(device, said)
        self._say_short(said)
        return work(self.spare(), features.to(torch.device("cpu"), torch.float32))

    def spare(self) -> MSARCNN:
        """The network on the CPU."""
        with self._lock:
            if self._spare is None:
                assert self._make_spare is not None
                self._spare = self._make_spare()
            return self._spare

    def _shortage_or_loss(self, error: Exception, device: Device) -> str:
        """What the device said when its memory is short, "" when it is lost.

        Raises the error itself when it is about neither, or when there is nowhere to go.
        """
        if self._make_spare is None or device.is_cpu:
            raise error
        if is_shortage(error):
            return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        if not device.problem():
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
            self.say(f"{device.id} does not answer any more: the CPU goes on. Restart to use it again.")

    def _say_short(self, said: str) -> None:
        self.say(f"{self.device.id} is short of memory ({said}): the CPU did this image.")
