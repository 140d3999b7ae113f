"""Long work in a child process: import, export. It prints one JSON object a line; nothing is shared."""

import json
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal, Slot

from app.workers.process import WORKING_FOLDER, describe_exit, python_command

KILL_SECONDS = 1.0
"""A cancelled job that has not ended after this time is killed."""
CANCELLED_CODE = -1
_STDERR_BYTES = 8192


class ChildJob(QObject):
    """A child that does one thing.

    Protocol of the child: progress as JSON objects, one a line, on standard output; an object with "error" is
    its last word to the user; exit status 0 means that the work is done.

    Signals:
        progress(dict): a JSON line; never the one with "error".
        finished(int code, str message): exactly once. 0 and "" = done; otherwise what went wrong, for the user
            (CANCELLED_CODE and "cancelled" after `cancel`).
    """

    progress = Signal(object)
    finished = Signal(int, str)

    def __init__(self, command: Sequence[str], parent: QObject | None = None) -> None:
        """Starts the command once the event loop gets to it, so that signals can be connected first."""
        super().__init__(parent)
        self._name = command[command.index("-m") + 1] if "-m" in command else command[0]
        self._rest = b""
        self._errors = b""
        self._error = ""
        self._cancelled = False
        self._over = False
        self._process = QProcess(self)
        self._process.setProgram(command[0])
        self._process.setArguments(list(command[1:]))
        self._process.setWorkingDirectory(str(WORKING_FOLDER))
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.errorOccurred.connect(self._not_started)
        self._process.finished.connect(self._ended)
        QTimer.singleShot(0, self, self._start)

    @property
    def running(self) -> bool:
        """Whether `finished` is still to come."""
        return not self._over

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._process.processId() or None

    def cancel(self) -> None:
        """Asks the child to end, kills it if it does not; `finished` follows."""
        self._cancelled = True
        self._process.terminate()
        QTimer.singleShot(round(KILL_SECONDS * 1000), self, self._process.kill)

    def close(self) -> None:
        """Ends the child and waits for that; no signal follows."""
        self._over = True
        self._process.terminate()
        if not self._process.waitForFinished(round(KILL_SECONDS * 1000)):
            self._process.kill()
            self._process.waitForFinished()

    @Slot()
    def _start(self) -> None:
        if self._cancelled:
            self._finish(CANCELLED_CODE, "cancelled")
        elif not self._over:
            self._process.start(QProcess.OpenModeFlag.ReadOnly)

    @Slot()
    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._process.readAllStandardOutput().data()).split(b"\n")
        for line in lines:
            self._take(line)

    @Slot()
    def _read_errors(self) -> None:
        self._errors = (self._errors + self._process.readAllStandardError().data())[-_STDERR_BYTES:]

    def _take(self, line: bytes) -> None:
        try:
            value: Any = json.loads(line)
        except ValueError:
            return  # something that a library printed
        if not isinstance(value, dict) or self._over:
            return
        if "error" in value:
            self._error = str(value["error"])
        elif not self._cancelled:
            self.progress.emit(value)

    @Slot(QProcess.ProcessError)
    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._finish(1, f"{self._name} cannot be started: {self._process.errorString()}")

    @Slot(int, QProcess.ExitStatus)
    def _ended(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._read_errors()
        self._take(self._rest)
        crashed = status == QProcess.ExitStatus.CrashExit
        if self._cancelled and (code != 0 or crashed):
            self._finish(CANCELLED_CODE, "cancelled")
        elif code == 0 and not crashed:
            self._finish(0, "")
        else:
            lines = self._errors.decode("utf-8", "replace").strip().splitlines()
            outcome = describe_exit(-code if crashed else code)
            self._finish(code or 1, self._error or f"{self._name} {outcome}: {lines[-1] if lines else 'no message'}")

    def _finish(self, code: int, message: str) -> None:
        if not self._over:
            self._over = True
            self.finished.emit(code, message)


def run_child(module: str, arguments: Sequence[str], parent: QObject | None = None) -> ChildJob:
    """Runs `python -P -m module arguments...` in a fixed folder (so paths have to be absolute); keep the result."""
    return ChildJob(python_command(module, *arguments), parent)
