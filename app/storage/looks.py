"""Which models have looked at which images, as rows: SQL within a transaction of the caller where it writes."""

import sqlite3

import numpy as np

from app.document.records import Look

_SUMMARY = "<f2"

IS_SHOWN = (
    "(l.model = :shown OR NOT EXISTS (SELECT 1 FROM looked o "
    "WHERE o.image_id = l.image_id AND (o.model = :shown OR o.number > l.number)))"
)
"""Holds in SQL for the row of `looked l` that is shown of its image: the model :shown's, else the newest."""


def note_look(connection: sqlite3.Connection, image: int, model: str) -> None:
    """Remembers that a model has looked at an image just now; `recount_looks` has to follow."""
    connection.execute(
        "INSERT INTO looked (image_id, model, number) "
        "VALUES (?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM looked WHERE image_id = ?1)) "
        "ON CONFLICT (image_id, model) DO UPDATE SET number = excluded.number",
        (image, model),
    )


def recount_looks(connection: sqlite3.Connection, image: int) -> None:
    """Sets the counts of all looks at an image from the open predictions there."""
    connection.execute(
        "UPDATE looked SET (predictions, lowest_confidence) = (SELECT count(*), min(score) FROM prediction p "
        "WHERE p.image_id = looked.image_id AND p.model = looked.model AND p.status = 'open') WHERE image_id = ?",
        (image,),
    )


def store_summary(connection: sqlite3.Connection, image: int, model: str, summary: np.ndarray) -> None:
    """Remembers what a model that has looked at an image sees there as a whole [C]; `_SUMMARY` numbers in the file."""
    connection.execute(
        "UPDATE looked SET summary = ? WHERE image_id = ? AND model = ?",
        (summary.astype(_SUMMARY).tobytes(), image, model),
    )


def summaries_by(connection: sqlite3.Connection, model: str) -> dict[int, np.ndarray]:
    """What a model sees as a whole [C], float32, by the image's key; of images where it has said so."""
    rows = connection.execute("SELECT image_id, summary FROM looked WHERE model = ? AND summary IS NOT NULL", (model,))
    return {key: np.frombuffer(summary, _SUMMARY).astype(np.float32) for key, summary in rows}


def looks_at(connection: sqlite3.Connection, image: int) -> tuple[Look, ...]:
    """The looks at an image, the newest last."""
    rows = connection.execute(
        "SELECT model, predictions, lowest_confidence FROM looked WHERE image_id = ? ORDER BY number", (image,)
    )
    return tuple(Look(*columns) for columns in rows)


def seen_by(connection: sqlite3.Connection, model: str) -> set[int]:
    """Keys of the images that a model has looked at."""
    return {key for (key,) in connection.execute("SELECT image_id FROM looked WHERE model = ?", (model,))}


def models_that_looked(connection: sqlite3.Connection) -> dict[str, str]:
    """Names by hash ("": unknown) of the models that have looked at any image."""
    return dict(
        connection.execute(
            "SELECT l.model, coalesce(m.name, '') FROM (SELECT DISTINCT model FROM looked) l "
            "LEFT JOIN model m ON m.hash = l.model ORDER BY l.model"
        )
    )
