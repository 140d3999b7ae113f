"""Says what a prepared import would meet: `python -P -m app.storage.merge_report PROJECT STAGING`.

The result is a JSON line on stdout, {"event": "result", ...}; errors {"error": s} with exit status 1.
"""

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec

from app.storage.attach import was_taken
from app.storage.child_lines import run_child_work
from app.storage.coco_person import read_person
from app.storage.frames import OTHER_FRAME, compare_frames
from app.storage.meeting import lies_on, meet, people_here
from app.storage.snapshot import snapshot
from app.storage.staging import STAGING_VERSION

_SHOWN = 100


class MergeReport(msgspec.Struct):
    """What an import would meet.

    Attributes:
        images: Images of the import; of them, new are not in the project yet.
        people: People of the import.
        same: Of them, those who are labelled in the project just so, or came before and were edited or deleted here.
        overlapping: Of them, those who lie on another label of the project.
        paths: Relative paths of the images with overlapping people; the first hundred.
        known: This very file was imported before, to the end, or written from the project.
        gone: People who came from an earlier version of the file, are as they came, and are not in it any more.
        left_out: People who cannot come because the labels of their photo are measured in another frame.
    """

    images: int = 0
    new: int = 0
    people: int = 0
    same: int = 0
    overlapping: int = 0
    paths: list[str] = []
    known: bool = False
    gone: int = 0
    left_out: int = 0


def merge_report(project: Path, staging: Path) -> MergeReport:
    """Compares. Raises ProjectError when the project, sqlite3.Error when the staging file cannot be read."""
    # On a copy: a long reading would keep the window's edits from the disk.
    with snapshot(project, staging.absolute()) as connection:
        connection.execute("ATTACH ? AS staging", (str(staging.absolute()),))
        if connection.execute("PRAGMA staging.user_version").fetchone()[0] != STAGING_VERSION:
            raise sqlite3.DatabaseError("the prepared import is unfinished")
        return _compared(connection)


def _compared(connection: sqlite3.Connection) -> MergeReport:
    report = MergeReport()
    report.images, report.new = connection.execute(
        "SELECT count(*), coalesce(sum(i.id IS NULL), 0) FROM staging.image s "
        "JOIN staging.root r ON r.position = s.root "
        "LEFT JOIN main.root ON root.path = r.path LEFT JOIN main.image i ON i.root_id = root.id AND i.path = s.path "
        "WHERE s.path IS NOT NULL"
    ).fetchone()
    report.people = connection.execute("SELECT count(*) FROM staging.person").fetchone()[0]
    digest, path = connection.execute("SELECT digest, path FROM staging.source").fetchone()
    # A part of the file may have been imported: that is not gone through again.
    source, images_done, done = connection.execute(
        "SELECT id, images_next, annotations_next FROM source WHERE digest = ?", (digest,)
    ).fetchone() or (-1, 0, 0)
    connection.execute("CREATE TEMP TABLE left_out (position INTEGER PRIMARY KEY)")
    connection.execute(
        "INSERT INTO left_out SELECT position FROM source_image WHERE source_id = ? AND reason = ?",
        (source, OTHER_FRAME),
    )
    last = connection.execute("SELECT images FROM staging.source").fetchone()[0]
    unfit = compare_frames(connection, source, images_done, last).left_out
    connection.executemany("INSERT INTO left_out VALUES (?)", ((position,) for position in unfit))
    report.left_out = connection.execute(
        "SELECT count(*) FROM staging.person WHERE image_position IN (SELECT position FROM left_out)"
    ).fetchone()[0]
    report.same = connection.execute("SELECT count(*) FROM person WHERE source_id = ?", (source,)).fetchone()[0]
    rows = connection.execute(
        "SELECT i.id, i.path, p.position, p.imported, p.raw FROM staging.person p "
        "JOIN staging.image s ON s.position = p.image_position JOIN staging.root r ON r.position = s.root "
        "JOIN main.root ON root.path = r.path JOIN main.image i ON i.root_id = root.id AND i.path = s.path "
        "WHERE EXISTS (SELECT 1 FROM person m WHERE m.image_id = i.id AND m.source_id IS NOT :source) "
        "AND NOT EXISTS (SELECT 1 FROM person m WHERE m.source_id = :source AND m.position = p.position) "
        "AND p.image_position NOT IN (SELECT position FROM left_out) "
        "ORDER BY i.id, p.position",
        {"source": source},
    )
    paths: dict[str, None] = {}
    for image, group in groupby(rows, key=itemgetter(0)):
        staged = list(group)
        people = [read_person(0, None, imported, raw) for _, _, _, imported, raw in staged]
        for row, met in zip(staged, meet(people, people_here(connection, image, but=source)), strict=True):
            if met.kind == "same" or row[2] < done:
                report.same += 1
            elif met.kind == "overlapping":
                report.overlapping += 1
                paths[row[1]] = None
    report.paths = list(paths)[:_SHOWN]
    report.known = was_taken(connection, digest)
    report.gone = _gone(connection, path)
    return report


def _gone(connection: sqlite3.Connection, source: str) -> int:
    """Counts the untouched people of earlier versions of a file who lie on nobody of this one."""
    connection.execute(
        "CREATE TEMP TABLE staged AS SELECT i.id AS image, s.position AS position FROM staging.image s "
        "JOIN staging.root r ON r.position = s.root JOIN main.root ON root.path = r.path "
        "JOIN main.image i ON i.root_id = root.id AND i.path = s.path"
    )
    connection.execute("CREATE INDEX staged_image ON staged (image)")
    rows = connection.execute(
        "SELECT m.image_id, m.id, m.imported, m.raw FROM person m JOIN source s ON s.id = m.source_id "
        "WHERE s.path = ? AND m.deleted = 0 AND m.data IS NULL ORDER BY m.image_id",
        (source,),
    )
    gone = 0
    for image, people in groupby(rows, key=itemgetter(0)):
        in_it = connection.execute(
            "SELECT p.imported, p.raw FROM staged JOIN staging.person p ON p.image_position = staged.position "
            "WHERE staged.image = ?",
            (image,),
        )
        staying = [read_person(0, None, *columns) for columns in in_it]
        for _, key, imported, raw in people:
            person = read_person(key, None, imported, raw)
            gone += not any(lies_on(person, other) for other in staying)
    return gone


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.merge_report", description="what an import would meet")
    parser.add_argument("project", type=Path)
    parser.add_argument("staging", type=Path)
    options = parser.parse_args(arguments)
    return run_child_work(
        options.project, lambda: msgspec.structs.asdict(merge_report(options.project, options.staging))
    )


if __name__ == "__main__":
    sys.exit(main())
