"""What an imported person is to the labels that are here: new, the same, or in somebody's place."""

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from app.document.records import SAME_PERSON_IOU, Person
from app.storage.coco_person import read_person


def same_label(first: Person, second: Person) -> bool:
    """Whether two records say the same: box, crowd and joints; who placed them does not matter."""
    return (
        (first.box, first.is_crowd) == (second.box, second.is_crowd)
        and [(j.x, j.y, j.v) for j in first.joints if j.v] == [(j.x, j.y, j.v) for j in second.joints if j.v]
        and [j.v for j in first.joints] == [j.v for j in second.joints]
    )


def lies_on(first: Person, second: Person) -> bool:
    """Whether two labels are about the same person, or the same crowd: somebody in a crowd is not the crowd."""
    return first.is_crowd == second.is_crowd and first.box.iou(second.box) >= SAME_PERSON_IOU


class Here(NamedTuple):
    """A label that an import meets.

    Attributes:
        now: As it is, or was before it was deleted.
        deleted: Whether it was.
        imported: As it came, where it came from a file and was edited since.
    """

    now: Person
    deleted: bool
    imported: Person | None


def people_here(connection: sqlite3.Connection, image: int, but: int | None = None) -> list[Here]:
    """The labels on an image, deleted ones among them; but: the key of a source whose labels are left out."""
    rows = connection.execute(
        "SELECT id, data, imported, raw, deleted, source_id FROM person WHERE image_id = ? "
        "AND (?2 IS NULL OR source_id IS NOT ?2)",
        (image, but),
    )
    return [
        Here(
            read_person(key, data, imported, raw),
            bool(deleted),
            read_person(key, None, imported, raw) if data is not None and source is not None else None,
        )
        for key, data, imported, raw, deleted, source in rows
    ]


def met(person: Person, here: Sequence[Here]) -> tuple[Literal["new", "same", "overlapping"], list[Person]]:
    """What an imported person is to the labels that are here, and on which of them it lies.

    What a file says as it did before is nothing new, though the label was edited or deleted here since: that is work
    done on it. Somebody who was deleted does not come back either because the file has corrected them.
    """
    if any(same_label(one.now, person) or (one.imported and same_label(one.imported, person)) for one in here):
        return "same", []
    about = [one for one in here if lies_on(person, one.now) or (one.imported and lies_on(person, one.imported))]
    alive = [one.now for one in about if not one.deleted]
    return ("overlapping" if alive else "same" if about else "new"), alive
