"""The engine's process and its model: start, switch, restart, watch. Never imports torch."""

import time
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.workers.payloads import DeviceInfo, EngineInfo
from app.workers.process import RestartPolicy, WorkerProcess
from app.workers.wire import Message

HANG_SECONDS = 300.0
"""An engine that gives no answer at all for so long while it has work is restarted."""

_WATCH_MS = 5000


class EngineLink(QObject):
    """Keeps an engine with a model at hand; who asks it what is the business of `EngineClient`.

    Signals:
        ready(EngineInfo), refused(str model, str reason), noticed(str), devices_found(tuple): see `EngineClient`.
        lost(str): the engine died with all its requests; it comes back (`ready`) unless `unavailable` follows.
        gave_up(str): it died too often.
        unavailable(str): nobody will answer until `start` or `load` is called; the text says why.
        reply(dict): an answer to a request.
    """

    ready = Signal(object)
    refused = Signal(str, str)
    noticed = Signal(str)
    devices_found = Signal(object)
    lost = Signal(str)
    gave_up = Signal(str)
    unavailable = Signal(str)
    reply = Signal(object)

    def __init__(self, device: str, policy: RestartPolicy, hang_seconds: float, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.info: EngineInfo | None = None
        self.problem = "The pose engine was not started."
        self._device = device
        self._hang_seconds = hang_seconds
        # What was asked for last, and what was loaded last: they differ while the former is being loaded.
        self._wanted: str | None = None
        self._good: tuple[str | None] | None = None
        self._load_number = 0
        self._device_lost = False
        self._loads: dict[int, str | None] = {}
        self._unanswered: set[int] = set()
        self._last_request = 0
        self._heard = 0.0
        self._worker = WorkerProcess("app.workers.engine_process", "pose engine", policy, self)
        self._worker.started.connect(self._started)
        self._worker.message.connect(self._receive)
        self._worker.died.connect(self._died)
        self._worker.gave_up.connect(self._gave_up)
        self._watch = QTimer(self)
        self._watch.setInterval(_WATCH_MS)
        self._watch.timeout.connect(self._check_hang)

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    def start(self, model: str | None) -> None:
        """Starts the engine; one that runs switches its model."""
        if self._worker.running:
            self.load(model)
            return
        self._wanted, self._good = model, None
        self.problem = ""
        self._watch.start()
        self._worker.start()

    def load(self, model: str | None) -> None:
        """Asks for another model; the earlier one answers until then. Starts an engine that was given up."""
        self._wanted = model
        restarting = not self._worker.running and not self.problem
        if restarting:
            return  # `_started` asks
        self.problem = ""
        if self._worker.running:
            request = self.new_request()
            self._loads[request] = model
            self.ask({"type": "load", "request": request, "model": model, "device": self._device})
        else:
            self._watch.start()
            self._worker.start()

    def set_device(self, device: str) -> None:
        """Loads the model on another device; the one that is running answers until then.

        A device that was lost can only be used by a new process: then the engine is started anew.
        """
        self._device = device
        if self._device_lost and self._worker.running:
            self._worker.kill("the device is tried again")
        elif self._worker.running:
            self.load(self._wanted)

    def close(self) -> None:
        self._watch.stop()
        self._worker.close()
        self.info = None
        self.problem = "The pose engine is closed."

    def new_request(self) -> int:
        self._last_request += 1
        return self._last_request

    def ask(self, message: Message) -> None:
        """Sends a request; a reply with its number follows, or `lost`."""
        if not self._unanswered:
            self._heard = time.monotonic()
        if self._worker.send(message):
            self._unanswered.add(message["request"])

    def cancel(self, request: int) -> None:
        """Tells the engine that a request is not wanted any more; it still replies, usually "cancelled"."""
        self._worker.send({"type": "cancel", "request": request})

    @Slot(object)
    def _receive(self, message: Message) -> None:
        self._heard = time.monotonic()
        if message["type"] == "notice":
            self._notice(message)
            return
        if message["type"] == "devices":
            self.devices_found.emit(tuple(DeviceInfo(**one) for one in message["devices"]))
            return
        request = message["request"]
        if message["type"] != "begun":
            self._unanswered.discard(request)
        if message["type"] == "loaded":
            model = self._loads.pop(request)
            self._good = (model,)
            self._load_number = request
            device = DeviceInfo(**message["device"])
            self.info = EngineInfo(
                message["hash"], message["name"], message["tau"], device.id, model, message["batch"], device
            )
            self.problem = ""
            self.ready.emit(self.info)
            for note in message["notes"]:
                self.noticed.emit(note)
        elif message["type"] == "refused":
            self._refused(self._loads.pop(request), message["text"])
        else:
            self.reply.emit(message)

    def _notice(self, message: Message) -> None:
        """The device of the model is short of memory, or another one now. What an earlier model says is old."""
        if self.info is None or message["load"] != self._load_number:
            return
        text = message["text"]
        device = DeviceInfo(**message["device"])
        if device.id != self.info.device:
            self._device_lost = True
            text += " Choose it again to try it anew."
            self.info = replace(self.info, device=device.id, batch=message["batch"], device_info=device)
            self.ready.emit(self.info)
        self.noticed.emit(text)

    def _refused(self, model: str | None, reason: str) -> None:
        self.refused.emit(model or "", reason)
        if self._loads:
            return
        if self._good is not None and self._good != (model,):
            self._wanted = self._good[0]
        if self.info is None and self._wanted != model:
            self.load(self._wanted)  # it was asked for while the engine restarted: the earlier one is not there
        elif self.info is None:
            self._fail(f"No model is loaded: {reason}")

    @Slot()
    def _started(self) -> None:
        self.load(self._wanted)

    @Slot(str)
    def _died(self, text: str) -> None:
        loads, self._loads = list(self._loads.values()), {}
        self._unanswered.clear()
        self._device_lost = False
        self.info = None
        for model in loads:
            if self._good is not None and self._good != (model,):
                self._wanted = self._good[0]
                self.refused.emit(model or "", f"{text} It was loading this model; the earlier one is used.")
        self.lost.emit(text)

    @Slot(str)
    def _gave_up(self, text: str) -> None:
        self.gave_up.emit(text)
        self._fail(text)

    def _fail(self, text: str) -> None:
        self.problem = text
        self.unavailable.emit(text)

    @Slot()
    def _check_hang(self) -> None:
        if self._unanswered and time.monotonic() - self._heard > self._hang_seconds:
            self._heard = time.monotonic()
            self._worker.kill(f"it gave no answer for {self._hang_seconds:.0f} seconds")
