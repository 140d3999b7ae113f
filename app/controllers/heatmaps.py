"""The heatmap overlay of the selected joint."""

from PySide6.QtCore import QObject, Signal

from app.canvas.layers import Layers
from app.canvas.scene import PoseScene
from app.controllers.session import Session
from app.document.records import Box
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult

_Place = tuple[int, int, Box]


class Heatmaps(QObject):
    """Keeps the selected person's maps until its box, the model or the selection changes.

    While new maps are computed the old ones stay: an overlay that blinks tells less than one that is a moment old.
    """

    status_changed = Signal(str)

    def __init__(self, session: Session, engine: EngineClient, scene: PoseScene, layers: Layers) -> None:
        super().__init__(session)
        self._session, self._engine, self._scene, self._layers = session, engine, scene, layers
        self._place: _Place | None = None
        self._result: EstimateResult | None = None
        self._asked: tuple[_Place, int] | None = None
        self._shown: tuple[object, int, float] | None = None
        session.selection.changed.connect(self.refresh)
        session.document.people_changed.connect(lambda *_: self.refresh())
        session.document.image_opened.connect(lambda _: self.refresh())
        layers.changed.connect(self.refresh)
        engine.ready.connect(lambda _: self._forget())

    def refresh(self) -> None:
        """Shows the overlay that fits the selection; asks the engine when its maps are not there."""
        place, joint = self._wanted(), self._session.selection.joint
        if place is None or joint is None:
            self._scene.clear_heatmap()
            self._shown = None
            self._say("Select a joint to see where the model looks for it." if self._layers.shows("heatmap") else "")
            return
        if place == self._place and self._result is not None:
            self._show(self._result, joint)
        else:
            if self._place is None or place[:2] != self._place[:2]:
                self._scene.clear_heatmap()
                self._shown = None
            self._ask(place)

    def _wanted(self) -> _Place | None:
        selection, document = self._session.selection, self._session.document
        image, key = selection.current_image, selection.person
        if not self._layers.shows("heatmap") or image is None or key is None or not document.has_person(image, key):
            return None
        return image, key, document.person(image, key).box

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
        file = self._session.image_file(place[0])
        self._asked = (place, self._engine.estimate(file, [place[2]], heatmaps=True, done=done, failed=failed))

    def _show(self, result: EstimateResult, joint: int) -> None:
        if result.heatmaps is None:
            return
        wanted = (result, joint, self._layers.opacity)
        if wanted == self._shown:
            return
        self._shown = wanted
        name = self._session.skeleton.keypoints[joint].replace("_", " ")
        caption = f"{name}   {float(result.confidences[0][joint]):.2f}"
        self._scene.set_heatmap(result.heatmaps[0][joint], result.boxes[0], caption)
        self._say(f"{name}: confidence {float(result.confidences[0][joint]):.2f}")

    def _forget(self) -> None:
        self._place = self._result = self._shown = None
        self.refresh()

    def _say(self, text: str) -> None:
        self.status_changed.emit(text)
