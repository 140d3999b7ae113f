"""What a child process tells the window: JSON objects, one a line, on standard output (see workers.jobs.ChildJob)."""

import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from app.storage.errors import ProjectError
from app.storage.new_folder import FolderTakenError

NOT_PREPARED = "cannot be prepared for import ({reason}). Check the disk."
"""For `run_child_work`: what is said of a file to import."""
_CANCELLED = 143
"""Exit status, as a shell would report the signal."""


def print_line(event: str, **content: object) -> None:
    """{"event": event, ...}."""
    _print({"event": event, **content})


def print_error(message: str) -> None:
    """{"error": message}: the child's last word to the user."""
    _print({"error": message})


def run_child_work(
    path: Path,
    work: Callable[[], Mapping[str, object]],
    *known: type[Exception],
    problem: str = "cannot be written ({reason}). Choose another folder, or free some space.",
) -> int:
    """Does the work of a child; prints its result or what went wrong; returns the exit status.

    Args:
        path: What the work is about: the file to write, or to read.
        work: Returns what the window is told.
        known: Exceptions whose texts are sentences for the user.
        problem: What is said of `path` when the system refuses something.
    """
    # A cancelled job is asked to end: as an exit it takes away what is unfinished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_CANCELLED))
    sentences: tuple[type[Exception], ...] = (ProjectError, FolderTakenError, *known)
    try:
        result = work()
    except sentences as error:
        print_error(str(error))
        return 1
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        print_error(f"{path}: {problem.format(reason=reason)}")
        return 1
    print_line("result", **result)
    return 0


def _print(content: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(content) + b"\n")
    sys.stdout.buffer.flush()
