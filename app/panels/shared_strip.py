"""One place in the status bar for several pieces of work: which one it shows, and which one its Cancel ends."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QWidget

from app.panels.progress_strip import ProgressStrip


@dataclass(frozen=True)
class _Work:
    """How far a piece of work is, and what ends it."""

    name: str
    done: int
    total: int
    cancel: Callable[[], None]


class SharedStrip(ProgressStrip):
    """Shows what began last; once that is over, what began before it and still goes on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running: dict[int, _Work] = {}
        self._watched = 0
        self.cancel_wanted.connect(self._cancel_shown)

    def watch(self, progress: SignalInstance, ended: SignalInstance, cancel: Callable[[], None]) -> None:
        """Lets somebody's work be shown here.

        Args:
            progress: Emits the work's name, how far it is (int), and of how much (int, 0: unknown).
            ended: It is over.
            cancel: Ends it.
        """
        source = self._watched
        self._watched += 1

        def show(name: str, done: int, total: int) -> None:
            self._running[source] = _Work(name, done, total, cancel)
            self._show_newest()

        def end(*_: object) -> None:
            self._running.pop(source, None)
            self._show_newest()

        progress.connect(show)
        ended.connect(end)

    def _show_newest(self) -> None:
        if not self._running:
            self.finish()
            return
        work = next(reversed(self._running.values()))
        self.show_progress(work.name, work.done, work.total, None, pausable=False)

    def _cancel_shown(self) -> None:
        if self._running:
            next(reversed(self._running.values())).cancel()
