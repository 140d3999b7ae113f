"""Writes a project's predictions as COCO results: `python -P -m app.storage.results_export PROJECT OUT.json`.

A list of {"image_id", "file_name", "category_id", "bbox", "keypoints", "score"}; the third number of every keypoint is
its confidence, and where the model tells v = 0, 1, 2 apart, `keypoint_visibility` says which it is. Ids, category and
the order of the joints are those of the COCO export of all images of the project, so the two fit together in an
evaluation; `keypoint_names` says the order where it is not the skeleton's, `image_size` in which pixels an entry is
where these are not the photo's: those of an import's copies of another size. With several image folders, `image_root`
counts into them, as in that export. Of every image it has what one model found, whatever was decided about it since:
the model of `--model HASH` where that has looked, else the one that has looked last.
"""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.document.records import PredictedJoint
from app.storage.child_lines import run_child_work
from app.storage.coco_writer import CocoWriter
from app.storage.export_arguments import export_parser
from app.storage.export_plan import complete_plan, joint_names, merge_headers, orders_of_joints, read_sources
from app.storage.looks import IS_SHOWN
from app.storage.project_skeleton import read_skeleton
from app.storage.rows import PREDICTION_COLUMNS, prediction_from_columns
from app.storage.snapshot import CONDITIONS, Only, count_images, snapshot
from app.storage.visibility import Acceptance, accepted_v, said_by_model
from msarcnn.atomic_files import atomic_writer
from msarcnn.joint_names import JointOrder, own_order

_NOTHING = (0, 0, 0)


def export_results(
    project: Path, out: Path, *, only: Only = "all", listed: Sequence[int] = (), shown: str = ""
) -> dict[str, Any]:
    """Writes the predictions atomically; returns {"path", "images", "people"}.

    shown: hash of the model whose predictions are meant on images that it has looked at; elsewhere, and with "", it is
    the newest look.

    Raises:
        ProjectError: the project cannot be read.
        OSError, sqlite3.Error: something cannot be written.
    """
    people = 0
    with snapshot(project, out.absolute(), listed) as connection:
        with atomic_writer(out) as file:
            file.write(b"[")
            for record in _records(connection, only, shown):
                file.write((b"\n" if people == 0 else b",\n") + msgspec.json.encode(record))
                people += 1
            file.write(b"\n]\n")
        images = count_images(connection, only)
    return {"path": str(out), "images": images, "people": people}


def _records(connection: sqlite3.Connection, only: Only, shown: str) -> Iterator[dict[str, Any]]:
    written = CocoWriter(connection, read_sources(connection, None), None, "all", "export", _silent)
    ids = written.image_ids()
    common, order = _frame(connection)
    roots = [root for (root,) in connection.execute("SELECT DISTINCT root_id FROM image ORDER BY root_id")]
    columns = ", ".join(f"p.{name}" for name in PREDICTION_COLUMNS.split(", "))
    rows = connection.execute(
        f"SELECT i.id, i.root_id, i.path, i.width, i.height, {columns} FROM prediction p "
        "JOIN image i ON i.id = p.image_id JOIN looked l ON l.image_id = i.id AND l.model = p.model "
        f"WHERE {IS_SHOWN} AND {CONDITIONS[only]} ORDER BY i.id, p.score DESC",
        {"shown": shown},
    )
    for image, root, path, width, height, *values in rows:
        found = prediction_from_columns(tuple(values))
        sx, sy = written.scale(image)
        box, joints = found.box, found.joints
        triples = [(round(one.x * sx, 2), round(one.y * sy, 2), round(one.confidence, 4)) for one in joints]
        yield {
            "image_id": ids[image],
            "file_name": path,
            **({"image_root": roots.index(root)} if len(roots) > 1 else {}),
            **({"image_size": [round(width * sx), round(height * sy)]} if (sx, sy) != (1.0, 1.0) else {}),
            **common,
            "bbox": [round(number, 2) for number in (box.x * sx, box.y * sy, box.w * sx, box.h * sy)],
            "keypoints": [number for triple in order.write(triples, [_NOTHING] * order.count) for number in triple],
            **_visibility(joints, order),
            "score": round(found.score, 5),
        }


def _visibility(joints: Sequence[PredictedJoint], order: JointOrder) -> dict[str, list[int]]:
    """The most useful v as the model says it, where it does; a project's habit stays in the project."""
    if not said_by_model(joints):
        return {}
    return {"keypoint_visibility": order.write(accepted_v(joints, Acceptance(0.0)), [0] * order.count)}


def _frame(connection: sqlite3.Connection) -> tuple[dict[str, Any], JointOrder]:
    """What all people have in common, and how their joints stand: as in the COCO export."""
    skeleton = read_skeleton(connection)
    plan = merge_headers(read_sources(connection, None), skeleton)
    category = complete_plan(plan, has_own_people=True, has_new_keypoints=True)
    order = orders_of_joints(plan.header, skeleton).get(category, own_order(skeleton))
    if order.is_own:
        return {"category_id": category}, order
    return {"category_id": category, "keypoint_names": joint_names(plan.header, category)}, order


def _silent(done: int, total: int) -> None:
    """Listing predictions takes no longer than copying the project."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = export_parser("app.storage.results_export", "write predictions as COCO results", "all")
    parser.add_argument(
        "--model", default="", metavar="HASH", help="whose predictions, where this model has looked (default: newest)"
    )
    options = parser.parse_args(arguments)
    return run_child_work(
        options.out,
        lambda: export_results(
            options.project, options.out, only=options.only, listed=options.listed, shown=options.model
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
