"""The engine child: holds the model, answers about images. `python -P -m app.workers.engine_process`.

What goes wrong has one of two names: "image_error" is about the file, and stays so however often it is asked;
"engine_error" is about the model, the memory or the device, and may pass.

Three threads work: one loads models, one answers interactive requests, one works through the batch. The batch
waits between two stages of the network while anything interactive is to be done.
"""

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.workers.child import ParentLink
from app.workers.image_reading import read_image
from app.workers.wire import Message
from msarcnn.images import ImageError

if TYPE_CHECKING:
    from msarcnn.predictor import Features, Predictor

GRACE_SECONDS = 0.25
"""The batch stays quiet for this time after an estimate: while a box is dragged, the next one is about to come."""


_SHORTAGE = ("out of memory", "allocate memory", "not enough memory")
"""What the libraries' errors say when memory is short; they have no type in common."""


class _CancelledError(Exception):
    """The request is not wanted any more."""


class _YieldError(Exception):
    """Something more urgent came; the request is to be done later."""


class RequestQueue:
    """The requests of one thread, and which one it works on. Shared state is guarded by the engine's condition."""

    def __init__(self, rank: Callable[[Message], int]) -> None:
        """rank: requests of the lowest rank come first, in the order of their arrival."""
        self._rank = rank
        self.waiting: list[Message] = []
        self.current: Message | None = None

    def add(self, request: Message) -> None:
        place = sum(self._rank(other) <= self._rank(request) for other in self.waiting)
        self.waiting.insert(place, request)

    def take_out(self, number: int) -> bool:
        """Removes a request that has not begun."""
        before = len(self.waiting)
        self.waiting = [request for request in self.waiting if request["request"] != number]
        return len(self.waiting) < before

    @property
    def busy(self) -> bool:
        return self.current is not None or bool(self.waiting)


