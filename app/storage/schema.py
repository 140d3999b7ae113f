"""The project file: its tables, how a connection to it is set up, and how a foreign or damaged file is told."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from app.storage.errors import ProjectError

APPLICATION_ID = 0x4D534150
"""Bytes 68..71 of the file: tells our projects from other SQLite databases."""
SCHEMA_VERSION = 4
"""The format that TABLES make. Older files are brought up to it (`migrations`), newer ones are refused."""
BUSY_SECONDS = 15.0
"""How long a commit waits for an exporter that is copying the file."""
CHECKED_ON_OPEN_BYTES = 64 << 20
"""Up to this size the whole file is checked while opening; a larger one table by table, between jobs."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE root (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);

CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    root_id INTEGER NOT NULL REFERENCES root,
    path TEXT NOT NULL,
    width INTEGER NOT NULL DEFAULT 0,
    height INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'unseen',
    flagged INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    people INTEGER NOT NULL DEFAULT 0,
    UNIQUE (root_id, path)
);

-- An imported COCO file. header: its top-level fields but "images" and "annotations"; layout: all their names in
-- order. Person keys of a source are first_key + position. *_next: how far the attaching has come.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    header TEXT NOT NULL,
    layout TEXT NOT NULL,
    category_id INTEGER,
    max_image_id INTEGER NOT NULL,
    max_annotation_id INTEGER NOT NULL,
    first_key INTEGER NOT NULL,
    images INTEGER NOT NULL,
    annotations INTEGER NOT NULL,
    images_next INTEGER NOT NULL DEFAULT 0,
    annotations_next INTEGER NOT NULL DEFAULT 0
);

-- A source's image records, verbatim and in its order; image_id is NULL where the record is not usable.
CREATE TABLE source_image (
    source_id INTEGER NOT NULL REFERENCES source,
    position INTEGER NOT NULL,
    image_id INTEGER REFERENCES image,
    raw TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (source_id, position)
) WITHOUT ROWID;
CREATE INDEX source_image_image ON source_image (image_id);

-- raw is the imported record, never changed. imported holds the person as read from it where reading needed
-- a repair (else NULL), data the person as it is now (NULL while unedited). Imported people are only marked
-- deleted, so that undo finds their place and a second import does not bring them back.
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    image_id INTEGER NOT NULL REFERENCES image,
    source_id INTEGER REFERENCES source,
    position INTEGER,
    deleted INTEGER NOT NULL DEFAULT 0,
    data TEXT,
    imported TEXT,
    raw TEXT
);
CREATE INDEX person_image ON person (image_id);
CREATE UNIQUE INDEX person_source ON person (source_id, position) WHERE source_id IS NOT NULL;

-- Annotations of other categories, and records that cannot be used: kept for export.
CREATE TABLE other_annotation (
    source_id INTEGER NOT NULL REFERENCES source,
    position INTEGER NOT NULL,
    image_id INTEGER REFERENCES image,
    raw TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (source_id, position)
) WITHOUT ROWID;

CREATE TABLE model (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    info TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

-- joints: K times x, y, confidence as little-endian doubles; visibility: K times the probabilities of v = 0, 1, 2 as
-- little-endian floats, NULL where the model is silent about it.
CREATE TABLE prediction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id INTEGER NOT NULL REFERENCES image,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    score REAL NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,
    joints BLOB NOT NULL,
    visibility BLOB
);
CREATE INDEX prediction_image ON prediction (image_id);

-- Which models have looked at an image, also those that found nobody. number: 1, 2, ... on each image, the newest look
-- has the highest; predictions, lowest_confidence: the model's open predictions there, and the lowest score of them;
-- summary: what it sees on the image as a whole, little-endian half floats, NULL where it does not say.
CREATE TABLE looked (
    image_id INTEGER NOT NULL REFERENCES image,
    model TEXT NOT NULL,
    number INTEGER NOT NULL,
    predictions INTEGER NOT NULL DEFAULT 0,
    lowest_confidence REAL,
    summary BLOB,
    PRIMARY KEY (image_id, model)
) WITHOUT ROWID;

-- Every edit, undo and redo included, in the order in which they were made.
CREATE TABLE operation (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    author TEXT NOT NULL,
    image_id INTEGER NOT NULL,
    text TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL
);
"""


def connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Opens an existing file so that a kill loses nothing and a hostile file runs nothing; no transaction is open.

    Raises:
        sqlite3.Error: SQLite cannot open it.
    """
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={'ro' if read_only else 'rw'}"
    # check_same_thread: the owner closes it after the writer thread has ended.
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False, cached_statements=256
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Makes an empty file a project."""
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.executescript(f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; {TABLES} COMMIT;")
    connection.execute("INSERT INTO meta VALUES ('schema_version', ?)", (SCHEMA_VERSION,))


def check_header(path: Path) -> None:
    """Reads the first 100 bytes as plain bytes, so that a file that is not ours is not even opened by SQLite.

    Raises:
        ProjectError: the file is missing, unreadable, or not a project.
    """
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        raise ProjectError(path, "there is no such file", "Check the name, or create a new project.") from None
    except OSError as error:
        raise ProjectError(path, f"it cannot be read ({error.strerror})", "Check its permissions.") from error
    if not head.startswith(b"SQLite format 3\0"):
        raise ProjectError(path, "it is not a project file, or its beginning is damaged", "Choose another file.")
    if len(head) < 100 or int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise ProjectError(path, "it is a SQLite file of another program", "Choose a project file.")


def read_version(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a file. Raises ProjectError when it says none, sqlite3.DatabaseError when it is damaged."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    version = row[0] if row else None
    if not isinstance(version, int) or version < 1:
        raise damaged(path, "its version is missing")
    return version


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ProjectError for a file of another version, sqlite3.DatabaseError for a damaged one."""
    version = read_version(connection, path)
    if version < SCHEMA_VERSION:
        raise ProjectError(
            path,
            f"it was written by an older version of this program (format {version}, this one has {SCHEMA_VERSION})",
            "Open it with this program once: that brings it up to date and keeps a copy.",
        )
    if version > SCHEMA_VERSION:
        raise ProjectError(
            path,
            f"it was written by a newer version of this program (format {version}, this one knows {SCHEMA_VERSION})",
            "Update the program to open it.",
        )


def quick_check(connection: sqlite3.Connection, path: Path, table: str | None = None) -> None:
    """Checks the structure of the file, or of one table. Raises ProjectError when it is damaged."""
    found = connection.execute(f"PRAGMA quick_check('{table}')" if table else "PRAGMA quick_check(1)").fetchone()
    if found is None or found[0] != "ok":
        raise damaged(path, found[0] if found else "no answer")


def table_names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def damaged(path: Path, detail: object) -> ProjectError:
    """The error for a file whose structure is broken."""
    return ProjectError(path, f"the project file is damaged ({detail})", "It was left as it is: restore a backup copy.")


def open_error(path: Path, error: Exception) -> ProjectError:
    """The error for what SQLite or the system said while opening or checking a file."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return ProjectError(path, f"another program keeps it busy ({error})", "Try again in a moment.")
    if code == sqlite3.SQLITE_FULL:
        return ProjectError(path, f"there is no room for a copy of it ({error})", "Free some space.")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return ProjectError(path, f"it cannot be opened ({error})", "Check the disk and the file's permissions.")
    return damaged(path, error)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN ... COMMIT; everything is rolled back when the block or the commit fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself has rolled back after some errors
            connection.execute("ROLLBACK")
        raise
