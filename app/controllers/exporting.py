"""Writing the labels in one of several formats, in a child process."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers.asker import Asker
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.dialogs.export import COCO, OVERLAYS, RESULTS, STATISTICS, YOLO, ExportChoices, ExportSettings
from app.panels.image_model import ImageListModel
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

WAITS_FOR_SAVING = "waits for saving"
"""Topic of what cannot be done while edits are not saved."""
_FOLDERS = {YOLO: "yolo", OVERLAYS: "pictures"}
_FILES = {
    COCO: ("", "json", "JSON (*.json)"),
    RESULTS: ("-predictions", "json", "JSON (*.json)"),
    STATISTICS: ("-statistics", "csv", "Table (*.csv)"),
}
"""What is added to the project's name, the ending, and the kind of file."""
_MODULES = {
    COCO: "app.storage.coco_export",
    YOLO: "app.storage.yolo_export",
    OVERLAYS: "app.storage.overlay_export",
    RESULTS: "app.storage.results_export",
    STATISTICS: "app.storage.statistics_export",
}


class ExportJob(QObject):
    """One export of a project's file as it is on the disk: the child `module` with (project, out, more...)."""

    progress = Signal(int, int)
    finished = Signal(object, str)
    """dict | None: the exporter's result; str: what went wrong ("" when cancelled)."""

    def __init__(self, module: str, project: Path, out: Path, arguments: Sequence[str], parent: QObject) -> None:
        super().__init__(parent)
        self._out = out
        self._result: dict[str, Any] | None = None
        self._job: ChildJob = run_child(module, [str(project), str(out), *arguments], self)
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
            reason = message.removeprefix(f"{self._out}: ")
            self.finished.emit(None, f"{self._out} was not written: {reason}")
        self.deleteLater()


def training_job(project: Path, out: Path, only: str, parent: QObject) -> ExportJob:
    """Labels as a COCO file to train on."""
    return ExportJob(_MODULES[COCO], project, out, ["--only", only, "--purpose", "training"], parent)


