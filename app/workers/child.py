"""The child's end of the pipe to the window. No Qt: a child starts fast and stays small."""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, NoReturn

from app.workers.wire import Message, WireError, read_message, write_message

FATAL_EXIT = 70
"""Exit status of a child that reported its own end with a "fatal" message."""


class ParentLink:
    """Takes standard input and output over for messages.

    Whatever libraries print goes to standard error from then on. When the window is gone, the process ends at
    once, whatever it is doing: a child holds nothing that could be lost. An exception that nobody handled, in
    any thread, is reported as {"type": "fatal", "text": ...} and ends the process, so that it is restarted
    clean. One instance a process.
    """

    def __init__(self) -> None:
        self._requests: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._replies: BinaryIO = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        # Ctrl+C in a terminal reaches the whole group; it is the window's to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._send_lock = threading.Lock()
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        sys.excepthook = self._end
        threading.excepthook = self._end_thread
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def messages(self) -> Iterator[Message]:
        """The window's messages in order, for ever."""
        while True:
            yield self._inbox.get()

    def send(self, message: Message) -> None:
        """Sends from any thread; ends the process when the window is gone."""
        with self._send_lock:
            try:
                write_message(self._replies, message)
            except OSError:
                os._exit(0)

    def fatal(self, text: str) -> NoReturn:
        """Says why this process cannot go on, and ends it."""
        self.send({"type": "fatal", "text": text})
        os._exit(FATAL_EXIT)

    def _read(self) -> None:
        while True:
            try:
                message = read_message(self._requests)
            except (OSError, WireError) as error:
                print(f"request pipe: {error}", file=sys.stderr, flush=True)
                os._exit(FATAL_EXIT)
            if message is None:
                os._exit(0)
            self._inbox.put(message)

    def _end(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, value, trace)
        self.fatal("not enough memory" if issubclass(kind, MemoryError) else f"{kind.__name__}: {value}")

    def _end_thread(self, args: threading.ExceptHookArgs) -> None:
        self._end(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
