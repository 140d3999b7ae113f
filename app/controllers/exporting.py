"""Writing the labels as a COCO file, in a child process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers.messages import Messages
from app.controllers.opening import Asker
from app.controllers.session import Session
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

_COCO = "COCO annotations (*.json)"


class ExportJob(QObject):
    """One export of the project's file as it is on the disk."""

    progress = Signal(int, int)
    finished = Signal(object, str)
    """dict | None: the exporter's result; str: what went wrong ("" when cancelled)."""

    def __init__(self, project: Path, out: Path, only: str, purpose: str, parent: QObject) -> None:
        super().__init__(parent)
        self._out = out
        self._result: dict[str, Any] | None = None
        arguments = [str(project), str(out), "--only", only, "--purpose", purpose]
        self._job: ChildJob = run_child("app.storage.coco_export", arguments, self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(self._ended)

    def cancel(self) -> None:
        self._job.cancel()

    def close(self) -> None:
        self._job.close()

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("event") == "progress":
            self.progress.emit(int(line["done"]), int(line["total"]))
        elif line.get("event") == "result":
            self._result = line

    def _ended(self, code: int, message: str) -> None:
        if code == 0:
            self.finished.emit(self._result or {}, "")
        elif code == CANCELLED_CODE:
            self.finished.emit(None, "")
        else:
            self.finished.emit(None, f"{self._out} was not written: {message}")
        self.deleteLater()


class Exporting(QObject):
    """Asks where to, waits until every edit is on the disk, exports, says where it is."""

    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, session: Session, messages: Messages, asker: Asker) -> None:
        super().__init__(session)
        self._session, self._messages, self._asker = session, messages, asker
        self._job: ExportJob | None = None
        self._waiting = False
        self.last_path: Path | None = None
        session.closed.connect(self._stop_waiting)

    def ask(self) -> None:
        path = self._session.path
        if path is None:
            return
        start = (self.last_path.parent if self.last_path else Path.home()) / f"{path.stem}.json"
        if out := self._asker.save("Export COCO annotations", start, _COCO):
            self.export(out)

    def export(self, out: Path, only: str = "all") -> None:
        """Writes the labels to `out`; only is "all", "finished" or "labelled"."""
        if self._job is not None or self._waiting:
            self._messages.post("An export is running already.", "info")
            return
        self._waiting = self._session.is_open
        when_saved(self._session, self._messages, lambda project: self._start(project, out, only), self._stop_waiting)

    def cancel(self) -> None:
        if self._job:
            self._job.cancel()

    def close(self) -> None:
        """Ends an export under way; the file it was to replace is untouched."""
        if self._job:
            self._job.close()
            self._job = None

    def _stop_waiting(self) -> None:
        self._waiting = False

    def _start(self, project: Path, out: Path, only: str) -> None:
        self._waiting = False
        self._job = ExportJob(project, out, only, "export", self)
        self._job.progress.connect(lambda done, total: self.progress.emit("Exporting", done, total))
        self._job.finished.connect(lambda result, error: self._finished(project, out, result, error))

    def _finished(self, project: Path, out: Path, result: dict[str, Any] | None, error: str) -> None:
        self._job = None
        self.ended.emit()
        if error:
            self._messages.post(error, "error")
        elif result is None:
            self._messages.post("The export was cancelled; nothing was written.", "info")
        else:
            self.last_path = out
            self._remember(project, result["digest"])
            text = f"Exported {result.get('people', 0)} people on {result.get('images', 0)} images to {out}"
            incomplete = result.get("incomplete", [])
            level = "warning" if incomplete else "success"
            self._messages.post(". ".join([text, *incomplete]), level, [("OK", lambda: None)])

    def _remember(self, project: Path, digest: str) -> None:
        """Lets the project know its own file again, should somebody open it: there is nothing to import."""
        if self._session.path == project and not self._session.read_only:
            # Failing is no news: the import then compares records one by one.
            self._session.store.submit(lambda opened: opened.remember_export(digest), failed=lambda error: None)


def when_saved(
    session: Session, messages: Messages, then: Callable[[Path], None], otherwise: Callable[[], None]
) -> None:
    """Calls `then` with the project file once every edit is in it; if that cannot be, says so and calls `otherwise`.

    Neither is called when the project is closed first.
    """
    path = session.path
    if path is None:
        return

    def failed(error: Exception) -> None:
        messages.post(str(error), "error")
        otherwise()

    session.store.when_saved(lambda: then(path), failed)
