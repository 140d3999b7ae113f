"""Bringing the work on a part of a project back: row by row, so that ids, order and unknown fields stay."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from app.document.records import ImageState
from app.storage import schema
from app.storage.attach import Overlaps
from app.storage.edit_rows import recount
from app.storage.errors import ProjectError
from app.storage.split import PROJECT_ID, SPLIT_AT, SPLIT_FROM


class NotAPartError(ProjectError):
    """A sound project, but none that was split off from this one."""


class PartReport(NamedTuple):
    """What taking a part back would do.

    Attributes:
        worked_on: Images on which the part has worked.
        conflicts: Relative paths of those on which the whole project has worked since, too.
        missing: Relative paths of images that the whole project does not have any more.
    """

    worked_on: int
    conflicts: tuple[str, ...]
    missing: tuple[str, ...]


class _PartImage(NamedTuple):
    key: int
    """In the part."""
    mine: int | None
    """In the whole project."""
    path: str
    conflict: bool


def part_report(connection: sqlite3.Connection, project: Path, part: Path) -> PartReport:
    """Compares a part with the project it was split from.

    Raises:
        ProjectError: the file is no part of this project, or cannot be read.
    """
    with closing(_opened(connection, project, part)) as theirs:
        images = _worked_on(connection, theirs)
    return PartReport(
        len(images),
        tuple(image.path for image in images if image.conflict),
        tuple(image.path for image in images if image.mine is None),
    )


def take_part(
    connection: sqlite3.Connection, project: Path, part: Path, author: str, conflicts: Overlaps, first_key: int
) -> Iterator[tuple[int, int]]:
    """Brings a part's work into the project, one image and transaction a step.

    Args:
        connection: The project's.
        project: Its file, for messages.
        part: The part's file; nobody must be writing to it.
        author: For the operation log.
        conflicts: What becomes of images on which both sides have worked since: the project's labels stay ("mine"),
            the part's replace them ("theirs"), or what the part has changed or added comes beside them ("both").
        first_key: New people get keys from here on.

    Yields:
        The image's key in the project, and the next free key of a person.

    Raises:
        ProjectError: see `part_report`.
        sqlite3.Error: the disk is full or fails; what was taken before stays.
    """
    next_key = first_key
    with closing(_opened(connection, project, part)) as theirs:
        for image in _worked_on(connection, theirs):
            if image.mine is None or (image.conflict and conflicts == "mine"):
                continue
            with schema.transaction(connection):
                beside = image.conflict and conflicts == "both"
                next_key = _take_people(connection, theirs, image, next_key, beside)
                _take_state(connection, theirs, image)
                what = {"part": part.name, "conflict": image.conflict}
                connection.execute(
                    "INSERT INTO operation (time, author, image_id, text, before, after) "
                    "VALUES (?, ?, 0, ?, 'null', ?)",
                    (time.time(), author, f"Take {image.path} from {part.name}", json.dumps(what)),
                )
            yield image.mine, next_key


def _opened(connection: sqlite3.Connection, project: Path, part: Path) -> sqlite3.Connection:
    schema.check_header(part)
    theirs = schema.connect(part, read_only=True)
    try:
        schema.check_version(theirs, part)
        schema.quick_check(theirs, part)
        origin = theirs.execute("SELECT value FROM meta WHERE key = ?", (SPLIT_FROM,)).fetchone()
        mine = connection.execute("SELECT value FROM meta WHERE key = ?", (PROJECT_ID,)).fetchone()
        if not origin or not mine or origin[0] != mine[0]:
            raise NotAPartError(part, f"it is no part of {project.name}", "Merge it as labels of another project.")
    except BaseException as error:
        theirs.close()
        if isinstance(error, sqlite3.Error):
            raise schema.open_error(part, error) from error
        raise
    return theirs


def _worked_on(connection: sqlite3.Connection, theirs: sqlite3.Connection) -> list[_PartImage]:
    """The images with operations in the part; a conflict where the whole project has some since the split."""
    split_at = theirs.execute("SELECT value FROM meta WHERE key = ?", (SPLIT_AT,)).fetchone()[0]
    rows = theirs.execute(
        "SELECT i.id, root.path, i.path FROM image i JOIN root ON root.id = i.root_id "
        "WHERE i.id IN (SELECT image_id FROM operation) ORDER BY i.id"
    ).fetchall()
    found = []
    for key, root, path in rows:
        # A root may have been relocated on either side; the key of an image is the same in both, and its path tells.
        mine = connection.execute("SELECT id FROM image WHERE id = ? AND path = ?", (key, path)).fetchone()
        if mine is None:
            mine = connection.execute(
                "SELECT i.id FROM image i JOIN root ON root.id = i.root_id WHERE root.path = ? AND i.path = ?",
                (root, path),
            ).fetchone()
        conflict = mine is not None and bool(
            connection.execute(
                "SELECT EXISTS (SELECT 1 FROM operation WHERE image_id = ? AND id > ?)", (mine[0], split_at)
            ).fetchone()[0]
        )
        found.append(_PartImage(key, mine[0] if mine else None, path, conflict))
    return found


def _take_people(
    connection: sqlite3.Connection, theirs: sqlite3.Connection, image: _PartImage, next_key: int, beside: bool
) -> int:
    """Replaces the image's people by the part's, or puts what the part has changed beside them."""
    columns = "id, source_id, position, deleted, data, imported, raw"
    part = theirs.execute(f"SELECT {columns} FROM person WHERE image_id = ? ORDER BY id", (image.key,)).fetchall()
    mine = {
        row[0]: row for row in connection.execute(f"SELECT {columns} FROM person WHERE image_id = ?", (image.mine,))
    }
    kept = set()
    for key, source, position, deleted, data, imported, raw in part:
        same = mine.get(key)
        known = same is not None and same[1:3] == (source, position)
        if known:
            kept.add(key)
        if known and same is not None and same[3:5] == (deleted, data):
            continue
        if beside:
            text = data or imported
            if not deleted and text:
                connection.execute(
                    "INSERT INTO person (id, image_id, data) VALUES (?, ?, ?)", (next_key, image.mine, text)
                )
                next_key += 1
        elif known:
            connection.execute("UPDATE person SET deleted = ?, data = ? WHERE id = ?", (deleted, data, key))
        elif not deleted:
            connection.execute(
                "INSERT INTO person (id, image_id, data, imported, raw) VALUES (?, ?, ?, ?, ?)",
                (next_key, image.mine, data or imported, imported, raw),
            )
            next_key += 1
    if not beside:
        for key, row in mine.items():
            if key not in kept and row[1] is None:
                connection.execute("DELETE FROM person WHERE id = ?", (key,))
            elif key not in kept:
                connection.execute("UPDATE person SET deleted = 1 WHERE id = ?", (key,))
    return next_key


def _take_state(connection: sqlite3.Connection, theirs: sqlite3.Connection, image: _PartImage) -> None:
    state, flagged, note = theirs.execute(
        "SELECT state, flagged, note FROM image WHERE id = ?", (image.key,)
    ).fetchone()
    connection.execute(
        "UPDATE image SET flagged = max(flagged, ?1), note = CASE WHEN ?2 = '' THEN note ELSE ?2 END WHERE id = ?3",
        (flagged, note, image.mine),
    )
    assert image.mine is not None
    recount(connection, image.mine, ImageState(state))
