"""Divides the open project among several people; merging brings their work back."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers.asker import Asker
from app.controllers.exporting import ExportJob, when_saved
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.rows import ImageRow


class Splitting(QObject):
    """Asks how and where to; a child writes the parts from a snapshot, so that work here goes on."""

    asked = Signal(int, int)
    """How many images there are, and how many of them are unfinished."""
    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, session: Session, messages: Messages, asker: Asker) -> None:
        super().__init__(session)
        self._session, self._messages, self._asker = session, messages, asker
        self._job: ExportJob | None = None
        self._waiting = False
        session.closed.connect(self.close)

    def ask(self) -> None:
        def counted(rows: list[ImageRow]) -> None:
            self.asked.emit(len(rows), sum(not row.state.finished for row in rows))

        if self._session.is_open:
            self._session.store.submit(lambda project: project.image_rows(), counted)

    def begin(self, parts: int, unfinished: bool) -> None:
        """Asks for a folder and writes so many projects into it; the project itself stays as it is."""
        if self._job is not None or self._waiting:
            self._messages.post("The project is being divided already.", "info")
        elif folder := self._asker.folder("Where shall the parts be written?"):
            arguments = ["--parts", str(parts), *(("--unfinished",) if unfinished else ())]
            self._waiting = True
            self._session.store.submit(
                lambda project: project.identify(),
                lambda _: self._identified(folder.absolute(), arguments),
                self._failed,
            )

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def close(self) -> None:
        """Ends what is under way; no part is written."""
        if self._job is not None:
            self._job.close()
            self.ended.emit()
        self._job, self._waiting = None, False

    def _identified(self, folder: Path, arguments: list[str]) -> None:
        when_saved(
            self._session, self._messages, lambda project: self._start(project, folder, arguments), self._stop_waiting
        )

    def _stop_waiting(self) -> None:
        self._waiting = False

    def _failed(self, error: Exception) -> None:
        self._waiting = False
        self._messages.post(str(error), "error")

    def _start(self, project: Path, folder: Path, arguments: list[str]) -> None:
        self._waiting = False
        self._job = ExportJob("app.storage.split", project, folder, arguments, self)
        self._job.progress.connect(lambda done, total: self.progress.emit(f"Dividing {project.name}", done, total))
        self._job.finished.connect(lambda result, error: self._finished(folder, result, error))

    def _finished(self, folder: Path, result: dict[str, Any] | None, error: str) -> None:
        self._job = None
        self.ended.emit()
        if error:
            self._messages.post(error, "error")
        elif result is None:
            self._messages.post("Dividing the project was cancelled; nothing was written.", "info")
        else:
            text = f"{len(result['paths'])} parts are in {folder}. "
            self._messages.post(f"{text}Whoever has worked on one sends it back: File, Merge labels.", "success")
