"""Bringing the work on a part of a project back: image by image, so that ids, order and unknown fields stay."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from app.document.document import FIRST_OWN_PERSON_KEY, unbegun_state
from app.document.records import Change, Edit, ImageState, Person
from app.storage import migrations, schema
from app.storage.attach import Overlaps
from app.storage.coco_person import read_person
from app.storage.edit_rows import recount, store_person
from app.storage.errors import ProjectError
from app.storage.looks import looks_at, note_look, recount_looks
from app.storage.meeting import same_label
from app.storage.rows import BROUGHT_IN, PREDICTION_VALUES, edit_to_json
from app.storage.split import PART_ID, PROJECT_ID, SPLIT_AT, SPLIT_FROM, SPLIT_PEOPLE, SPLIT_SOURCES

_Way = Literal["merge", "beside", "replace"]
"""What becomes of an image's people: what the part has changed is changed here, too; the part's come beside them; or
the part's replace them."""


class NotAPartError(ProjectError):
    """A sound project, but none that was split off from this one."""


class PartReport(NamedTuple):
    """What taking a part back would do.

    Attributes:
        worked_on: Images on which the part has worked.
        conflicts: Relative paths of those on which somebody has worked in the whole project since, too.
        missing: Relative paths of images that the whole project does not have any more.
        people: No more new people than so many can come.
    """

    worked_on: int
    conflicts: tuple[str, ...]
    missing: tuple[str, ...]
    people: int


class PartImage(NamedTuple):
    """An image on which a part has worked: its key there, and in the whole project (None: it has no such image)."""

    key: int
    mine: int | None
    path: str


def part_report(connection: sqlite3.Connection, project: Path, part: Path) -> PartReport:
    """Compares a part with the project it was split from.

    Raises:
        ProjectError: the file is no part of this project, or cannot be read.
    """
    with closing(_opened(connection, project, part)) as theirs:
        taking = _Taking(connection, theirs)
        images = taking.images()
        people = sum(taking.count_people(image) for image in images if image.mine is not None)
        return PartReport(
            len(images),
            tuple(image.path for image in images if image.mine is not None and taking.conflict(image.mine)),
            tuple(image.path for image in images if image.mine is None),
            people,
        )


def take_part(
    connection: sqlite3.Connection, project: Path, part: Path, author: str, conflicts: Overlaps, keys: range
) -> Iterator[tuple[int, int]]:
    """Brings a part's work into the project, one image and transaction a step.

    Args:
        connection: The project's.
        project: Its file, for messages.
        part: The part's file; nobody must be writing to it.
        author: For the operation log.
        conflicts: What becomes of images on which both sides have worked since, also while this goes on: the project's
            labels stay ("mine"), the part's replace them ("theirs"), or what the part has changed or added comes
            beside them ("both").
        keys: For new people; nobody else may use them.

    Yields:
        The image's key in the project, and a key beyond those of all people so far (0: no new ones).

    Raises:
        ProjectError: see `part_report`; or the part has more new people than keys.
        sqlite3.Error: the disk is full or fails; what was taken before stays.
    """
    free, used = iter(keys), 0
    with closing(_opened(connection, project, part)) as theirs:
        taking = _Taking(connection, theirs)
        taking.take_models()
        for image in taking.images():
            if image.mine is None:
                continue
            with schema.transaction(connection):
                conflict = taking.conflict(image.mine)
                if conflict and conflicts == "mine":
                    continue
                way: _Way = "merge" if not conflict else "beside" if conflicts == "both" else "replace"
                changes = taking.changes(image, free, way)
                if changes is None:
                    raise ProjectError(part, "somebody has worked on it meanwhile", "Merge it again.")
                taking.store(image, changes, author, part.name, way)
                used = max([used, *(change.after.key + 1 for change in changes if change.after)])
                if used > FIRST_OWN_PERSON_KEY:
                    connection.execute(
                        "INSERT INTO meta VALUES ('next_person_key', ?1) "
                        "ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
                        (used,),
                    )
            yield image.mine, used


def _opened(connection: sqlite3.Connection, project: Path, part: Path) -> sqlite3.Connection:
    schema.check_header(part)
    try:
        theirs = migrations.connect_for_reading(part)
    except sqlite3.Error as error:
        raise schema.open_error(part, error) from error
    try:
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


