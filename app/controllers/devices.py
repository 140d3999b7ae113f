"""Where the model computes: what there is, what was chosen, and what became of it."""

from PySide6.QtCore import QObject, Signal

from app.controllers.choices import Choice
from app.controllers.messages import Messages
from app.storage.settings import Settings
from app.workers.engine_client import EngineClient
from app.workers.payloads import DeviceInfo

AUTO = "auto"
_SETTING = "device"
_CHANGING = "device changing"
_NOTICE = "device"


class Devices(QObject):
    """The choice is remembered; "auto" takes a GPU if there is one that works."""

    changed = Signal()
    """Other devices are there, or another one was chosen."""

    def __init__(self, engine: EngineClient, messages: Messages, settings: Settings) -> None:
        super().__init__(engine)
        self._engine, self._messages, self._settings = engine, messages, settings
        self._present: tuple[DeviceInfo, ...] = ()
        engine.set_device(self.chosen)
        engine.devices_found.connect(self._found)
        engine.ready.connect(lambda _: messages.settle(_CHANGING))
        engine.refused.connect(lambda *_: messages.settle(_CHANGING))
        engine.noticed.connect(lambda text: messages.post(text, "warning", topic=_NOTICE, of_window=True))

    @property
    def chosen(self) -> str:
        """AUTO or a device's id."""
        return self._settings.value(_SETTING, AUTO)

    def choices(self) -> list[Choice]:
        """Ids and texts to choose from: a device that was chosen once and is not there now stays in the list."""
        known = [(device.id, describe(device)) for device in self._present]
        if self.chosen not in (AUTO, *(device.id for device in self._present)):
            known.append((self.chosen, f"{self.chosen} (not there)"))
        offered = [(AUTO, "Automatic: a GPU if there is one"), *known]
        return [Choice(device, text, device == self.chosen) for device, text in offered]

    def choose(self, device: str) -> None:
        """Computes there from now on; the model answers where it is until it is loaded there."""
        if device == self.chosen and self._engine.info is not None and self._engine.info.device == device:
            return
        self._settings.set_value(_SETTING, device)
        self._messages.settle(_NOTICE)
        if self._engine.pid is not None:
            self._messages.post("Moving the model…", "info", topic=_CHANGING)
        self._engine.set_device(device)
        self.changed.emit()

    def _found(self, devices: tuple[DeviceInfo, ...]) -> None:
        if devices != self._present:
            self._present = devices
            self.changed.emit()


def describe(device: DeviceInfo) -> str:
    """A device in a few words: "NVIDIA H100 (cuda:0), 80 GB"."""
    name = device.name if device.name.lower() == device.id else f"{device.name} ({device.id})"
    return f"{name}, {round(device.bytes / 2**30)} GB" if device.bytes else name
