"""Says which model answers, on what, and when it does not."""

from PySide6.QtCore import QObject, Signal

from app.controllers.devices import describe
from app.controllers.messages import Messages
from app.controllers.models import Models
from app.workers.engine_client import EngineClient
from app.workers.payloads import EngineInfo

_TOPIC = "engine"


class EngineStatus(QObject):
    """One line for the status bar; deaths become messages, since labels are safe and work can go on."""

    changed = Signal(str)

    def __init__(self, engine: EngineClient, models: Models, messages: Messages) -> None:
        super().__init__(engine)
        self._models, self._messages = models, messages
        engine.ready.connect(self._ready)
        engine.failed.connect(self._failed)
        engine.gave_up.connect(self._gave_up)
        engine.refused.connect(lambda *_: self.changed.emit(_describe(engine.info) if engine.info else "no model"))

    def _ready(self, info: EngineInfo) -> None:
        self.changed.emit(_describe(info))
        self._messages.settle(_TOPIC)

    def _failed(self, text: str) -> None:
        self.changed.emit("model: restarting…")
        self._messages.post(text, "warning", topic=_TOPIC, of_window=True)

    def _gave_up(self, text: str) -> None:
        self.changed.emit("no model")
        choices = [("Start it again", self._models.start_engine)]
        self._messages.post(f"{text} Labelling by hand goes on.", "error", choices, topic=_TOPIC, of_window=True)


def _describe(info: EngineInfo) -> str:
    return f"{info.name}  ·  {describe(info.device_info)}"
