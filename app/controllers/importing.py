"""Importing labels into the open project: a child prepares them, the writer attaches them in batches."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers import places
from app.controllers.messages import Messages
from app.storage.attach import AttachProgress
from app.storage.import_report import ReadReport, add_left_out, report_from_result
from app.storage.writer import ProjectStore
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

Choice = tuple[str, list[str]]
"""An answer to what a file leaves open: its words, and the arguments that say it to the child."""


@dataclass(frozen=True)
class ImportOutcome:
    """How an import ended.

    Attributes:
        text: A sentence for the user; "" when there is nothing to say but the report.
        level: "info", "warning" or "error".
        report: What was read; None when nothing was taken over.
        choices: The file leaves something open: these are the answers, and nothing was taken over.
    """

    text: str = ""
    level: str = "info"
    report: ReadReport | None = None
    choices: tuple[Choice, ...] = ()


class LabelImport(QObject):
    """One import of a COCO file, or of a YOLO-pose data set. Nothing that is labelled already is overwritten."""

    progress = Signal(str, int, int)
    finished = Signal(object)
    """An ImportOutcome; once."""

    def __init__(
        self, store: ProjectStore, source: Path, root: Path | None, parent: QObject, said: Sequence[str] = ()
    ) -> None:
        """source: a COCO file with its image folder `root`, or a data set's .yaml, which names its folders itself.

        said: arguments of a `Choice` that somebody has made.
        """
        super().__init__(parent)
        self._store, self._source, self._name = store, source.absolute(), source.name
        self._folder = tempfile.TemporaryDirectory(prefix="msarcnn-import-", ignore_cleanup_errors=True)
        self._staging = Path(self._folder.name) / "staging.db"
        self._report: ReadReport | None = None
        self._state: AttachProgress | None = None
        self._question = ""
        self._choices: tuple[Choice, ...] = ()
        self._stop: Callable[[], None] | None = None
        arguments = [str(self._source), str(self._staging)]
        if root is None:
            self._job: ChildJob = run_child("app.storage.yolo_import", [*arguments, *said], self)
        else:
            self._job = run_child("app.storage.coco_import", [*arguments, "--images", str(root), *said], self)
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
        elif line.get("event") == "question":
            self._question = line["text"]
            self._choices = tuple((text, arguments) for text, arguments in line["choices"])
        elif line.get("event") == "result":
            self._report = report_from_result(line["report"])

    def _prepared(self, code: int, message: str) -> None:
        if code == CANCELLED_CODE:
            self._end(ImportOutcome(f"The import of {self._name} was cancelled; nothing was taken over."))
            return
        if code != 0 and self._choices:
            self._end(ImportOutcome(self._question, "warning", choices=self._choices))
            return
        if code != 0:
            reason = message.removeprefix(f"{self._source}: ")
            self._end(ImportOutcome(f"{self._name} was not imported: {reason}", "error"))
            return
        self._stop = self._store.run_batches(
            lambda project: project.attach_staging(self._staging),
            self._attaching,
            self._attached,
            lambda error: self._end(ImportOutcome(str(error), "error")),
        )

    def _attaching(self, state: AttachProgress) -> None:
        self._state = state
        self.progress.emit(f"Importing {self._name}", state.done, state.total)

    def _attached(self, complete: bool) -> None:
        if complete:
            if self._report and self._state:
                add_left_out(self._report, self._state)
            self._end(ImportOutcome(report=self._report))
            return
        text = f"The import of {self._name} was cancelled: only a part of it is here."
        self._end(ImportOutcome(f"{text} Open the file again to import the rest.", "warning"))

    def _end(self, outcome: ImportOutcome) -> None:
        self._folder.cleanup()
        self.finished.emit(outcome)
        self.deleteLater()


def ask_which_folder(
    messages: Messages,
    labels: Path,
    folders: Sequence[Path],
    take: Callable[[Path], None],
    topic: str,
    dismissed: Callable[[], None] | None = None,
) -> None:
    """Asks whose photos a file is about, where several folders have photos of the names in it."""
    text = f"{labels.name}: {len(folders)} folders have photos of the names in it. Whose labels are these?"
    choices = [
        (name, lambda folder=folder: take(folder))
        for name, folder in zip(places.short_names(folders), folders, strict=True)
    ]
    messages.ask(text, choices, topic, dismissed)
