"""Writes what a project holds as a table: `python -P -m app.storage.statistics_export PROJECT OUT.csv`.

Columns: what, name, count. Sizes are COCO's (the person's area, else the box's: under 32² px small, to 96² px medium).
Progress and result are JSON lines on stdout, errors {"error": s} with exit status 1.
"""

import csv
import io
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.document.records import HUMAN, IMPORTED, ImageState, Joint, Person
from app.storage.child_lines import print_line, run_child_work
from app.storage.export_arguments import export_parser
from app.storage.project_skeleton import read_skeleton
from app.storage.snapshot import Only, count_images, labelled_images, snapshot
from msarcnn.coco import atomic_writer

SMALL, MEDIUM = 32.0**2, 96.0**2
MANY = 10
"""Images with so many people and more are counted together."""
STEP = 500

Row = tuple[str, str, int]


def statistics_of(connection: sqlite3.Connection, only: Only) -> list[Row]:
    """The table's rows, for the chosen images of a project's snapshot."""
    states: Counter[str] = Counter()
    crowded: Counter[int] = Counter()
    sizes: Counter[str] = Counter()
    joints: Counter[tuple[str, str]] = Counter()
    origins: Counter[str] = Counter()
    people = crowds = posed = 0
    names = read_skeleton(connection).keypoints
    total = count_images(connection, only)
    for index, image in enumerate(labelled_images(connection, only), 1):
        states[image.state.value] += 1
        singles = [person for person in image.people if not person.is_crowd]
        crowded[min(len(singles), MANY)] += 1
        people, crowds = people + len(singles), crowds + len(image.people) - len(singles)
        for person in singles:
            sizes[_size(person)] += 1
            posed += person.labelled_joints > 0
            for name, joint in zip(names, person.joints, strict=True):
                joints[name, _visibility(joint)] += 1
                if joint.v:
                    origins[_origin(joint)] += 1
        if index % STEP == 0:
            print_line("progress", done=index, total=total)
    return [
        ("images", "all", total),
        *(("images", state.value, states[state.value]) for state in ImageState),
        ("people", "all", people),
        ("people", "with joints", posed),
        ("people", "crowd regions", crowds),
        *(("people by size", size, sizes[size]) for size in ("small", "medium", "large")),
        *(
            ("images by people", f"{count} and more" if count == MANY else str(count), crowded[count])
            for count in range(MANY + 1)
        ),
        *((f"joints {state}", name, joints[name, state]) for state in _STATES.values() for name in names),
        *(("labelled joints by", origin, origins[origin]) for origin in ("hand", "import", "model")),
    ]


_STATES = {2: "visible", 1: "occluded", 0: "not labelled"}


def _visibility(joint: Joint) -> str:
    return _STATES[joint.v]


def _origin(joint: Joint) -> str:
    return {HUMAN: "hand", IMPORTED: "import"}.get(joint.origin, "model")


def _size(person: Person) -> str:
    area = person.box.area if person.area is None else person.area
    return "small" if area < SMALL else "medium" if area < MEDIUM else "large"


def export_statistics(project: Path, out: Path, *, only: Only = "all", listed: Sequence[int] = ()) -> dict[str, Any]:
    """Writes the table, replacing `out` in one step; returns {"path", "images", "people"}.

    Raises:
        ProjectError: the project cannot be read.
        OSError, sqlite3.Error: something cannot be written.
    """
    with snapshot(project, out.absolute(), listed) as connection:
        rows = statistics_of(connection, only)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("what", "name", "count"))
    writer.writerows(rows)
    with atomic_writer(out) as file:
        file.write(text.getvalue().encode())
    found = {(what, name): count for what, name, count in rows}
    return {"path": str(out), "images": found["images", "all"], "people": found["people", "all"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = export_parser("app.storage.statistics_export", "write what a project holds", "all")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.out, lambda: export_statistics(options.project, options.out, only=options.only, listed=options.listed)
    )


if __name__ == "__main__":
    sys.exit(main())
