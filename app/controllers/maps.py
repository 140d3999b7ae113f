"""The window with all maps of the selected person or proposal, two models' maps of it, or a joint's levels."""

from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, QRect, Signal
from PySide6.QtGui import QImage

from app.canvas.heatmap_image import Tile, colored_difference, colored_heatmap, colored_joints
from app.canvas.layers import Layers
from app.canvas.scene import PoseScene
from app.controllers.asker import Asker
from app.controllers.heatmaps import Heatmaps, Target
from app.controllers.map_answers import MapAnswers, Wish
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.document.records import Box
from app.workers.engine_client import EngineClient
from app.workers.payloads import EngineInfo, EstimateResult

_TOPIC = "maps"
ALL_JOINTS, TWO_MODELS, LEVELS = range(3)
"""What the window shows."""
_FINEST = 2
"""The first level of the pyramid is P2."""


@dataclass(frozen=True, slots=True)
class _More:
    """What else is asked about somebody: another model's maps (its hash), or the levels that a joint comes from."""

    target: Target
    model: str | None = None
    levels_of: int | None = None


class Maps(QObject):
    """Fills the window, and saves what it shows as a picture."""

    filled = Signal(object, float, object, object)
    """The part of the photo, its width through its height, tiles, the selected joint or None."""
    noted = Signal(str)
    """Why there is nothing to see."""
    titled = Signal(str)
    """What is shown; empty when that is nothing."""

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        scene: PoseScene,
        layers: Layers,
        heatmaps: Heatmaps,
        answers: MapAnswers,
        messages: Messages,
        asker: Asker,
    ) -> None:
        super().__init__(session)
        self._session, self._engine, self._scene, self._layers = session, engine, scene, layers
        self._heatmaps, self._answers, self._messages, self._asker = heatmaps, answers, messages, asker
        self._open = False
        self._view = ALL_JOINTS
        self._shown: Target | None = None
        """Whose maps the window shows."""
        self._wish: Wish | None = None
        self._asked: tuple[_More, int] | None = None
        self._more: tuple[_More, EstimateResult] | None = None
        session.selection.changed.connect(self.refresh)
        session.document.people_changed.connect(lambda *_: self.refresh())
        session.document.predictions_changed.connect(lambda _: self.refresh())
        session.document.image_opened.connect(lambda _: self.refresh())
        layers.changed.connect(self.refresh)
        scene.photo_changed.connect(self.refresh)
        engine.ready.connect(lambda _: self._forget())
        session.closed.connect(self._forget)

    def set_open(self, is_open: bool) -> None:
        """Nothing is asked for a window that is closed."""
        self._open = is_open
        self.refresh()

    def set_view(self, view: int) -> None:
        """Shows all joints' maps, two models' maps of a joint, or the levels of the pyramid that a joint comes from."""
        self._view = view
        self.refresh()

    def refresh(self) -> None:
        """Shows the maps of whoever is selected now."""
        target = self._heatmaps.selected() if self._open else None
        if self._wish is not None and (target is None or target.place != self._wish.place):
            self._answers.drop(self._wish)
            self._wish = None
        if not self._open:
            return
        if target is None:
            self._note("Select a person or a proposal to see where the model looks for the joints.")
            return
        if self._view == LEVELS:
            self._levels(target)
            return
        before = self._before() if self._view == TWO_MODELS else None
        if self._view == TWO_MODELS and before is None:
            return
        result = self._answers.known(target.place)
        if result is not None:
            if before is None:
                self._show_all(target, result)
            else:
                self._two_models(target, result, before)
            return
        if not target.same_person(self._shown):
            self._note("computing…")
        if self._wish is None:
            self._wish = self._answers.ask(target.place, lambda _: self._answered(), self._failed)

    def save(self, picture: QImage) -> None:
        """Asks where to, and writes the picture."""
        record = self._session.current_record()
        if record is None:
            return
        start = Path.home() / f"{Path(record.path).stem} heatmaps.png"
        place = self._asker.save("Save the heatmaps", start, "PNG (*.png)")
        if place is None:
            return
        if place.suffix.lower() != ".png":
            place = place.with_name(f"{place.name}.png")
        if picture.save(str(place)):
            self._messages.post(f"Saved: {place}", topic=_TOPIC)
        else:
            text = f"{place} could not be written: choose another folder, or make room there."
            self._messages.post(text, "error", topic=_TOPIC)

    def _answered(self) -> None:
        self._wish = None
        self.refresh()

    def _failed(self, reason: str) -> None:
        self._wish = None
        self._note(reason)

    def _learn_more(self, more: "_More", name: str) -> EstimateResult | None:
        """What else there is to know of somebody, if it is known; else it is asked for."""
        if self._more is not None and self._more[0] == more:
            return self._more[1]
        if self._asked is not None and self._asked[0] == more:
            return None
        self._drop_question()
        if not more.target.same_person(self._shown):
            self._note("computing…")

        def done(result: EstimateResult) -> None:
            self._asked, self._more = None, (more, result)
            self.refresh()

        def failed(reason: str) -> None:
            self._asked = None
            self._note(f"{name}{reason}")

        file, box = self._session.image_file(more.target.image), more.target.box
        joint, model = more.levels_of, more.model
        number = self._engine.estimate(
            file, [box], heatmaps=True, done=done, failed=failed, model=model, levels_of=joint
        )
        self._asked = more, number
        return None

    def _drop_question(self) -> None:
        if self._asked is not None:
            self._engine.cancel_request(self._asked[1])
            self._asked = None

    def _show_all(self, target: Target, result: EstimateResult) -> None:
        assert result.heatmaps is not None
        look, tiles = self._layers.heatmap, []
        for joint in range(len(result.heatmaps[0])):
            name, confidence = self._name(joint), float(result.confidences[0][joint])
            picture = colored_heatmap(result.heatmaps[0][joint], look)
            about = f"{name}: confidence {confidence:.2f}. Click to select it."
            tiles.append(Tile(f"{name} {confidence:.2f}", picture, _answer(result, joint), joint, about))
        info = self._engine.info
        self._fill(target, tiles, f"all joints · {info.name}" if info else "all joints")

    def _before(self) -> EngineInfo | None:
        """The model to compare with; without one it says why."""
        before = self._engine.before
        if self._engine.info is None:
            self._note("The model is starting.")
            return None
        if before is None:
            self._note(
                "Two models are compared that have answered one after the other: choose another one with "
                "Train, Models. The one before it stays ready."
            )
        return before

    def _two_models(self, target: Target, result: EstimateResult, before: EngineInfo) -> None:
        now, other = self._engine.info, self._learn_more(_More(target, model=before.hash), f"{before.name}: ")
        if now is not None and other is not None:
            self._show_two(target, (now, result), (before, other))

    def _show_two(
        self, target: Target, first: tuple[EngineInfo, EstimateResult], second: tuple[EngineInfo, EstimateResult]
    ) -> None:
        look, joint = self._layers.heatmap, self._session.selection.joint
        tiles: list[Tile] = []
        maps = []
        for info, result in (first, second):
            assert result.heatmaps is not None
            maps.append(result.heatmaps[0] if joint is None else result.heatmaps[0][joint])
            picture = colored_joints(maps[-1], look) if joint is None else colored_heatmap(maps[-1], look)
            said = "" if joint is None else f" {float(result.confidences[0][joint]):.2f}"
            answer = None if joint is None else _answer(result, joint)
            tiles.append(Tile(f"{info.name}{said}", picture, answer, about=info.name))
        difference = colored_difference(maps[0], maps[1], look.opacity)
        about = f"Red: more of its peak by {first[0].name}; blue: by {second[0].name}"
        tiles.append(Tile("difference", difference, about=about))
        self._fill(target, tiles, "all joints" if joint is None else self._name(joint))

    def _levels(self, target: Target) -> None:
        joint = self._session.selection.joint
        if joint is None:
            self._note("Select a joint to see which levels of the feature pyramid its place comes from.")
        elif (result := self._learn_more(_More(target, levels_of=joint), "")) is not None:
            self._show_levels(target, joint, result)

    def _show_levels(self, target: Target, joint: int, result: EstimateResult) -> None:
        assert result.heatmaps is not None
        if result.levels is None:
            self._note("This model looks at one level of the pyramid a box: there is nothing to tell apart.")
            return
        look, for_it = self._layers.heatmap, result.levels.clip(0)
        total = max(float(for_it.sum()), 1e-12)
        name, answer = self._name(joint), _answer(result, joint)
        tiles = [
            Tile(
                f"{name} {float(result.confidences[0][joint]):.2f}",
                colored_heatmap(result.heatmaps[0][joint], look),
                answer,
            )
        ]
        for number, part in enumerate(for_it, _FINEST):
            share = float(part.sum()) / total
            strength = float(part.max()) / max(float(for_it.max()), 1e-12)
            picture = colored_heatmap(part, replace(look, logarithmic=False, opacity=look.opacity * strength**0.5))
            about = f"P{number}, one cell is {2**number} pixels of the photo as the model sees it"
            tiles.append(Tile(f"P{number} {share:.0%}", picture, answer, about=about))
        self._fill(target, tiles, f"{name}: what speaks for its most probable cell, by level of the feature pyramid")

    def _fill(self, target: Target, tiles: list[Tile], title: str) -> None:
        box, self._shown = target.box, target
        photo = crop(self._scene.shown_pixels(), box, self._scene.image_extent())
        self.filled.emit(photo, box.w / box.h, tiles, self._session.selection.joint)
        self.titled.emit(title)

    def _note(self, text: str) -> None:
        self._shown = None
        self.noted.emit(text)
        self.titled.emit("")

    def choose(self, joint: int) -> None:
        """Selects a joint of the person whose maps are shown."""
        target, selection = self._heatmaps.selected(), self._session.selection
        if target is not None and target.person is not None:
            selection.select_joint(target.person, joint)
        elif target is not None and target.prediction is not None:
            selection.select_proposed_joint(target.prediction, joint)

    def _forget(self) -> None:
        """Another model answers now, or another project is open."""
        self._drop_question()
        self._wish = self._more = self._shown = None
        self.refresh()

    def _name(self, joint: int) -> str:
        return self._session.skeleton.keypoints[joint].replace("_", " ")


def crop(photo: QImage, box: Box, extent: tuple[int, int]) -> QImage:
    """The part of a photo in a box, black where that reaches beyond it.

    extent: Width and height in pixels that the box is measured in; the picture may be smaller.
    """
    if photo.isNull() or not extent[0]:
        return QImage()
    across, down = photo.width() / extent[0], photo.height() / extent[1]
    left, top = round(box.x * across), round(box.y * down)
    return photo.copy(QRect(left, top, max(round(box.w * across), 1), max(round(box.h * down), 1)))


def _answer(result: EstimateResult, joint: int) -> tuple[float, float]:
    box, (x, y) = result.boxes[0], result.keypoints[0][joint].tolist()
    return (x - box.x) / box.w, (y - box.y) / box.h
