"""The model's maps of boxes: asked for once, kept for a while, shared by all who look at them."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import QObject

from app.controllers.session import Session
from app.document.records import Box
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult

Place = tuple[int, Box]
"""Image and box: what a model's maps depend on."""
_MOST_KEPT = 8
"""Boxes whose maps are kept: 140 KB each."""


@dataclass(eq=False)
class Wish:
    """Somebody waits for the maps of a place."""

    place: Place
    then: Callable[[EstimateResult], object]
    failed: Callable[[str], object]


@dataclass(eq=False)
class _Request:
    number: int = -1
    wishes: list[Wish] = field(default_factory=list)


class MapAnswers(QObject):
    """Nothing of another model, or of another project, is kept or comes late."""

    def __init__(self, session: Session, engine: EngineClient) -> None:
        super().__init__(session)
        self._session, self._engine = session, engine
        self._results: OrderedDict[Place, EstimateResult] = OrderedDict()
        self._asked: dict[Place, _Request] = {}
        engine.ready.connect(lambda _: self._forget())
        session.closed.connect(self._forget)

    def known(self, place: Place) -> EstimateResult | None:
        """The maps, if they are there."""
        return self._results.get(place)

    def ask(self, place: Place, then: Callable[[EstimateResult], object], failed: Callable[[str], object]) -> Wish:
        """Calls back with the maps, at once if they are there; for `drop`.

        Neither callback is called once another model answers, or the project is closed.
        """
        wish = Wish(place, then, failed)
        result = self._results.get(place)
        if result is not None:
            then(result)
        elif place in self._asked:
            self._asked[place].wishes.append(wish)
        else:
            self._asked[place] = request = _Request(wishes=[wish])
            image, box = place
            request.number = self._engine.estimate(
                self._session.image_file(image),
                [box],
                heatmaps=True,
                done=lambda result: self._done(place, result),
                failed=lambda reason: self._failed(place, reason),
            )
        return wish

    def drop(self, wish: Wish | None) -> None:
        """Nobody waits for it any more; what nobody at all waits for is not computed."""
        request = None if wish is None else self._asked.get(wish.place)
        if request is None or wish not in request.wishes:
            return
        request.wishes.remove(wish)
        if not request.wishes:
            del self._asked[wish.place]
            self._engine.cancel_request(request.number)

    def _done(self, place: Place, result: EstimateResult) -> None:
        self._results[place] = result
        while len(self._results) > _MOST_KEPT:
            self._results.popitem(last=False)
        for wish in self._asked.pop(place).wishes:
            wish.then(result)

    def _failed(self, place: Place, reason: str) -> None:
        for wish in self._asked.pop(place).wishes:
            wish.failed(reason)

    def _forget(self) -> None:
        asked, self._asked = self._asked, {}
        for request in asked.values():
            self._engine.cancel_request(request.number)
        self._results.clear()
