"""How many predictions of the current image are shown, below the threshold, or labelled already."""

from PySide6.QtCore import QObject, QTimer, Signal

from app.canvas.layers import Layers
from app.commands.predictions import is_comparison
from app.controllers.session import Session
from app.document.records import PredictionStatus


class PredictionCounts(QObject):
    """Counts anew, once per round of the event loop, after anything that matters has changed."""

    changed = Signal(int, int, int)
    """shown, below the threshold, matching a label."""

    def __init__(self, session: Session, layers: Layers) -> None:
        super().__init__(session)
        self._session, self._layers = session, layers
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._count)
        session.selection.image_changed.connect(lambda _: self._timer.start())
        session.document.image_opened.connect(lambda _: self._timer.start())
        session.document.people_changed.connect(lambda *_: self._timer.start())
        session.document.predictions_changed.connect(lambda _: self._timer.start())
        layers.changed.connect(self._timer.start)

    def _count(self) -> None:
        image, document = self._session.selection.current_image, self._session.document
        if image is None or not document.is_open(image):
            self.changed.emit(0, 0, 0)
            return
        people = document.people(image)
        shown = hidden = matched = 0
        for prediction in document.predictions(image):
            if prediction.status is not PredictionStatus.OPEN:
                continue
            if is_comparison(prediction, people):
                matched += 1
            elif prediction.score < self._layers.threshold:
                hidden += 1
            else:
                shown += 1
        self.changed.emit(shown, hidden, matched)
