"""What an import has taken, repaired and left out: said once, kept, and shown again."""

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.controllers.asker import Asker
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.import_report import ReadReport, report_to_json

REPORT = "import report"
"""Topic of what an import has lost: the report of the newest one replaces others, but no question of another file."""


class ImportReports(QObject):
    """`shown` carries a ReadReport for a dialog."""

    shown = Signal(object)

    def __init__(self, session: Session, messages: Messages, asker: Asker) -> None:
        super().__init__(session)
        self._session, self._messages, self._asker = session, messages, asker
        self._shown: ReadReport | None = None

    def take(self, report: ReadReport) -> None:
        """Keeps the report of an import that is here, and says what somebody should know."""
        if not self._session.read_only:
            self._session.store.submit(
                lambda project: project.keep_report(report), failed=lambda error: self._failed("kept", error)
            )
        choices = [("Show report…", lambda: self._show(report))]
        if report.warns:
            self._messages.post(f"{report.summary()}.", "warning", choices, topic=REPORT)
        elif report.lines:
            notes = "a note" if len(report.lines) == 1 else f"{len(report.lines)} notes"
            self._messages.post(f"{report.summary()}, with {notes}: File, Import report.", "info")

    def show(self) -> None:
        """Shows the newest report of the open project."""
        self._session.store.submit(
            lambda project: project.kept_report(), self._show, lambda error: self._failed("read", error)
        )

    def save(self) -> None:
        """Asks where to, and writes the report that is shown as JSON."""
        report = self._shown
        if report is None:
            return
        start = Path.home() / f"{Path(report.source).stem} import report.json"
        if out := self._asker.save("Save the import report", start, "JSON (*.json)"):
            try:
                out.write_text(report_to_json(report), encoding="utf-8")
            except OSError as error:
                self._messages.post(f"{out}: it cannot be written ({error.strerror}). Choose another folder.", "error")

    def _failed(self, what: str, error: Exception) -> None:
        self._messages.post(f"{self._session.path}: the import's report cannot be {what} ({error}).", "error")

    def _show(self, report: ReadReport | None) -> None:
        if report is None:
            self._messages.post("Nothing was imported into this project: there is no report.", "info")
            return
        self._shown = report
        self.shown.emit(report)
