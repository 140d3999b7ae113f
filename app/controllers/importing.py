"""Importing labels into the open project: a child prepares them, the writer attaches them in batches."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.storage.attach import AttachProgress
from app.storage.writer import ProjectStore
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child


class LabelImport(QObject):
    """One import of a COCO file, or of a YOLO-pose data set. Nothing that is labelled already is overwritten."""

    progress = Signal(str, int, int)
    finished = Signal(str, str)
    """A sentence for the user ("" when there is nothing to say) and its level."""

    def __init__(self, store: ProjectStore, source: Path, root: Path | None, parent: QObject) -> None:
        """source: a COCO file with its image folder `root`, or a data set's .yaml, which names its folders itself."""
        super().__init__(parent)
        self._store, self._name = store, source.name
        self._folder = tempfile.TemporaryDirectory(prefix="msarcnn-import-", ignore_cleanup_errors=True)
        self._staging = Path(self._folder.name) / "staging.db"
        self._report: dict[str, Any] = {}
        self._stop: Callable[[], None] | None = None
        arguments = [str(source.absolute()), str(self._staging)]
        if root is None:
            self._job: ChildJob = run_child("app.storage.yolo_import", arguments, self)
        else:
            self._job = run_child("app.storage.coco_import", [*arguments, "--images", str(root)], self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(self._prepared)

    def cancel(self) -> None:
        """Stops between two batches; opening the file again goes on from there."""
        if self._stop:
            self._stop()
        else:
            self._job.cancel()

    def close(self) -> None:
        if self._stop:
            self._stop()
        self._job.close()

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("event") == "progress":
            self.progress.emit(f"Reading {self._name}", int(line["done"]), int(line["total"]))
        elif line.get("event") == "result":
            self._report = line

    def _prepared(self, code: int, message: str) -> None:
        if code == CANCELLED_CODE:
            self._end(f"The import of {self._name} was cancelled; nothing was taken over.", "info")
            return
        if code != 0:
            self._end(f"{self._name} was not imported: {message}", "error")
            return
        self._stop = self._store.run_batches(
            lambda project: project.attach_staging(self._staging),
            self._attaching,
            self._attached,
            lambda error: self._end(str(error), "error"),
        )

    def _attaching(self, state: AttachProgress) -> None:
        self.progress.emit(f"Importing {self._name}", state.done, state.total)

    def _attached(self, complete: bool) -> None:
        if not complete:
            text = f"The import of {self._name} was cancelled: only a part of it is here."
            self._end(f"{text} Open the file again to import the rest.", "warning")
            return
        left_out, notes = int(self._report.get("quarantined", 0)), self._report.get("notes", [])
        if left_out:
            first = self._report["problems"][0]
            text = f"{self._name}: {left_out} records cannot be used and are kept for export only. The first: {first}"
            self._end(text, "warning")
        elif notes:
            self._end(f"{self._name} was imported with {len(notes)} notes. The first: {notes[0]}", "info")
        else:
            self._end("", "info")

    def _end(self, text: str, level: str) -> None:
        self._folder.cleanup()
        self.finished.emit(text, level)
        self.deleteLater()
