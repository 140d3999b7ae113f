"""How records look in the project file's columns: pure conversions, no SQL."""

import struct
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from app.document.document import with_marks
from app.document.records import (
    Box,
    Change,
    Edit,
    ImageRecord,
    ImageState,
    Joint,
    Look,
    Person,
    PredictedJoint,
    Prediction,
    PredictionStatus,
)

IMAGE_COLUMNS = "id, root_id, path, width, height, state, flagged, note, people"
ROW_COLUMNS = (
    "i.id, i.root_id, i.path, i.state, i.people, l.predictions, l.lowest_confidence, i.flagged, i.width, i.height, "
    "l.model"
)
"""Of `image i` and the row of `looked l` that is shown of it, if any."""
PREDICTION_VALUES = "model, status, score, x, y, w, h, joints, visibility"
PREDICTION_COLUMNS = f"id, {PREDICTION_VALUES}"

_STATES = {state.value: state for state in ImageState}
_STATUSES = {status.value: status for status in PredictionStatus}


BROUGHT_IN = "Brought in: "
"""How an operation's text begins that was no work on this project: its people came from elsewhere."""


class ImageRow(msgspec.Struct, frozen=True, gc=False):
    """What the image list shows of one image: small, since there may be 100,000 of them.

    predictions, lowest_confidence and model are those of the look that was asked for, as in `ImageRecord`.
    Nothing in it can be part of a cycle, so the garbage collector need not look: it would stop everything for 40 ms.
    """

    key: int
    root_key: int
    path: str
    state: ImageState
    people: int
    predictions: int
    lowest_confidence: float | None
    flagged: bool
    width: int
    height: int
    model: str


class PersonData(msgspec.Struct, array_like=True):
    """The JSON form of a person without key and raw record; joints are [x, y, v, origin]."""

    box: tuple[float, float, float, float]
    crowd: bool
    area: float | None
    joints: list[tuple[float, float, int, str]]


_person_decoder = msgspec.json.Decoder(PersonData)


def image_row(columns: tuple[Any, ...]) -> ImageRow:
    """From ROW_COLUMNS."""
    key, root, path, state, people, predictions, lowest, flagged, width, height, model = columns
    # One text for all images of a model, not 100,000 of them.
    model = sys.intern(model) if model else ""
    return ImageRow(
        key, root, path, _STATES[state], people, predictions or 0, lowest, bool(flagged), width, height, model
    )


def image_record(columns: tuple[Any, ...], looks: tuple[Look, ...]) -> ImageRecord:
    """From IMAGE_COLUMNS and the looks at the image, of which the newest is shown."""
    key, root, path, width, height, state, flagged, note, people = columns
    record = ImageRecord(key, root, path, width, height, _STATES[state], bool(flagged), note, people, looks=looks)
    return record.showing("")


def person_to_json(person: Person) -> str:
    box = person.box
    data = PersonData(
        (box.x, box.y, box.w, box.h),
        person.is_crowd,
        person.area,
        [(joint.x, joint.y, joint.v, joint.origin) for joint in person.joints],
    )
    return msgspec.json.encode(data).decode()


def person_from_json(key: int, text: str, raw: str) -> Person:
    data = _person_decoder.decode(text)
    return Person(key, Box(*data.box), tuple(Joint(*joint) for joint in data.joints), data.crowd, data.area, raw)


def prediction_columns(prediction: Prediction) -> tuple[Any, ...]:
    """The values of PREDICTION_VALUES."""
    numbers = [value for joint in prediction.joints for value in (joint.x, joint.y, joint.confidence)]
    said = [value for joint in prediction.joints for value in joint.visibility or ()]
    box = prediction.box
    return (
        prediction.model,
        prediction.status.value,
        prediction.score,
        box.x,
        box.y,
        box.w,
        box.h,
        struct.pack(f"<{len(numbers)}d", *numbers),
        struct.pack(f"<{len(said)}f", *said) if len(said) == len(numbers) else None,
    )


def prediction_from_columns(columns: tuple[Any, ...]) -> Prediction:
    key, model, status, score, x, y, w, h, joints, visibility = columns
    numbers = struct.iter_unpack("<3d", joints)
    if visibility is None:
        places = tuple(PredictedJoint(*place) for place in numbers)
    else:
        said = struct.iter_unpack("<3f", visibility)
        places = tuple(PredictedJoint(x, y, c, (a, b, d)) for (x, y, c), (a, b, d) in zip(numbers, said, strict=True))
    return Prediction(key, model, Box(x, y, w, h), score, places, _STATUSES[status])


def edit_to_json(edit: Edit) -> tuple[str, str]:
    """The (before, after) texts of an operation-log row.

    Each is {"people": {key: data}, "predictions": {key: status}, "state": state, "flagged": flag, "note": note},
    with what the edit is about; null where a record does not exist. A record's unchanging parts (a person's raw
    record, a prediction's places) are in its own row.
    """
    return _side(edit, "before"), _side(edit, "after")


def _side(edit: Edit, side: str) -> str:
    content: dict[str, Any] = {}
    if edit.people:
        content["people"] = {
            _key(change): msgspec.Raw(person_to_json(person).encode()) if person else None
            for change in edit.people
            for person in (getattr(change, side),)
        }
    if edit.predictions:
        content["predictions"] = {
            _key(change): prediction.status if prediction else None
            for change in edit.predictions
            for prediction in (getattr(change, side),)
        }
    for name in ("state", "flagged", "note"):
        if change := getattr(edit, name):
            content[name] = getattr(change, side)
    return msgspec.json.encode(content).decode()


def _key(change: Change[Person] | Change[Prediction]) -> str:
    record = change.before or change.after
    return str(record.key) if record else ""


def with_edits(
    record: ImageRecord, people: Sequence[Person], predictions: Sequence[Prediction], edits: Sequence[Edit]
) -> tuple[ImageRecord, tuple[Person, ...], tuple[Prediction, ...]]:
    """An image as it is once `edits`, not yet in the file, are done to it."""
    persons = {person.key: person for person in people}
    predicted = {prediction.key: prediction for prediction in predictions}
    state = record.state
    for edit in edits:
        for change in edit.people:
            if change.after:
                persons[change.after.key] = change.after
            elif change.before:
                persons.pop(change.before.key, None)
        for predicted_change in edit.predictions:
            if predicted_change.after:
                predicted[predicted_change.after.key] = predicted_change.after
            elif predicted_change.before:
                predicted.pop(predicted_change.before.key, None)
        if edit.state and edit.state.after:
            state = edit.state.after
        record = with_marks(record, edit)
    return replace(record, state=state), tuple(persons.values()), tuple(predicted.values())
