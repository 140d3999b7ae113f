"""The window's side of the engine: pre-fill batches, estimates for boxes, models. Never imports torch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.document.records import Box, Joint
from app.workers.batches import Batch, BatchQueue
from app.workers.engine_link import HANG_SECONDS, EngineLink
from app.workers.payloads import EngineInfo, EstimateResult, ImageFile, PrefillResult
from app.workers.process import RestartPolicy
from app.workers.wire import Message

COMPLETED = "completed"
CANCELLED = "cancelled"
FAILED = "failed"
"""How a batch ended: every image was tried; somebody cancelled it; the engine is gone, or fails on every image."""

CANCEL_SECONDS = 1.5
"""A cancelled batch is reported as such after this time even if the engine has not stopped yet."""


@dataclass(eq=False, slots=True)
class _Estimate:
    """An interactive request that somebody waits for."""

    message: Message
    boxes: tuple[Box, ...]
    done: Callable[[EstimateResult], None]
    failed: Callable[[str], None]
    sent: bool = False


class EngineClient(QObject):
    """The pose engine as seen by the window. Nothing here blocks; all signals and callbacks come in its thread.

    The engine dies and comes back by itself: interactive requests under way then fail with a message, batches
    go on (an image during which it died twice is left out of them).

    Signals:
        ready(EngineInfo): a model is loaded and answers from now on: at the start, after `load`, after a
            restart.
        refused(str model, str reason): `load` (or `start`) did not get that model ("" = the bundled one); the
            model that was running, if any, still is.
        noticed(str): a sentence about the device, for the user: it is not there, short of memory, or was lost. The
            work goes on.
        devices_found(tuple of DeviceInfo): what there is to compute on, the CPU last; once a process.
        failed(str): the engine died; it is being restarted. The text is for the user.
        gave_up(str): it died too often, and is not restarted; `start` tries again.
        image_done(int batch, int image_key, PrefillResult)
        image_failed(int batch, int image_key, str): the file cannot be read, whoever asks; the text names it.
        image_set_aside(int batch, int image_key, str): the engine died of it twice; asking again would kill it again.
        image_troubled(int batch, int image_key, str, bool again): the engine failed on it, as it may on any: memory is
            short, say. again: it is tried once more after the others; else it is through, and may be asked for later.
        progress(int batch, int done, int total, float eta_seconds): after every image; -1 = not known yet.
        batch_finished(int batch, str status): COMPLETED, CANCELLED or FAILED; the last signal of a batch. What was
            cancelled is CANCELLED, whatever else comes to its end meanwhile.
    """

    ready = Signal(object)
    refused = Signal(str, str)
    noticed = Signal(str)
    devices_found = Signal(object)
    failed = Signal(str)
    gave_up = Signal(str)
    image_done = Signal(int, int, object)
    image_failed = Signal(int, int, str)
    image_set_aside = Signal(int, int, str)
    image_troubled = Signal(int, int, str, bool)
    progress = Signal(int, int, int, float)
    batch_finished = Signal(int, str)
    _call = Signal(object, object)

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        device: str = "auto",
        policy: RestartPolicy | None = None,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        """device: "auto", "cpu", "cuda", "cuda:N" or "mps". policy: how often a dead engine is restarted."""
        super().__init__(parent)
        self._estimates: dict[int, _Estimate] = {}
        self._batches = BatchQueue()
        self._ahead: ImageFile | None = None
        self._ahead_request: int | None = None
        self._models: tuple[EngineInfo | None, EngineInfo | None] = None, None
        self._link = EngineLink(device, policy or RestartPolicy(), hang_seconds, self)
        self._link.ready.connect(self._ready)
        self._link.refused.connect(self.refused)
        self._link.noticed.connect(self.noticed)
        self._link.devices_found.connect(self.devices_found)
        self._link.gave_up.connect(self.gave_up)
        self._link.lost.connect(self._lost)
        self._link.unavailable.connect(self._fail_all)
        self._link.reply.connect(self._receive)
        self._call.connect(self._call_back)

    @property
    def info(self) -> EngineInfo | None:
        """The model that answers; None while none does (starting, restarting, given up)."""
        return self._link.info

    @property
    def before(self) -> EngineInfo | None:
        """The model that answered before this one, and can be asked still; None: there is none."""
        return self._models[0]

    @property
    def pid(self) -> int | None:
        """The engine's process id, None while there is none."""
        return self._link.pid

    # -- the model

    def start(self, model: str | None = None) -> None:
        """Starts the engine with a model: None = the bundled weights, a preset's name, or a .safetensors file."""
        self._link.start(model)

    def load(self, model: str | None) -> None:
        """Switches the model; the running one answers until the new one does, and stays if that is refused."""
        self._link.load(model)

    def set_device(self, device: str) -> None:
        """Says where to compute from now on ("auto", or an id of `devices_found`); `ready` follows if it runs."""
        self._link.set_device(device)

    def close(self) -> None:
        """Ends the engine; nothing is signalled any more, not even for what was under way."""
        self._link.close()
        self._estimates.clear()
        for batch in self._batches:
            self._batches.remove(batch)

    # -- interactive requests

    def estimate(
        self,
        image: ImageFile,
        boxes: Sequence[Box],
        heatmaps: bool,
        done: Callable[[EstimateResult], None],
        failed: Callable[[str], None],
        model: str | None = None,
        levels_of: int | None = None,
        known: Sequence[Joint] | None = None,
    ) -> int:
        """Asks for the joints in any boxes of an image (it is encoded first unless it still is).

        Runs beside a batch, which pauses meanwhile. Exactly one of the callbacks is called, later, in this
        object's thread; none after `cancel_request` or `close`. To supersede a request (a box still being dragged),
        take it back and ask again. While the engine starts, requests wait for it.

        Args:
            image: Whose boxes.
            boxes: Of positive size, in pixels of the upright image.
            heatmaps: Whether the result carries the maps (17 x 64 x 64 a person).
            done: Gets the result.
            failed: Gets a sentence for the user.
            levels_of: A joint of the first box, for which the result tells the pyramid's levels apart.
            known: The K joints of the only box; those with v > 0 are where they are, and the others are looked for
                beside them.
            model: Hash of the model to ask, which has to be there still (`before`); None: the one that answers.

        Returns:
            The request, for `cancel_request`.
        """
        request = self._link.new_request()
        corners = [[box.x, box.y, box.right, box.bottom] for box in boxes]
        asked = {} if model is None else {"model": model}
        wish = {"boxes": corners, "heatmaps": heatmaps, "levels_of": levels_of, "known": None}
        if known is not None:
            wish["known"] = [(joint.x, joint.y, joint.v) for joint in known]
        message = {"type": "estimate", "request": request} | wish | asked
        self._estimates[request] = _Estimate(message | image.to_message(), tuple(boxes), done, failed)
        if reason := self._link.problem:
            QTimer.singleShot(0, self, lambda: self._fail(request, reason))
        else:
            self._pump()
        return request

    def cancel_request(self, request: int) -> None:
        """Drops an estimate: no callback follows. Does nothing for one that is answered."""
        estimate = self._estimates.pop(request, None)
        if estimate and estimate.sent:
            self._link.cancel(request)

    def encode_ahead(self, image: ImageFile | None) -> None:
        """Encodes the image on screen, so that the first `estimate` is fast; replaces an earlier such wish."""
        if self._ahead_request is not None:
            self._link.cancel(self._ahead_request)
            self._ahead_request = None
        self._ahead = image
        self._pump()

    # -- batches

    def prefill(self, images: Iterable[ImageFile], urgent: bool = False, harder: bool = False) -> int:
        """Finds the people on images, in order, in the background; returns the batch.

        urgent: ahead of other batches, and kept encoded: for the image on screen. harder: with test-time augmentation,
        many times as slow. Signals come later, even for an empty batch.
        """
        batch = self._batches.add(images, urgent, harder)
        QTimer.singleShot(0, self, lambda: self._begin(batch))
        return batch.id

    def pause(self, batch: int) -> None:
        """Holds a batch after the images under way (twice as many as the model takes at a time)."""
        self._set_paused(batch, True)

    def resume(self, batch: int) -> None:
        """Goes on with a paused batch."""
        self._set_paused(batch, False)

    def cancel(self, batch: int) -> None:
        """Stops a batch between two stages of the network; what is under way is dropped, what is done stays."""
        found = self._batches.get(batch)
        if found is None or found.cancelled:
            return
        found.cancelled = True
        found.waiting.clear()
        for request in found.under_way:
            self._link.cancel(request)
        wait = CANCEL_SECONDS if found.under_way else 0.0
        QTimer.singleShot(round(wait * 1000), self, lambda: self._finish(found, CANCELLED))

    # -- sending

    def _pump(self) -> None:
        """Sends what the engine can take now."""
        if self._link.info is None:
            return
        model = self._link.info.hash
        for estimate in self._estimates.values():
            if not estimate.sent:
                self._link.ask({"model": model} | estimate.message)
                estimate.sent = True
        if self._ahead and self._ahead_request is None:
            self._ahead_request = self._link.new_request()
            ahead = {"type": "encode", "request": self._ahead_request, "model": model}
            self._link.ask(ahead | self._ahead.to_message())
        while (following := self._batches.next()) is not None:
            batch, image = following
            request = self._link.new_request()
            self._batches.sent(batch, request, image)
            wish = {"urgent": batch.urgent, "harder": batch.harder, "alone": self._batches.is_suspect(image)}
            self._link.ask({"type": "predict", "request": request, "model": model} | wish | image.to_message())

    def _begin(self, batch: Batch) -> None:
        if self._link.problem:
            self._finish(batch, FAILED)
        elif batch.finished:
            self._finish(batch, COMPLETED)
        else:
            self._pump()

    def _set_paused(self, batch: int, paused: bool) -> None:
        found = self._batches.get(batch)
        if found:
            self._batches.pause(found, paused)
            self._pump()

    # -- receiving

    @Slot(object)
    def _receive(self, message: Message) -> None:
        request = message["request"]
        kind = message["type"]
        if kind == "begun":
            self._batches.begun(request)
        elif kind == "predicted":
            self._predicted(request, message)
        elif kind == "estimated":
            self._estimated(request, message)
        elif kind in ("image_error", "engine_error") and request in self._estimates:
            self._fail(request, message["text"])
        elif kind == "engine_error":
            self._troubled(request, message["text"])
        else:  # "encoded", "cancelled", or the damaged file of a batch
            self._settle(request, message.get("text", ""))
        self._pump()

    def _predicted(self, request: int, message: Message) -> None:
        found = self._batches.take(request)
        if found is None:
            return
        batch, image = found
        batch.succeeded(image)
        if not batch.cancelled:
            result = PrefillResult.from_message(message)
            self.image_done.emit(batch.id, image.key, result)
        self._count(batch, image)

    def _troubled(self, request: int, text: str) -> None:
        """The engine failed on a batch image; nothing is said against the image by that."""
        found = self._batches.take(request)
        if found is None:
            return
        batch, image = found
        again = not batch.cancelled and batch.engine_failed(image)
        if not batch.cancelled:
            self.image_troubled.emit(batch.id, image.key, text, again)
        if not again:
            self._count(batch, image)
        if batch.hopeless and not batch.cancelled:
            for other in batch.under_way:
                self._link.cancel(other)
            self._finish(batch, FAILED)

    def _estimated(self, request: int, message: Message) -> None:
        estimate = self._estimates.pop(request, None)
        if estimate:
            self._call.emit(estimate.done, EstimateResult.from_message(message, estimate.boxes))

    def _settle(self, request: int, problem: str = "") -> None:
        """A batch image, or the image encoded ahead, ended without a result."""
        found = self._batches.take(request)
        if found:
            batch, image = found
            if problem and not batch.cancelled:
                self.image_failed.emit(batch.id, image.key, problem)
            self._count(batch, image)

    def _count(self, batch: Batch, image: ImageFile) -> None:
        """Counts an image that is through, and ends the batch with its last one."""
        if batch.cancelled:
            if batch.finished:
                self._finish(batch, CANCELLED)
            return
        eta = self._batches.finish_image(batch, image)
        self.progress.emit(batch.id, batch.done, batch.total, eta)
        if batch.finished and not batch.cancelled:
            self._finish(batch, COMPLETED)

    def _finish(self, batch: Batch, status: str) -> None:
        if self._batches.get(batch.id) is batch:
            self._batches.remove(batch)
            self.batch_finished.emit(batch.id, CANCELLED if batch.cancelled else status)
            self._pump()

    # -- life and death

    @Slot(object)
    def _ready(self, info: EngineInfo) -> None:
        self._batches.set_at_a_time(info.batch)
        self._ahead_request = None  # another model, or another process: the image on screen is not encoded there
        before, last = self._models
        if last is None or last.device != info.device:
            before = None
        elif last.hash != info.hash:
            before = last
        self._models = before, info
        self.ready.emit(info)
        self._pump()

    @Slot(str)
    def _lost(self, text: str) -> None:
        self._ahead_request = None
        self._models = None, None
        self.failed.emit(f"{text} Your labels are not affected.")
        for request, estimate in list(self._estimates.items()):
            if estimate.sent:
                self._fail(request, f"{text} Ask again when it is back.")
        for batch, image in self._batches.engine_died():
            problem = (
                f"{image.name}: the model cannot do this photo, the pose engine died twice while working on it. {text} "
                "Label it by hand, or use another model."
            )
            if not batch.cancelled:
                self.image_set_aside.emit(batch.id, image.key, problem)
            self._count(batch, image)
        for batch in self._batches:
            if batch.cancelled:
                self._finish(batch, CANCELLED)

    def _fail(self, request: int, reason: str) -> None:
        """Fails an estimate that nobody has answered, or taken back, meanwhile."""
        if estimate := self._estimates.pop(request, None):
            self._call.emit(estimate.failed, reason)

    @Slot(str)
    def _fail_all(self, reason: str) -> None:
        """Nobody will answer any more: everything that waits fails."""
        estimates, self._estimates = self._estimates, {}
        for estimate in estimates.values():
            self._call.emit(estimate.failed, reason)
        for batch in self._batches:
            self._finish(batch, FAILED)

    @Slot(object, object)
    def _call_back(self, callback: Callable[[object], None], value: object) -> None:
        """Called through a signal: what a callback raises is reported, and does not stop the work here."""
        callback(value)
