"""The GUI side of the project file: a thread that owns it, and callbacks on the GUI thread."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from app.document.document import Document
from app.document.records import Edit
from app.storage.errors import ProjectError
from app.storage.project import OpenedImage, Project
from app.storage.rows import with_edits
from app.storage.side_file import SideFile
from app.storage.writer_thread import (
    EditSaved,
    EditSetAside,
    Failed,
    Job,
    Opened,
    OpenFailed,
    Report,
    StoreClosedError,
    Succeeded,
    Trouble,
    WriterThread,
)

R = TypeVar("R")


class ProjectStore(QObject):
    """Front of the writer thread: everything that touches the project file goes through here, in order.

    Edits are kept until their transaction is committed. When one cannot be written (disk full, ...), it and
    all later ones wait, `failed` says so, and they are tried again by themselves, on the next edit and on
    closing; reading goes on meanwhile. One that can never be written goes into a side file, and `set_aside` says so.
    """

    saved = Signal(int)
    """int: edits still waiting, after a commit. 0: everything is on the disk."""
    failed = Signal(str)
    """str: a sentence. Edits cannot be written at the moment, or the file turned out to be damaged."""
    set_aside = Signal(int, str)
    """An edit is in a side file, since the project does not take it. int: how many there are; str: a sentence."""
    opened = Signal()
    open_failed = Signal(object)
    """Exception (ProjectError, ProjectLockedError): the project could not be opened; only `close` is left."""
    image_saved = Signal(object)
    """ImageRecord as committed: for lists, also of images that are not open."""

    _reported = Signal(object)

    def __init__(
        self, opener: Callable[[], Project], parent: QObject | None = None, elsewhere: Path | None = None
    ) -> None:
        """Starts the thread; `opener` runs on it. See `open` and `create` for waiting.

        elsewhere: a folder for side files that cannot be written beside the project.
        """
        super().__init__(parent)
        self.path: Path | None = None
        self.read_only = False
        self.notes: tuple[str, ...] = ()
        """What whoever has opened the project should know: sentences."""
        self._unsaved: deque[Edit] = deque()
        self._closed = False
        self._next_person_key = 0
        self._reported.connect(self._on_reported, Qt.ConnectionType.QueuedConnection)
        self._elsewhere = elsewhere
        self._writer = WriterThread(opener, self._reported.emit, elsewhere)
        self._writer.start()

    @classmethod
    def open(cls, path: Path, read_only: bool = False, parent: QObject | None = None) -> "ProjectStore":
        """Opens a project and waits for it. Raises ProjectError."""
        return cls._waited(cls(partial(Project.open, path, read_only), parent))

    @classmethod
    def create(cls, path: Path, parent: QObject | None = None) -> "ProjectStore":
        """Creates a project and waits for it. Raises ProjectError."""
        return cls._waited(cls(partial(Project.create, path), parent))

    @staticmethod
    def _waited(store: "ProjectStore") -> "ProjectStore":
        try:
            store._take(store.call(Opened.from_project))
        except ProjectError:
            store.close()
            raise
        return store

    @property
    def pending(self) -> int:
        """Edits that are not yet on the disk, as far as the GUI thread knows."""
        return len(self._unsaved)

    def bind(self, document: Document) -> None:
        """Persists every edit of a document from now on, and tells it which person keys are taken.

        To be called when the project is open: after `opened`, or on what `open` and `create` return.
        """
        document.reserve_keys(self._next_person_key)
        document.edited.connect(self.save)

    def _take(self, opened: Opened) -> None:
        self.path, self.read_only = opened.path, opened.read_only
        self._next_person_key = opened.next_person_key
        self.notes = (*opened.notes, *SideFile(opened.path, self._elsewhere).notes())

    @Slot(object)
    def save(self, edit: Edit) -> None:
        """Queues an edit; `saved` follows its commit."""
        self._unsaved.append(edit)
        self._writer.put(Job(edit=edit))

    def submit(
        self,
        function: Callable[[Project], R],
        done: Callable[[R], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        """Runs a function on the writer thread, after all that was queued before; callbacks on this one.

        An exception goes to `failed`, or to the signal of that name when there is no callback.
        """
        self._writer.put(Job(function, done, failed))

    def call(self, function: Callable[[Project], R], timeout: float = 30.0) -> R:
        """Runs a function on the writer thread and waits: for start-up, tests and closing.

        Raises what the function raises, and TimeoutError.
        """
        future: Future[R] = Future()
        self._writer.put(Job(function, future=future))
        return future.result(timeout)

    def load_image(
        self,
        key: int,
        done: Callable[[OpenedImage], object],
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        """Loads an image as it is at the moment of the callback, edits that are still queued included."""

        def loaded(image: OpenedImage) -> None:
            waiting = [edit for edit in self._unsaved if edit.image == key]
            done(with_edits(*image, waiting))

        self.submit(lambda project: project.load_image(key), loaded, failed)

    def when_saved(self, done: Callable[[], object], failed: Callable[[Exception], object] | None = None) -> None:
        """Calls `done` when all edits made so far are on the disk (before an export), `failed` if they cannot be."""

        def check(waiting: int) -> None:
            if not waiting:
                done()
                return
            error = StoreClosedError(f"{waiting} edits are not saved yet; see the message about the project file")
            if failed is not None:
                failed(error)
            else:
                self.failed.emit(str(error))

        self.submit(lambda project: len(self._writer.blocked), check, failed)

    def run_batches(
        self,
        start: Callable[[Project], Iterator[R]],
        progress: Callable[[R], object],
        done: Callable[[bool], object],
        failed: Callable[[Exception], object],
    ) -> Callable[[], None]:
        """Runs an iterator's steps on the writer thread, other jobs in between; returns a function that stops it.

        `progress` is given what every step yields; `done` is told whether the iterator came to its end: False when it
        was stopped before.
        """
        stopped = threading.Event()
        batches: list[Iterator[R]] = []
        end = object()

        def step(project: Project) -> R | object:
            if not batches:
                batches.append(start(project))
            if stopped.is_set():
                batches[0].close()  # type: ignore[attr-defined]
                return stopped
            return next(batches[0], end)

        def stepped(state: R | object) -> None:
            if state is stopped or state is end:
                done(state is end)
                return
            progress(state)  # type: ignore[arg-type]
            self.submit(step, stepped, failed)

        self.submit(step, stepped, failed)
        return stopped.set

    def drain(self, timeout: float = 30.0) -> bool:
        """Waits until every edit is on the disk, trying failed ones again; False when that does not succeed."""
        self._writer.retry()
        return self.call(lambda project: len(self._writer.blocked), timeout) == 0

    def close(self) -> int:
        """Writes what is queued, closes the file, joins the thread. Idempotent.

        Returns:
            How many edits could not be written, 0 unless the disk failed to the end; ask `drain` before
            closing whether that threatens, and `left_in` afterwards where they are.
        """
        if not self._closed:
            self._closed = True
            self._writer.close()
        return len(self._writer.blocked)

    @property
    def left_in(self) -> Path | None:
        """After `close`: the side file with the edits that could not be written; None when there is none."""
        return self._writer.left_in

    @Slot(object)
    def _on_reported(self, report: Report) -> None:
        if self._closed:
            return  # the window that the callbacks belong to may be gone
        match report:
            case Opened():
                self._take(report)
                self.opened.emit()
            case OpenFailed(error):
                self.open_failed.emit(error)
            case EditSaved(record):
                self._unsaved.popleft()
                self.saved.emit(len(self._unsaved))
                self.image_saved.emit(record)
            case EditSetAside(count, sentence):
                self._unsaved.popleft()
                self.set_aside.emit(count, sentence)
                self.saved.emit(len(self._unsaved))
            case Trouble(sentence):
                self.failed.emit(sentence)
            case Succeeded(done, result):
                done(result)
            case Failed(failed, error):
                if failed is not None:
                    failed(error)
                else:
                    self.failed.emit(str(error) or repr(error))
