"""Writes a project's predictions as COCO results: `python -P -m app.storage.results_export PROJECT OUT.json`.

A list of {"image_id", "file_name", "category_id", "bbox", "keypoints", "score"}; the third number of every keypoint is
its confidence. Ids are those of the COCO export of the same project, so the two fit together in an evaluation. Of every
image it has what the model found that pre-filled it last, whatever was decided about it since.
"""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.storage.child_lines import run_child_work
from app.storage.coco_writer import CocoWriter
from app.storage.export_arguments import export_parser
from app.storage.export_plan import read_sources
from app.storage.rows import PREDICTION_COLUMNS, prediction_from_columns
from app.storage.snapshot import Only, snapshot
from msarcnn.atomic_files import atomic_writer


def export_results(project: Path, out: Path, *, only: Only = "all", listed: Sequence[int] = ()) -> dict[str, Any]:
    """Writes the predictions atomically; returns {"path", "images", "people"}.

    Raises:
        ProjectError: the project cannot be read.
        OSError, sqlite3.Error: something cannot be written.
    """
    images = people = 0
    with snapshot(project, out.absolute(), listed) as connection:
        writer = CocoWriter(connection, read_sources(connection, None), None, only, "export", _silent)
        ids = writer.image_ids()
        with atomic_writer(out) as file:
            file.write(b"[")
            for record in _records(connection, ids):
                file.write((b"\n" if people == 0 else b",\n") + msgspec.json.encode(record))
                people += 1
            file.write(b"\n]\n")
        images = len(ids)
    return {"path": str(out), "images": images, "people": people}


def _records(connection: sqlite3.Connection, ids: dict[int, int]) -> Iterator[dict[str, Any]]:
    columns = ", ".join(f"p.{name}" for name in PREDICTION_COLUMNS.split(", "))
    rows = connection.execute(
        f"SELECT i.id, i.path, {columns} FROM prediction p JOIN image i ON i.id = p.image_id AND i.model = p.model "
        "ORDER BY i.id, p.score DESC"
    )
    for image, path, *values in rows:
        if image not in ids:
            continue
        found = prediction_from_columns(tuple(values))
        box = found.box
        yield {
            "image_id": ids[image],
            "file_name": path,
            "category_id": 1,
            "bbox": [round(number, 2) for number in (box.x, box.y, box.w, box.h)],
            "keypoints": [n for j in found.joints for n in (round(j.x, 2), round(j.y, 2), round(j.confidence, 4))],
            "score": round(found.score, 5),
        }


def _silent(done: int, total: int) -> None:
    """Listing predictions takes no longer than copying the project."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = export_parser("app.storage.results_export", "write predictions as COCO results", "all")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.out, lambda: export_results(options.project, options.out, only=options.only, listed=options.listed)
    )


if __name__ == "__main__":
    sys.exit(main())