class Exporting(QObject):
    """Asks what and where to, waits until every edit is on the disk, exports, says where it is."""

    asked = Signal(object, object)
    """ExportSettings to begin with, ExportChoices: the user wants to export."""
    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, session: Session, model: ImageListModel, messages: Messages, asker: Asker) -> None:
        super().__init__(session)
        self._session, self._model, self._messages, self._asker = session, model, messages, asker
        self._job: ExportJob | None = None
        self._listed: tempfile.TemporaryDirectory[str] | None = None
        """Holds the keys of the images that the list showed, while their export runs."""
        self._waiting = False
        self._last = ExportSettings(COCO)
        self.last_path: Path | None = None
        session.closed.connect(self._forget)

    def ask(self) -> None:
        def found(sources: list[tuple[int, str, bool]]) -> None:
            names = tuple((key, name) for key, name, _ in sources)
            self.asked.emit(self._last, ExportChoices(len(self._model.keys), names))

        if self._session.is_open:
            self._session.store.submit(lambda project: project.sources(), found)

    def begin(self, settings: ExportSettings) -> None:
        """Asks where to, then exports."""
        path = self._session.path
        if path is None:
            return
        self._last = settings
        place = self.last_path.parent if self.last_path else Path.home()
        if settings.format in _FOLDERS:
            start = place / f"{path.stem}-{_FOLDERS[settings.format]}"
            out = self._asker.save("Export into a new folder", start, "Folder (*)")
        else:
            added, ending, kind = _FILES[settings.format]
            out = self._asker.save("Export", place / f"{path.stem}{added}.{ending}", kind)
        if out:
            self.run(out, settings)

    def export(self, out: Path, only: str = "all") -> None:
        """Writes the labels to `out` as a COCO file; only is "all", "finished", "labelled" or "listed"."""
        self.run(out, ExportSettings(COCO, only))

    def run(self, out: Path, settings: ExportSettings) -> None:
        """Exports to `out`."""
        if self._job is not None or self._waiting:
            self._messages.post("An export is running already.", "info")
            return
        self._waiting = self._session.is_open
        when_saved(
            self._session, self._messages, lambda project: self._start(project, out, settings), self._stop_waiting
        )

    def cancel(self) -> None:
        if self._job:
            self._job.cancel()

    def close(self) -> None:
        """Ends an export under way; the file it was to replace is untouched."""
        if self._job:
            self._job.close()
            self._job = self._listed = None

    def _stop_waiting(self) -> None:
        self._waiting = False

    def _forget(self) -> None:
        self._waiting = False
        self._last = replace(self._last, source=None)

    def _start(self, project: Path, out: Path, settings: ExportSettings) -> None:
        self._waiting = False
        more = ["--only", settings.only]
        if settings.only == "listed":
            self._listed = tempfile.TemporaryDirectory(prefix="msarcnn-export-", ignore_cleanup_errors=True)
            keys = Path(self._listed.name) / "listed.json"
            keys.write_text(json.dumps(list(self._model.keys)), encoding="ascii")
            more += ["--listed", str(keys)]
        if settings.format == COCO and settings.source is not None:
            more += ["--source", str(settings.source)]
        elif settings.format == YOLO:
            photos = "copy" if settings.copy_photos else "link"
            more += ["--val-fraction", str(settings.val_fraction), "--seed", str(settings.seed), "--photos", photos]
        elif settings.format == RESULTS and (model := self._session.shown_model):
            more += ["--model", model]
        self._job = ExportJob(_MODULES[settings.format], project, out, more, self)
        self._job.progress.connect(lambda done, total: self.progress.emit("Exporting", done, total))
        self._job.finished.connect(lambda result, error: self._finished(project, out, settings, result, error))

    def _finished(
        self, project: Path, out: Path, settings: ExportSettings, result: dict[str, Any] | None, error: str
    ) -> None:
        self._job = self._listed = None
        self.ended.emit()
        if error:
            self._messages.post(error, "error")
        elif result is None:
            self._messages.post("The export was cancelled; nothing was written.", "info")
        else:
            self.last_path = out
            if settings.format == COCO:
                self._remember(project, result["digest"])
            notes = _notes(result)
            text = ". ".join([f"Exported {_counted(result)} to {out}", *_hints(settings, result), *notes])
            self._messages.post(text, "warning" if notes else "success", [("OK", lambda: None)], "export")

    def _remember(self, project: Path, digest: str) -> None:
        """Lets the project know its own file again, should somebody open it: there is nothing to import."""
        if self._session.path == project and not self._session.read_only:
            # Failing is no news: the import then compares records one by one.
            self._session.store.submit(lambda opened: opened.remember_export(digest), failed=lambda error: None)


def _counted(result: dict[str, Any]) -> str:
    images = f"{result.get('images', 0)} images"
    return f"{result['people']} people on {images}" if "people" in result else images


def _hints(settings: ExportSettings, result: dict[str, Any]) -> list[str]:
    """Sentences about what is in the file."""
    hints = ["It trains by its dataset.yaml from any folder, and may be moved"] if settings.format == YOLO else []
    if converted := result.get("converted"):
        photos = "1 photo is" if converted == 1 else f"{converted} photos are"
        hints.append(f"{photos} written as PNG, since not every reader of YOLO knows the format or the orientation")
    return hints


def _notes(result: dict[str, Any]) -> list[str]:
    """Sentences about what is not in the file, or has to be looked after."""
    notes = [*result.get("incomplete", []), *result.get("notes", [])]
    if skipped := result.get("skipped"):
        images = "1 image is" if len(skipped) == 1 else f"{len(skipped)} images are"
        notes.append(f"{images} left out, the first: {skipped[0]}")
    if crowds := result.get("crowds"):
        notes.append(f"{crowds} crowd regions are left out")
    if outside := result.get("outside"):
        notes.append(f"{outside} joints outside of their image are left out")
    return notes


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
        messages.post(str(error), "error", topic=WAITS_FOR_SAVING)
        otherwise()

    session.store.when_saved(lambda: then(path), failed)
