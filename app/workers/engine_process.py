"""The engine child: holds models, answers about images. `python -P -m app.workers.engine_process`.

What goes wrong has one of two names: "image_error" is about the file, and stays so however often it is asked;
"engine_error" is about the model, the memory or the device, and may pass.

Three threads work: one loads models, one answers interactive requests, one works through the batch. The batch
waits between two stages of the network while anything interactive is to be done. A model on a GPU takes several of the
batch's images at a time, decoded ahead by processes of their own.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.workers.child import ParentLink
from app.workers.image_reading import photo_of, read_image
from app.workers.wire import Message
from msarcnn.feature_cache import FeatureCache
from msarcnn.images import ImageError, LoadedImage
from msarcnn.pose_model import FeaturesLostError
from msarcnn.read_ahead import Readers

if TYPE_CHECKING:
    from msarcnn.devices import Choice
    from msarcnn.predictor import Predictor

GRACE_SECONDS = 0.25
"""The batch stays quiet for this time after an estimate: while a box is dragged, the next one is about to come."""


class _CancelledError(Exception):
    """The request is not wanted any more."""


class _YieldError(Exception):
    """Something more urgent came; the request is to be done later."""


@dataclass(eq=False)
class Request:
    """A message that wants an answer; the pixels of its image may be on their way already."""

    message: Message
    reading: "Future[LoadedImage] | None" = None

    @property
    def number(self) -> int:
        return int(self.message["request"])

    @property
    def kind(self) -> str:
        return str(self.message["type"])


@dataclass(eq=False)
class RequestQueue:
    """The requests of one thread, and which it works on. Shared state is guarded by the engine's condition.

    rank: requests of the lowest rank come first, in the order of their arrival.
    """

    rank: Callable[[Message], int]
    waiting: list[Request] = field(default_factory=list)
    under_way: list[Request] = field(default_factory=list)

    def add(self, request: Request) -> None:
        rank = self.rank(request.message)
        place = sum(self.rank(other.message) <= rank for other in self.waiting)
        self.waiting.insert(place, request)

    def take(self, most: Callable[[Request], int]) -> list[Request]:
        """Begins the first request, and those like it that can go with it."""
        first = self.waiting[0]
        alike = [other for other in self.waiting if _goes_with(other.message, first.message)]
        self.under_way = alike[: most(first)]
        self.waiting = [other for other in self.waiting if other not in self.under_way]
        return self.under_way

    def take_out(self, number: int) -> bool:
        """Removes a request that has not begun."""
        before = len(self.waiting)
        self.waiting = [request for request in self.waiting if request.number != number]
        return len(self.waiting) < before

    @property
    def busy(self) -> bool:
        return bool(self.under_way or self.waiting)


def _goes_with(other: Message, first: Message) -> bool:
    """Whether two requests can be worked on together: batch images for one model that nobody looks at."""
    if other is first:
        return True
    both = (other, first)
    return all(one["type"] == "predict" and not (one["urgent"] or one["alone"]) for one in both) and (
        other["model"] == first["model"]
    )


class Engine:
    """Answers requests; each gets exactly one reply, "image_error", "engine_error" and "cancelled" among them."""

    def __init__(self, link: ParentLink) -> None:
        self._link = link
        self._changed = threading.Condition()
        self._cancelled: set[int] = set()
        self._interactive = RequestQueue(lambda message: message["type"] != "estimate")
        self._background = RequestQueue(lambda message: not message["urgent"])
        self._loads: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._models: dict[str, Predictor] = {}
        self._cache = FeatureCache(0)
        self._readers = Readers()
        self._quiet_until = 0.0

    def serve(self) -> None:
        """Takes requests for ever."""
        for name, target in (
            ("models", self._load_models),
            ("interactive", lambda: self._work(self._interactive)),
            ("background", lambda: self._work(self._background)),
        ):
            threading.Thread(target=target, name=name, daemon=True).start()
        for message in self._link.messages():
            if message["type"] == "load":
                self._loads.put(message)
            elif message["type"] == "unload":
                self._models.pop(message["model"], None)
            elif message["type"] == "cancel":
                self._cancel(message["request"])
            else:
                self._take(Request(message))

    def _take(self, request: Request) -> None:
        together = request.kind == "predict" and self._at_a_time(request) > 1
        if together:
            request.reading = self._readers.begin(photo_of(request.message))
        with self._changed:
            (self._background if request.kind == "predict" else self._interactive).add(request)
            self._changed.notify_all()

    def _at_a_time(self, request: Request) -> int:
        """How many requests like this one its model takes together."""
        model = self._models.get(request.message["model"])
        alone = request.message.get("urgent") or request.message.get("alone")
        return model.batch if model is not None and not alone else 1

    def _cancel(self, number: int) -> None:
        with self._changed:
            if any(request.number == number for request in self._interactive.under_way + self._background.under_way):
                self._cancelled.add(number)
                self._changed.notify_all()
                return
            removed = self._interactive.take_out(number) or self._background.take_out(number)
        if removed:
            self._link.send({"type": "cancelled", "request": number})

    # -- models

    def _load_models(self) -> None:
        # Only children load the model library, and this one only when it is needed: it takes seconds.
        from msarcnn.devices import CPU, Choice, DeviceError, choose_device, present_devices
        from msarcnn.predictor import Predictor

        while True:
            message = self._loads.get()
            try:
                chosen = choose_device(message["device"])
            except DeviceError as error:  # it may have been there when it was chosen
                chosen = Choice(CPU, f"{str(error)[:1].upper()}{str(error)[1:]}. The CPU computes.")
            try:
                model = Predictor.load(message["model"], chosen)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:  # CheckpointError is a ValueError
                self._link.send({"type": "refused", "request": message["request"], "text": str(error)})
                continue
            self._keep(model, chosen)
            name = _title(message["model"]) or model.name
            present = [{"id": one.id, "name": one.name, "bytes": one.memory()[1]} for one in present_devices()]
            facts = {"tau": model.tau, "batch": model.batch, "note": chosen.note, "devices": present}
            reply = {"hash": model.hash, "name": name, "device": model.device} | facts
            self._link.send({"type": "loaded", "request": message["request"]} | reply)

    def _keep(self, model: "Predictor", chosen: "Choice") -> None:
        def say(text: str) -> None:
            self._link.send({"type": "notice", "text": text, "hash": model.hash, "device": model.device})

        model.placed.say = say
        model.placed.make_room = self._cache.clear
        self._cache.clear()  # the same model may have been on another device
        self._cache.max_bytes = chosen.device.cache_bytes()
        self._models[model.hash] = model

    # -- requests

    def _work(self, requests: RequestQueue) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: requests.waiting)
                taken = requests.take(self._at_a_time)
            replies = self._answer(taken)
            with self._changed:
                requests.under_way = []
                for place, request in enumerate(taken):
                    if replies[place] is None and request.number in self._cancelled:
                        replies[place] = {"type": "cancelled"}
                    elif replies[place] is None:
                        requests.add(request)
                    self._cancelled.discard(request.number)
                    if request.kind == "estimate":
                        self._quiet_until = time.monotonic() + GRACE_SECONDS
                self._changed.notify_all()
            for request, reply in zip(taken, replies, strict=True):
                if reply is not None:
                    self._link.send(reply | {"request": request.number})

    def _answer(self, requests: Sequence[Request]) -> list[Message | None]:
        """A reply to each request; None when it yielded. What is not foreseen here ends the process."""
        model = self._models.get(requests[0].message["model"])
        if model is None:
            text = "The model that was asked is not loaded any more: ask again."
            return [{"type": "engine_error", "text": text} for _ in requests]
        for request in requests:
            self._link.send({"type": "begun", "request": request.number})
        if len(requests) > 1:
            return self._predict_together(requests, model)
        handlers: dict[str, Callable[[Message, Any], Message]] = {
            "predict": self._predict,
            "estimate": self._estimate,
            "encode": self._encode_ahead,
        }
        (request,) = requests
        return [_outcome(request.message, lambda: handlers[request.kind](request.message, model))]

    def _predict(self, request: Message, model: "Predictor") -> Message:
        def between_stages() -> None:
            self._yield_to_interactive([request])
            self._check(request)

        between_stages()
        notes, features = self._encode(request, model, between_stages, keep=request["urgent"])
        between_stages()
        found = model.find(features, between_stages)
        self._check(request)
        return _predicted(found) | _about(model, features.original_size, notes)

    def _predict_together(self, requests: Sequence[Request], model: "Predictor") -> list[Message | None]:
        messages = [request.message for request in requests]
        replies: list[Message | None] = [None] * len(requests)
        read: dict[int, LoadedImage] = {}
        for index, request in enumerate(requests):
            try:
                read[index] = self._pixels(request)
            except (ImageError, MemoryError) as error:
                replies[index] = _failure(request.message, error)

        def between_stages() -> None:
            self._yield_to_interactive(messages)
            with self._changed:
                if all(message["request"] in self._cancelled for message in messages):
                    raise _CancelledError

        def predict() -> Message:
            found = model.predict([image.pixels for image in read.values()], between_stages)
            for (index, image), people in zip(read.items(), found, strict=True):
                size = (image.pixels.shape[0], image.pixels.shape[1])
                replies[index] = _predicted(people) | _about(model, size, image.notes)
            return {}

        if read and (trouble := _outcome(messages[next(iter(read))], predict)):
            for index in read:
                replies[index] = trouble
        with self._changed:
            return [
                {"type": "cancelled"} if message["request"] in self._cancelled else reply
                for message, reply in zip(messages, replies, strict=True)
            ]

    def _estimate(self, request: Message, model: "Predictor") -> Message:
        from msarcnn.keypoints import heatmap_probabilities

        boxes = np.asarray(request["boxes"], np.float32).reshape(-1, 4)
        notes, features = self._encode(request, model, lambda: self._check(request), keep=True)
        logits = model.heatmaps(features, boxes)
        poses = model.decode(logits, boxes)
        maps = heatmap_probabilities(logits).half().cpu().numpy() if request["heatmaps"] else None
        self._check(request)
        return {
            "type": "estimated",
            "keypoints": poses.keypoints,
            "confidences": poses.confidences,
            "heatmaps": maps,
            "tau": model.tau,
        } | _about(model, features.original_size, notes)

    def _encode_ahead(self, request: Message, model: "Predictor") -> Message:
        def between_stages() -> None:
            self._check(request)
            with self._changed:
                if any(other.message["path"] != request["path"] for other in self._interactive.waiting):
                    raise _YieldError

        self._encode(request, model, between_stages, keep=True)
        return {"type": "encoded"}

    def _encode(
        self, request: Message, model: "Predictor", between_stages: Callable[[], None], keep: bool
    ) -> tuple[tuple[str, ...], Any]:
        """Reads and encodes an image unless it is in the cache (notes are lost then, they were given before)."""
        identity = _identity(request)
        key = (model.hash, model.device, *identity) if identity else None
        features = self._cache.get(key) if key else None
        if features is not None:
            return (), features
        image = read_image(request)
        between_stages()
        (features,) = model.encode([image.pixels], between_stages)
        if key is not None and keep:
            self._cache.put(key, features)
        return image.notes, features

    def _pixels(self, request: Request) -> LoadedImage:
        if request.reading is None:
            return read_image(request.message)
        return self._readers.finish(photo_of(request.message), request.reading)

    def _yield_to_interactive(self, requests: Sequence[Message]) -> None:
        """Blocks while interactive work is there or about to come, unless the requests are cancelled."""
        with self._changed:
            while not all(request["request"] in self._cancelled for request in requests):
                quiet = self._quiet_until - time.monotonic()
                if self._interactive.busy:
                    self._changed.wait()
                elif quiet > 0:
                    self._changed.wait(quiet)
                else:
                    return

    def _check(self, request: Message) -> None:
        with self._changed:
            if request["request"] in self._cancelled:
                raise _CancelledError


def _title(model: str | None) -> str:
    """What the user's library calls a model; "" where it does not have it, or cannot be read."""
    from msarcnn.model_library import ModelLibrary, find_model

    try:
        return ModelLibrary().title_of(find_model(model))
    except (ValueError, OSError):  # LibraryError is a ValueError
        return ""


