"""Taking over a staging file into a project, batch by batch, without touching a label that is there."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from app.document.document import FIRST_OWN_PERSON_KEY
from app.document.records import Change, Edit, Person
from app.storage.coco_person import read_person
from app.storage.edit_rows import store_person
from app.storage.errors import ProjectError
from app.storage.frames import OTHER_FRAME, compare_frames
from app.storage.meeting import meet, people_here
from app.storage.rows import BROUGHT_IN, edit_to_json
from app.storage.schema import transaction
from app.storage.staging import STAGING_VERSION

Overlaps = Literal["mine", "theirs", "both"]
"""Who stays where an imported person lies on a label."""

_SHOWN = 3
_INSERT_PERSON = "INSERT INTO person (id, image_id, source_id, position, imported, raw)"
_RECOUNT = (
    "UPDATE image SET people = (SELECT count(*) FROM person p WHERE p.image_id = image.id AND deleted = 0), "
    "state = CASE WHEN state IN ('unseen', 'predicted') THEN 'in progress' ELSE state END WHERE id"
)


class AttachProgress(NamedTuple):
    """Where an import stands, after each batch.

    Attributes:
        done: Records (images and annotations) gone through.
        total: All of them.
        images_added: Images that are new in the project.
        people_added: People taken over.
        people_skipped: People left out because the image has a label there, or the file was imported before.
        people_replaced: Labels that gave way to an imported person.
        people_left_out: People left out because the labels of their photo are measured in another frame.
        left_out_on: Paths of the photos; the first few.
    """

    done: int
    total: int
    images_added: int
    people_added: int
    people_skipped: int
    people_replaced: int = 0
    people_left_out: int = 0
    left_out_on: tuple[str, ...] = ()


def export_mark(digest: str) -> str:
    """The key in the table `meta` that stands for a file which the project itself has written."""
    return f"export {digest}"


def was_taken(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether the file of this SHA-256 was imported to its end, or written from the project."""
    return bool(
        connection.execute(
            "SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?) OR EXISTS (SELECT 1 FROM source WHERE digest = ? "
            "AND images_next >= images AND annotations_next >= annotations)",
            (export_mark(digest), digest),
        ).fetchone()[0]
    )


def attach_batches(
    connection: sqlite3.Connection,
    project: Path,
    staging: Path,
    author: str,
    batch: int,
    overlaps: Overlaps = "mine",
) -> Iterator[AttachProgress]:
    """Attaches a staging file, one committed batch each step; a broken-off import goes on where it stopped.

    overlaps says who stays where an imported person lies on a label; one that is the same is never taken twice.

    Raises:
        ProjectError: the staging file cannot be used.
        sqlite3.Error: the disk is full or fails; what was attached stays.
    """
    uri = f"file:{quote(str(staging.absolute()))}?mode=ro"
    try:
        connection.execute("ATTACH ? AS staging", (uri,))
    except sqlite3.Error as error:
        raise ProjectError(
            project, f"the prepared import {staging} cannot be read ({error})", "Import again."
        ) from error
    try:
        # Images with labels of another origin whose people have been decided about.
        connection.execute("CREATE TEMP TABLE met (id INTEGER PRIMARY KEY)")
        yield from _Attachment(connection, project, author, batch, overlaps).run()
    finally:
        with suppress(sqlite3.Error):  # an abandoned import may outlive the connection, which has detached then
            connection.execute("DROP TABLE IF EXISTS temp.met")
            connection.execute("DETACH staging")


