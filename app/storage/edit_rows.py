"""Writing changed people and their number into their rows: SQL within a transaction of the caller."""

import sqlite3

from app.document.records import Change, ImageState, Person
from app.storage.rows import person_to_json


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


def recount(connection: sqlite3.Connection, image: int, state: ImageState) -> None:
    """Sets an image's state, and its number of people from their rows."""
    connection.execute(
        "UPDATE image SET state = ?, "
        "people = (SELECT count(*) FROM person WHERE image_id = image.id AND deleted = 0) WHERE id = ?",
        (state.value, image),
    )
