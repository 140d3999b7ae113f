"""From one place that stands out in a joint's heatmap to the next: the joint goes where the model may see it, too."""

from PySide6.QtCore import QObject

from app.controllers.editing import Editing
from app.controllers.heatmaps import Heatmaps, Target
from app.controllers.map_answers import MapAnswers
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.document.records import Box, PredictedJoint
from app.workers.payloads import EstimateResult

_TOPIC = "peaks"
_THERE = 0.05
"""A joint is at a place when it is no further from it than this share of the box's longer side."""


class Peaks(QObject):
    """Moves the selected joint, of a person or of a proposal, which that accepts; every step can be undone."""

    def __init__(
        self, session: Session, editing: Editing, heatmaps: Heatmaps, answers: MapAnswers, messages: Messages
    ) -> None:
        super().__init__(session)
        self._session, self._editing, self._heatmaps = session, editing, heatmaps
        self._answers, self._messages = answers, messages

    def step(self, way: int) -> None:
        """To the next less probable place (1) or back (-1); after the last one the first comes again."""
        target, joint = self._heatmaps.selected(), self._session.selection.joint
        if target is None or joint is None:
            return

        def found(result: EstimateResult) -> None:
            still = self._heatmaps.selected()
            if still == target and self._session.selection.joint == joint:
                self._messages.settle(_TOPIC)
                self._go(target, joint, result, way)

        def failed(reason: str) -> None:
            self._messages.post(f"The model could not be asked for other places: {reason}", "warning", topic=_TOPIC)

        self._answers.ask(target.place, found, failed)

    def _go(self, target: Target, joint: int, result: EstimateResult, way: int) -> None:
        name = self._session.skeleton.keypoints[joint].replace("_", " ")
        places = result.places(0, joint)
        now = self._place_of(target, joint)
        here = _nearest(places, now, target.box)
        if not places or (here is not None and len(places) == 1):
            self._messages.post(f"The model sees no other place for the {name} in this box.", topic=_TOPIC)
            return
        first = 0 if way > 0 else len(places) - 1
        number = first if here is None else (here + way) % len(places)
        place = places[number]
        if target.person is not None:
            self._editing.move_joint(target.person, joint, place.x, place.y)
        elif target.prediction is not None:
            self._editing.move_proposed_joint(target.prediction, joint, place.x, place.y)
        text = f"{name}: place {number + 1} of {len(places)}, probability {place.confidence:.2f}"
        self._messages.post(text, topic=_TOPIC)

    def _place_of(self, target: Target, joint: int) -> tuple[float, float] | None:
        """Where the joint is now; None when it has no place."""
        document = self._session.document
        if target.person is not None:
            known = document.person(target.image, target.person).joints[joint]
            return (known.x, known.y) if known.has_place else None
        assert target.prediction is not None
        proposed = document.prediction(target.image, target.prediction).joints[joint]
        return proposed.x, proposed.y


def _nearest(places: tuple[PredictedJoint, ...], now: tuple[float, float] | None, box: Box) -> int | None:
    """The number of the place that a joint is at."""
    if now is None or not places:
        return None
    away = [max(abs(place.x - now[0]), abs(place.y - now[1])) for place in places]
    best = min(range(len(places)), key=away.__getitem__)
    return best if away[best] <= _THERE * max(box.w, box.h) else None
