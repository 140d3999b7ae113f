"""The model library as the window sees it: children of the command `models` do everything, one a request."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child
from msarcnn.model_entry import ModelEntry
from msarcnn.sizes import in_megabytes

__all__ = ["LibraryClient", "ModelEntry", "in_megabytes"]


class LibraryClient(QObject):
    """Lists, downloads, adds and removes models. One download at a time; the rest is quick.

    Signals:
        listed(tuple of ModelEntry): the answer to `refresh`, the bundled model first.
        progress(str name, int done, int total): of the download, in bytes; a total of 0 is not known.
        downloaded(ModelEntry): it is here.
        download_ended(str name): after `downloaded`, a failure or `cancel`.
        added(ModelEntry), removed(ModelEntry).
        failed(str): a sentence for the user.
    """

    listed = Signal(object)
    progress = Signal(str, int, int)
    downloaded = Signal(object)
    download_ended = Signal(str)
    added = Signal(object)
    removed = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: set[ChildJob] = set()
        self._list: ChildJob | None = None
        self._list_again = False
        self._download: ChildJob | None = None
        self.downloading = ""
        """Name of what is on its way."""

    def refresh(self) -> None:
        """Reads the library anew."""
        if self._list is not None:
            self._list_again = True  # what has changed since may not be in its answer
            return
        self._list = self._run(["list"], self._heard_list, self._list_ended)

    def download(self, name: str) -> None:
        """Brings a published model here, or the rest of it; nothing happens while another one is on its way."""
        if self._download is None:
            self.downloading = name
            self._download = self._run(["download", name], self._heard_download, self._download_over)

    def cancel(self) -> None:
        """Ends the download; what is here stays for the next time."""
        if self._download is not None:
            self._download.cancel()

    def add(self, path: Path, title: str = "", fine_tuned: bool = False) -> None:
        arguments = ["add", str(path.absolute())]
        arguments += [f"--title={title}"] if title else []
        arguments += ["--fine-tuned"] if fine_tuned else []
        self._run(arguments, lambda line: self._pass_on(line, self.added))

    def remove(self, name: str) -> None:
        self._run(["remove", name], lambda line: self._pass_on(line, self.removed))

    def close(self) -> None:
        """Ends every child; no signal follows."""
        jobs, self._jobs = self._jobs, set()
        for job in jobs:
            job.close()
        self._list = self._download = None
        self.downloading = ""

    def _run(
        self, arguments: list[str], heard: Callable[[dict[str, Any]], None], over: Callable[[], None] = lambda: None
    ) -> ChildJob:
        job = run_child("msarcnn", ["models", "--json", *arguments], self)
        self._jobs.add(job)
        job.progress.connect(heard)
        job.finished.connect(lambda code, text: self._ended(job, code, text, over))
        return job

    def _ended(self, job: ChildJob, code: int, text: str, over: Callable[[], None]) -> None:
        self._jobs.discard(job)
        job.deleteLater()
        over()
        if code not in (0, CANCELLED_CODE):
            self.failed.emit(text)

    def _heard_list(self, line: dict[str, Any]) -> None:
        if "models" in line:
            entries = [_entry(facts) for facts in line["models"]]
            self.listed.emit(tuple(entry for entry in entries if entry is not None))

    def _list_ended(self) -> None:
        self._list = None
        if self._list_again:
            self._list_again = False
            self.refresh()

    def _heard_download(self, line: dict[str, Any]) -> None:
        if line.get("event") == "progress":
            # Bytes of 2 GB and more would not fit into Qt's int; nothing published is near that.
            self.progress.emit(self.downloading, int(line["done"]), int(line["total"]))
        else:
            self._pass_on(line, self.downloaded)

    def _download_over(self) -> None:
        name, self.downloading, self._download = self.downloading, "", None
        self.download_ended.emit(name)

    def _pass_on(self, line: dict[str, Any], signal: Any) -> None:
        """Emits the model that a result is about."""
        if line.get("event") == "result" and (entry := _entry(line.get("model"))) is not None:
            signal.emit(entry)


def _entry(facts: Any) -> ModelEntry | None:
    """None for what another version of the library has written."""
    try:
        return ModelEntry.from_plain(facts)
    except msgspec.ValidationError:
        return None
