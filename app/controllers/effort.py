"""The effort figures: counted from the operation log by a child, shown and saved."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers.asker import Asker
from app.controllers.exporting import when_saved
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child


class Effort(QObject):
    """`counted` carries header and rows for a table."""

    counted = Signal(object, object)

    def __init__(self, session: Session, messages: Messages, asker: Asker) -> None:
        super().__init__(session)
        self._session, self._messages, self._asker = session, messages, asker
        self._job: ChildJob | None = None
        self._busy = False
        self._result: dict[str, Any] = {}
        session.closed.connect(self.close)

    def show(self) -> None:
        """Counts the figures of the open project up to now."""
        self._count(None)

    def save(self) -> None:
        """Asks where to, and writes the figures as CSV."""
        path = self._session.path
        if path and (
            out := self._asker.save("Save the effort figures", Path.home() / f"{path.stem}.csv", "CSV (*.csv)")
        ):
            self._count(out)

    def close(self) -> None:
        if self._job is not None:
            self._job.close()
            self._job = None
        self._busy = False

    def _count(self, out: Path | None) -> None:
        if not self._busy:
            self._busy = True  # from now on: the job begins only when everything is saved
            when_saved(self._session, self._messages, lambda project: self._begin(project, out), self._give_up)

    def _give_up(self) -> None:
        self._busy = False

    def _begin(self, project: Path, out: Path | None) -> None:
        arguments = [str(project), *(("--csv", str(out)) if out else ())]
        self._job = run_child("app.storage.effort_log", arguments, self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(lambda code, text: self._ended(out, code, text))

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("event") == "result":
            self._result = line

    def _ended(self, out: Path | None, code: int, text: str) -> None:
        self._job, self._busy = None, False
        if code == CANCELLED_CODE:
            return
        if code != 0:
            self._messages.post(text, "error")
        elif out is not None:
            self._messages.post(f"The effort figures are in {out}", "success", [("OK", lambda: None)])
        else:
            self.counted.emit(self._result["header"], self._result["rows"])
