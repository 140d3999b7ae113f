"""The heatmap overlay of the selected joint, of a person or of a proposal."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.canvas.layers import Layers
from app.canvas.scene import PoseScene
from app.controllers.session import Session
from app.document.records import Box
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult

_Place = tuple[int, Box]
"""Image and box: what a model's maps depend on."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whose joint is looked at."""

    image: int
    person: int | None
    prediction: int | None
    box: Box

    @property
    def place(self) -> _Place:
        return self.image, self.box

    def same_person(self, other: "Target | None") -> bool:
        """Whether it is the other one, perhaps with another box."""
        mine = self.image, self.person, self.prediction
        return other is not None and mine == (other.image, other.person, other.prediction)


class Heatmaps(QObject):
    """Keeps the maps of one box until another one is selected, or another model answers.

    While new maps of somebody are computed the old ones stay: an overlay that blinks tells less than one that is a
    moment old. Of another person, or another model, nothing stays: that would be wrong, not old.
    """

    status_changed = Signal(str)

    def __init__(self, session: Session, engine: EngineClient, scene: PoseScene, layers: Layers) -> None:
        super().__init__(session)
        self._session, self._engine, self._scene, self._layers = session, engine, scene, layers
        self._place: _Place | None = None
        self._result: EstimateResult | None = None
        self._asked: tuple[_Place, int] | None = None
        self._shown: tuple[object, int, float] | None = None
        self._target: Target | None = None
        """Whose maps the overlay shows, or waits for."""
        session.selection.changed.connect(self.refresh)
        session.document.people_changed.connect(lambda *_: self.refresh())
        session.document.predictions_changed.connect(lambda _: self.refresh())
        session.document.image_opened.connect(lambda _: self.refresh())
        session.closed.connect(self._forget)
        layers.changed.connect(self.refresh)
        engine.ready.connect(lambda _: self._forget())

    def refresh(self) -> None:
        """Shows the overlay that fits the selection; asks the engine when its maps are not there."""
        target, joint = self._wanted(), self._session.selection.joint
        if target is None or joint is None:
            self._clear()
            self._say("Select a joint to see where the model looks for it." if self._layers.shows("heatmap") else "")
            return
        if target.place == self._place and self._result is not None:
            self._target = target
            self._show(self._result, joint)
            return
        if not target.same_person(self._target):
            self._clear()
            self._target = target
        self._ask(target.place)

    def ask_for(self, target: Target, then: Callable[[EstimateResult], object], failed: Callable[[str], None]) -> None:
        """Gets the maps of somebody, shown or not; they are kept, so that who asks again has them at once."""
        if target.place == self._place and self._result is not None:
            then(self._result)
            return

        def done(result: EstimateResult) -> None:
            self._place, self._result = target.place, result
            then(result)

        file = self._session.image_file(target.image)
        self._engine.estimate(file, [target.box], heatmaps=True, done=done, failed=failed)

    def _wanted(self) -> Target | None:
        return self.selected() if self._layers.shows("heatmap") else None

    def selected(self) -> Target | None:
        """The person or the proposal whose maps are looked at; None without one."""
        selection, document = self._session.selection, self._session.document
        image, person, prediction = selection.current_image, selection.person, selection.prediction
        if image is None or not document.is_open(image):
            return None
        if person is not None and document.has_person(image, person):
            return Target(image, person, None, document.person(image, person).box)
        if prediction is not None:
            return Target(image, None, prediction, document.prediction(image, prediction).box)
        return None

    def _ask(self, place: _Place) -> None:
        if self._asked is not None:
            if self._asked[0] == place:
                return
            self._engine.cancel_request(self._asked[1])

        def done(result: EstimateResult) -> None:
            self._asked = None
            self._place, self._result = place, result
            self.refresh()

        def failed(reason: str) -> None:
            self._asked = None
            self._say(reason)

        self._say("computing…")
        image, box = place
        request = self._engine.estimate(self._session.image_file(image), [box], heatmaps=True, done=done, failed=failed)
        self._asked = place, request

    def _show(self, result: EstimateResult, joint: int) -> None:
        if result.heatmaps is None:
            return
        wanted = (result, joint, self._layers.opacity)
        if wanted == self._shown:
            return
        self._shown = wanted
        name = self._session.skeleton.keypoints[joint].replace("_", " ")
        caption = f"{name}   {float(result.confidences[0][joint]):.2f}"
        others = [(place.x, place.y) for place in result.places(0, joint)[1:]]
        self._scene.set_heatmap(result.heatmaps[0][joint], result.boxes[0], caption, others)
        self._say(f"{name}: confidence {float(result.confidences[0][joint]):.2f}")

    def _clear(self) -> None:
        self._scene.clear_heatmap()
        self._shown = self._target = None

    def _forget(self) -> None:
        """Another model answers now, or another project is open: what was or is being computed is not about it."""
        if self._asked is not None:
            self._engine.cancel_request(self._asked[1])
        self._asked = self._place = self._result = None
        self._clear()
        self.refresh()

    def _say(self, text: str) -> None:
        self.status_changed.emit(text)
