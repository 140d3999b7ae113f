"""The requests that the engine has: which wait, which are worked on, and which can be worked on together. No torch."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.workers.wire import Message
from msarcnn.images import LoadedImage

if TYPE_CHECKING:
    from msarcnn.predictor import Predictor


@dataclass(eq=False)
class Request:
    """A message that wants an answer.

    Attributes:
        model: Who is to answer; None when it is not loaded.
        reading: The pixels of its image, on their way.
    """

    message: Message
    model: "Predictor | None" = None
    reading: "Future[LoadedImage] | None" = None

    @property
    def number(self) -> int:
        return int(self.message["request"])

    @property
    def kind(self) -> str:
        return str(self.message["type"])


@dataclass(eq=False)
class RequestQueue:
    """The requests of one thread, and which it works on. Shared state is guarded by the engine's condition.

    rank: requests of the lowest rank come first, in the order of their arrival.
    """

    rank: Callable[[Message], int]
    waiting: list[Request] = field(default_factory=list)
    under_way: list[Request] = field(default_factory=list)

    def add(self, request: Request) -> None:
        rank = self.rank(request.message)
        place = sum(self.rank(other.message) <= rank for other in self.waiting)
        self.waiting.insert(place, request)

    def take(self, most: Callable[[Request], int]) -> list[Request]:
        """Begins the first request, and those like it that can go with it."""
        first = self.waiting[0]
        alike = [other for other in self.waiting if _goes_with(other, first)]
        self.under_way = alike[: most(first)]
        self.waiting = [other for other in self.waiting if other not in self.under_way]
        return self.under_way

    def take_out(self, number: int) -> Request | None:
        """Removes a request that has not begun."""
        found = next((request for request in self.waiting if request.number == number), None)
        if found is not None:
            self.waiting.remove(found)
        return found

    @property
    def busy(self) -> bool:
        return bool(self.under_way or self.waiting)


def _goes_with(other: Request, first: Request) -> bool:
    """Whether two requests can be worked on together: batch images for one model that nobody looks at."""
    return other is first or (in_groups(other) and in_groups(first) and other.model is first.model)


def in_groups(request: Request) -> bool:
    """Whether it is a batch's, which nobody looks at and nobody suspects: such are worked on together."""
    message = request.message
    return request.kind == "predict" and not (message["urgent"] or message["harder"] or message["alone"])
