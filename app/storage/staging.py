"""Staging files: what the import processes hand to the project's writer."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

STAGING_VERSION = 1
"""The user_version of a finished staging file; it is set last, so that half a file is never attached."""

LOST_LABELS = "labels that could not be read, of a format that has no records to keep"
"""The reason of an annotation that only says of which image (`image_id`) they were; it is never exported."""

RESULTS_VERSION = 2
"""The same of a file with another model's predictions."""
RESULTS_TAU = 0.3
"""Below this confidence a joint of another model is taken for a guess."""

_RESULTS_TABLES = """
CREATE TABLE model (hash TEXT, name TEXT);
CREATE TABLE prediction (image_id INTEGER, model TEXT, status TEXT, score REAL, x REAL, y REAL, w REAL, h REAL,
    joints BLOB, visibility BLOB);
CREATE INDEX prediction_image ON prediction (image_id);
"""

_TABLES = """
CREATE TABLE source (name TEXT, path TEXT, digest TEXT, header TEXT, layout TEXT, category_id INTEGER,
    max_image_id INTEGER, max_annotation_id INTEGER, images INTEGER, annotations INTEGER);
CREATE TABLE root (position INTEGER PRIMARY KEY, path TEXT);
-- path is NULL for a record that cannot be used; reason then says why.
CREATE TABLE image (position INTEGER PRIMARY KEY, root INTEGER, path TEXT, width INTEGER, height INTEGER,
    raw TEXT, reason TEXT);
-- imported: the person as repaired, NULL where the text can be taken as it is.
CREATE TABLE person (position INTEGER PRIMARY KEY, image_position INTEGER, imported TEXT, raw TEXT);
CREATE TABLE other (position INTEGER PRIMARY KEY, image_position INTEGER, raw TEXT, reason TEXT);
"""


def create_staging(path: Path) -> sqlite3.Connection:
    """A new staging file, replacing an old one. It may be lost in a crash: nothing but an import depends on it."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.executescript(_TABLES)
    return connection


def finish_staging(connection: sqlite3.Connection) -> None:
    """Marks the file as complete and closes it."""
    connection.execute("CREATE INDEX person_image ON person (image_position)")
    connection.execute(f"PRAGMA user_version = {STAGING_VERSION}")
    connection.close()


def write_results(path: Path, model: str, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """A finished file with a model's predictions: image key and `rows.prediction_columns` of each."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_RESULTS_TABLES)
        connection.execute("BEGIN")
        connection.execute("INSERT INTO model VALUES (?, ?)", (model, name))
        connection.executemany("INSERT INTO prediction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
        connection.execute(f"PRAGMA user_version = {RESULTS_VERSION}")
