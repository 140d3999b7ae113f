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
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.workers.child import ParentLink
from app.workers.engine_requests import Request, RequestQueue, in_groups
from app.workers.image_reading import photo_of, read_image
from app.workers.wire import Message
from msarcnn.feature_cache import FeatureCache
from msarcnn.images import ImageError, LoadedImage
from msarcnn.pose_model import FeaturesLostError
from msarcnn.read_ahead import Readers

if TYPE_CHECKING:
    from msarcnn.devices import Choice, Device
    from msarcnn.predictor import Predictor

GRACE_SECONDS = 0.25
"""The batch stays quiet for this time after an estimate: while a box is dragged, the next one is about to come."""
MOST_MODELS = 2
"""Models that are kept: the one in use, and the one before it, to go back to or to compare with."""
GROUP_BYTES = 256 << 20
"""Pixels of a batch that are worked on at a time."""
IDLE_SECONDS = 60.0
"""The processes that read photos ahead end when no batch has come for so long."""


class _CancelledError(Exception):
    """The request is not wanted any more."""


class _YieldError(Exception):
    """Something more urgent came; the request is to be done later."""


class Engine:
    """Answers requests; each gets exactly one reply, "image_error", "engine_error" and "cancelled" among them."""

    def __init__(self, link: ParentLink) -> None:
        self._link = link
        self._changed = threading.Condition()
        self._cancelled: set[int] = set()
        self._interactive = RequestQueue(lambda message: message["type"] != "estimate")
        self._background = RequestQueue(lambda message: not message["urgent"])
        self._loads: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._models: OrderedDict[str, Predictor] = OrderedDict()
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
            elif message["type"] == "cancel":
                self._cancel(message["request"])
            else:
                with self._changed:
                    request = Request(message, self._models.get(message["model"]))
                    (self._background if request.kind == "predict" else self._interactive).add(request)
                    self._read_ahead()
                    self._changed.notify_all()

    def _read_ahead(self) -> None:
        """Lets the photos be read that come next and are worked on in groups, within the readers' bounds."""
        under_way = sum(request.reading is not None for request in self._background.under_way)
        for request in self._background.waiting[: max(self._readers.most - under_way, 0)]:
            together = in_groups(request) and request.model is not None and request.model.batch > 1
            if together and request.reading is None:
                with suppress(OSError):  # no process could be started: it is read here
                    request.reading = self._readers.begin(photo_of(request.message))

    def _cancel(self, number: int) -> None:
        with self._changed:
            if any(request.number == number for request in self._interactive.under_way + self._background.under_way):
                self._cancelled.add(number)
                self._changed.notify_all()
                return
            removed = self._interactive.take_out(number) or self._background.take_out(number)
        if removed is not None:
            if removed.reading is not None:
                removed.reading.cancel()
            self._link.send({"type": "cancelled", "request": number})

    # -- models

    def _load_models(self) -> None:
        # Only children load the model library, and this one only when it is needed: it takes seconds.
        from msarcnn.devices import CPU, Choice, DeviceError, choose_device, present_devices

        told = False
        while True:
            message = self._loads.get()
            notes: list[str] = []
            try:
                chosen = choose_device(message["device"])
            except DeviceError as error:  # it may have been there when it was chosen
                chosen = Choice(CPU)
                notes.append(f"{str(error)[:1].upper()}{str(error)[1:]}. The CPU computes.")
            try:
                model = self._model(message["model"], chosen, notes.append)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:  # CheckpointError is a ValueError
                text = str(error) or "the memory is too short for it; close other programs"
                self._link.send({"type": "refused", "request": message["request"], "text": text})
                continue
            self._keep(model, message["request"])
            self._link.send(
                {
                    "type": "loaded",
                    "request": message["request"],
                    "hash": model.hash,
                    "name": _title(message["model"]) or model.name,
                    "tau": model.tau,
                    "device": _facts(model.placed.device),
                    "batch": model.batch,
                    "notes": notes,
                }
            )
            if not told:  # after the answer: a driver that hangs must not keep anybody from the CPU
                told = True
                self._link.send({"type": "devices", "devices": [_facts(one) for one in present_devices()]})

    def _model(self, name: str | None, chosen: "Choice", say: Callable[[str], None]) -> "Predictor":
        """The model, the one that is there already if it is the same file on the same device."""
        from msarcnn.model_files import file_hash
        from msarcnn.model_library import find_model
        from msarcnn.predictor import Predictor

        kept = self._models.get(file_hash(find_model(name)))
        if kept is not None and kept.device == chosen.device.id:
            if chosen.note:
                say(chosen.note)
            return kept
        return Predictor.load_for(name, chosen, say)

    def _keep(self, model: "Predictor", load: int) -> None:
        """Lets a model answer, beside the one that was loaded before it on the same device."""

        def say(text: str) -> None:
            if model.placed.device is not device:
                self._cache.set_bound(model.placed.device.cache_bytes())
            state = {"device": _facts(model.placed.device), "batch": model.batch}
            self._link.send({"type": "notice", "text": text, "load": load} | state)

        device = model.placed.device
        model.placed.say, model.placed.make_room = say, self._cache.clear
        with self._changed:
            left = [one.placed.device for one in self._models.values() if one.device != model.device]
            kept = [one for one in self._models.values() if one.device == model.device and one.hash != model.hash]
            self._models = OrderedDict((one.hash, one) for one in [*kept, model][-MOST_MODELS:])
        if left:
            self._cache.clear()
        for other in left:
            other.release()  # now that nobody refers to the models there any more
        self._cache.set_bound(device.cache_bytes())

    # -- requests

    def _work(self, requests: RequestQueue) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: requests.waiting, IDLE_SECONDS):
                    if requests is self._background:
                        self._readers.close()
                    continue
                taken = requests.take(lambda first: first.model.batch if first.model and in_groups(first) else 1)
                self._read_ahead()
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
            del taken, replies, request, reply  # pixels among them, which nobody needs while this thread waits

    def _answer(self, requests: Sequence[Request]) -> list[Message | None]:
        """A reply to each request; None when it yielded. What is not foreseen here ends the process."""
        if requests[0].model is None:
            text = "The model that was asked is not loaded any more: ask again."
            return [{"type": "engine_error", "text": text} for _ in requests]
        for request in requests:
            self._link.send({"type": "begun", "request": request.number})
        if len(requests) > 1:
            return self._predict_together(requests, requests[0].model)
        return [self._answer_one(requests[0], requests[0].model)]

    def _answer_one(self, request: Request, model: "Predictor") -> Message | None:
        handlers: dict[str, Callable[[Request, Any], Message]] = {
            "predict": self._predict,
            "estimate": self._estimate,
            "encode": self._encode_ahead,
        }
        return _outcome(request.message, lambda: handlers[request.kind](request, model))

    def _predict(self, request: Request, model: "Predictor") -> Message:
        def between_stages() -> None:
            self._yield_to_interactive([request])
            self._check(request)

        between_stages()
        if request.message["harder"]:
            return self._look_harder(request, model, between_stages)
        notes, features = self._encode(request, model, between_stages, keep=request.message["urgent"])
        between_stages()
        found = model.find(features, model.placed.between_stages(between_stages))
        self._check(request)
        return _predicted(found) | _about(model, features.original_size, notes)

    def _look_harder(self, request: Request, model: "Predictor", between_stages: Callable[[], None]) -> Message:
        """Test-time augmentation. What is encoded for it is not kept: it is many times an image."""
        from msarcnn.augmented import AugmentedModel

        image = self._pixels(request)
        (found,) = AugmentedModel(model).predict([image.pixels], model.placed.between_stages(between_stages))
        self._check(request)
        return _predicted(found) | _about(model, image.pixels.shape[:2], image.notes)

    def _predict_together(self, requests: Sequence[Request], model: "Predictor") -> list[Message | None]:
        """As many at a time as fit into `GROUP_BYTES`; where a group fails, each of its images by itself."""
        replies: dict[int, Message | None] = {}
        group: dict[int, tuple[Request, LoadedImage]] = {}
        for place, request in enumerate(requests):
            try:
                group[place] = request, self._pixels(request)
            except (ImageError, MemoryError) as error:
                replies[place] = _failure(request.message, error)
            held = sum(image.pixels.nbytes for _, image in group.values())
            if group and (held >= GROUP_BYTES or place == len(requests) - 1):
                replies |= self._predict_group(group, model)
                group = {}
        if group:
            replies |= self._predict_group(group, model)
        with self._changed:
            return [
                {"type": "cancelled"} if request.number in self._cancelled else replies[place]
                for place, request in enumerate(requests)
            ]

    def _predict_group(
        self, group: Mapping[int, tuple[Request, LoadedImage]], model: "Predictor"
    ) -> dict[int, Message | None]:
        def between_stages() -> None:
            self._yield_to_interactive(requests)
            with self._changed:
                if all(request.number in self._cancelled for request in requests):
                    raise _CancelledError

        def predict(places: Sequence[int]) -> dict[int, Message]:
            images = [group[place][1] for place in places]
            found = model.predict([image.pixels for image in images], between_stages)
            return {
                place: _predicted(people) | _about(model, image.pixels.shape[:2], image.notes)
                for place, image, people in zip(places, images, found, strict=True)
            }

        requests = [request for request, _ in group.values()]
        try:
            return dict(predict(list(group)))
        except _CancelledError:
            return {place: {"type": "cancelled"} for place in group}
        except (ValueError, RuntimeError, MemoryError):
            pass  # of which image it was, nobody knows
        replies: dict[int, Message | None] = {}
        for place, (request, _) in group.items():

            def alone(place: int = place) -> Message:
                return predict([place])[place]

            replies[place] = _outcome(request.message, alone)
        return replies

    def _estimate(self, request: Request, model: "Predictor") -> Message:
        from msarcnn.keypoints import heatmap_probabilities

        boxes = np.asarray(request.message["boxes"], np.float32).reshape(-1, 4)
        notes, features = self._encode(request, model, lambda: self._check(request), keep=True)
        answer = model.heatmaps(features, boxes)
        known = request.message["known"]
        unaware = None
        poses = model.decode(answer, boxes)
        if known is not None:
            unaware, poses = poses.keypoints, model.decode(answer, boxes, np.asarray(known, np.float32)[None])
        maps = heatmap_probabilities(answer.logits.cpu()).half().numpy() if request.message["heatmaps"] else None
        self._check(request)
        joint = request.message["levels_of"]
        levels = None if joint is None else model.levels(features, boxes[0], joint)
        return {
            "type": "estimated",
            "levels": levels,
            "unaware": unaware,
            "keypoints": poses.keypoints,
            "confidences": poses.confidences,
            "visibility": poses.visibility,
            "heatmaps": maps,
            "tau": model.tau,
        } | _about(model, features.original_size, notes)

    def _encode_ahead(self, request: Request, model: "Predictor") -> Message:
        def between_stages() -> None:
            self._check(request)
            with self._changed:
                path = request.message["path"]
                if any(other.message["path"] != path for other in self._interactive.waiting):
                    raise _YieldError

        self._encode(request, model, between_stages, keep=True)
        return {"type": "encoded"}

    def _encode(
        self, request: Request, model: "Predictor", between_stages: Callable[[], None], keep: bool
    ) -> tuple[tuple[str, ...], Any]:
        """Reads and encodes an image unless it is in the cache (notes are lost then, they were given before)."""
        identity = _identity(request.message)
        key = (model.hash, model.device, *identity) if identity else None
        features = self._cache.get(key) if key else None
        if features is not None:
            return (), features
        image = self._pixels(request)
        between_stages()
        (features,) = model.encode([image.pixels], between_stages)
        if key is not None and keep:
            self._cache.put(key, features)
        return image.notes, features

    def _pixels(self, request: Request) -> LoadedImage:
        reading, request.reading = request.reading, None
        if reading is None or reading.cancelled():
            return read_image(request.message)
        return self._readers.finish(photo_of(request.message), reading)

    def _yield_to_interactive(self, requests: Sequence[Request]) -> None:
        """Blocks while interactive work is there or about to come, unless the requests are cancelled."""
        with self._changed:
            while not all(request.number in self._cancelled for request in requests):
                quiet = self._quiet_until - time.monotonic()
                if self._interactive.busy:
                    self._changed.wait()
                elif quiet > 0:
                    self._changed.wait(quiet)
                else:
                    return

    def _check(self, request: Request) -> None:
        with self._changed:
            if request.number in self._cancelled:
                raise _CancelledError


def _facts(device: "Device") -> Message:
    return {"id": device.id, "name": device.name, "bytes": device.total_memory()}


def _title(model: str | None) -> str:
    """What the user's library calls a model; "" where it does not have it, or cannot be read."""
    from msarcnn.model_library import ModelLibrary, find_model

    try:
        return ModelLibrary().title_of(find_model(model))
    except (ValueError, OSError):  # LibraryError is a ValueError
        return ""


def _outcome(request: Message, work: Callable[[], Message]) -> Message | None:
    """What work on a request comes to: its reply, or what went wrong; None when it yielded."""
    for _ in range(2):
        try:
            return work()
        except _CancelledError:
            return {"type": "cancelled"}
        except _YieldError:
            return None
        except FeaturesLostError as error:
            # The device is another one now, and what was kept on the first is forgotten: once more.
            failure = _failure(request, error)
        except (ImageError, ValueError, RuntimeError, OSError, MemoryError) as error:
            return _failure(request, error)
    return failure


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
        "visibility": found.visibility,
        "summary": found.summary,
    }


def _about(model: "Predictor", size: Sequence[int], notes: tuple[str, ...]) -> Message:
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
