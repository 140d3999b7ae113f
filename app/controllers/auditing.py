"""Looks through the labels of the project for what may be wrong, and goes from one suspicion to the next."""

from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from app.controllers.exporting import when_saved
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.audit_marks import Suspect, suspects_of
from app.workers.engine_client import EngineClient
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

_TOPIC = "audit"


class Auditing(QObject):
    """A child looks at the photos, so that work goes on; what it finds is kept until the next look.

    Signals:
        asked(): the window with the findings is wanted.
        listed(list of tuples): suspicion, picture (base64), what, joints and image, a row a finding.
        said(str): a sentence about the state of the audit.
    """

    asked = Signal()
    listed = Signal(object)
    said = Signal(str)
    progress = Signal(str, int, int)
    ended = Signal()

    def __init__(self, session: Session, engine: EngineClient, messages: Messages) -> None:
        super().__init__(session)
        self._session, self._engine, self._messages = session, engine, messages
        self._job: ChildJob | None = None
        self._waiting = False
        self._result: dict[str, Any] = {}
        self._suspects: list[Suspect] = []
        self._wanted: Suspect | None = None
        session.closed.connect(self.close)
        session.document.image_opened.connect(self._image_opened)

    def show(self) -> None:
        """Opens the window with what is known; the first look begins by itself."""
        self.asked.emit()
        self._list()
        if not self._suspects and not self._result:
            self.begin()

    def begin(self) -> None:
        """Looks through all images with people, with the model that answers."""
        info = self._engine.info
        if self._job is not None or self._waiting:
            return
        if info is None:
            self.said.emit("The model is not ready: try again when it is.")
            return
        self._waiting = True
        model = () if info.model is None else ("--model", info.model)
        arguments = [*model, "--device", info.device]
        when_saved(
            self._session, self._messages, lambda project: self._start([str(project), *arguments]), self._stop_waiting
        )

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def close(self) -> None:
        """Another project: nothing is known of it."""
        if self._job is not None:
            self._job.close()
            self.ended.emit()
        self._job, self._waiting, self._wanted = None, False, None
        self._suspects, self._result = [], {}
        self._list()
        self.said.emit("")

    def go_to(self, row: int) -> None:
        """Shows a finding: its image, and the person and joint that it is about."""
        if 0 <= row < len(self._suspects):
            self._wanted = self._suspects[row]
            self._session.selection.current_image = self._wanted.image
            self._select()

    def call_right(self, row: int) -> None:
        """Takes a finding off the list, now and in every later look."""
        if not 0 <= row < len(self._suspects) or self._session.read_only:
            return
        suspect = self._suspects.pop(row)
        self._session.store.submit(lambda project: project.call_right(suspect.mark), lambda _: None, self._not_kept)
        self._list()

    def _start(self, arguments: list[str]) -> None:
        self._waiting = False
        self.said.emit("Looking through the labels…")
        self._job = run_child("app.storage.audit_labels", arguments, self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(self._finished)

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("event") == "result":
            self._result = line
        elif line.get("event") == "progress":
            self.progress.emit("Audit", line["done"], line["total"])

    def _finished(self, code: int, text: str) -> None:
        self._job = None
        self.ended.emit()
        if code == CANCELLED_CODE:
            self.said.emit("Cancelled.")
            return
        if code == 0:
            try:
                self._suspects = suspects_of(self._result.get("findings"))
            except msgspec.ValidationError as error:
                code, text = 1, str(error)
        if code != 0:
            self.said.emit("")
            self._messages.post(f"The labels could not be looked through: {text}", "error", topic=_TOPIC)
            return
        self._list()

    def _list(self) -> None:
        names = self._session.skeleton.keypoints
        self.listed.emit(
            [
                (
                    one.suspicion,
                    one.picture,
                    one.about,
                    ", ".join(names[joint].replace("_", " ") for joint in one.joints),
                    self._session.image_file(one.image).name,
                )
                for one in self._suspects
            ]
        )
        if self._result:
            images, problems = self._result["images"], self._result["problems"]
            unread = f"; {len(problems)} photos could not be read" if problems else ""
            learnt = f" · {self._result['learnt']}" if self._result.get("learnt") else ""
            self.said.emit(f"{len(self._suspects)} suspicions on {images} images{unread}{learnt}")

    def _image_opened(self, image: int) -> None:
        if self._wanted is not None and image == self._wanted.image:
            self._select()

    def _select(self) -> None:
        """Once the image is there; somebody who was deleted meanwhile is not selected."""
        wanted, document, selection = self._wanted, self._session.document, self._session.selection
        if wanted is None or not document.is_open(wanted.image) or selection.current_image != wanted.image:
            return
        self._wanted = None
        there = [key for key in wanted.people if document.has_person(wanted.image, key)]
        if there and wanted.joints:
            selection.select_joints(there[0], wanted.joints)
        elif there:
            selection.person = there[-1]
        elif not wanted.people:
            selection.prediction = self._proposal(wanted)

    def _proposal(self, wanted: Suspect) -> int | None:
        """The open prediction of somebody who is not labelled."""
        x, y, w, h = wanted.box
        for found in self._session.document.predictions(wanted.image):
            if found.box.iou(type(found.box)(x, y, w, h)) >= 0.5:
                return found.key
        return None

    def _stop_waiting(self) -> None:
        self._waiting = False

    def _not_kept(self, error: Exception) -> None:
        self._messages.post(f"What looks right could not be kept: {error}", "error", topic=_TOPIC)
