"""Images decoded ahead in processes of their own, for a model that is faster than one core decodes. No torch."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from msarcnn.images import ImageError, LoadedImage, Photo

_AHEAD = 3
"""Photos that are begun or ready for each process."""
_BYTES_AHEAD = 1 << 30
"""Bound on the pixels that wait, by the size of the photos of late."""
_FIRST_GUESS = 36 << 20
"""Bytes of a photo before one was read: 12 megapixels."""


def reading_processes() -> int:
    """How many processes decode: most of the cores, since the model computes elsewhere."""
    return max(min((os.cpu_count() or 1) - 1, 12), 1)


class Readers:
    """Processes that decode photos. They start with the first one, and end with this process at the latest.

    One that dies takes nothing with it: what was under way is read again, each photo by itself.
    """

    def __init__(self, processes: int | None = None) -> None:
        """processes: how many; by default `reading_processes()`."""
        self.processes = processes or reading_processes()
        self._pool: ProcessPoolExecutor | None = None
        self._photo_bytes = float(_FIRST_GUESS)
        self._lock = threading.Lock()

    @property
    def most(self) -> int:
        """How many photos to have under way at a time."""
        return max(min(self.processes * _AHEAD, int(_BYTES_AHEAD / self._photo_bytes)), 2)

    def begin(self, photo: Photo) -> "Future[LoadedImage]":
        """Reads a photo in the background; the pixels are got by `finish`."""
        with self._lock:
            if self._pool is None:
                self._pool = _pool(self.processes)
            try:
                return self._pool.submit(_read, photo)
            except BrokenProcessPool:
                self._pool = _pool(self.processes)
                return self._pool.submit(_read, photo)

    def finish(self, photo: Photo, begun: "Future[LoadedImage]") -> LoadedImage:
        """Waits for a photo that was begun. Raises MemoryError; ImageError also when whoever reads it dies of it."""
        try:
            image = begun.result()
            self._photo_bytes = max(0.8 * self._photo_bytes, image.pixels.nbytes, 1.0)
            return image
        except BrokenProcessPool:
            pass
        with _pool(1) as alone:
            try:
                return alone.submit(_read, photo).result()
            except BrokenProcessPool as error:
                raise ImageError(
                    photo.path, "whatever reads it dies of it", "leave it out, or save it anew with another program"
                ) from error

    def close(self) -> None:
        """Ends the processes; what is not begun is not done."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def read_ahead(photos: Iterable[Photo], readers: Readers) -> Iterator[LoadedImage | ImageError]:
    """Pictures, or what is wrong with them, in the order of the photos, of which the next ones are being read."""
    waiting: deque[tuple[Photo, Future[LoadedImage]]] = deque()
    for photo in photos:
        waiting.append((photo, readers.begin(photo)))
        if len(waiting) > readers.most:
            yield outcome(*waiting.popleft(), readers)
    while waiting:
        yield outcome(*waiting.popleft(), readers)


def outcome(
    photo: Photo, begun: "Future[LoadedImage] | None" = None, readers: Readers | None = None
) -> LoadedImage | ImageError:
    """A picture, or what is wrong with it: of a photo that others have begun to read, or read here."""
    try:
        return readers.finish(photo, begun) if begun is not None and readers is not None else photo.read()
    except ImageError as error:
        return error
    except MemoryError:
        return ImageError(photo.path, "the memory was too short to read it", "close other programs, or make it smaller")


def _read(photo: Photo) -> LoadedImage:
    try:
        return photo.read()
    except ImageError as error:
        if isinstance(error.__cause__, MemoryError):  # causes do not travel between processes
            raise MemoryError(str(error)) from error
        raise


def _pool(processes: int) -> ProcessPoolExecutor:
    # Spawned: a fork of a process that computes on a GPU cannot be used.
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    """Without this, a process whose parent was killed would wait for work for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
