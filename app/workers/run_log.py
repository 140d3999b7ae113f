"""Reading a training run's folder: new lines of log.jsonl, the end of trainer.log, whether its process lives."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from msarcnn.run_folder import RunFolder

LOG = "log.jsonl"
OUTPUT = "trainer.log"
CONTROL = "control"
PID = "pid"
USED = "used"
"""The window's own note in a run's folder: somebody let its model answer."""

_CHUNK_BYTES = 1 << 18
_TAIL_BYTES = 1 << 13


class LogTail:
    """Reads a growing file of JSON lines piece by piece; a line that is still being written waits for its end."""

    def __init__(self, path: Path, from_end: bool = False) -> None:
        """from_end: lines that are there already are skipped."""
        self._path = path
        self._offset = 0
        self._partial = b""
        if from_end:
            with contextlib.suppress(FileNotFoundError):
                self._offset = path.stat().st_size

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Returns the next events, and whether there may be more to read at once. Raises OSError.

        A line that is no JSON object becomes a warning event.
        """
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:  # the file was replaced
                    self._offset, self._partial = 0, b""
                file.seek(self._offset)
                data = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return [], False
        self._offset += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        return [_parse(line) for line in lines if line.strip()], len(data) == _CHUNK_BYTES


def _parse(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict) and isinstance(event.get("event"), str):
        return event
    return {"event": "message", "level": "warning", "text": f"unreadable line in {LOG}: {line[:80]!r}"}


def last_lines(path: Path, count: int = 6) -> str:
    """The last non-empty lines of a text file; "" when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-count:])


def last_end(run: Path) -> dict[str, Any] | None:
    """The "end" with which a run's log closes; None when it has none, or goes on after it."""
    line = last_lines(run / LOG, 1)
    event = _parse(line.encode()) if line else {"event": ""}
    return event if event["event"] == "end" else None


def finished_model(run: Path) -> Path | None:
    """The best model of a run that ended well, None when there is none."""
    end = last_end(run)
    if end is None or end.get("status") not in ("completed", "stopped") or not isinstance(end.get("model"), str):
        return None
    model = run / end["model"]
    return model if model.is_file() else None


def can_resume(run: Path) -> bool:
    """Whether a run has left what it takes to go on."""
    return RunFolder(run).resume_checkpoint.is_file()


def note_use(run: Path) -> None:
    """Remembers that a run's model was used; without the note it is offered once more, which harms nobody."""
    with contextlib.suppress(OSError):
        (run / USED).touch()


def was_used(run: Path) -> bool:
    return (run / USED).exists()


def is_cancelled(run: Path) -> bool:
    """Whether the last order that a run was given is to end without a model."""
    try:
        return (run / CONTROL).read_text().strip() == "cancel"
    except (OSError, ValueError):
        return False


def write_control(run: Path, command: str) -> None:
    """Tells the trainer what to do; it never sees half a word. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=run, prefix=".control-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(command)
        Path(temporary).replace(run / CONTROL)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def living_trainer(run: Path) -> int | None:
    """The process id of the trainer that works in a run folder, None when none does.

    The number in the pid file may belong to another program by now: the process's command line has to name
    the folder.
    """
    try:
        pid = int((run / PID).read_text())
    except (OSError, ValueError):
        return None
    return pid if names_folder(pid, run) else None


def names_folder(pid: int, run: Path) -> bool:
    """Whether a process lives (a zombie does not) and was started with this folder as an argument."""
    return any(Path(argument).name == run.name for argument in _command_line(pid)[1:])


def _command_line(pid: int) -> list[str]:
    if sys.platform == "linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
        except OSError:
            return []
    try:
        listing = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listing.stdout.split()
