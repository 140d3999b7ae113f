"""Writes a project's predictions as COCO results: `python -P -m app.storage.results_export PROJECT OUT.json`.

A list of {"image_id", "file_name", "category_id", "bbox", "keypoints", "score"}; the third number of every keypoint is
its confidence. Ids, category and the order of the joints are those of the COCO export of all images of the project, so
the two fit together in an evaluation; `keypoint_names` says the order where it is not the skeleton's. With several
image folders, `image_root` counts into them, as in that export. Of every image it has what the model found that
pre-filled it last, whatever was decided about it since.
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
from app.storage.export_plan import complete_plan, merge_headers, order_of_keypoints, read_sources
from app.storage.rows import PREDICTION_COLUMNS, prediction_from_columns
from app.storage.snapshot import CONDITIONS, Only, count_images, snapshot
from msarcnn.atomic_files import atomic_writer
from msarcnn.skeleton import load_skeleton


def export_results(project: Path, out: Path, *, only: Only = "all", listed: Sequence[int] = ()) -> dict[str, Any]:
    """Writes the predictions atomically; returns {"path", "images", "people"}.

    Raises:
        ProjectError: the project cannot be read.
        OSError, sqlite3.Error: something cannot be written.
    """
    people = 0
    with snapshot(project, out.absolute(), listed) as connection:
        with atomic_writer(out) as file:
            file.write(b"[")
            for record in _records(connection, only):
                file.write((b"\n" if people == 0 else b",\n") + msgspec.json.encode(record))
                people += 1
            file.write(b"\n]\n")
        images = count_images(connection, only)
    return {"path": str(out), "images": images, "people": people}


def _records(connection: sqlite3.Connection, only: Only) -> Iterator[dict[str, Any]]:
    ids = CocoWriter(connection, read_sources(connection, None), None, "all", "export", _silent).image_ids()
    common, order = _frame(connection)
    roots = [root for (root,) in connection.execute("SELECT DISTINCT root_id FROM image ORDER BY root_id")]
    columns = ", ".join(f"p.{name}" for name in PREDICTION_COLUMNS.split(", "))
    rows = connection.execute(
        f"SELECT i.id, i.root_id, i.path, {columns} FROM prediction p "
        f"JOIN image i ON i.id = p.image_id AND i.model = p.model WHERE {CONDITIONS[only]} ORDER BY i.id, p.score DESC"
    )
    for image, root, path, *values in rows:
        found = prediction_from_columns(tuple(values))
        box, joints = found.box, [found.joints[index] for index in order]
        yield {
            "image_id": ids[image],
            "file_name": path,
            **({"image_root": roots.index(root)} if len(roots) > 1 else {}),
            **common,
            "bbox": [round(number, 2) for number in (box.x, box.y, box.w, box.h)],
            "keypoints": [n for j in joints for n in (round(j.x, 2), round(j.y, 2), round(j.confidence, 4))],
            "score": round(found.score, 5),
        }


def _frame(connection: sqlite3.Connection) -> tuple[dict[str, Any], Sequence[int]]:
    """What all people have in common, and the skeleton's joints in the order in which the COCO export has them."""
    plan = merge_headers(read_sources(connection, None))
    category = complete_plan(plan, has_own_people=True, has_new_keypoints=True)
    names = load_skeleton().keypoints
    places = order_of_keypoints(plan.header, category)
    if places is None:
        return {"category_id": category}, range(len(names))
    order = sorted(range(len(names)), key=places.__getitem__)
    return {"category_id": category, "keypoint_names": [names[index] for index in order]}, order


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