class _Taking:
    """A part and its whole, compared.

    What the whole remembers of a part (table `meta`): under "taken PART image N" the operation by which the image was
    taken last and the newest import then, so that taking it again is no conflict with itself; under "taken PART person
    K" the key that a person has got here, so that nobody comes twice.
    """

    def __init__(self, connection: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
        self._mine, self._theirs = connection, theirs
        meta = dict(theirs.execute("SELECT key, value FROM meta"))
        self._mark = f"taken {meta[PART_ID]}"
        self._split_at = int(meta[SPLIT_AT])
        self._split_people, self._split_sources = int(meta[SPLIT_PEOPLE]), int(meta[SPLIT_SOURCES])
        self._read_to = self._split_at
        self._last_operations: dict[int, int] = {}

    def images(self) -> list[PartImage]:
        """Those with operations in the part."""
        rows = self._theirs.execute(
            "SELECT i.id, root.path, i.path FROM image i JOIN root ON root.id = i.root_id "
            "WHERE i.id IN (SELECT image_id FROM operation) ORDER BY i.id"
        ).fetchall()
        return [PartImage(key, self._key_here(key, root, path), path) for key, root, path in rows]

    def _key_here(self, key: int, root: str, path: str) -> int | None:
        # A root may have been relocated on either side; the key of an image is the same in both, and its path tells.
        found = self._mine.execute("SELECT id FROM image WHERE id = ? AND path = ?", (key, path)).fetchone()
        if found is None:
            found = self._mine.execute(
                "SELECT i.id FROM image i JOIN root ON root.id = i.root_id WHERE root.path = ? AND i.path = ?",
                (root, path),
            ).fetchone()
        return found[0] if found else None

    def count_people(self, image: PartImage) -> int:
        """How many people the part has on an image."""
        return int(self._theirs.execute("SELECT count(*) FROM person WHERE image_id = ?", (image.key,)).fetchone()[0])

    def conflict(self, image: int) -> bool:
        """Whether the whole project has changed an image since the split, or since the part was taken last."""
        operation, source = self._remembered(f"image {image}") or (self._split_at, self._split_sources)
        newer = self._mine.execute(
            "SELECT image_id, id FROM operation WHERE id > ? ORDER BY id", (self._read_to,)
        ).fetchall()
        self._last_operations.update(newer)
        self._read_to = max([self._read_to, *(key for _, key in newer)])
        imported = self._mine.execute(
            "SELECT EXISTS (SELECT 1 FROM person WHERE image_id = ? AND source_id > ?)", (image, source)
        ).fetchone()[0]
        return self._last_operations.get(image, 0) > operation or bool(imported)

    def changes(self, image: PartImage, free: Iterator[int], way: _Way) -> list[Change[Person]] | None:
        """What has to happen to the image's people here; None when there are not enough free keys."""
        here = self._people_here(image)
        changes: list[Change[Person]] = []
        seen: set[int] = set()
        for key, source, deleted, *columns in self._theirs.execute(
            "SELECT id, source_id, deleted, data, imported, raw FROM person WHERE image_id = ? ORDER BY id",
            (image.key,),
        ):
            theirs = None if deleted else read_person(key, *columns)
            known = self._known(key, source)
            equal = _equal(here, theirs)
            seen.update(at for at in (known, equal) if at is not None)
            if equal is not None:  # nothing to do, or it came beside another label before
                if known is None:
                    self._remember(f"person {key}", equal)
                continue
            if way == "beside":
                known = None
            now = here.get(known) if known is not None else None
            if theirs is None and (now is None or way == "beside"):
                continue
            if theirs is not None:
                new = next(free, None) if known is None else known
                if new is None:
                    return None
                theirs = replace(theirs, key=new)
                if self._known(key, source) is None:
                    self._remember(f"person {key}", new)
            changes.append(Change(now, theirs))
        gone = {at for at in here if at not in seen and (way == "replace" or self._was_there(at))}
        if way != "beside":
            changes += [Change(person, None) for at, person in here.items() if person and at in gone]
        return changes

    def _people_here(self, image: PartImage) -> dict[int, Person | None]:
        """The image's people in the whole by key; None for those that are only marked deleted."""
        rows = self._mine.execute(
            "SELECT id, deleted, data, imported, raw FROM person WHERE image_id = ? ORDER BY id", (image.mine,)
        )
        return {key: (None if deleted else read_person(key, *columns)) for key, deleted, *columns in rows}

    def _known(self, key: int, source: int | None) -> int | None:
        """The key here of a person of the part; None for somebody who has come since."""
        old = key < self._split_people if source is None else source <= self._split_sources
        return key if old else self._remembered(f"person {key}")

    def _was_there(self, key: int) -> bool:
        """Whether the part has ever had a person of the whole: who is missing in it then was deleted there."""
        source = self._mine.execute("SELECT source_id FROM person WHERE id = ?", (key,)).fetchone()[0]
        old = key < self._split_people if source is None else source <= self._split_sources
        came = self._mine.execute(
            "SELECT EXISTS (SELECT 1 FROM meta WHERE key LIKE ? AND value = ?)", (f"{self._mark} person %", str(key))
        ).fetchone()[0]
        return old or bool(came)

    def store(self, image: PartImage, changes: list[Change[Person]], author: str, part: str, way: _Way) -> None:
        """Writes the changes and the part's state, marks and predictions; logs it; remembers that it was taken."""
        assert image.mine is not None
        for change in changes:
            store_person(self._mine, image.mine, change)
        state, flagged, note = self._theirs.execute(
            "SELECT state, flagged, note FROM image WHERE id = ?", (image.key,)
        ).fetchone()
        if way == "beside":
            state = ImageState.IN_PROGRESS
            marks = "flagged = max(flagged, ?1), note = CASE WHEN ?2 = '' THEN note ELSE ?2 END"
            self._mine.execute(f"UPDATE image SET {marks} WHERE id = ?3", (flagged, note, image.mine))
        else:
            self._mine.execute("UPDATE image SET flagged = ?, note = ? WHERE id = ?", (flagged, note, image.mine))
            self._take_predictions(image)
        looks = looks_at(self._mine, image.mine)
        recount(self._mine, image.mine, unbegun_state(ImageState(state), looks[-1].model if looks else ""))
        edit = Edit(image.mine, f"{BROUGHT_IN}{image.path} from {part}", tuple(changes))
        operation = self._mine.execute(
            "INSERT INTO operation (time, author, image_id, text, before, after) VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), author, edit.image, edit.text, *edit_to_json(edit)),
        ).lastrowid
        newest = self._mine.execute("SELECT coalesce(max(id), 0) FROM source").fetchone()[0]
        self._remember(f"image {image.mine}", [operation, newest])

    def _take_predictions(self, image: PartImage) -> None:
        """What was proposed, accepted and rejected in the part replaces what the same models have found here.

        Models that have not looked at the image in the part keep what they have found here: they looked after the
        split. Their looks stay the newest, after the part's; nobody knows which were first.
        """
        assert image.mine is not None
        looked = "SELECT model FROM looked WHERE image_id = ? ORDER BY number"
        came = [model for (model,) in self._theirs.execute(looked, (image.key,))]
        stayed = [model for (model,) in self._mine.execute(looked, (image.mine,)) if model not in came]
        for model in came:
            select = f"SELECT {PREDICTION_VALUES} FROM prediction WHERE image_id = ? AND model = ? ORDER BY id"
            theirs = self._theirs.execute(select, (image.key, model)).fetchall()
            if theirs != self._mine.execute(select, (image.mine, model)).fetchall():
                self._mine.execute("DELETE FROM prediction WHERE image_id = ? AND model = ?", (image.mine, model))
                self._mine.executemany(
                    f"INSERT INTO prediction (image_id, {PREDICTION_VALUES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    ((image.mine, *row) for row in theirs),
                )
        said = "SELECT model, summary FROM looked WHERE image_id = ? AND summary IS NOT NULL"
        summaries = self._mine.execute(said, (image.mine,)).fetchall()
        summaries += self._theirs.execute(said, (image.key,)).fetchall()
        self._mine.execute("DELETE FROM looked WHERE image_id = ?", (image.mine,))
        for model in (*came, *stayed):
            note_look(self._mine, image.mine, model)
        for model, summary in summaries:
            self._mine.execute(
                "UPDATE looked SET summary = ? WHERE image_id = ? AND model = ?", (summary, image.mine, model)
            )
        recount_looks(self._mine, image.mine)

    def take_models(self) -> None:
        """What the part knows of models: names and thresholds."""
        with schema.transaction(self._mine):
            models = self._theirs.execute("SELECT hash, name, info FROM model").fetchall()
            self._mine.executemany("INSERT OR IGNORE INTO model VALUES (?, ?, ?)", models)

    def _remembered(self, what: str) -> Any:
        row = self._mine.execute("SELECT value FROM meta WHERE key = ?", (f"{self._mark} {what}",)).fetchone()
        return json.loads(row[0]) if row else None

    def _remember(self, what: str, value: object) -> None:
        self._mine.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"{self._mark} {what}", json.dumps(value)))


def _equal(people: dict[int, Person | None], person: Person | None) -> int | None:
    """The key of somebody with the very same label."""
    if person is None:
        return None
    return next((key for key, other in people.items() if other and same_label(other, person)), None)
