"""How joints are marked in this project, learnt again and again from its own labels."""

from collections.abc import Mapping

from PySide6.QtCore import QObject, QTimer

from app.controllers.session import Session
from app.storage.habits import learnt_habits
from app.storage.visibility import Habit

PAUSE_MS = 300
"""After another image is shown, whose labels are read first."""


class Habits(QObject):
    """Learns after an image was left on which labels have changed, and applies it when the next one is left.

    What is on screen does not change under a hand; only a project that was just opened gets its habit at once.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._stale = False
        self._learnt: Mapping[str, Habit] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(lambda: self._learn(at_once=False))
        session.opened.connect(lambda: self._learn(at_once=True))
        session.closed.connect(self._closed)
        for signal in (session.document.edited, session.document.predictions_changed, session.refreshed):
            signal.connect(self._touch)
        session.selection.image_changed.connect(lambda _: self._image_changed())

    def _touch(self, *_: object) -> None:
        self._stale = True

    def _image_changed(self) -> None:
        if self._learnt is not None:
            self._session.set_habits(self._learnt)
            self._learnt = None
        self._timer.start()

    def _closed(self) -> None:
        self._stale, self._learnt = False, None
        self._session.set_habits({})

    def _learn(self, at_once: bool) -> None:
        if not self._session.is_open or not (self._stale or at_once):
            return
        self._stale = False
        store = self._session.store

        def learnt(habits: Mapping[str, Habit]) -> None:
            if not self._session.is_open or self._session.store is not store:
                return
            if at_once:
                self._session.set_habits(habits)
            else:
                self._learnt = habits

        # What cannot be read now is said when it is read or written for somebody; the labels are as good without.
        store.submit(learnt_habits, learnt, failed=lambda error: None)
