"""In which order the images are gone through."""

import random
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.controllers.exporting import when_saved
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.panels.image_model import ImageListModel
from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child

BY_NAME = "name"
_TOPIC = "order"
_COUNTED = {"work": "work", "easy": "work", "difference": "difference"}
"""What a child is asked for by the names of the orders that it knows."""


class Ordering(QObject):
    """An order holds as it is until somebody chooses one again: rows do not jump while one works through them."""

    chosen = Signal(str)
    """Name of the order that is shown now."""

    def __init__(self, session: Session, model: ImageListModel, messages: Messages) -> None:
        super().__init__(session)
        self._session, self._model, self._messages = session, model, messages
        self._shown, self._wanted = BY_NAME, BY_NAME
        self._job: ChildJob | None = None
        self._result: dict[str, Any] = {}
        session.opened.connect(self._forget)
        session.refreshed.connect(lambda: QTimer.singleShot(0, self, self._refreshed))
        session.closed.connect(self.close)

    def choose(self, name: str) -> None:
        """Shows the images in another order, or in the same one as it is by now."""
        self.close()
        if not self._session.is_open:
            self.chosen.emit(BY_NAME)
            return
        self._wanted = name
        if name in _COUNTED:
            when_saved(self._session, self._messages, lambda project: self._begin(name, str(project)), self._keep)
            return
        keys = [record.key for record in self._model.records()]
        random.Random(0).shuffle(keys)
        self._show(name, None if name == BY_NAME else keys)

    def close(self) -> None:
        if self._job is not None:
            self._job.close()
            self._job = None

    def _begin(self, name: str, project: str) -> None:
        if name != self._wanted:
            return
        self._result = {}
        arguments = [project, "--by", _COUNTED[name], "--model", self._session.shown_model]
        self._job = run_child("app.storage.order_images", arguments, self)
        self._job.progress.connect(self._heard)
        self._job.finished.connect(lambda code, text: self._ended(name, code, text))

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("event") == "result":
            self._result = line

    def _ended(self, name: str, code: int, text: str) -> None:
        self._job = None
        if code == CANCELLED_CODE:
            return
        if code != 0:
            self._messages.post(f"The images cannot be put in order: {text}", "error")
            self._keep()
            return
        keys, known = list(self._result["images"]), int(self._result["known"])
        if not known:
            text = "Nothing is known of these images yet: pre-fill them all, then choose the order again."
            self._messages.post(text, "info", topic=_TOPIC)
            self._keep()
            return
        if name == "easy":
            left = int(self._result["open"])
            keys[:left] = reversed(keys[:left])
        if known < len(keys):
            left = len(keys) - known
            text = (
                f"{left:,} of the images come last: the model that is shown has not looked at them, or did so in an"
                " older version. Pre-fill them to have them in the order."
            )
            self._messages.post(text, "info", topic=_TOPIC)
        self._show(name, keys)

    def _show(self, name: str, keys: list[int] | None) -> None:
        self._shown = name
        self._model.set_order(keys)
        self.chosen.emit(name)

    def _keep(self) -> None:
        """The order that was wanted cannot be had."""
        self._wanted = self._shown
        self.chosen.emit(self._shown)

    def _refreshed(self) -> None:
        """The list was read anew: the order holds if it is of the same images."""
        if self._shown != BY_NAME and not self._model.has_order:
            self._forget()

    def _forget(self) -> None:
        self.close()
        self._shown = self._wanted = BY_NAME
        self.chosen.emit(BY_NAME)
