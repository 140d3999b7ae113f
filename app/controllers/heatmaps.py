"""The heatmap overlay of a joint, or of all joints, of a person or of a proposal."""

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRectF, QTimer, Signal

from app.canvas.heatmap_image import best_cells, colored_heatmap, colored_joints
from app.canvas.hit_test import Hit
from app.canvas.items.heatmap_item import Marks
from app.canvas.layers import Layers
from app.canvas.scene import PoseScene
from app.controllers.map_answers import MapAnswers, Place, Wish
from app.controllers.session import Session
from app.document.records import Box
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SNAP = 1 / 8
"""A dragged joint snaps over this share of the box's longer side."""
_LINGER_MS = 300
"""The pointer stays over a joint for so long before its map is shown."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whose joint is looked at."""

    image: int
    person: int | None
    prediction: int | None
    box: Box

    @property
    def place(self) -> Place:
        return self.image, self.box

    def same_person(self, other: "Target | None") -> bool:
        """Whether it is the other one, perhaps with another box."""
        mine = self.image, self.person, self.prediction
        return other is not None and mine == (other.image, other.person, other.prediction)


class Heatmaps(QObject):
    """Shows the maps of the joint that is selected or, with the overlay on, pointed at.

    While new maps of somebody are computed the old ones stay: an overlay that blinks tells less than one that is a
    moment old. Of another person, or another model, nothing stays: that would be wrong, not old.
    """

    status_changed = Signal(str)

    def __init__(
        self, session: Session, engine: EngineClient, scene: PoseScene, layers: Layers, answers: MapAnswers
    ) -> None:
        super().__init__(session)
        self._session, self._scene, self._layers, self._answers = session, scene, layers, answers
        self._wish: Wish | None = None
        self._shown: tuple[object, ...] | None = None
        self._target: Target | None = None
        """Whose maps the overlay shows, or waits for."""
        self._maps: tuple[NDArray[np.floating], Box] | None = None
        """What is shown: [1, S, S] of a joint, [K, S, S] of all."""
        self._text = ""
        self._fetch: Wish | None = None
        """For the maps that a drag snaps by."""
        self._pointed, self._lingers = Hit(), QTimer(self)
        self._hovered = Hit()
        """The joint that the pointer rests on."""
        self._lingers.setSingleShot(True)
        self._lingers.setInterval(_LINGER_MS)
        self._lingers.timeout.connect(self._linger)
        session.selection.changed.connect(self.refresh)
        session.selection.image_changed.connect(lambda _: self._leave())
        session.document.people_changed.connect(lambda *_: self.refresh())
        session.document.predictions_changed.connect(lambda _: self.refresh())
        session.document.image_opened.connect(lambda _: self.refresh())
        session.closed.connect(self._forget)
        layers.changed.connect(self.refresh)
        engine.ready.connect(lambda _: self._forget())

    def refresh(self) -> None:
        """Shows the overlay that fits the selection; asks the engine when its maps are not there."""
        wanted = self._wanted()
        if self._wish is not None and (wanted is None or wanted[0].place != self._wish.place):
            self._answers.drop(self._wish)
            self._wish = None
        if wanted is None:
            self._clear()
            self._say("Select a joint to see where the model looks for it." if self._layers.shows("heatmap") else "")
            return
        target, joint = wanted
        result = self._answers.known(target.place)
        if result is not None:
            self._target = target
            self._show(result, joint)
            return
        if not target.same_person(self._target):
            self._clear()
            self._target = target
        if self._wish is None:
            self._say("computing…")
            self._wish = self._answers.ask(target.place, lambda _: self._answered(), self._failed)

    def selected(self) -> Target | None:
        """The person or the proposal whose maps are looked at; None without one."""
        selection = self._session.selection
        return self._target_of(selection.person, selection.prediction)

    def place_near(self, x: float, y: float) -> tuple[float, float] | None:
        """The place nearest to x, y in pixels that stands out in the selected joint's map; None when none is near.

        Also while the maps are not there yet: they are asked for then.
        """
        target, joint = self.selected(), self._session.selection.joint
        if target is None or joint is None:
            return None
        result = self._answers.known(target.place)
        if result is None:
            if self._fetch is None:
                self._fetch = self._answers.ask(target.place, lambda _: self._fetched(), lambda _: self._fetched())
            return None
        reach = _SNAP * max(target.box.w, target.box.h)
        places = [(place.x, place.y) for place in result.places(0, joint)]
        best = min(places, key=lambda place: hypot(place[0] - x, place[1] - y), default=None)
        return best if best is not None and hypot(best[0] - x, best[1] - y) <= reach else None

    def hover(self, hit: Hit) -> None:
        """The pointer is over something else: over a joint that is there after a moment, its map is shown."""
        self._pointed = hit
        if hit.joint is not None and self._layers.shows("heatmap"):
            self._lingers.start()
            return
        self._lingers.stop()
        if self._hovered:
            self._hovered = Hit()
            self.refresh()

    def point(self, x: float, y: float) -> None:
        """Says what the map is at a place in pixels of the photo, if it is shown there."""
        if self._maps is None:
            return
        maps, box = self._maps
        rows, columns = maps.shape[1:]
        column, row = int((x - box.x) / box.w * columns // 1), int((y - box.y) / box.h * rows // 1)
        if not (0 <= column < columns and 0 <= row < rows):
            self._say(self._text)
            return
        here = maps[:, row, column].astype(float)
        if len(maps) == 1:
            self._say(f"{self._text}\nhere {_percent(here[0])} of it")
        else:
            shares = here / maps.max(axis=(1, 2)).astype(float).clip(1e-12)
            self._say(f"{self._text}\nhere most of all the {self._name(int(shares.argmax()))}")

    def _wanted(self) -> tuple[Target, int | None] | None:
        """Whose map is to be shown, and of which joint: None is all of them."""
        if not self._layers.shows("heatmap"):
            return None
        hovered = self._target_of(self._hovered.person, self._hovered.prediction)
        if hovered is not None:
            return hovered, self._hovered.joint
        target, joint = self.selected(), self._session.selection.joint
        if target is None or (joint is None and not self._layers.heatmap.everything):
            return None
        return target, None if self._layers.heatmap.everything else joint

    def _target_of(self, person: int | None, prediction: int | None) -> Target | None:
        document, image = self._session.document, self._session.selection.current_image
        if image is None or not document.is_open(image):
            return None
        if person is not None and document.has_person(image, person):
            return Target(image, person, None, document.person(image, person).box)
        if prediction is not None and any(one.key == prediction for one in document.predictions(image)):
            return Target(image, None, prediction, document.prediction(image, prediction).box)
        return None

    def _linger(self) -> None:
        self._hovered = self._pointed
        self.refresh()

    def _leave(self) -> None:
        """Another image is shown: the pointer does not rest on what was there."""
        self._lingers.stop()
        self._pointed = self._hovered = Hit()

    def _answered(self) -> None:
        self._wish = None
        self.refresh()

    def _failed(self, reason: str) -> None:
        self._wish = None
        self._say(reason)

    def _fetched(self) -> None:
        self._fetch = None

    def _show(self, result: EstimateResult, joint: int | None) -> None:
        look = self._layers.heatmap
        if result.heatmaps is None:
            return
        if self._shown == (result, joint, look):
            self._say(self._text)
            return
        self._shown = result, joint, look
        maps, box = result.heatmaps[0], result.boxes[0]
        self._maps = (maps if joint is None else maps[joint : joint + 1]), box
        if joint is None:
            picture, caption, marks = colored_joints(maps, look), "all joints", Marks()
            self._text = "All joints, each by its own peak"
        else:
            name, confidence = self._name(joint), float(result.confidences[0][joint])
            picture, marks = colored_heatmap(maps[joint], look), marks_of(result, joint)
            caption, self._text = f"{name}   {confidence:.2f}", f"{name}: confidence {confidence:.2f}"
        self._scene.set_heatmap(picture, box, caption, marks)
        self._say(self._text)

    def _name(self, joint: int) -> str:
        return self._session.skeleton.keypoints[joint].replace("_", " ")

    def _clear(self) -> None:
        self._scene.clear_heatmap()
        self._shown = self._target = self._maps = None

    def _forget(self) -> None:
        """Another model answers now, or another project is open: what was or is being computed is not about it."""
        self._wish = self._fetch = None
        self._leave()
        self._clear()
        self.refresh()

    def _say(self, text: str) -> None:
        self.status_changed.emit(text)


def marks_of(result: EstimateResult, joint: int) -> Marks:
    """What is marked on the map of a joint of the first box."""
    assert result.heatmaps is not None
    probabilities, box = result.heatmaps[0][joint], result.boxes[0]
    rows, columns = probabilities.shape
    w, h = box.w / columns, box.h / rows
    cells = [QRectF(box.x + column * w, box.y + row * h, w, h) for row, column in best_cells(probabilities, 2)]
    answer = QPointF(*result.keypoints[0][joint].tolist())
    others = [QPointF(place.x, place.y) for place in result.places(0, joint)[1:]]
    return Marks(tuple(cells), answer, tuple(others))


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
