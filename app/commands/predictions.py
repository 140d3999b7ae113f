"""Commands on predictions: accepting copies one into the labels, rejecting remembers that it is wrong."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from app.commands.label_edit import label_edit
from app.document.document import Document
from app.document.records import (
    HUMAN,
    SAME_PERSON_IOU,
    Box,
    Change,
    Edit,
    Joint,
    Person,
    PredictedJoint,
    Prediction,
    PredictionStatus,
)
from app.storage.visibility import Acceptance, accepted_v

AcceptanceOf = Callable[[str], Acceptance]
"""By the model's hash: which of its joints become labels. Of the others only the place is taken over, as a hint."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An open prediction with the person that accepting it makes; until then the person's key is the prediction's.

    Whoever draws, hits or lists a prediction's joints looks at `person`, so that what is seen is what is accepted.
    """

    prediction: Prediction
    person: Person

    @property
    def key(self) -> int:
        return self.prediction.key


def proposal(prediction: Prediction, acceptance: Acceptance) -> Proposal:
    """A prediction as a person; acceptance is that of the prediction's own model."""
    joints = estimated_joints(prediction.joints, acceptance, prediction.model)
    return Proposal(prediction, Person(prediction.key, prediction.box, joints))


def estimated_joints(places: Sequence[PredictedJoint], acceptance: Acceptance, model_hash: str) -> tuple[Joint, ...]:
    """A model's K places as joints: occluded, visible, or with v = 0, where the place stays as a hint.

    The v is the model's own and the project's habit; see `Acceptance` for a model that is silent.
    """
    v = accepted_v(places, acceptance)
    return tuple(Joint(place.x, place.y, one, model_hash) for place, one in zip(places, v, strict=True))


def is_comparison(prediction: Prediction, people: Iterable[Person]) -> bool:
    """Whether a prediction matches a label (IoU >= 0.5): shown for comparison only, never accepted."""
    return is_label_of(prediction.box, people)


def is_label_of(box: Box, people: Iterable[Person]) -> bool:
    """Whether somebody is labelled where `box` is (IoU >= 0.5)."""
    return _is_taken(box, (person.box for person in people))


def _is_taken(box: Box, others: Iterable[Box]) -> bool:
    return any(other.iou(box) >= SAME_PERSON_IOU for other in others)


def acceptable(found: Iterable[Prediction], people: Iterable[Person]) -> list[Prediction]:
    """Those that become labels when they are accepted one after the other: open, and nobody's who is there by then."""
    taken = [person.box for person in people]
    chosen = []
    for prediction in found:
        if prediction.status is PredictionStatus.OPEN and not _is_taken(prediction.box, taken):
            taken.append(prediction.box)
            chosen.append(prediction)
    return chosen


def accept(document: Document, image: int, keys: Iterable[int], acceptance_of: AcceptanceOf) -> Edit | None:
    """Accepts open predictions by key; those that match a label or one accepted before them are left open.

    Raises:
        KeyError: the image is not open or has no such prediction.
    """
    wanted = [document.prediction(image, key) for key in keys]
    chosen = acceptable(wanted, document.people(image))
    text = "Accept prediction" if len(chosen) == 1 else f"Accept {len(chosen)} predictions"
    people = [proposal(prediction, acceptance_of(prediction.model)).person for prediction in chosen]
    return _accepting(document, image, text, chosen, people)


def accept_moved(
    document: Document, image: int, key: int, index: int, x: float, y: float, acceptance_of: AcceptanceOf
) -> Edit | None:
    """Accepts an open prediction with one joint moved to (x, y), in one step: that joint is a person's, and labelled.

    None when somebody is labelled there already. Raises KeyError as `accept` does, IndexError for a joint that is not
    there.
    """

    def moved(person: Person) -> Person:
        return person.with_joint(index, Joint(x, y, person.joints[index].v or 2, HUMAN))

    return _accept_changed(document, image, key, moved, "Accept and move joint", acceptance_of)


def accept_resized(document: Document, image: int, key: int, box: Box, acceptance_of: AcceptanceOf) -> Edit | None:
    """Accepts an open prediction with another box, in one step; the joints stay. As `accept_moved` otherwise."""
    return _accept_changed(
        document, image, key, lambda person: person.with_box(box), "Accept and change box", acceptance_of
    )


def _accept_changed(
    document: Document, image: int, key: int, change: Callable[[Person], Person], text: str, acceptance_of: AcceptanceOf
) -> Edit | None:
    prediction = document.prediction(image, key)
    chosen = acceptable([prediction], document.people(image))
    changed = change(proposal(prediction, acceptance_of(prediction.model)).person)
    return _accepting(document, image, text, chosen, [changed] if chosen else [])


def accept_all(document: Document, image: int, threshold: float, acceptance_of: AcceptanceOf) -> Edit | None:
    """Accepts every open prediction with at least this score, the best first."""
    chosen = [prediction for prediction in document.predictions(image) if prediction.score >= threshold]
    chosen.sort(key=lambda prediction: -prediction.score)
    return accept(document, image, [prediction.key for prediction in chosen], acceptance_of)


def reject(document: Document, image: int, key: int) -> Edit | None:
    """Marks an open prediction as wrong; the same model's later pre-fills will not bring it back."""
    prediction = document.prediction(image, key)
    if prediction.status is not PredictionStatus.OPEN:
        return None
    change = Change(prediction, replace(prediction, status=PredictionStatus.REJECTED))
    return label_edit(document, image, "Reject prediction", (), (change,))


def _accepting(
    document: Document, image: int, text: str, chosen: Sequence[Prediction], people: Sequence[Person]
) -> Edit | None:
    """The edit by which predictions become labels that look like `people`."""
    added = tuple(Change(None, replace(person, key=document.new_person_key())) for person in people)
    accepted = tuple(Change(prediction, replace(prediction, status=PredictionStatus.ACCEPTED)) for prediction in chosen)
    return label_edit(document, image, text, added, accepted)
