"""Frames of a video as photos: written by a child into a new folder, which is opened then."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.controllers.asker import Asker
from app.controllers.messages import Messages
from app.controllers.opening import Opening
from app.dialogs.video import VideoSettings
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

_VIDEOS = "Videos (*.mp4 *.mov *.avi *.mkv *.webm *.m4v *.mpg *.mpeg);;All files (*)"


class Videos(QObject):
    """Asks for the video, then how and where to."""

    asked = Signal(object)
    """Path of a video: how many of its frames?"""
    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, opening: Opening, messages: Messages, asker: Asker, parent: QObject) -> None:
        super().__init__(parent)
        self._opening, self._messages, self._asker = opening, messages, asker
        self._job: ChildJob | None = None
        self._result: dict[str, Any] = {}

    def ask(self) -> None:
        if video := self._asker.file("Choose a video", _VIDEOS):
            self.asked.emit(video)

    def begin(self, settings: VideoSettings) -> None:
        """Asks for a new folder and writes the frames into it."""
        start = settings.video.with_name(f"{settings.video.stem} frames")
        if folder := self._asker.save("Write the frames into a new folder", start, "Folder (*)"):
            self.write(settings, folder)

    def write(self, settings: VideoSettings, folder: Path) -> None:
        if self._job is not None:
            self._messages.post("The frames of a video are being written already.", "info")
            return
        self._result = {}
        arguments = [str(settings.video.absolute()), str(folder.absolute()), "--every", str(settings.every)]
        arguments += ["--change", str(settings.change), "--suffix", settings.suffix]
        self._job = run_child("app.storage.video_frames", arguments, self)
        self._job.progress.connect(lambda line: self._heard(settings.video.name, line))
        self._job.finished.connect(lambda code, text: self._ended(folder, code, text))
        self.progress.emit(f"Reading {settings.video.name}", 0, 0)

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def close(self) -> None:
        if self._job is not None:
            self._job.close()
            self._job = None

    def _heard(self, name: str, line: dict[str, Any]) -> None:
        if line.get("event") == "progress":
            self.progress.emit(f"Reading {name}", int(line["done"]), int(line["total"]))
        elif line.get("event") == "result":
            self._result = line

    def _ended(self, folder: Path, code: int, text: str) -> None:
        self._job = None
        self.ended.emit()
        if code == CANCELLED_CODE:
            self._messages.post("Reading the video was cancelled; nothing was written.", "info")
        elif code != 0:
            self._messages.post(text, "error")
        else:
            count, of = self._result["images"], self._result["frames"]
            message = f"{count} of {of} frames are photos in {folder} now."
            # Not by itself: somebody may be in the middle of labelling something else.
            self._messages.post(
                message, "success", [("Open them", lambda: self._opening.open_paths([folder]))], "video", of_window=True
            )
