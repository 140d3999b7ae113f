"""Which images of which batch are waiting, under way and done. No Qt, no process: bookkeeping only."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from app.workers.payloads import ImageFile

MOST_DEATHS = 2
"""A batch image in whose work the engine died that often is given up."""
MOST_TRIES = 2
"""How often an image is tried on which the engine fails; the second time after the others of its batch."""
MOST_TROUBLES_IN_A_ROW = 5
"""After so many failures with no success between them a batch is given up: it is not the images."""

UNKNOWN_ETA = -1.0


@dataclass(eq=False)
class Batch:
    """One request to pre-fill images.

    Attributes:
        id: Its number.
        total: Number of images at the start.
        urgent: Goes ahead of batches that are not; its features stay in the engine's cache.
        harder: Looks in several sizes, and at the mirror images (msarcnn.augmented).
        waiting: Images not sent yet.
        under_way: Images that the engine holds, by request.
        done: Images finished, failed ones included.
        tries: How often the engine has failed on an image, where it has.
        troubles_in_a_row: Failures of the engine since an image was done.
    """

    id: int
    total: int
    urgent: bool
    harder: bool
    waiting: deque[ImageFile]
    under_way: dict[int, ImageFile] = field(default_factory=dict)
    done: int = 0
    tries: dict[ImageFile, int] = field(default_factory=dict)
    troubles_in_a_row: int = 0
    paused: bool = False
    cancelled: bool = False
    worked_seconds: float = 0.0
    working_since: float | None = None

    @property
    def finished(self) -> bool:
        return not self.waiting and not self.under_way

    @property
    def hopeless(self) -> bool:
        """Whether the engine fails on whatever it gets."""
        return self.troubles_in_a_row >= MOST_TROUBLES_IN_A_ROW

    def engine_failed(self, image: ImageFile) -> bool:
        """Notes that the engine could not work on an image; returns whether it is tried again, after the others."""
        self.troubles_in_a_row += 1
        self.tries[image] = self.tries.get(image, 0) + 1
        if self.tries[image] >= MOST_TRIES:
            return False
        self.waiting.append(image)
        return True

    def succeeded(self, image: ImageFile) -> None:
        """Notes that the engine could work on an image."""
        self.troubles_in_a_row = 0
        self.tries.pop(image, None)

    def eta(self, now: float) -> float:
        """Seconds to go at the pace so far, pauses left out; UNKNOWN_ETA before the first image is done."""
        if not self.done:
            return UNKNOWN_ETA
        worked = self.worked_seconds + (now - self.working_since if self.working_since is not None else 0.0)
        return worked / self.done * (self.total - self.done)

    def stop_clock(self, now: float) -> None:
        if self.working_since is not None:
            self.worked_seconds += now - self.working_since
            self.working_since = None


class BatchQueue:
    """All batches, first come first served; urgent ones run beside the first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._batches: dict[int, Batch] = {}
        self._deaths: dict[ImageFile, int] = {}
        self._suspects: set[ImageFile] = set()
        self._begun: set[int] = set()
        self._last_id = 0
        self._at_a_time = 1

    def set_at_a_time(self, images: int) -> None:
        """Says how many images the engine works on at a time; it holds twice as many, so that it never idles."""
        self._at_a_time = images

    def __iter__(self) -> Iterator[Batch]:
        return iter(tuple(self._batches.values()))

    def add(self, images: Iterable[ImageFile], urgent: bool, harder: bool = False) -> Batch:
        self._last_id += 1
        waiting = deque(images)
        batch = Batch(self._last_id, len(waiting), urgent, harder, waiting)
        self._batches[batch.id] = batch
        return batch

    def get(self, batch: int) -> Batch | None:
        return self._batches.get(batch)

    def remove(self, batch: Batch) -> None:
        self._batches.pop(batch.id, None)

    def next(self) -> tuple[Batch, ImageFile] | None:
        """Takes the image to send next; the caller follows with `sent`."""
        first_seen = False
        for batch in self._batches.values():
            if batch.paused or batch.cancelled or (first_seen and not batch.urgent):
                continue
            first_seen = first_seen or not batch.urgent
            if batch.waiting and len(batch.under_way) < 2 * self._at_a_time:
                return batch, batch.waiting.popleft()
        return None

    def sent(self, batch: Batch, request: int, image: ImageFile) -> None:
        batch.under_way[request] = image
        if batch.working_since is None:
            batch.working_since = self._clock()

    def begun(self, request: int) -> None:
        """The engine started to work on it, maybe together with others; what is of no batch does not count."""
        if any(request in batch.under_way for batch in self._batches.values()):
            self._begun.add(request)

    def is_suspect(self, image: ImageFile) -> bool:
        """Whether the engine died while it worked on this image and others: it has to be done alone now."""
        return image in self._suspects

    def take(self, request: int) -> tuple[Batch, ImageFile] | None:
        """The engine is through with it; None when nobody waits for it any more."""
        self._begun.discard(request)
        for batch in self._batches.values():
            image = batch.under_way.pop(request, None)
            if image is not None:
                return batch, image
        return None

    def finish_image(self, batch: Batch, image: ImageFile) -> float:
        """Counts an image as done; returns the batch's ETA in seconds."""
        self._deaths.pop(image, None)
        self._suspects.discard(image)
        batch.done += 1
        eta = batch.eta(self._clock())
        self._rest(batch)
        return eta

    def pause(self, batch: Batch, paused: bool) -> None:
        batch.paused = paused
        self._rest(batch)

    def engine_died(self) -> list[tuple[Batch, ImageFile]]:
        """Puts what was under way back to the front; returns the images that killed the engine too often."""
        guilty: list[tuple[Batch, ImageFile]] = []
        for batch in self._batches.values():
            for request, image in reversed(batch.under_way.items()):
                if request in self._begun and len(self._begun) > 1:
                    self._suspects.add(image)
                elif request in self._begun:
                    self._deaths[image] = self._deaths.get(image, 0) + 1
                if self._deaths.get(image, 0) >= MOST_DEATHS:
                    guilty.append((batch, image))
                else:
                    batch.waiting.appendleft(image)
            batch.under_way.clear()
            self._rest(batch)
        self._begun.clear()
        return guilty

    def _rest(self, batch: Batch) -> None:
        if not batch.under_way and (batch.paused or not batch.waiting):
            batch.stop_clock(self._clock())