class _Attachment:
    def __init__(
        self, connection: sqlite3.Connection, project: Path, author: str, batch: int, overlaps: Overlaps
    ) -> None:
        self._connection = connection
        self._overlaps = overlaps
        self._people_replaced = self._people_left_out = 0
        self._left_out_on: tuple[str, ...] = ()
        self._project = project
        self._author = author
        self._batch = batch
        self._images_added = self._people_added = self._people_skipped = 0
        self._other_hashes: set[int] | None = None

    def run(self) -> Iterator[AttachProgress]:
        version = self._connection.execute("PRAGMA staging.user_version").fetchone()[0]
        if version != STAGING_VERSION:
            raise ProjectError(
                self._project, "the prepared import is unfinished or of another version", "Import again."
            )
        if self._is_own_export():
            yield self._all_skipped(self._value("SELECT images + annotations FROM staging.source"))
            return
        with transaction(self._connection):
            source, images, annotations, image, annotation = self._claim_source()
        total = images + annotations
        if image >= images and annotation >= annotations:
            yield self._all_skipped(total)
            return
        self._connection.execute("INSERT OR IGNORE INTO root (path) SELECT path FROM staging.root ORDER BY position")
        while image < images:
            with transaction(self._connection):
                self._attach_images(source, image, image + self._batch)
                image = min(image + self._batch, images)
                self._connection.execute("UPDATE source SET images_next = ? WHERE id = ?", (image, source))
            yield self._progress(image, total)
        while annotation < annotations:
            with transaction(self._connection):
                self._attach_annotations(source, annotation, annotation + self._batch)
                annotation = min(annotation + self._batch, annotations)
                self._connection.execute("UPDATE source SET annotations_next = ? WHERE id = ?", (annotation, source))
                if annotation == annotations:
                    self._log(source)
            yield self._progress(images + annotation, total)

    def _is_own_export(self) -> bool:
        """Whether this very file was written from the project.

        Its labels may have been edited since: their old places would come as new people.
        """
        digest = self._connection.execute("SELECT digest FROM staging.source").fetchone()[0]
        return self._value("SELECT count(*) FROM meta WHERE key = ?", export_mark(digest)) > 0

    def _all_skipped(self, total: int) -> AttachProgress:
        self._people_skipped = self._value("SELECT count(*) FROM staging.person")
        return self._progress(total, total)

    def _progress(self, done: int, total: int) -> AttachProgress:
        counts = (self._images_added, self._people_added, self._people_skipped, self._people_replaced)
        return AttachProgress(done, total, *counts, self._people_left_out, self._left_out_on)

    def _claim_source(self) -> tuple[int, int, int, int, int]:
        """The source's key, its counts of images and annotations, and from where on they are to be attached."""
        first_key = self._value("SELECT coalesce(max(first_key + annotations), 1) FROM source")
        self._connection.execute(
            "INSERT OR IGNORE INTO source (name, path, digest, header, layout, category_id, max_image_id, "
            "max_annotation_id, first_key, images, annotations) SELECT name, path, digest, header, layout, "
            "category_id, max_image_id, max_annotation_id, ?, images, annotations FROM staging.source",
            (first_key,),
        )
        row = self._connection.execute(
            "SELECT id, images, annotations, images_next, annotations_next, first_key FROM source "
            "WHERE digest = (SELECT digest FROM staging.source)"
        ).fetchone()
        if row[5] + row[2] >= FIRST_OWN_PERSON_KEY:
            raise ProjectError(self._project, "it cannot hold that many imported people", "Import into a new project.")
        return row[:5]

    def _attach_images(self, source: int, start: int, end: int) -> None:
        span = {"source": source, "start": start, "end": end}
        added = self._connection.execute(
            "INSERT OR IGNORE INTO image (root_id, path, width, height) SELECT root.id, s.path, s.width, s.height "
            "FROM staging.image s JOIN staging.root r ON r.position = s.root JOIN main.root ON root.path = r.path "
            "WHERE s.position >= :start AND s.position < :end AND s.path IS NOT NULL ORDER BY s.position",
            span,
        )
        self._images_added += added.rowcount
        frames = compare_frames(self._connection, source, start, end)
        self._connection.executemany(
            "UPDATE image SET width = ?, height = ? WHERE id = ?", ((*size, key) for key, size in frames.taken.items())
        )
        self._connection.execute(
            "INSERT OR IGNORE INTO source_image (source_id, position, image_id, raw, reason) "
            "SELECT :source, s.position, (SELECT image.id FROM main.image JOIN main.root ON root.id = root_id "
            "JOIN staging.root r ON r.path = root.path WHERE r.position = s.root AND image.path = s.path), s.raw, "
            "s.reason FROM staging.image s WHERE s.position >= :start AND s.position < :end AND NOT (s.path IS NULL "
            "AND EXISTS (SELECT 1 FROM source_image k WHERE k.image_id IS NULL AND k.source_id != :source "
            "AND k.raw = s.raw))",
            span,
        )
        self._connection.executemany(
            "UPDATE source_image SET reason = ? WHERE source_id = ? AND position = ?",
            ((OTHER_FRAME, source, position) for position in frames.left_out),
        )

    def _attach_annotations(self, source: int, start: int, end: int) -> None:
        span = {"source": source, "start": start, "end": end}
        # CROSS JOIN: from the people of this batch to their images, not through all images of the source.
        staged = (
            "FROM staging.person s CROSS JOIN source_image i "
            "ON i.source_id = :source AND i.position = s.image_position "
            "WHERE s.position >= :start AND s.position < :end AND i.reason = '' "
            "AND i.image_id NOT IN (SELECT id FROM temp.met) AND {} EXISTS "
            "(SELECT 1 FROM person p WHERE p.image_id = i.image_id AND p.source_id IS NOT :source)"
        )
        # Read before the first insert: what this batch adds must not count as a label that was there.
        met = self._connection.execute("SELECT DISTINCT i.image_id " + staged.format(""), span).fetchall()
        added = self._connection.execute(
            f"{_INSERT_PERSON} SELECT s.position + (SELECT first_key FROM source WHERE id = :source), i.image_id, "
            f":source, s.position, s.imported, s.raw {staged.format('NOT')} ORDER BY s.position",
            span,
        )
        self._people_added += added.rowcount
        self._connection.execute(
            f"{_RECOUNT} IN (SELECT image_id FROM person "
            "WHERE source_id = :source AND position >= :start AND position < :end)",
            span,
        )
        for (image,) in met:
            self._meet(image, source, start)
        self._attach_others(span)

    def _meet(self, image: int, source: int, start: int) -> None:
        """Attaches all people of an image that has labels of another origin, perhaps deleted ones.

        They are decided about together, by what was here before any of them came. Those before `start` have been.
        """
        rows = self._connection.execute(
            "SELECT s.position + (SELECT first_key FROM source WHERE id = :source), i.image_id, :source, s.position, "
            "s.imported, s.raw FROM source_image i JOIN staging.person s ON s.image_position = i.position "
            "WHERE i.source_id = :source AND i.image_id = :image AND i.reason = '' AND NOT EXISTS "
            "(SELECT 1 FROM person p WHERE p.source_id = :source AND p.position = s.position) ORDER BY s.position",
            {"source": source, "image": image},
        ).fetchall()
        people = [read_person(key, None, imported, raw) for key, _, _, _, imported, raw in rows]
        coming, giving_way = [], dict[int, Person]()
        for row, met in zip(rows, meet(people, people_here(self._connection, image, but=source)), strict=True):
            if row[3] < start:
                continue
            if met.kind == "same" or (met.kind == "overlapping" and self._overlaps == "mine"):
                self._people_skipped += 1
                continue
            coming.append(row)
            if self._overlaps == "theirs":
                giving_way |= {person.key: person for person in met.place}
        self._take_away(image, list(giving_way.values()))
        self._connection.executemany(f"{_INSERT_PERSON} VALUES (?, ?, ?, ?, ?, ?)", coming)
        self._people_added += len(coming)
        if coming:
            self._connection.execute(f"{_RECOUNT} = ?", (image,))
        self._connection.execute("INSERT INTO temp.met VALUES (?)", (image,))

    def _attach_others(self, span: dict[str, int]) -> None:
        """Takes over what is kept for export only; a record that another source brought already is left out."""
        staged = self._connection.execute(
            "SELECT :source, s.position, CASE i.reason WHEN '' THEN i.image_id END, s.raw, s.reason "
            "FROM staging.other s LEFT JOIN source_image i ON i.source_id = :source AND i.position = s.image_position "
            "WHERE s.position >= :start AND s.position < :end",
            span,
        ).fetchall()
        left_out = self._connection.execute(
            "SELECT :source, s.position, NULL, s.raw, i.reason, image.path FROM staging.person s "
            "JOIN source_image i ON i.source_id = :source AND i.position = s.image_position "
            "JOIN image ON image.id = i.image_id "
            "WHERE s.position >= :start AND s.position < :end AND i.reason != ''",
            span,
        ).fetchall()
        self._people_left_out += len(left_out)
        self._left_out_on = tuple(dict.fromkeys((*self._left_out_on, *(row[-1] for row in left_out))))[:_SHOWN]
        staged += [row[:-1] for row in left_out]
        if staged and self._other_hashes is None:
            # Hashes, since the texts of a million annotations take gigabytes, and an index over them as much.
            known = self._connection.execute(
                "SELECT image_id, raw FROM other_annotation WHERE source_id != ?", (span["source"],)
            )
            self._other_hashes = {hash(row) for row in known}
        hashes = self._other_hashes or set()
        self._connection.executemany(
            "INSERT OR IGNORE INTO other_annotation (source_id, position, image_id, raw, reason) "
            "VALUES (?, ?, ?, ?, ?)",
            (row for row in staged if hash((row[2], row[3])) not in hashes),
        )

    def _take_away(self, image: int, people: list[Person]) -> None:
        """Labels give way; the log keeps them."""
        if not people:
            return
        text = f"{BROUGHT_IN}another label in this one's place"
        edit = Edit(image, text, tuple(Change(person, None) for person in people))
        for change in edit.people:
            store_person(self._connection, image, change)
        self._connection.execute(
            "INSERT INTO operation (time, author, image_id, text, before, after) VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), self._author, image, edit.text, *edit_to_json(edit)),
        )
        self._people_replaced += len(people)

    def _log(self, source: int) -> None:
        name = self._connection.execute("SELECT name FROM source WHERE id = ?", (source,)).fetchone()[0]
        after = {"source": source, "images": self._images_added, "people": self._people_added}
        if self._people_replaced:
            after["replaced"] = self._people_replaced
        self._connection.execute(
            "INSERT INTO operation (time, author, image_id, text, before, after) VALUES (?, ?, 0, ?, 'null', ?)",
            (time.time(), self._author, f"Import {name}", msgspec.json.encode(after).decode()),
        )

    def _value(self, sql: str, *parameters: Any) -> int:
        return int(self._connection.execute(sql, parameters).fetchone()[0])
