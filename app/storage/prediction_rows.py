"""What models have found, as rows: SQL within a transaction of the caller, unless it says otherwise."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from app.document.document import unbegun_state
from app.document.records import SAME_PERSON_IOU, Change, ImageState, Prediction, PredictionStatus
from app.storage.edit_rows import recount
from app.storage.errors import ProjectError
from app.storage.looks import note_look, recount_looks
from app.storage.rows import PREDICTION_COLUMNS, PREDICTION_VALUES, prediction_columns, prediction_from_columns
from app.storage.schema import transaction
from app.storage.staging import RESULTS_TAU, RESULTS_VERSION


def store_model(connection: sqlite3.Connection, model: str, name: str) -> None:
    """Remembers a model's name by its hash; what else is known of it stays."""
    connection.execute(
        "INSERT INTO model (hash, name) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET name = excluded.name",
        (model, name),
    )


def store_tau(connection: sqlite3.Connection, model: str, tau: float) -> None:
    """Remembers the keypoint threshold of a model that is known."""
    connection.execute(
        "UPDATE model SET info = json_set(info, '$.tau', ?1) WHERE hash = ?2 AND json_extract(info, '$.tau') IS NOT ?1",
        (tau, model),
    )


def taus(connection: sqlite3.Connection) -> dict[str, float]:
    """Keypoint thresholds of the models that pre-filled something, by hash."""
    rows = connection.execute("SELECT hash, json_extract(info, '$.tau') FROM model ORDER BY hash")
    return {model: float(tau) for model, tau in rows if tau is not None}


def predictions_on(connection: sqlite3.Connection, image: int) -> tuple[Prediction, ...]:
    """All predictions on an image, of every model, by key."""
    rows = connection.execute(f"SELECT {PREDICTION_COLUMNS} FROM prediction WHERE image_id = ? ORDER BY id", (image,))
    return tuple(map(prediction_from_columns, rows))


def store_prediction(connection: sqlite3.Connection, image: int, change: Change[Prediction]) -> None:
    """Writes a prediction as it is after the change, or takes it away."""
    if change.after is not None:
        _write(connection, change.after.key, image, change.after)
    elif change.before is not None:
        connection.execute("DELETE FROM prediction WHERE id = ?", (change.before.key,))


def take_predictions(connection: sqlite3.Connection, image: int, model: str, new: Sequence[Prediction]) -> None:
    """Replaces a model's open predictions on an image, which is its newest look there; other models' stay.

    A person whom somebody decided on already does not come back; one found again keeps the key.
    """
    connection.execute("INSERT OR IGNORE INTO model (hash) VALUES (?)", (model,))
    known = [one for one in predictions_on(connection, image) if one.model == model]
    connection.execute("DELETE FROM prediction WHERE image_id = ? AND model = ? AND status = 'open'", (image, model))
    for found in new:
        overlaps = [(prediction.box.iou(found.box), index) for index, prediction in enumerate(known)]
        overlap, index = max(overlaps, default=(0.0, 0))
        # A model's own NMS keeps different people further apart than this.
        same = known.pop(index) if overlap >= SAME_PERSON_IOU else None
        if same is None or same.status is PredictionStatus.OPEN:
            fresh = replace(found, model=model, status=PredictionStatus.OPEN)
            _write(connection, same.key if same else None, image, fresh)
    note_look(connection, image, model)
    recount_looks(connection, image)
    (state,) = connection.execute("SELECT state FROM image WHERE id = ?", (image,)).fetchone()
    recount(connection, image, unbegun_state(ImageState(state), model))


def attach_results(connection: sqlite3.Connection, project: Path, staged: Path, batch: int) -> Iterator[list[int]]:
    """Takes over what `results_import` prepared as another model's predictions: a transaction of its own each step.

    Yields the keys of the images done, at most `batch` a step. Raises ProjectError when the file is unfinished.
    """
    with closing(sqlite3.connect(f"file:{quote(os.fsencode(staged.absolute()))}?mode=ro", uri=True)) as results:
        if results.execute("PRAGMA user_version").fetchone()[0] != RESULTS_VERSION:
            raise ProjectError(project, "the prepared detections are unfinished", "Import them again.")
        model, name = results.execute("SELECT hash, name FROM model").fetchone()
        with transaction(connection):
            store_model(connection, model, name)
            store_tau(connection, model, RESULTS_TAU)
        images = [key for (key,) in results.execute("SELECT DISTINCT image_id FROM prediction ORDER BY image_id")]
        for start in range(0, len(images), batch):
            with transaction(connection):
                for image in images[start : start + batch]:
                    rows = results.execute(
                        f"SELECT 0, {PREDICTION_VALUES} FROM prediction WHERE image_id = ?", (image,)
                    )
                    take_predictions(connection, image, model, [prediction_from_columns(row) for row in rows])
            yield images[start : start + batch]


def _write(connection: sqlite3.Connection, key: int | None, image: int, prediction: Prediction) -> None:
    """A key of None gets the next one that was never used."""
    values = (key, image, *prediction_columns(prediction))
    connection.execute("INSERT OR REPLACE INTO prediction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
