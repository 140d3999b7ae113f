"""Bringing in what another model has found: a COCO results file becomes a layer of predictions."""

import tempfile
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers.asker import Asker
from app.controllers.exporting import when_saved
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.panels.image_model import ImageListModel
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

_RESULTS = "COCO results (*.json);;All files (*)"


class Detections(QObject):
    """A child checks and matches the file, the writer takes it over; labels and the selection stay as they are."""

    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, session: Session, model: ImageListModel, messages: Messages, asker: Asker) -> None:
        super().__init__(session)
        self._session, self._model, self._messages, self._asker = session, model, messages, asker
        self._job: ChildJob | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._report: dict[str, Any] = {}
        session.closed.connect(self.close)

    def ask(self) -> None:
        if self._session.is_open and (file := self._asker.file("Predictions of another model", _RESULTS)):
            self.take(file)

    def take(self, results: Path) -> None:
        """Makes the people of a results file predictions of this project."""
        if self._job is not None or self._folder is not None:
            self._messages.post("Predictions are being read already.", "info")
            return
        when_saved(self._session, self._messages, lambda project: self._begin(results, project), lambda: None)

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def close(self) -> None:
        """Ends the reading; what the writer has taken over stays."""
        if self._job is not None:
            self._job.close()
        if self._folder is not None:
            self.ended.emit()
        self._clear()

    def _begin(self, results: Path, project: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="msarcnn-results-", ignore_cleanup_errors=True)
        staged = Path(self._folder.name) / "results.db"
        self._report = {}
        arguments = [str(results.absolute()), str(project), str(staged)]
        self._job = run_child("app.storage.results_import", arguments, self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(lambda code, text: self._prepared(results, staged, code, text))
        self.progress.emit(f"Reading {results.name}", 0, 0)

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("event") == "result":
            self._report = line

    def _prepared(self, results: Path, staged: Path, code: int, text: str) -> None:
        self._job = None
        if code != 0:
            self._clear()
            self.ended.emit()
            if code != CANCELLED_CODE:
                self._messages.post(text, "error")
            return
        done: set[int] = set()
        total = int(self._report["images"])

        def attached(keys: list[int]) -> None:
            done.update(keys)
            self.progress.emit(f"Taking over {results.name}", len(done), total)

        def failed(error: Exception) -> None:
            self._clear()
            self.ended.emit()
            self._messages.post(f"{results.name}: its predictions were not taken over ({error})", "error")

        self._session.store.run_batches(
            lambda project: project.attach_results(staged), attached, lambda _: self._attached(done), failed
        )

    def _attached(self, keys: set[int]) -> None:
        self._clear()
        self.ended.emit()
        # Who brings in what a model has found wants to see it, also where the model that answers has looked.
        self._session.show_model(str(self._report["model"]))
        self._session.refresh(keys)
        unmatched, problems, others = (self._report[name] for name in ("unmatched", "problems", "others"))
        text = f"{self._report['people']} people on {self._report['images']} images are predictions now."
        if unmatched:
            text += f" {unmatched} are on images that are not in this project."
        if others:
            text += f" {others} of other things than people are left out."
        if problems:
            text += f" {len(problems)} cannot be used, the first: {problems[0]}"
        self._messages.post(
            text, "warning" if unmatched or problems else "success", [("OK", lambda: None)], "detections"
        )

    def _clear(self) -> None:
        self._job = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
