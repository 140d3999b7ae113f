"""The scene: one item for each person and prediction of the current image, kept in step with the document."""

from collections.abc import Callable, Sequence
from math import inf

from PySide6.QtCore import QObject, QRectF, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QGraphicsScene

from app.canvas.adjustments import AdjustedPhoto
from app.canvas.hit_test import Visible
from app.canvas.items.heatmap_item import HeatmapItem, Marks
from app.canvas.items.painting import FADED
from app.canvas.items.person_item import PersonItem
from app.canvas.items.photo_item import PhotoItem
from app.canvas.items.rubber_band_item import RubberBandItem
from app.canvas.key_names import KeyNames
from app.canvas.layers import Layers
from app.canvas.palette import BACKGROUND, Look
from app.canvas.proposal_items import ProposalItems
from app.canvas.proposals import Proposals
from app.commands.people import with_joints
from app.commands.predictions import Proposal
from app.document.document import Document
from app.document.records import Box, Joint, Person
from app.document.selection import Selection

_MOST_NAMED = 3
"""Joint names are shown on everybody only up to so many people."""


class PoseScene(QGraphicsScene):
    """Shows the document's current image; scene coordinates are pixels of the upright image.

    The scene never changes the document. A gesture previews its result here, and the preview ends with it.
    """

    person_selected = Signal(object)
    """int | None: key of the selected person, also when it stays the same."""
    box_previewed = Signal(object)
    """Person: as somebody would be with the box that is being dragged; of a proposal, the label it would become."""
    box_let_go = Signal()
    """No box is dragged any more."""
    proposals_shown = Signal()
    """Other proposals may be shown now, or the same ones otherwise."""
    photo_changed = Signal()
    """Other pixels are shown, or none."""
    extent_changed = Signal()
    """The photo has another size: the view fits it."""

    def __init__(
        self,
        document: Document,
        selection: Selection,
        layers: Layers,
        proposals: Proposals,
        look: Look,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.setBackgroundBrush(BACKGROUND)
        # Items move and change all the time, there are few of them, and every one is hit-tested by our own geometry.
        self.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._document, self._selection, self._layers, self.look = document, selection, layers, look
        self._proposals = proposals
        self.key_names = KeyNames(self)
        self._unit = 1.0
        self._size = (0, 0)
        self._image: int | None = None
        self._people: dict[int, PersonItem] = {}
        self._preview: int | None = None
        self._dragged: tuple[Person, bool] | None = None
        """Somebody whose box is being dragged, as the gesture shows them, and whether it is a proposal."""
        self._followers: Sequence[Joint] | None = None
        """What the model says of a box that was there a moment ago."""
        self._finished = self._read_only = False
        self._place_near: Callable[[float, float], tuple[float, float] | None] = lambda x, y: None
        self._photo, self._heatmap, self._band = PhotoItem(), HeatmapItem(), RubberBandItem()
        for item in (self._photo, self._heatmap, self._band):
            self.addItem(item)
        self._proposed = ProposalItems(self, look)
        self._adjusted = AdjustedPhoto(self)
        self._adjusted.changed.connect(self._photo.set_pixels)
        self._adjusted.changed.connect(lambda _: self.photo_changed.emit())
        document.people_changed.connect(self._people_changed)
        document.predictions_changed.connect(self._predictions_changed)
        document.image_changed.connect(self._image_changed)
        document.image_opened.connect(self._opened)
        document.image_closed.connect(self._opened)
        selection.changed.connect(self._selection_changed)
        selection.image_changed.connect(self._show_image)
        layers.changed.connect(self._layers_changed)
        proposals.changed.connect(self._rebuild_predictions)
        self.key_names.changed.connect(self._write_scores)

    # What tools see

    def visible(self) -> Visible:
        """What can be hit now."""
        return Visible(
            tuple(item.person for item in self._people.values()),
            self._proposals.now().shown,
            self._selection.person,
            self.look.edges,
            self._layers.shows("boxes"),
            self._layers.shows("skeleton"),
            self._selection.joints,
            self._selection.prediction,
        )

    def joint_to_place(self) -> tuple[int, int] | None:
        """Keys of the selected person and joint, when that joint has no place and was picked to get one."""
        person, joint = self._selection.person, self._selection.joint
        if person is None or joint is None or not self._selection.waits_for_place:
            return None
        return None if self.person(person).joints[joint].has_place else (person, joint)

    def selected_person(self) -> int | None:
        return self._selection.person

    @property
    def placing_order(self) -> tuple[tuple[int, str], ...]:
        """Index and name, e.g. "left wrist", of every joint, in the order of placing them by hand."""
        skeleton = self._document.skeleton
        return tuple((index, skeleton.keypoints[index].replace("_", " ")) for index in skeleton.placing_order)

    def image_extent(self) -> tuple[int, int]:
        """Width and height of the photo; (0, 0) while it is unknown."""
        return self._size

    def person(self, key: int) -> Person:
        return self._people[key].person

    def has_person(self, key: int) -> bool:
        return key in self._people

    def proposal(self, key: int) -> Proposal | None:
        """The proposal of this prediction, None when it is not shown."""
        return self._proposed.get(key)

    def select(self, person: int | None, joint: int | None = None, prediction: int | None = None) -> None:
        if person is not None and joint is not None:
            self._selection.select_joint(person, joint)
        elif person is not None:
            # A click on a person lets go of the joint that was selected on it.
            self._selection.person = person
        elif prediction is not None and joint is not None:
            self._selection.select_proposed_joint(prediction, joint)
        elif prediction is not None:
            self._selection.prediction = prediction
        else:
            self._selection.clear()

    def select_joints(self, person: int, joints: Sequence[int]) -> None:
        self._selection.select_joints(person, joints)

    def preview_joints(self, person: int | None, joints: Sequence[int]) -> None:
        """Shows joints as they would be selected, until the preview ends."""
        for key, item in self._people.items():
            item.set_selection(key == person, tuple(joints) if key == person else ())

    def preview_person(self, person: Person, proposed: bool = False) -> None:
        """Shows a person as a gesture would leave it; nothing for somebody who was deleted meanwhile.

        A proposal is shown as the label that it would become; the person's key is the proposal's.
        """
        if proposed:
            if self._proposed.preview(person, self._selection.joints):
                self._style_items()
        elif person.key in self._people:
            self._preview = person.key
            self._people[person.key].set_person(person)

    def preview_box_of(self, person: Person, proposed: bool = False) -> None:
        """Shows a person with another box, into which the model's joints follow as soon as they are known."""
        self._dragged = person, proposed
        self._show_dragged()
        self.box_previewed.emit(person)

    def show_followers(self, joints: Sequence[Joint]) -> None:
        """The model's joints in the box that is being dragged; nothing happens when it is not any more."""
        if self._dragged is not None:
            self._followers = joints
            self._show_dragged()

    def _show_dragged(self) -> None:
        if self._dragged is not None:
            person, proposed = self._dragged
            self.preview_person(person if self._followers is None else with_joints(person, self._followers), proposed)

    def set_places(self, place_near: Callable[[float, float], tuple[float, float] | None]) -> None:
        """Says where the selected joint may snap to; None where there is nothing near a place."""
        self._place_near = place_near

    def snapped(self, x: float, y: float) -> tuple[float, float]:
        """The place nearby that stands out in the selected joint's heatmap, else the place itself."""
        return self._place_near(x, y) or (x, y)

    def end_preview(self) -> None:
        """Shows the document again."""
        if self._proposed.end_preview():
            self._style_items()
        if self._dragged is not None:
            self._dragged = self._followers = None
            self.box_let_go.emit()
        key, self._preview = self._preview, None
        if key is not None and self._image is not None and self._document.has_person(self._image, key):
            self._people[key].set_person(self._document.person(self._image, key))
        self._mark_selected()

    def preview_box(self, box: Box | None, text: str = "") -> None:
        """Shows a box that is being spanned, with a few words above it."""
        self._band.set_box(box, text)

    # What others show

    def set_read_only(self, read_only: bool) -> None:
        """Says that labels cannot be changed: no key is offered to decide about a proposal."""
        self._read_only = read_only
        self._write_scores()

    def set_photo(self, image: QImage) -> None:
        """Shows the pixels of the current image."""
        self._photo.set_extent(image.width(), image.height())
        self._adjusted.set_photo(image)
        self._set_extent(image.width(), image.height())

    def clear_photo(self, width: int = 0, height: int = 0) -> None:
        """Shows no photo (not loaded yet, or damaged); the labels stay at their places."""
        self._adjusted.set_photo(None)
        self._photo.clear()
        self.photo_changed.emit()
        self._set_extent(width, height)

    @property
    def has_photo(self) -> bool:
        return not self._photo.empty

    def shown_pixels(self) -> QImage:
        """The photo as it is shown, adjustments included; perhaps in small while a slider moves."""
        return self._photo.pixels()

    def person_items(self) -> tuple[PersonItem, ...]:
        return tuple(self._people.values())

    def set_heatmap(self, picture: QImage, box: Box, caption: str, marks: Marks) -> None:
        """Shows a coloured map over `box`."""
        self._heatmap.set_map(picture, QRectF(box.x, box.y, box.w, box.h), caption, marks)
        self._style_items()

    def clear_heatmap(self) -> None:
        self._heatmap.clear()
        self._style_items()

    def set_unit(self, unit: float) -> None:
        """Says how large a screen pixel is in image pixels."""
        self._unit = unit
        for item in (*self._people.values(), self._heatmap, self._band):
            item.set_unit(unit)
        self._proposed.set_unit(unit)
        self._write_scores()

    # Following the document

    def _set_extent(self, width: int, height: int) -> None:
        changed = (width, height) != self._size
        self._size = (width, height)
        self._style_items()
        # Room to pan a joint near the border into the middle of the window.
        self.setSceneRect(QRectF(0, 0, width, height).adjusted(-width / 2, -height / 2, width / 2, height / 2))
        if changed:
            self.extent_changed.emit()

    def _show_image(self, key: int | None) -> None:
        self._image = key
        self.end_preview()
        self.preview_box(None)
        self.clear_heatmap()
        self._rebuild()

    def _opened(self, image: int) -> None:
        if image == self._image:
            self._rebuild()

    def _rebuild(self) -> None:
        for item in self._people.values():
            self.removeItem(item)
        self._people.clear()
        if self._image is not None and self._document.is_open(self._image):
            self._finished = self._document.image(self._image).state.finished
            for person in self._document.people(self._image):
                self._add_person(person)
        self._show_proposals()
        self._selection_changed()

    def _people_changed(self, image: int, keys: frozenset[int]) -> None:
        if image != self._image:
            return
        for key in keys:
            if not self._document.has_person(image, key):
                item = self._people.pop(key, None)
                if item:
                    self.removeItem(item)
            elif key not in self._people:
                self._add_person(self._document.person(image, key))
            elif key != self._preview:
                # A result that arrives during a drag waits until the hand lets go (end_preview shows it).
                self._people[key].set_person(self._document.person(image, key))
        self._show_proposals()
        self._selection_changed()

    def _add_person(self, person: Person) -> None:
        item = PersonItem(person, self.look)
        item.set_unit(self._unit)
        self._people[person.key] = item
        self.addItem(item)

    def _predictions_changed(self, image: int) -> None:
        if image == self._image:
            self._rebuild_predictions()

    def _image_changed(self, image: int) -> None:
        finished = self._document.image(image).state.finished
        if image == self._image and finished != self._finished:
            self._finished = finished
            self._rebuild_predictions()

    def _rebuild_predictions(self) -> None:
        self._show_proposals()
        self._style_items()

    def _show_proposals(self) -> None:
        """Shows the proposals as they are now; whoever calls it styles the items."""
        shown = self._proposals.now().shown
        self._proposed.show(shown)
        self._proposed.select(self._selection.prediction, self._selection.joints)
        if self._selection.prediction not in {proposal.key for proposal in shown}:
            self._selection.prediction = None  # keys would decide about what nobody sees
        self.proposals_shown.emit()

    def _selection_changed(self) -> None:
        self._mark_selected()
        self._proposed.select(self._selection.prediction, self._selection.joints)
        self._style_items()
        self.person_selected.emit(self._selection.person)

    def _mark_selected(self) -> None:
        selection = self._selection
        for key, person in self._people.items():
            chosen = key == selection.person
            person.set_selection(chosen, selection.joints if chosen else ())

    def _layers_changed(self) -> None:
        self._adjusted.set_adjustments(self._layers.adjustments)
        self._rebuild_predictions()

    def _style_items(self) -> None:
        """Tells every item how the others and the layers let it look."""
        boxes, skeleton, names = (self._layers.shows(layer) for layer in ("boxes", "skeleton", "names"))
        # Everybody's names at once hide the people.
        selection = self._selection
        nobody = selection.person is None and selection.prediction is None and len(self._people) <= _MOST_NAMED
        fades = self._layers.shows("fade") and (selection.person is not None or selection.prediction is not None)
        right_edge = float(self._size[0]) or inf
        for key, person in self._people.items():
            chosen = key == selection.person
            person.set_layers(boxes, skeleton, names and (chosen or (nobody and skeleton)))
            person.setOpacity(FADED if fades and not chosen else 1.0)
            person.set_under_heatmap(self._heatmap.shown)
            person.set_right_edge(right_edge)
        shows = {"boxes": boxes, "skeleton": skeleton, "names": names}
        self._proposed.style(shows, selection.prediction, fades, self._heatmap.shown, right_edge)
        self._write_scores()

    def _write_scores(self) -> None:
        boxes = self._layers.shows("boxes") or not self._layers.shows("skeleton")
        choices = "" if self._read_only else self.key_names.hint("{accept} accept · {reject} reject")
        self._proposed.write_scores(boxes, self._selection.prediction, choices, float(self._size[0]) or inf)
