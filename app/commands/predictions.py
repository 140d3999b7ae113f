"""Commands on predictions: accepting copies one into the labels, rejecting remembers that it is wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.commands.label_edit import label_edit
from app.document.document import Document
from app.document.records import Box, Change, Edit, Joint, Person, PredictedJoint, Prediction, PredictionStatus

MATCH_IOU = 0.5
"""From this IoU with a label on, a prediction is that person: a comparison, never a second label."""


def estimated_joints(
    keypoints: Sequence[Sequence[float]], confidences: Sequence[float], tau: float, model_hash: str
) -> tuple[Joint, ...]:
    """A model's K places (x, y in pixels of the upright image) as joints.

    Where the calibrated confidence is below tau, v = 0 and the place stays as a hint.
    """
    return tuple(
        Joint(float(x), float(y), 2 if confidence >= tau else 0, model_hash)
        for (x, y), confidence in zip(keypoints, confidences, strict=True)
    )


def is_comparison(prediction: Prediction, people: Iterable[Person]) -> bool:
    """Whether a prediction matches a label (IoU >= 0.5): shown for comparison only, never accepted."""
    return is_label_of(prediction.box, people)


def is_label_of(box: Box, people: Iterable[Person]) -> bool:
    """Whether somebody is labelled where `box` is (IoU >= 0.5)."""
    return any(person.box.iou(box) >= MATCH_IOU for person in people)


def accept(document: Document, image: int, keys: Iterable[int], tau: float) -> Edit | None:
    """Accepts open predictions by key; those that match a label or one accepted before them are left open.

    Raises:
        KeyError: the image is not open or has no such prediction.
    """
    people = list(document.people(image))
    added: list[Change[Person]] = []
    accepted: list[Change[Prediction]] = []
    for key in keys:
        prediction = document.prediction(image, key)
        if prediction.status is not PredictionStatus.OPEN or is_comparison(prediction, people):
            continue
        person = _person_from(prediction, document.new_person_key(), tau)
        people.append(person)
        added.append(Change(None, person))
        accepted.append(Change(prediction, replace(prediction, status=PredictionStatus.ACCEPTED)))
    text = "Accept prediction" if len(added) == 1 else f"Accept {len(added)} predictions"
    return label_edit(document, image, text, tuple(added), tuple(accepted))


def accept_all(document: Document, image: int, threshold: float, tau: float) -> Edit | None:
    """Accepts every shown open prediction with at least this score, the best first."""
    chosen = [
        prediction
        for prediction in document.predictions(image)
        if prediction.status is PredictionStatus.OPEN and prediction.score >= threshold
    ]
    chosen.sort(key=lambda prediction: -prediction.score)
    return accept(document, image, [prediction.key for prediction in chosen], tau)


def reject(document: Document, image: int, key: int) -> Edit | None:
    """Marks an open prediction as wrong; the same model's later pre-fills will not bring it back."""
    prediction = document.prediction(image, key)
    if prediction.status is not PredictionStatus.OPEN:
        return None
    change = Change(prediction, replace(prediction, status=PredictionStatus.REJECTED))
    return label_edit(document, image, "Reject prediction", (), (change,))


def _person_from(prediction: Prediction, key: int, tau: float) -> Person:
    def joint(predicted: PredictedJoint) -> Joint:
        return Joint(predicted.x, predicted.y, 2 if predicted.confidence >= tau else 0, prediction.model)

    return Person(key, prediction.box, tuple(map(joint, prediction.joints)))
