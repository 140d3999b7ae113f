"""Writing changed records into their rows: SQL within a transaction of the caller."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from app.document.records import Change, ImageState, Person, Prediction, PredictionStatus
from app.storage.rows import person_to_json, prediction_columns

SAME_PERSON_IOU = 0.5
"""Two detections of one model with this IoU are the same person (its NMS keeps others further apart)."""


def store_person(connection: sqlite3.Connection, image: int, change: Change[Person]) -> None:
    """Writes a person as it is after the change, or takes it away; imported ones are only marked deleted.

    Raises sqlite3.IntegrityError for a key that somebody on another image has.
    """
    if change.after is not None:
        written = connection.execute(
            "INSERT INTO person (id, image_id, data, raw) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET data = excluded.data, deleted = 0 WHERE image_id = excluded.image_id",
            (change.after.key, image, person_to_json(change.after), change.after.raw or None),
        )
        if written.rowcount == 0:
            raise sqlite3.IntegrityError(f"person {change.after.key} is on another image already")
    elif change.before is not None:
        key = change.before.key
        marked = connection.execute("UPDATE person SET deleted = 1 WHERE id = ? AND source_id IS NOT NULL", (key,))
        if marked.rowcount == 0:
            connection.execute("DELETE FROM person WHERE id = ?", (key,))


def store_prediction(connection: sqlite3.Connection, image: int, change: Change[Prediction]) -> None:
    """Writes a prediction as it is after the change, or takes it away."""
    if change.after is not None:
        _write_prediction(connection, change.after.key, image, change.after)
    elif change.before is not None:
        connection.execute("DELETE FROM prediction WHERE id = ?", (change.before.key,))


def recount(connection: sqlite3.Connection, image: int, state: ImageState) -> None:
    """Sets an image's state, and its counts from its people and the open predictions of its model."""
    connection.execute(
        "UPDATE image SET state = ?, "
        "people = (SELECT count(*) FROM person WHERE image_id = image.id AND deleted = 0), "
        "(predictions, lowest_confidence) = (SELECT count(*), min(score) FROM prediction "
        "WHERE image_id = image.id AND status = 'open' AND prediction.model = image.model) WHERE id = ?",
        (state.value, image),
    )


def replace_predictions(
    connection: sqlite3.Connection, image: int, model: str, old: Sequence[Prediction], new: Sequence[Prediction]
) -> None:
    """Replaces a model's open predictions on an image; `old` are all that the image has.

    A person whom somebody decided on already does not come back; one found again keeps the key.
    """
    connection.execute("INSERT OR IGNORE INTO model (hash) VALUES (?)", (model,))
    connection.execute("DELETE FROM prediction WHERE image_id = ? AND model = ? AND status = 'open'", (image, model))
    known = [prediction for prediction in old if prediction.model == model]
    for found in new:
        overlaps = [(prediction.box.iou(found.box), index) for index, prediction in enumerate(known)]
        overlap, index = max(overlaps, default=(0.0, 0))
        same = known.pop(index) if overlap >= SAME_PERSON_IOU else None
        if same is None or same.status is PredictionStatus.OPEN:
            fresh = replace(found, model=model, status=PredictionStatus.OPEN)
            _write_prediction(connection, same.key if same else None, image, fresh)


def _write_prediction(connection: sqlite3.Connection, key: int | None, image: int, prediction: Prediction) -> None:
    """A key of None gets the next one that was never used."""
    values = (key, image, *prediction_columns(prediction))
    connection.execute("INSERT OR REPLACE INTO prediction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
