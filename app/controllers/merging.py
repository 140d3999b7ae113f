"""Bringing in labels from elsewhere: what would meet is said first, and somebody decides."""

import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers import places
from app.controllers.asker import Asker
from app.controllers.exporting import when_saved
from app.controllers.import_reports import ImportReports
from app.controllers.importing import Choice, ask_which_folder
from app.controllers.merge_words import first, is_here, offer, outcome
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.attach import AttachProgress, Overlaps
from app.storage.backups import back_up
from app.storage.import_report import ReadReport, add_left_out, report_from_result
from app.storage.parts import NotAPartError, PartReport
from app.storage.project import staged_digest
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

_LABELS = f"Labels (*.json *{places.SUFFIX} *.yaml *.yml);;All files (*)"


@dataclass
class _Merge:
    """One merge under way: the file, a folder for what is prepared, and what the children said.

    again: somebody has just opened labels that were imported before; where nothing has changed, or somebody has left
    it at that before, nothing is said.
    digest: of what is in the file; "" until that is known, and unless `again`.
    """

    source: Path
    project: Path
    folder: "tempfile.TemporaryDirectory[str]"
    roots: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    digest: str = ""
    read: ReadReport | None = None
    question: str = ""
    choices: list[Choice] = field(default_factory=list)

    @property
    def staging(self) -> Path:
        return Path(self.folder.name) / "staging.db"


