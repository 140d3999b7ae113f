"""Reading a project that may be open elsewhere: a private copy made in one go, and the images with their people."""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from app.document.records import ImageState, Person
from app.storage import migrations, schema
from app.storage.coco_person import read_person
from msarcnn.atomic_files import remove_stale_temporaries

Only = Literal["all", "finished", "labelled", "listed"]
"""Which images: all, those that are finished, those with people, those whose keys the snapshot was given."""

FINISHED = "i.state IN ('done', 'done-empty', 'reviewed')"
CONDITIONS: dict[Only, str] = {"all": "1", "finished": FINISHED, "labelled": "i.people > 0", "listed": "i.id IN listed"}
"""What holds in SQL for the chosen rows of `image i`."""


class LabelledImage(NamedTuple):
    """An image and who is on it; width and height are 0 where the file was never read."""

    key: int
    root: Path
    path: str
    width: int
    height: int
    state: ImageState
    people: tuple[Person, ...]


@contextmanager
def snapshot(project: Path, beside: Path, listed: Sequence[int] = ()) -> Iterator[sqlite3.Connection]:
    """A private copy of the project in the folder of `beside`, removed afterwards; `listed` are keys of images.

    Neither the reader nor the project's writer waits for the other, and no half of a transaction is seen.

    Raises:
        ProjectError: the project cannot be read.
        OSError, sqlite3.Error: the copy cannot be written.
    """
    schema.check_header(project)
    # The name is that of an atomic write's temporary: should this process be killed, the next export sweeps it.
    copy = beside.with_name(f".{beside.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
    with suppress(OSError):
        remove_stale_temporaries(copy.parent)
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            try:
                with closing(migrations.connect_for_reading(project)) as original:
                    original.backup(connection)
            except sqlite3.DatabaseError as error:
                raise schema.open_error(project, error) from error
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("CREATE TEMP TABLE listed (id INTEGER PRIMARY KEY)")
            connection.executemany("INSERT OR IGNORE INTO listed VALUES (?)", ((key,) for key in listed))
            yield connection
    finally:
        copy.unlink(missing_ok=True)


def count_images(connection: sqlite3.Connection, only: Only) -> int:
    """How many images are chosen."""
    return int(connection.execute(f"SELECT count(*) FROM image i WHERE {CONDITIONS[only]}").fetchone()[0])


def labelled_images(connection: sqlite3.Connection, only: Only) -> Iterator[LabelledImage]:
    """The chosen images by key, with their people."""
    rows = connection.execute(
        "SELECT i.id, root.path, i.path, width, height, state FROM image i JOIN root ON root.id = root_id "
        f"WHERE {CONDITIONS[only]} ORDER BY i.id"
    )
    for key, root, path, width, height, state in rows:
        yield LabelledImage(key, Path(root), path, width, height, ImageState(state), people_on(connection, key))


def people_on(connection: sqlite3.Connection, image: int) -> tuple[Person, ...]:
    """The labels of an image, by key."""
    people = connection.execute(
        "SELECT id, data, imported, raw FROM person WHERE image_id = ? AND deleted = 0 ORDER BY id", (image,)
    )
    return tuple(read_person(*columns) for columns in people)
