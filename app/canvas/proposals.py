"""What the model proposes on the current image: which proposals are shown, and what accepting them does.

The canvas draws and hits them, the panels count them, Space accepts them: all of them ask here.
"""

from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from app.canvas.layers import Layers
from app.commands.predictions import AcceptanceOf, Proposal, acceptable, is_comparison, proposal
from app.document.document import Document
from app.document.records import Prediction, PredictionStatus
from app.document.selection import Selection


@dataclass(frozen=True, slots=True)
class Proposed:
    """The open predictions of an image.

    Attributes:
        shown: Those at or above the threshold that match no label, by key; none on an image that is finished.
        accepted: Keys of those that become labels when all shown are accepted, the surest first. Of several that
            lie on one person it is one.
        hidden: How many match no label and are not shown.
        matching: How many match a label.
    """

    shown: tuple[Proposal, ...] = ()
    accepted: tuple[int, ...] = ()
    hidden: int = 0
    matching: int = 0


class Proposals(QObject):
    """Sorts the predictions anew only after something that decides about them has changed: a pointer asks often."""

    changed = Signal()
    """The same predictions are other proposals now: other joints of theirs would become labels."""
    counted = Signal(object)
    """Proposed: once per round of the event loop, after anything that matters may have changed."""

    def __init__(
        self,
        document: Document,
        selection: Selection,
        layers: Layers,
        acceptance_of: AcceptanceOf,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._selection, self._layers, self._acceptance_of = document, selection, layers, acceptance_of
        self._state: tuple[object, ...] | None = None
        self._proposed = Proposed()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(lambda: self.counted.emit(self.now()))
        for signal in (
            selection.image_changed,
            document.image_opened,
            document.image_changed,
            document.people_changed,
            document.predictions_changed,
            layers.changed,
        ):
            signal.connect(self._touch)

    def now(self) -> Proposed:
        """The proposals as everything is at this moment."""
        layers = self._layers
        image, on = self._selection.current_image, layers.shows("predictions")
        state = (self._document.revision, image, layers.threshold, on)
        if state != self._state:
            self._state = state
            self._proposed = (
                self._sort(image, on) if image is not None and self._document.is_open(image) else Proposed()
            )
        return self._proposed

    def forget(self) -> None:
        """By what a model's joints become labels has changed: what is sure and what a hint is decided anew."""
        self._state, self._proposed = None, Proposed()
        self.changed.emit()
        self._touch()

    def _sort(self, image: int, on: bool) -> Proposed:
        people = self._document.people(image)
        visible = on and not self._document.image(image).state.finished
        shown: list[Prediction] = []
        hidden = matching = 0
        for prediction in self._document.predictions(image):
            if prediction.status is not PredictionStatus.OPEN:
                continue
            if is_comparison(prediction, people):
                matching += 1
            elif visible and prediction.score >= self._layers.threshold:
                shown.append(prediction)
            else:
                hidden += 1
        surest = sorted(shown, key=lambda prediction: -prediction.score)
        accepted = tuple(prediction.key for prediction in acceptable(surest, ()))  # nobody else's, as seen above
        return Proposed(self._with_joints(shown), accepted, hidden, matching)

    def _with_joints(self, shown: list[Prediction]) -> tuple[Proposal, ...]:
        """The predictions as proposals; those of before stay the same objects where nothing has changed."""
        before = {known.key: known for known in self._proposed.shown}
        proposals = []
        for prediction in shown:
            known = before.get(prediction.key)
            same = known is not None and known.prediction == prediction
            proposals.append(known if known and same else proposal(prediction, self._acceptance_of(prediction.model)))
        return tuple(proposals)

    def _touch(self, *_: object) -> None:
        self._timer.start()
