"""A child process that the window talks to, restarted when it dies and never left behind.

`python -P -m MODULE` in a fixed folder: started from a dataset's folder, Python would otherwise import that
folder's `json.py`. The child's end is `app.workers.child.ParentLink`.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from app.workers.wire import Message, WireError, read_message, write_message

WORKING_FOLDER = Path(__file__).resolve().parents[2]
"""Where every child runs: the installation, so that nothing is imported or loaded from a user's folder."""

_PIPE_BYTES = 1 << 20
_LAST_WORDS_SECONDS = 2.0


def child_environment() -> dict[str, str]:
    """The environment of a child. How its threads wait for one another is the library's own choice (`msarcnn`)."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module in a child, safe from files in the working folder (`-P`)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def describe_exit(code: int | None) -> str:
    """An exit status in words, e.g. "was killed (SIGKILL); the system may be short of memory"."""
    if code is None:
        return "ended"
    if code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "was killed (SIGKILL); the system may be short of memory"
    return f"crashed ({name})" if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE") else f"ended ({name})"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often a dead child is started again: the delay (seconds) grows fourfold with each recent death."""

    most_deaths: int = 5
    within_seconds: float = 60.0
    first_delay: float = 0.1
    longest_delay: float = 5.0

    def delay(self, deaths: int) -> float | None:
        """Seconds to wait after that many deaths within the time span; None = give up."""
        if deaths >= self.most_deaths:
            return None
        return min(self.first_delay * 4 ** (deaths - 1), self.longest_delay)


class WorkerProcess(QObject):
    """One child process and its messages. All signals are emitted in the thread that owns this object.

    Signals:
        started(): a child was started (the first one, or after a death); nothing that was sent to an earlier
            one is known to it.
        message(dict): a message of the child.
        died(str): it ended without being asked; the text says how. Emitted after its last message. Restarted
            according to the policy.
        gave_up(str): it died too often, or could not be started; `start()` tries again.
    """

    started = Signal()
    message = Signal(object)
    died = Signal(str)
    gave_up = Signal(str)
    _event = Signal(object, object, object)

    def __init__(
        self, module: str, title: str, policy: RestartPolicy | None = None, parent: QObject | None = None
    ) -> None:
        """module: what to run. title: what messages call it, e.g. "pose engine". policy None = no restarts."""
        super().__init__(parent)
        self._module = module
        self._title = title
        self._policy = policy
        self._child: _Child | None = None
        self._deaths: deque[float] = deque()
        self._reason = ""
        self._restart = QTimer(self)
        self._restart.setSingleShot(True)
        self._restart.timeout.connect(self._launch)
        self._event.connect(self._handle, Qt.ConnectionType.QueuedConnection)

    @property
    def running(self) -> bool:
        """Whether a child is there to be talked to."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._child.process.pid if self._child else None

    def start(self) -> None:
        """Starts the child unless it runs; forgets earlier deaths."""
        self._deaths.clear()
        self._restart.stop()
        self._launch()

    def send(self, message: Message) -> bool:
        """Sends plain data, without ever blocking. False when there is no child: `started` is the time to repeat."""
        if self._child is None:
            return False
        self._child.outbox.put(message)
        return True

    def kill(self, reason: str) -> None:
        """Ends a child that hangs; `died(reason)` follows."""
        if self._child:
            self._reason = reason
            self._child.process.kill()

    def close(self, timeout: float = 0.5) -> None:
        """Ends the child (asks, terminates, kills; at most three times `timeout` seconds) and joins the threads."""
        self._restart.stop()
        child, self._child = self._child, None
        if child:
            child.end(timeout)

    @Slot()
    def _launch(self) -> None:
        if self._child:
            return
        try:
            self._child = _Child(python_command(self._module), self._event.emit)
        except OSError as error:
            self.gave_up.emit(f"The {self._title} cannot be started: {error}. Close other programs and try again.")
            return
        self.started.emit()

    @Slot(object, object, object)
    def _handle(self, child: "_Child", message: Message | None, problem: str) -> None:
        if child is not self._child:
            return  # of a child that was closed meanwhile
        if message is None:
            self._bury(child, problem)
        elif message.get("type") == "fatal":
            self._reason = str(message.get("text", ""))
        else:
            self.message.emit(message)

    def _bury(self, child: "_Child", problem: str) -> None:
        self._child = None
        child.join()
        reason = self._reason or problem or f"it {describe_exit(child.process.returncode)}"
        self._reason = ""
        text = f"The {self._title} stopped: {reason}."
        now = time.monotonic()
        self._deaths.append(now)
        if self._policy is None:
            self.died.emit(text)
            return
        while now - self._deaths[0] > self._policy.within_seconds:
            self._deaths.popleft()
        delay = self._policy.delay(len(self._deaths))
        if delay is not None:
            self._restart.start(round(delay * 1000))
        self.died.emit(text)
        if delay is None:
            self.gave_up.emit(f"{text} It did so {len(self._deaths)} times in a short time and is not started again.")


class _Child:
    """A running process with one thread for each direction, so that neither end ever blocks the window."""

    def __init__(self, command: list[str], report: Callable[[object, object, object], None]) -> None:
        self.outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._report = report
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=WORKING_FOLDER,
            pipesize=_PIPE_BYTES,
            env=child_environment(),
        )
        assert self.process.stdin and self.process.stdout
        self._threads = [
            threading.Thread(target=self._read, args=(self.process.stdout,), name="worker-reader", daemon=True),
            threading.Thread(target=self._write, args=(self.process.stdin,), name="worker-writer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self, timeout: float) -> None:
        """Closes the pipe, which the child takes as its end; terminates, then kills one that does not."""
        self.outbox.put(None)
        for insist in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                insist()
        self.process.wait()
        self.join()

    def join(self) -> None:
        self.outbox.put(None)
        for thread in self._threads:
            thread.join()

    def _read(self, stream: IO[bytes]) -> None:
        problem = ""
        with stream:
            while True:
                try:
                    message = read_message(stream)  # type: ignore[arg-type]
                except (WireError, OSError, MemoryError) as error:
                    problem = f"its answer could not be read ({error})"
                    self.process.kill()
                    break
                if message is None:
                    break
                self._report(self, message, "")
        try:
            self.process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._report(self, None, problem)

    def _write(self, stream: IO[bytes]) -> None:
        try:
            with stream:
                while (message := self.outbox.get()) is not None:
                    write_message(stream, message)  # type: ignore[arg-type]
        except OSError:
            return  # the child is gone: the reader reports it
