"""Tells when the first image is on screen with everything that belongs to it: for pictures of the window."""

from PySide6.QtCore import QObject, QTimer, Signal

from app.controllers.photos import Photos
from app.controllers.prefill import Prefill
from app.controllers.session import Session

_SETTLE_MS = 400


class Readiness(QObject):
    """Emits `ready` once: the photo is shown (or damaged) and its pre-fill is stored, or the time is up."""

    ready = Signal()

    def __init__(
        self, session: Session, photos: Photos, prefill: Prefill, wait_for_prefill: bool, timeout_ms: int
    ) -> None:
        super().__init__(session)
        self._waiting = {"photo", "prefill"} if wait_for_prefill else {"photo"}
        self._over = False
        photos.shown.connect(lambda _: self._came("photo"))
        photos.damaged.connect(lambda *_: self._came("photo", "prefill"))
        session.open_failed.connect(lambda _: self._came("photo", "prefill"))
        prefill.stored.connect(lambda _: self._came("prefill"))
        if wait_for_prefill:
            session.image_loaded.connect(lambda _: prefill.this_image())
        QTimer.singleShot(timeout_ms, self, self._finish)

    def nothing_to_open(self) -> None:
        """There is no content to wait for."""
        self._came("photo", "prefill")

    def _came(self, *what: str) -> None:
        self._waiting -= set(what)
        if not self._waiting:
            QTimer.singleShot(_SETTLE_MS, self, self._finish)

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self.ready.emit()
