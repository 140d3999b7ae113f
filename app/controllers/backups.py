"""A snapshot of the project on demand."""

from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QObject

from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.backups import KEPT, back_up


class Backups(QObject):
    """Copies the project, with every edit that was made before, and says where the copy is."""

    def __init__(self, session: Session, messages: Messages) -> None:
        super().__init__(session)
        self._session, self._messages = session, messages

    def make(self) -> None:
        def made(path: Path) -> None:
            text = f"Snapshot written to {path}. It opens like any project; the newest {KEPT} are kept."
            self._messages.post(text, "success", topic="snapshot")

        def failed(error: Exception) -> None:
            self._messages.post(str(error), "error", topic="snapshot")

        if self._session.is_open:
            now = datetime.now()
            self._session.store.submit(lambda project: back_up(project, now), made, failed)
