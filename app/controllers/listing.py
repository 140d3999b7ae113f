"""Keeps the image list in step with the project."""

from PySide6.QtCore import QObject

from app.controllers.session import Session
from app.document.records import ImageRecord
from app.panels.image_model import ImageListModel


class Listing(QObject):
    """Rows come from the file when a project is opened, then from every record that changes."""

    def __init__(self, session: Session, model: ImageListModel) -> None:
        super().__init__(session)
        self._session, self._model = session, model
        session.opened.connect(lambda: model.set_records(session.rows))
        session.refreshed.connect(self._refresh)
        session.closed.connect(lambda: model.set_records({}))
        session.image_saved.connect(self._saved)
        session.document.image_changed.connect(self._changed)

    def _refresh(self) -> None:
        self._model.set_records(self._session.rows)
        # Rows were read from the file, which open images may be ahead of.
        for image in self._session.document.open_images():
            self._changed(image)

    def _changed(self, image: int) -> None:
        self._model.update_record(self._session.document.image(image))

    def _saved(self, record: ImageRecord) -> None:
        # What is in memory is newer than what was just written.
        if not self._session.document.is_open(record.key):
            self._model.update_record(record)
