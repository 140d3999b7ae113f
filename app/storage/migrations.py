"""Bringing a project file of an older version of the program up to date: whole, or not at all."""

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from app.storage import schema
from app.storage.errors import ProjectError
from msarcnn.atomic_files import remove_stale_temporaries

Migration = Callable[[sqlite3.Connection], None]
"""Changes tables and records within a transaction of the caller: `connection.execute` only, never `executescript`."""


def _looks_of_every_model(connection: sqlite3.Connection) -> None:
    """Format 2: an image knows of every model that has looked at it, not only of the last one.

    In format 1 the others are known by what they left: in the order of their newest predictions.
    """
    connection.execute(
        "CREATE TABLE looked (image_id INTEGER NOT NULL REFERENCES image, model TEXT NOT NULL, "
        "number INTEGER NOT NULL, predictions INTEGER NOT NULL DEFAULT 0, lowest_confidence REAL, "
        "PRIMARY KEY (image_id, model)) WITHOUT ROWID"
    )
    connection.execute(
        "INSERT INTO looked (image_id, model, number, predictions, lowest_confidence) "
        "SELECT image_id, model, row_number() OVER (PARTITION BY image_id ORDER BY last, key), open, lowest FROM ("
        "SELECT p.image_id, p.model, p.model = i.model AS last, max(p.id) AS key, "
        "count(*) FILTER (WHERE p.status = 'open') AS open, min(p.score) FILTER (WHERE p.status = 'open') AS lowest "
        "FROM prediction p JOIN image i ON i.id = p.image_id GROUP BY p.image_id, p.model "
        "UNION ALL SELECT id, model, 1, 0, 0, NULL FROM image i WHERE model != '' AND NOT EXISTS "
        "(SELECT 1 FROM prediction p WHERE p.image_id = i.id AND p.model = i.model))"
    )
    for column in ("predictions", "lowest_confidence", "model"):
        connection.execute(f"ALTER TABLE image DROP COLUMN {column}")


def _visibility_of_predictions(connection: sqlite3.Connection) -> None:
    """Format 3: what a model says of a joint's visibility."""
    connection.execute("ALTER TABLE prediction ADD COLUMN visibility BLOB")


def _summaries_of_images(connection: sqlite3.Connection) -> None:
    """Format 4: what a model sees on an image as a whole."""
    connection.execute("ALTER TABLE looked ADD COLUMN summary BLOB")


MIGRATIONS: tuple[Migration, ...] = (_looks_of_every_model, _visibility_of_predictions, _summaries_of_images)
"""The first makes format 2 of format 1, and so on. Whoever changes `schema.TABLES` raises SCHEMA_VERSION and adds one.

A migration is never changed once it was published, so it names columns and values itself instead of using code that
follows the newest format.
"""


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Migrates a project file that is open for writing; None when it is of this version, or newer.

    Returns the copy of the file as it was, which opens in the older program: FILE.backups/format-N.poseproj. Those who
    have work with others may need it.

    Raises:
        ProjectError: the copy or the new state cannot be written; the file is as it was.
        sqlite3.DatabaseError: it is damaged.
    """
    version = schema.read_version(connection, path)
    if version >= schema.SCHEMA_VERSION:
        return None
    try:
        copy = _keep_copy(connection, path, version)
        migrate(connection, version)
    except (OSError, sqlite3.Error) as error:
        reason = f"it is of an older format ({version}) and cannot be brought up to date ({error})"
        raise ProjectError(path, reason, "It is as it was: free some space, then open it again.") from error
    return copy


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """All migrations from a version on, in one transaction. Raises sqlite3.Error; the file is as it was then."""
    with schema.transaction(connection):
        for step in MIGRATIONS[version - 1 :]:
            step(connection)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (schema.SCHEMA_VERSION,))


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Opens a project to read in it; one of an older format is read in an up-to-date private copy, and left alone.

    Raises:
        ProjectError: it is of a newer version.
        sqlite3.Error: it cannot be opened, is damaged, or there is no room for the copy.
    """
    original = schema.connect(path, read_only=True)
    try:
        version = schema.read_version(original, path)
        if version >= schema.SCHEMA_VERSION:
            schema.check_version(original, path)
            return original
        copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # a file that nobody else sees
        try:
            original.backup(copy)
            copy.execute("PRAGMA trusted_schema = OFF")
            migrate(copy, version)
        except BaseException:
            copy.close()
            raise
    except BaseException:
        original.close()
        raise
    original.close()
    return copy


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    folder = path.with_name(f"{path.name}.backups")
    copy = folder / f"format-{version}{path.suffix}"
    folder.mkdir(exist_ok=True)
    remove_stale_temporaries(folder)
    temporary = copy.with_name(f".{copy.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
    try:
        with closing(sqlite3.connect(temporary)) as target:
            target.execute("PRAGMA synchronous = EXTRA")
            connection.backup(target)
        temporary.replace(copy)
    finally:
        temporary.unlink(missing_ok=True)
    return copy
