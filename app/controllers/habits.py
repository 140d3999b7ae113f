"""How joints are marked in this project, learnt again and again from its own labels."""

from collections.abc import Mapping

from PySide6.QtCore import QObject, QTimer

from app.controllers.session import Session
from app.storage.habits import learnt_habits
from app.storage.visibility import Habit

PAUSE_MS = 300
"""After another image is shown, whose labels are read first."""


class Habits(QObject):
    """Between two images, if labels have changed since the last time: what is on screen is not changed under a hand."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._stale = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._learn)
        session.opened.connect(self._opened)
        session.closed.connect(self._closed)
        session.document.edited.connect(self._edited)
        session.selection.image_changed.connect(lambda _: self._timer.start())

    def _opened(self) -> None:
        self._stale = True
        self._timer.start()

    def _closed(self) -> None:
        self._stale = False
        self._session.set_habits({})

    def _edited(self, *_: object) -> None:
        self._stale = True

    def _learn(self) -> None:
        if not (self._stale and self._session.is_open):
            return
        self._stale = False
        store = self._session.store

        def learnt(habits: Mapping[str, Habit]) -> None:
            if self._session.is_open and self._session.store is store:
                self._session.set_habits(habits)

        # What cannot be read now is said when it is read or written for somebody; the labels are as good without.
        store.submit(learnt_habits, learnt, failed=lambda error: None)