def _outcome(request: Message, work: Callable[[], Message]) -> Message | None:
    """What work on a request comes to: its reply, or what went wrong; None when it yielded."""
    try:
        try:
            return work()
        except FeaturesLostError:
            return work()  # the device is another one now, and what was kept on the first is forgotten
    except _CancelledError:
        return {"type": "cancelled"}
    except _YieldError:
        return None
    except (ImageError, ValueError, RuntimeError, OSError, MemoryError) as error:
        return _failure(request, error)


def _failure(request: Message, error: Exception) -> Message:
    if isinstance(error, ImageError):
        # A file that is too large for the memory of this moment is no damaged one.
        short = isinstance(error.__cause__, MemoryError)
        return {"type": "engine_error" if short else "image_error", "text": str(error)}
    return {"type": "engine_error", "text": _engine_trouble(request, error)}


def _predicted(found: Any) -> Message:
    return {
        "type": "predicted",
        "boxes": found.boxes,
        "scores": found.scores,
        "keypoints": found.keypoints,
        "confidences": found.confidences,
    }


def _about(model: "Predictor", size: tuple[int, int], notes: tuple[str, ...]) -> Message:
    """size: (height, width)."""
    return {"width": size[1], "height": size[0], "model_hash": model.hash, "notes": list(notes)}


def _engine_trouble(request: Message, error: Exception) -> str:
    """A sentence for the user: which image, what the engine said, and the cure."""
    from msarcnn.devices import is_shortage

    path = os.fsencode(request["path"]).decode("utf-8", "backslashreplace")
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if is_shortage(error):
        return f"{path}: the model ran out of memory on it ({said}). Close other programs, or use a smaller model."
    return f"{path}: the model failed on it ({said}). Try it again; if that does not help, use another model."


def _identity(request: Message) -> tuple[object, ...] | None:
    """What the pixels depend on: a file that was changed is another one. None when there is no such file."""
    path = Path(os.fsdecode(request["root"] or b""), os.fsdecode(request["path"]))
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None  # reading it will tell what is wrong
    size = request["labelled_size"]
    return (str(path), tuple(size) if size else None, status.st_mtime_ns, status.st_size)


def main() -> None:
    Engine(ParentLink()).serve()


if __name__ == "__main__":
    main()