class Merging(QObject):
    """Merges a COCO file, a YOLO data set, a part of this project or another project into the open one."""

    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, session: Session, messages: Messages, asker: Asker, reports: ImportReports) -> None:
        super().__init__(session)
        self._session, self._messages, self._asker, self._reports = session, messages, asker, reports
        self._job: ChildJob | None = None
        self._merge: _Merge | None = None
        self._stop: Callable[[], None] | None = None
        session.closed.connect(self.close)

    # Merging

    def ask(self) -> None:
        if self._session.is_open and (file := self._asker.file("Merge labels into this project", _LABELS)):
            self.take(file)

    def take(self, source: Path) -> None:
        """Prepares a merge; nothing changes before the question about conflicts is answered."""
        if self._merge is not None or self._job is not None or self._stop is not None:
            self._messages.post("A merge is under way already.", "info")
            return
        self._messages.settle("merge")
        if source.suffix.lower() == places.SUFFIX:
            self._session.store.submit(
                lambda project: project.part_report(source),
                lambda report: self._ask_about_part(source, report),
                lambda error: self._not_a_part(source, error),
            )
        else:
            when_saved(self._session, self._messages, lambda project: self._stage(source, project), lambda: None)

    def take_again(self, source: Path, root: Path | None) -> None:
        """Offers what has changed in labels that were imported before; says nothing when nothing has.

        root: the image folder of a COCO file; None for a data set that names its folders.
        """
        if self._merge is None and self._job is None and self._stop is None:
            begin = partial(self._stage, source, root=root, again=True)
            when_saved(self._session, self._messages, begin, lambda: None)

    def cancel(self) -> None:
        if self._stop is not None:
            self._stop()
        elif self._job is not None:
            self._job.cancel()

    def close(self) -> None:
        """Ends what is under way; what was merged so far stays."""
        if self._stop is not None:
            self._stop()
        if self._job is not None:
            self._job.close()
        if self._merge is not None or self._stop is not None:
            self._messages.settle("merge")
            self.ended.emit()
        self._clear()

    # A part of this project

    def _not_a_part(self, source: Path, error: Exception) -> None:
        """A whole project: its labels are exported, and come in like a COCO file's."""
        if not isinstance(error, NotAPartError):
            self._messages.post(str(error), "error")
            return
        when_saved(self._session, self._messages, lambda project: self._export(source, project), lambda: None)

    def _ask_about_part(self, part: Path, report: PartReport) -> None:
        if report.worked_on == 0:
            self._messages.post(f"{part.name}: nothing was done in this part yet.", "info")
        elif report.conflicts:
            text = (
                f"{part.name}: {report.worked_on} images to take back. On {len(report.conflicts)} of them somebody has "
                f"worked here, too ({first(report.conflicts)}). Whose labels stay there?"
            )
            self._ask_whose(text, lambda overlaps: self._take_part(part, overlaps, report.people), self._forget)
        else:
            self._take_part(part, "mine", report.people)

    def _take_part(self, part: Path, overlaps: Overlaps, people: int) -> None:
        taken: list[int] = []
        keys = self._session.document.reserve_block(people)

        def took(image: int) -> None:
            taken.append(image)
            self.progress.emit(f"Taking {part.name} back", len(taken), 0)

        def done(complete: bool) -> None:
            self._changed(taken)
            text = f"{part.name}: the work on {len(taken)} images is here."
            self._end(text if complete else f"{text} The rest was cancelled.", "success")

        def failed(error: Exception) -> None:
            self._changed(taken)
            self._failed(error)

        self._stop = self._session.store.run_batches(
            lambda project: project.take_part(part, overlaps, keys), took, done, failed
        )

    # Labels from elsewhere

    def _export(self, source: Path, project: Path) -> None:
        self._begin(source, project)
        assert self._merge is not None
        out = Path(self._merge.folder.name) / f"{source.stem}.json"
        self._run("app.storage.coco_export", [str(source.absolute()), str(out)], lambda: self._stage_export(out))

    def _stage_export(self, exported: Path) -> None:
        assert self._merge is not None
        roots = self._merge.result["roots"]
        if not roots:
            self._end(f"{self._merge.source.name}: there are no images in it.", "info")
            return
        arguments = [str(exported), str(self._merge.staging), "--images", *roots]
        self._run("app.storage.coco_import", arguments, self._report)

    def _stage(self, source: Path, project: Path, root: Path | None = None, again: bool = False) -> None:
        self._begin(source, project)
        assert self._merge is not None
        self._merge.again = again
        arguments = [str(source.absolute()), str(self._merge.staging)]
        if source.suffix.lower() in (".yaml", ".yml"):
            self._run("app.storage.yolo_import", arguments, self._report)
            return
        try:
            roots = (
                [root] if root else places.coco_image_roots(source, self._session.roots.values()) or [self._only_root()]
            )
        except OSError as error:
            self._end(f"{source}: it cannot be read ({error.strerror}). Check its permissions.", "error")
            return

        def take(root: Path) -> None:
            self._run("app.storage.coco_import", [*arguments, "--images", str(root)], self._report)

        if len(roots) == 1:
            take(roots[0])
        else:
            ask_which_folder(self._messages, source, roots, take, "merge", self._forget)

    def _only_root(self) -> Path:
        """A COCO file far from its images is about those of this project."""
        return next(iter(self._session.roots.values()), Path.home())

    def _report(self) -> None:
        assert self._merge is not None
        arguments = [str(self._merge.project), str(self._merge.staging)]
        self._run("app.storage.merge_report", arguments, self._reported)

    def _reported(self) -> None:
        merge = self._merge
        assert merge is not None
        self.ended.emit()
        if not merge.again:
            self._ask_about_labels()
            return

        def looked_up(left: bool) -> None:
            if self._merge is merge:
                nothing = merge.result["known"] or (is_here(merge.result) and not merge.result["gone"])
                if left or nothing:
                    self._clear()
                else:
                    self._ask_about_labels()

        try:
            merge.digest = staged_digest(merge.staging)
        except sqlite3.Error as error:
            self._failed(error)
            return
        self._session.store.submit(lambda project: project.was_left(merge.digest), looked_up, self._failed)

    def _ask_about_labels(self) -> None:
        assert self._merge is not None
        report, name = self._merge.result, self._merge.source.name
        digest, text = self._merge.digest, offer(name, report, self._merge.again)
        if is_here(report):
            self._clear()
            level = "warning" if report["gone"] else "info"
            self._messages.post(text, level, topic="merge", dismissed=lambda: self._remember_left(digest))
        elif report["overlapping"]:
            self._ask_whose(text, self._attach, self._leave)
        else:
            choices = [("Merge", lambda: self._attach("mine")), ("Leave it", self._leave)]
            self._messages.post(text, "info", choices, topic="merge", dismissed=self._forget)

    def _attach(self, overlaps: Overlaps) -> None:
        merge = self._merge
        if merge is None:
            return
        self._messages.settle("merge")
        last: list[AttachProgress] = []

        def attached(state: AttachProgress) -> None:
            last[:] = [state]
            self.progress.emit(f"Merging {merge.source.name}", state.done, state.total)

        def done(complete: bool) -> None:
            state = last[0] if last else AttachProgress(0, 0, 0, 0, 0)
            self._changed(None)
            text = outcome(merge.source.name, state)
            if merge.read is not None:
                add_left_out(merge.read, state)
                self._reports.take(merge.read)
            self._end(text if complete else f"{text} The rest was cancelled.", "success" if complete else "warning")

        def failed(error: Exception) -> None:
            self._changed(None)
            self._failed(error)

        self._stop = self._session.store.run_batches(
            lambda project: project.attach_staging(merge.staging, overlaps=overlaps), attached, done, failed
        )

    def _changed(self, images: list[int] | None) -> None:
        """Shows what has come. Steps from before could not be undone without undoing what came since."""
        self._session.undo_stack.clear()
        self._session.refresh(images)

    def _replace(self, then: Callable[[Overlaps], None]) -> None:
        """Labels that give way are kept in a snapshot: what goes is not for the undo stack."""
        self._session.store.submit(
            lambda project: back_up(project, datetime.now()), lambda _: then("theirs"), self._failed
        )

    def _ask_whose(self, text: str, then: Callable[[Overlaps], None], leave: Callable[[], None]) -> None:
        choices: list[tuple[str, Callable[[], None]]] = [
            ("Ours", lambda: then("mine")),
            ("Theirs", lambda: self._replace(then)),
            ("Both", lambda: then("both")),
            ("Merge nothing", leave),
        ]
        self._messages.post(text, "warning", choices, topic="merge", dismissed=self._forget)

    # Children

    def _begin(self, source: Path, project: Path) -> None:
        folder = tempfile.TemporaryDirectory(prefix="msarcnn-merge-", ignore_cleanup_errors=True)
        self._merge = _Merge(source, project, folder)

    def _run(self, module: str, arguments: Sequence[str], then: Callable[[], None]) -> None:
        def again(said: Sequence[str]) -> None:
            self._run(module, [*arguments, *said], then)

        self._job = run_child(module, arguments, self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(lambda code, text: self._child_ended(code, text, again, then))

    def _heard(self, line: dict[str, Any]) -> None:
        if self._merge is None:
            return
        if line.get("event") == "progress":
            self.progress.emit(f"Reading {self._merge.source.name}", int(line["done"]), int(line["total"]))
        elif line.get("event") == "question":
            self._merge.question = line["text"]
            self._merge.choices = [(text, arguments) for text, arguments in line["choices"]]
        elif line.get("event") == "result":
            self._merge.result = line
            if "report" in line:
                self._merge.read = report_from_result(line["report"])

    def _child_ended(
        self, code: int, text: str, again: Callable[[Sequence[str]], None], then: Callable[[], None]
    ) -> None:
        self._job = None
        if self._merge is None:
            return
        if code != 0 and code != CANCELLED_CODE and self._merge.choices:
            choices, self._merge.choices = self._merge.choices, []
            self.ended.emit()
            answers = [(words, lambda said=said: again(said)) for words, said in choices]
            self._messages.ask(self._merge.question, answers, "merge", self._forget)
            return
        if code == CANCELLED_CODE:
            self._end("Cancelled; nothing was changed.", "info")
        elif code != 0:
            self._end(text, "error")
        else:
            then()

    def _failed(self, error: Exception) -> None:
        self._end(str(error), "error")

    def _leave(self) -> None:
        """Somebody wants nothing of what has changed; asked for by the menu, the same may come all the same."""
        digest = self._merge.digest if self._merge is not None else ""
        self._forget()
        self._remember_left(digest)

    def _remember_left(self, digest: str) -> None:
        if digest and self._session.is_open and not self._session.read_only:
            # Failing is no news: it is said again at the next opening.
            self._session.store.submit(lambda project: project.remember_left(digest), failed=lambda error: None)

    def _forget(self) -> None:
        self._messages.settle("merge")
        self._clear()

    def _end(self, text: str, level: str) -> None:
        self._clear()
        self.ended.emit()
        self._messages.post(text, level)

    def _clear(self) -> None:
        self._job = self._stop = None
        if self._merge is not None:
            self._merge.folder.cleanup()
            self._merge = None
