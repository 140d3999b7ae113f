"""The thread that owns a project file: runs jobs in order and keeps edits until they are on the disk."""

import errno
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.document.records import Edit, ImageRecord
from app.storage.project import Project
from app.storage.side_file import SideFile, may_pass

R = TypeVar("R")

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before an edit that could not be written is tried again; the last one repeats."""
IDLE_SECONDS = 2.0
"""A large project's tables are checked one by one when nothing was asked for this long."""


class StoreClosedError(Exception):
    """Something was asked of a store that is closed, or needs edits on the disk that cannot be written."""


@dataclass(slots=True)
class Job:
    """Either an edit, or a function with its callbacks or its future."""

    function: Callable[[Project], Any] | None = None
    done: Callable[[Any], object] | None = None
    failed: Callable[[Exception], object] | None = None
    future: Future[Any] | None = None
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    path: Path
    read_only: bool
    next_person_key: int
    notes: tuple[str, ...] = ()

    @classmethod
    def from_project(cls, project: Project) -> "Opened":
        return cls(project.path, project.read_only, project.next_person_key, project.notes)


@dataclass(frozen=True, slots=True)
class OpenFailed:
    error: Exception


@dataclass(frozen=True, slots=True)
class EditSaved:
    record: ImageRecord


@dataclass(frozen=True, slots=True)
class EditSetAside:
    """An edit that can never be written is in a side file; count: so many in this session. The rest goes on."""

    count: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence: edits cannot be written at the moment, or the file turned out to be damaged."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Succeeded:
    done: Callable[[Any], object]
    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    failed: Callable[[Exception], object] | None
    error: Exception


Report = Opened | OpenFailed | EditSaved | EditSetAside | Trouble | Succeeded | Failed


class WriterThread:
    """Runs jobs one after the other. Edits are written in their order, each in its own transaction.

    When an edit cannot be written now, it and all later ones wait in `blocked`, and are tried again after
    RETRY_SECONDS, with every new edit, on `retry` and at the end. Other jobs go on. One that can never be written
    (`side_file.may_pass`) is kept in a side file, and the later ones are written; so are those that wait at the end.
    """

    def __init__(
        self, opener: Callable[[], Project], report: Callable[[Report], object], elsewhere: Path | None = None
    ) -> None:
        """`report` is called on the thread; elsewhere: a second folder for side files."""
        self.blocked: deque[Edit] = deque()
        self.left_in: Path | None = None
        """After `close`: the side file that has the blocked edits; None where even that could not be written."""
        self._elsewhere = elsewhere
        self._set_aside = 0
        self._opener = opener
        self._report = report
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._attempts = 0
        self._unchecked: list[str] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="project writer")

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queues a job. Raises StoreClosedError after `close`."""
        if self._closed:
            raise StoreClosedError("the project is closed")
        self._jobs.put(job)

    def retry(self) -> None:
        """Tries the blocked edits again as soon as the queued jobs are done."""
        self.put(Job())

    def close(self) -> None:
        """Runs what is queued, closes the project and joins the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        project, error = _attempt(self._opener)
        if project is None:
            self._refuse_all(error or StoreClosedError("the project could not be opened"))
            return
        self._report(Opened.from_project(project))
        self._unchecked = _attempt(project.unchecked_tables)[0] or []
        while True:
            try:
                job = self._jobs.get(timeout=self._patience())
            except queue.Empty:
                self._idle(project)
                continue
            if job is None:
                break
            self._do(project, job)
        self._write_blocked(project)
        if self.blocked:
            side = SideFile(project.path, self._elsewhere)
            edits = list(self.blocked)
            self.left_in, _ = _attempt(lambda: side.keep(edits, "it could not be written before the end", project))
        project.close()

    def _refuse_all(self, error: Exception) -> None:
        """Answers every job of a project that could not be opened."""
        self._report(OpenFailed(error))
        while (job := self._jobs.get()) is not None:
            if job.edit is not None:
                self.blocked.append(job.edit)
            self._answer(job, None, error)

    def _patience(self) -> float | None:
        if self.blocked:
            return RETRY_SECONDS[min(self._attempts, len(RETRY_SECONDS)) - 1]
        return IDLE_SECONDS if self._unchecked else None

    def _idle(self, project: Project) -> None:
        if self.blocked:
            self._write_blocked(project)
        elif self._unchecked:
            table = self._unchecked.pop()
            _, error = _attempt(lambda: project.check_table(table))
            if error is not None:
                self._report(Trouble(str(error)))

    def _do(self, project: Project, job: Job) -> None:
        if job.edit is not None:
            self.blocked.append(job.edit)
        function = job.function
        if function is None:
            self._write_blocked(project)
            return
        result, error = _attempt(lambda: function(project))
        self._answer(job, result, error)

    def _answer(self, job: Job, result: Any, error: Exception | None) -> None:
        if job.future is not None:
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)
        elif error is not None:
            self._report(Failed(job.failed, error))
        elif job.done is not None:
            self._report(Succeeded(job.done, result))

    def _write_blocked(self, project: Project) -> None:
        while self.blocked:
            edit = self.blocked[0]
            record, error = _attempt(lambda: project.apply(edit))  # noqa: B023 - called at once
            if record is not None:
                report: Report = EditSaved(record)
            elif error is None or may_pass(error):
                self._wait(_not_saved(project.path, len(self.blocked), error))
                return
            else:
                kept, problem = _attempt(lambda: self._keep(project, edit, error))  # noqa: B023
                if kept is None:
                    self._wait(_not_kept(project.path, edit, error, problem))
                    return
                report = kept
            self._attempts = 0
            self.blocked.popleft()
            self._report(report)

    def _wait(self, sentence: str) -> None:
        self._attempts += 1
        self._report(Trouble(sentence))

    def _keep(self, project: Project, edit: Edit, error: Exception) -> EditSetAside:
        """Puts an edit that can never be written into the side file. Raises OSError when there is no place for it."""
        reason = _in_words(error)
        path = SideFile(project.path, self._elsewhere).keep([edit], reason, project)
        self._set_aside += 1
        noun = "1 edit" if self._set_aside == 1 else f"{self._set_aside} edits"
        text = (
            f"{project.path}: {noun} of this session cannot be written to the project, the last one “{edit.text}” "
            f"({reason}). Everything else is saved; what is missing is kept in {path}. Make it again another way."
        )
        return EditSetAside(self._set_aside, text)


def _attempt(function: Callable[[], R]) -> tuple[R | None, Exception | None]:
    """The one boundary of the thread: whatever a job raises is handed on, and the thread lives."""
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001 - goes to the job's callback, future, or the failed signal
        return None, error


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, sqlite3.Error) else f"{type(error).__name__}: {error}"


def _not_kept(path: Path, edit: Edit, error: Exception, problem: Exception | None) -> str:
    return (
        f"{path}: the edit “{edit.text}” cannot be written to the project ({_in_words(error)}), and not be kept beside "
        f"it either ({problem}). It and what comes after it are lost when the program ends: free some space, or make "
        "the folder writable; that is tried again by itself."
    )


def _not_saved(path: Path, count: int, error: Exception | None) -> str:
    full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) == errno.ENOSPC
    reason = "the disk is full" if full else str(error)
    cure = "Free some space" if full else "Check the disk and the file's permissions"
    noun = "1 edit is" if count == 1 else f"{count} edits are"
    return f"{path}: {noun} not saved yet: {reason}. {cure}; nothing is lost, saving is tried again by itself."
