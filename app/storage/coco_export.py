"""Writes a project's labels as COCO JSON: `python -P -m app.storage.coco_export PROJECT OUT.json`.

The file is read from a private copy, made in one go, so that neither the export nor the writer waits for the
other. Records that nobody edited are written byte for byte as they were imported. Progress and result are JSON
lines on stdout: {"event": "progress", "done": n, "total": n}, at the end {"event": "result", ...}, or
{"error": s} and exit status 1.
"""

import hashlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.storage.child_lines import print_line, run_child_work
from app.storage.coco_writer import CocoWriter, Progress, Purpose
from app.storage.errors import ProjectError
from app.storage.export_arguments import export_parser
from app.storage.export_plan import Source, read_sources
from app.storage.snapshot import Only, snapshot
from msarcnn.coco import atomic_writer


class ExportResult(msgspec.Struct):
    """What was written.

    Attributes:
        path: The COCO file.
        images: How many image records it has.
        annotations: How many annotations, other categories included.
        people: How many people, crowds included.
        roots: Image folders; with several, and always for training, an image's `image_root` counts into them.
        skipped: Sentences about images left out of a training export because they cannot be read.
        notes: Sentences about imports that do not fit together.
        ids: The file with the map of renumbered ids, "" when there is none.
        digest: SHA-256 of the COCO file.
        incomplete: Sentences about imports that were broken off: their other labels are not in the file.
        ignored_in_part: For training: images that have `ignore_regions` where somebody may be unlabelled.
        unknown: For training: images that teach no background at all, nobody having looked at the rest of them, or
            some of their imported people being lost.
    """

    path: str
    images: int
    annotations: int
    people: int
    roots: list[str]
    skipped: list[str]
    ids: str
    digest: str
    incomplete: list[str]
    ignored_in_part: int = 0
    unknown: int = 0
    notes: list[str] = []


def export_coco(
    project_path: Path,
    out_path: Path,
    *,
    only: Only = "all",
    listed: Sequence[int] = (),
    source: int | None = None,
    purpose: Purpose = "export",
    progress: Progress = lambda done, total: None,
) -> ExportResult:
    """Writes the labels of a project; `out_path` is replaced in one step, or untouched after an error.

    Args:
        project_path: The project; it may be open for writing elsewhere.
        out_path: The JSON file. Beside it: OUT.ids.json when several sources are combined, OUT.roots.json
            for training.
        only: Which images: all, those that are finished, those with people. For training, "all" are those
            that are finished or have people.
        listed: Keys of the images, for "listed".
        source: The key of an imported file to export by itself, with its ids and order; None for everything.
        purpose: "training" leaves out records that cannot be used, gives every image its `image_root`, and unfinished
            ones the `ignore_regions` in which somebody may stand whom nobody has labelled (`background`).
        progress: Called between batches.

    Raises:
        ProjectError: the project cannot be read, or has no such source; or `out_path` is a file of which it has
            only a part, and which would be lost.
        OSError, sqlite3.Error: something cannot be written.
    """
    with snapshot(project_path, out_path.absolute(), listed) as connection:
        sources = read_sources(connection, source)
        if source is not None and not sources:
            raise ProjectError(project_path, f"it has no import number {source}", "Choose another one.")
        incomplete = _incomplete(connection, project_path, out_path, source)
        export = CocoWriter(connection, sources, source, only, purpose, progress)
        with atomic_writer(out_path) as file:
            export.write(file)
        with out_path.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        return ExportResult(
            str(out_path),
            export.image_count,
            export.annotation_count,
            export.people_count,
            export.roots,
            export.skipped,
            _write_companions(export, sources, out_path, purpose),
            digest,
            incomplete,
            export.background.in_part,
            export.background.unknown,
            export.notes,
        )


def _incomplete(connection: sqlite3.Connection, project: Path, out_path: Path, source: int | None) -> list[str]:
    """Sentences about the exported sources that are not attached to the end; ProjectError when `out_path` is one."""
    rows = connection.execute(
        "SELECT name, path FROM source WHERE (images_next < images OR annotations_next < annotations) "
        "AND (?1 IS NULL OR id = ?1) ORDER BY id",
        (source,),
    ).fetchall()
    for name, path in rows:
        if os.path.realpath(path) == os.path.realpath(out_path):
            reason = f"only a part of {name} was imported, the rest would be lost by writing over it"
            raise ProjectError(project, reason, f"Open {name} again to import the rest, or choose another name.")
    return [f"Only a part of {name} was imported; open it again to import the rest." for name, _ in rows]


def _write_companions(export: CocoWriter, sources: list[Source], out_path: Path, purpose: Purpose) -> str:
    """Writes OUT.roots.json for training, OUT.ids.json for several sources; returns the latter's name."""
    if purpose == "training":
        with atomic_writer(out_path.with_suffix(".roots.json")) as file:
            file.write(msgspec.json.encode(export.roots))
    if len(sources) < 2:
        return ""
    content = {
        "roots": export.roots,
        "sources": [
            {
                "name": source.name,
                "images": _pairs(source.images),
                "annotations": _pairs(source.annotations),
                "categories": _pairs(source.categories),
                "licenses": _pairs(source.licenses),
            }
            for source in sources
        ],
    }
    path = out_path.with_suffix(".ids.json")
    with atomic_writer(path) as file:
        file.write(msgspec.json.encode(content))
    return str(path)


def _pairs(changed: dict[int, int]) -> list[dict[str, int]]:
    return [{"old": old, "new": new} for old, new in changed.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = export_parser("app.storage.coco_export", "write a project as COCO JSON", "all")
    parser.add_argument("--source", type=int, help="key of one imported file to export by itself")
    parser.add_argument("--purpose", choices=("export", "training"), default="export")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.out,
        lambda: msgspec.structs.asdict(
            export_coco(
                options.project,
                options.out,
                only=options.only,
                listed=options.listed,
                source=options.source,
                purpose=options.purpose,
                progress=lambda done, total: print_line("progress", done=done, total=total),
            )
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
