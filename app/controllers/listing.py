"""Keeps the image list in step with the project."""

from PySide6.QtCore import QObject

from app.controllers.session import Session
from app.document.records import ImageRecord
from app.panels.image_model import ImageListModel, ImageRow


class Listing(QObject):
    """Rows come from the file when a project is opened, then from every record that changes."""

    def __init__(self, session: Session, model: ImageListModel) -> None:
        super().__init__(session)
        self._session, self._model = session, model
        session.opened.connect(lambda: model.set_records(session.rows))
        session.refreshed.connect(lambda: model.set_records(self._rows()))
        session.shown_rows.connect(lambda: model.update_records(self._rows()))
        session.closed.connect(lambda: model.set_records({}))
        session.image_saved.connect(self._saved)
        session.document.image_opened.connect(self._changed)  # also anew, after something else has written
        session.document.image_changed.connect(self._changed)

    def _rows(self) -> dict[int, ImageRow]:
        """Rows as read from the file, which open images may be ahead of."""
        document, rows = self._session.document, dict[int, ImageRow](self._session.rows)
        rows.update({image: document.image(image) for image in document.open_images() if image in rows})
        return rows

    def _changed(self, image: int) -> None:
        self._model.update_record(self._session.document.image(image))

    def _saved(self, record: ImageRecord) -> None:
        # What is in memory is newer than what was just written.
        if not self._session.document.is_open(record.key):
            self._model.update_record(record)
