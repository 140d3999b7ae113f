"""The items of the shown proposals, and their scores."""

from collections.abc import Mapping, Sequence

from PySide6.QtWidgets import QGraphicsScene

from app.canvas.items.painting import FADED
from app.canvas.items.person_item import PersonItem
from app.canvas.items.prediction_item import PredictionItem
from app.canvas.items.scores_item import Score, ScoresItem
from app.canvas.palette import Look
from app.commands.predictions import Proposal
from app.document.records import Person


class ProposalItems:
    """Keeps one item a proposal on the scene; the one whose joint is dragged is shown as the label it would become."""

    def __init__(self, scene: QGraphicsScene, look: Look) -> None:
        self._scene, self._look = scene, look
        self._items: dict[int, PredictionItem] = {}
        self._accepted: PersonItem | None = None
        self._scores = ScoresItem()
        self._unit = 1.0
        scene.addItem(self._scores)

    def get(self, key: int) -> Proposal | None:
        """The proposal of this prediction, None when it is not shown."""
        item = self._items.get(key)
        return item.proposal if item else None

    def show(self, proposals: Sequence[Proposal]) -> None:
        """Shows these proposals; what has not changed keeps its item."""
        wanted = {proposal.key: proposal for proposal in proposals}
        for key in [key for key, item in self._items.items() if wanted.get(key) != item.proposal]:
            self._scene.removeItem(self._items.pop(key))
        for key, proposal in wanted.items():
            if key not in self._items:
                item = self._items[key] = PredictionItem(proposal, self._look)
                item.set_unit(self._unit)
                self._scene.addItem(item)

    def select(self, prediction: int | None, joints: tuple[int, ...]) -> None:
        """Marks one of them as selected, perhaps with joints."""
        for key, item in self._items.items():
            item.set_selection(key == prediction, joints if key == prediction else ())

    def preview(self, person: Person, joints: tuple[int, ...]) -> bool:
        """Shows a proposal as a label with selected joints, the person's key being the proposal's.

        Returns whether that is new: items have to be styled then.
        """
        if person.key not in self._items:
            return False
        if self._accepted is not None:
            self._accepted.set_person(person)
            return False
        self._accepted = PersonItem(person, self._look)
        self._accepted.set_unit(self._unit)
        self._accepted.set_selection(True, joints)
        self._scene.addItem(self._accepted)
        self._items[person.key].setVisible(False)
        return True

    def end_preview(self) -> bool:
        """Shows every proposal as one; returns whether one was not."""
        if self._accepted is None:
            return False
        accepted, self._accepted = self._accepted, None
        self._scene.removeItem(accepted)
        if accepted.person.key in self._items:
            self._items[accepted.person.key].setVisible(True)
        return True

    def set_unit(self, unit: float) -> None:
        """Says how large a screen pixel is in image pixels."""
        self._unit = unit
        for item in (*self._items.values(), *([self._accepted] if self._accepted else [])):
            item.set_unit(unit)

    def style(self, shows: Mapping[str, bool], chosen: int | None, fades: bool, heatmap: bool, edge: float) -> None:
        """Tells every item how the others and the layers let it look.

        Args:
            shows: Whether "boxes", "skeleton" and "names" are on.
            chosen: Key of the selected prediction.
            fades: Whether everybody but the selected steps back.
            heatmap: Whether a heatmap is shown.
            edge: x where the photo ends.
        """
        for key, item in self._items.items():
            item.set_layers(**shows)
            item.set_under_heatmap(heatmap and key == chosen)
            item.setOpacity(FADED if (heatmap or fades) and key != chosen else 1.0)
            item.set_right_edge(edge)
        if self._accepted is not None:
            self._accepted.set_layers(**shows)
            self._accepted.set_under_heatmap(heatmap)
            self._accepted.set_right_edge(edge)

    def write_scores(self, boxes: bool, chosen: int | None, choices: str, edge: float) -> None:
        """Says how sure the model is, wherever a proposal shows a box.

        Args:
            boxes: Whether the others than the selected show one.
            chosen: Key of the selected prediction.
            choices: Which keys decide about it.
            edge: x where the photo ends.
        """
        scores = [
            Score(found.box, found.score, key == chosen, item.opacity(), choices if key == chosen else "")
            for key, item in self._items.items()
            for found in (item.proposal.prediction,)
            if (boxes or key == chosen) and item.isVisible()
        ]
        self._scores.set_scores(scores, self._unit, edge)