class Engine:
    """Answers requests; each gets exactly one reply, "image_error", "engine_error" and "cancelled" among them."""

    def __init__(self, link: ParentLink) -> None:
        self._link = link
        self._changed = threading.Condition()
        self._cancelled: set[int] = set()
        self._interactive = RequestQueue(lambda request: request["type"] != "estimate")
        self._background = RequestQueue(lambda request: not request["urgent"])
        self._loads: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._predictor: Predictor | None = None
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
                    (self._background if message["type"] == "predict" else self._interactive).add(message)
                    self._changed.notify_all()

    def _cancel(self, number: int) -> None:
        with self._changed:
            current = (self._interactive.current, self._background.current)
            if any(request and request["request"] == number for request in current):
                self._cancelled.add(number)
                self._changed.notify_all()
                return
            removed = self._interactive.take_out(number) or self._background.take_out(number)
        if removed:
            self._link.send({"type": "cancelled", "request": number})

    # -- models

    def _load_models(self) -> None:
        # Only children load the model library, and this one only when it is needed: it takes seconds.
        from msarcnn.predictor import Predictor

        while True:
            message = self._loads.get()
            try:
                predictor = Predictor.load(message["model"], message["device"])
            except (ValueError, OSError, RuntimeError) as error:  # CheckpointError is a ValueError
                self._link.send({"type": "refused", "request": message["request"], "text": str(error)})
                continue
            with self._changed:
                self._predictor = predictor
            reply = {
                "hash": predictor.model_hash,
                "name": predictor.name,
                "tau": predictor.keypoint_threshold,
                "device": str(predictor.device),
            }
            self._link.send({"type": "loaded", "request": message["request"]} | reply)

    # -- requests

    def _work(self, requests: RequestQueue) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: requests.waiting)
                request = requests.current = requests.waiting.pop(0)
            reply = self._answer(request)
            with self._changed:
                requests.current = None
                if reply is None and request["request"] in self._cancelled:
                    reply = {"type": "cancelled"}
                elif reply is None:
                    requests.add(request)
                self._cancelled.discard(request["request"])
                if request["type"] == "estimate":
                    self._quiet_until = time.monotonic() + GRACE_SECONDS
                self._changed.notify_all()
            if reply is not None:
                self._link.send(reply | {"request": request["request"]})

    def _answer(self, request: Message) -> Message | None:
        """The reply to a request; None when it yielded. What is not foreseen here ends the process."""
        handlers: dict[str, Callable[[Message, Any], Message]] = {
            "predict": self._predict,
            "estimate": self._estimate,
            "encode": self._encode_ahead,
        }
        predictor = self._predictor
        if predictor is None:
            return {"type": "engine_error", "text": "No model is loaded: choose one first."}
        self._link.send({"type": "begun", "request": request["request"]})
        try:
            return handlers[request["type"]](request, predictor)
        except _CancelledError:
            return {"type": "cancelled"}
        except _YieldError:
            return None
        except ImageError as error:
            # A file that is too large for the memory of this moment is no damaged one.
            short = isinstance(error.__cause__, MemoryError)
            return {"type": "engine_error" if short else "image_error", "text": str(error)}
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            return {"type": "engine_error", "text": _engine_trouble(request, error)}

    def _predict(self, request: Message, predictor: "Predictor") -> Message:
        def between_stages() -> None:
            self._yield_to_interactive(request)
            self._check(request)

        between_stages()
        notes, features = self._encode(request, predictor, between_stages, keep=request["urgent"])
        between_stages()
        detections = predictor.detect(features)
        corners = detections.boxes
        sound = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        boxes, scores = corners[sound], detections.scores[sound]
        between_stages()
        poses = predictor.estimate(features, boxes)
        self._check(request)
        return {
            "type": "predicted",
            "boxes": boxes,
            "scores": scores,
            "keypoints": poses.keypoints,
            "confidences": poses.confidences,
        } | self._about(predictor, features, notes)

    def _estimate(self, request: Message, predictor: "Predictor") -> Message:
        notes, features = self._encode(request, predictor, lambda: self._check(request), keep=True)
        boxes = np.asarray(request["boxes"], np.float32).reshape(-1, 4)
        poses = predictor.estimate(features, boxes, request["heatmaps"])
        self._check(request)
        return {
            "type": "estimated",
            "keypoints": poses.keypoints,
            "confidences": poses.confidences,
            "heatmaps": poses.heatmaps,
            "tau": predictor.keypoint_threshold,
        } | self._about(predictor, features, notes)

    def _encode_ahead(self, request: Message, predictor: "Predictor") -> Message:
        def between_stages() -> None:
            self._check(request)
            with self._changed:
                if any(other["path"] != request["path"] for other in self._interactive.waiting):
                    raise _YieldError

        self._encode(request, predictor, between_stages, keep=True)
        return {"type": "encoded"}

    def _encode(
        self, request: Message, predictor: "Predictor", between_stages: Callable[[], None], keep: bool
    ) -> tuple[tuple[str, ...], "Features"]:
        """Reads and encodes an image unless it is in the cache (notes are lost then, they were given before)."""
        key = _identity(request)
        features = predictor.cached(key) if key else None
        if features is not None:
            return (), features
        image = read_image(request)
        between_stages()
        return image.notes, predictor.encode(image.pixels, key if keep else None, between_stages)

    def _yield_to_interactive(self, request: Message) -> None:
        """Blocks while interactive work is there or about to come, unless the request is cancelled."""
        with self._changed:
            while request["request"] not in self._cancelled:
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

    @staticmethod
    def _about(predictor: "Predictor", features: "Features", notes: tuple[str, ...]) -> Message:
        height, width = features.original_size
        return {"width": width, "height": height, "model_hash": predictor.model_hash, "notes": list(notes)}


def _engine_trouble(request: Message, error: Exception) -> str:
    """A sentence for the user: which image, what the engine said, and the cure."""
    path = os.fsencode(request["path"]).decode("utf-8", "backslashreplace")
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if isinstance(error, MemoryError) or any(words in said.lower() for words in _SHORTAGE):
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
