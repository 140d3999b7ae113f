"""What an imported person is to the labels that are here: new, the same, or in somebody's place."""

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from app.document.records import SAME_PERSON_IOU, Box, Person
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


class Met(NamedTuple):
    """What an imported person is to the labels that are here.

    Attributes:
        kind: "new", "same", or "overlapping": in somebody's place.
        place: In whose: labels that give way to it where the import is preferred.
    """

    kind: Literal["new", "same", "overlapping"]
    place: tuple[Person, ...] = ()


def people_here(connection: sqlite3.Connection, image: int, but: int) -> list[Here]:
    """The labels on an image, deleted ones among them; but: the key of a source whose labels are left out."""
    rows = connection.execute(
        "SELECT id, data, imported, raw, deleted, source_id FROM person WHERE image_id = ? AND source_id IS NOT ?",
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


def meet(people: Sequence[Person], here: Sequence[Here]) -> list[Met]:
    """What each of the people that an import has on an image is to the labels that are here before it.

    What a file says as it did before is nothing new, though the label was edited or deleted here since: that is work
    done on it. Somebody who was deleted does not come back either because the file has corrected them. A label that
    one of the people is the same as gives way to none of the others.
    """
    versions: dict[tuple[Box, bool], list[tuple[int, Person]]] = {}
    for index, one in enumerate(here):
        for version in (one.now, one.imported):
            if version is not None:
                versions.setdefault((version.box, version.is_crowd), []).append((index, version))
    same = [
        {index for index, version in versions.get((one.box, one.is_crowd), ()) if same_label(version, one)}
        for one in people
    ]
    staying = set[int]().union(*same)
    return [Met("same") if found else _placed(one, here, staying) for one, found in zip(people, same, strict=True)]


def _placed(person: Person, here: Sequence[Here], staying: set[int]) -> Met:
    about = [
        (index, one)
        for index, one in enumerate(here)
        if lies_on(person, one.now) or (one.imported and lies_on(person, one.imported))
    ]
    if any(not one.deleted for _, one in about):
        return Met("overlapping", tuple(one.now for index, one in about if not one.deleted and index not in staying))
    return Met("same" if about else "new")
