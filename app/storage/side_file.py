"""Edits that the project file does not take, kept beside it as JSON lines: nobody's work is thrown away."""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.document.records import Edit
from app.storage.errors import ReadOnlyProjectError
from app.storage.project import Project

_SUFFIX = ".unsaved.jsonl"
_PASSING = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    )
)


def may_pass(error: Exception) -> bool:
    """Whether writing the same edit again may succeed: disk full, disk failing, file busy or not writable now.

    Anything else is about the edit itself or about a broken file, and comes out the same however often it is tried.
    """
    if isinstance(error, sqlite3.OperationalError):
        # The code's lower byte is the kind. An error without a code was not given by SQLite.
        return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF) in _PASSING
    return isinstance(error, OSError | MemoryError | ReadOnlyProjectError)


class SideFile:
    """`PROJECT.unsaved.jsonl` beside the project or, where that cannot be written, in a folder for that purpose.

    There its name has a digest of the project's place: parts of a project are called the same in many folders.

    A line is {"time", "author", "project", "image": {"key", "path"}, "reason", "edit"}; the edit has its records
    before and after in full.
    """

    def __init__(self, project: Path, elsewhere: Path | None = None) -> None:
        """elsewhere: the other folder, made when it is needed; None: there is none."""
        self._project = project
        self._places = [project.with_name(f"{project.name}{_SUFFIX}")]
        if elsewhere is not None:
            digest = hashlib.sha256(os.fsencode(project.absolute())).hexdigest()[:8]
            self._places.append(elsewhere / f"{project.stem}-{digest}{project.suffix}{_SUFFIX}")

    def keep(self, edits: Sequence[Edit], reason: str, project: Project) -> Path:
        """Adds edits, which are on the disk when it returns the file. Raises OSError when no place can be written."""
        text = "".join(f"{self._line(edit, reason, project)}\n" for edit in edits).encode("ascii")
        problem = OSError("there is no place for it")
        for path in self._places:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _append(path, text)
            except OSError as error:
                problem = error
            else:
                return path
        raise problem

    def notes(self) -> tuple[str, ...]:
        """Sentences about edits that earlier sessions have left here."""
        return tuple(
            f"{path}: {_edits(count)} in it that could not be written to the project in an earlier session. Look "
            "them up, make them again where they still matter, then delete the file."
            for path in self._places
            if (count := _count(path))
        )

    def _line(self, edit: Edit, reason: str, project: Project) -> str:
        try:
            path = project.image(edit.image).path
        except (KeyError, sqlite3.Error):
            path = ""  # that may be the very reason
        line = {
            "time": time.time(),
            "author": project.author,
            "project": str(self._project),
            "image": {"key": edit.image, "path": path},
            "reason": reason,
            "edit": asdict(edit),
        }
        # ASCII, with escapes: also for texts that no encoding takes. `default`: whatever it is, it is kept.
        return json.dumps(line, ensure_ascii=True, default=repr)


def _append(path: Path, text: bytes) -> None:
    """All of it or nothing: half a line would spoil the next one."""
    new = not path.exists()
    with path.open("ab", buffering=0) as file:  # a buffer would write the rest when the file is closed
        size = file.tell()
        left = memoryview(text)
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise
    if new and os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _count(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError:
        return 0


def _edits(count: int) -> str:
    return "1 edit is" if count == 1 else f"{count} edits are"
