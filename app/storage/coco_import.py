"""Reads a COCO file into a staging file: `python -P -m app.storage.coco_import SOURCE.json STAGING.db --images DIR`.

Parsing holds the interpreter for seconds, hence a process of its own. Progress and result are JSON lines on
stdout: {"event": "progress", "done": n, "total": n, "stage": s}, at the end {"event": "result", "report": ...}, or
{"error": s} and exit status 1; where somebody can answer what the file leaves open, {"event": "question", "text": s,
"choices": [[text, arguments], ...]} stands before that.
"""

import argparse
import hashlib
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from app.document.records import Box, Person
from app.storage.child_lines import NOT_PREPARED, print_line, run_child_work
from app.storage.coco_person import decode_annotation, make_joints
from app.storage.rows import person_to_json
from app.storage.staging import create_staging, finish_staging
from msarcnn.coco import CocoDataset, CocoError, CocoPerson, CocoQuestionError, Reading, read_coco
from msarcnn.coco_report import ReadReport, report_of

Progress = Callable[[str, int, int], None]
"""stage, done, total."""

_BATCH = 5000


def stage_coco(
    source: Path, staging: Path, roots: Sequence[Path], progress: Progress, reading: Reading | None = None
) -> ReadReport:
    """Validates a COCO file and writes its records, texts untouched, to a staging file.

    Args:
        source: The COCO JSON.
        staging: The file to write; replaced when it exists.
        roots: The image folders: entry `image_root` (0 when an image has none) of them holds the image.
        progress: Called between batches.
        reading: What somebody has said about a file that leaves it open.

    Raises:
        CocoError: the file cannot be used as a whole; nothing is left at `staging`.
        CocoQuestionError: it leaves something open.
        OSError, sqlite3.Error: a file cannot be read or written.
    """
    progress("reading", 0, 0)
    dataset = read_coco(
        source, roots=roots, reading=reading, progress=lambda done, total: progress("comparing", done, total)
    )
    highest = max((image.image_root for image in dataset.images), default=0)
    if highest >= len(roots):
        reason = f"uses {highest + 1} image folders, {len(roots)} given"
        raise CocoError(source, "images", reason, "name as many image folders, in the order of the export")
    connection = create_staging(staging)
    try:
        connection.execute("INSERT INTO source VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _source_row(source, dataset))
        folders = ((index, str(root.absolute())) for index, root in enumerate(roots))
        connection.executemany("INSERT INTO root VALUES (?, ?)", folders)
        _write_records(connection, dataset, progress)
        finish_staging(connection)
    except BaseException:
        connection.close()
        staging.unlink(missing_ok=True)
        raise
    return report_of(dataset)


def _source_row(source: Path, dataset: CocoDataset) -> tuple[Any, ...]:
    data = source.read_bytes()
    layout = list(msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=dict[str, msgspec.Raw]))
    header = {name: msgspec.Raw(text.encode()) for name, text in dataset.header_raw.items()}
    broken = [(record.section, record.index, record.id) for record in dataset.quarantined]
    images = [(image.index, image.id) for image in dataset.images]
    images += [(index, key) for section, index, key in broken if section == "images"]
    annotations = [(person.index, person.id) for person in dataset.people]
    annotations += [(other.index, other.id) for other in dataset.others]
    annotations += [(index, key) for section, index, key in broken if section == "annotations"]
    return (
        source.name,
        str(source.absolute()),
        hashlib.sha256(data).hexdigest(),
        msgspec.json.encode(header).decode(),
        msgspec.json.encode(layout).decode(),
        dataset.person.id if dataset.person else None,
        max((key for _, key in images), default=0),
        max((key for _, key in annotations), default=0),
        max((index for index, _ in images), default=-1) + 1,
        max((index for index, _ in annotations), default=-1) + 1,
    )


def _write_records(connection: sqlite3.Connection, dataset: CocoDataset, progress: Progress) -> None:
    positions = {image.id: image.index for image in dataset.images}
    broken_images = [record for record in dataset.quarantined if record.section == "images"]
    broken_annotations = [record for record in dataset.quarantined if record.section == "annotations"]
    rows: list[tuple[str, int, Iterator[tuple[Any, ...]]]] = [
        (
            "image (position, root, path, width, height, raw, reason)",
            len(dataset.images),
            ((i.index, i.image_root, i.file_name, i.width, i.height, i.raw, "") for i in dataset.images),
        ),
        (
            "image (position, root, path, width, height, raw, reason)",
            len(broken_images),
            ((q.index, None, None, 0, 0, q.raw, q.reason) for q in broken_images),
        ),
        (
            "person (position, image_position, imported, raw)",
            len(dataset.people),
            ((p.index, positions[p.image_id], repaired_person(p), p.raw) for p in dataset.people),
        ),
        (
            "other (position, image_position, raw, reason)",
            len(dataset.others),
            ((o.index, positions[o.image_id], o.raw, "category") for o in dataset.others),
        ),
        (
            "other (position, image_position, raw, reason)",
            len(broken_annotations),
            ((q.index, None, q.raw, q.reason) for q in broken_annotations),
        ),
    ]
    total = sum(count for _, count, _ in rows)
    done = 0
    for target, count, records in rows:
        marks = ", ".join("?" * (target.count(",") + 1))
        for start in range(0, count, _BATCH):
            size = min(_BATCH, count - start)
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO {target} VALUES ({marks})", islice(records, size))
            connection.execute("COMMIT")
            done += size
            progress("preparing", done, total)


def repaired_person(clean: CocoPerson) -> str | None:
    """The person's JSON data when it is not what its text says; None when the text can be taken as it is."""
    keypoints: list[float] = clean.keypoints.ravel().tolist()
    area: float | None = clean.area
    try:
        fields = decode_annotation(clean.raw)
    except msgspec.ValidationError:
        fields = None
    if fields is not None:
        area = clean.area if fields.area is not None else None
        same_box = tuple(fields.bbox) == clean.bbox
        if same_box and fields.area == area and (not fields.keypoints or fields.keypoints == keypoints):
            return None
    joints = make_joints(keypoints, clean.keypoint_sources)
    return person_to_json(Person(0, Box(*clean.bbox), joints, clean.iscrowd, area))


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.coco_import", description="prepare a COCO file for a project")
    parser.add_argument("source", type=Path)
    parser.add_argument("staging", type=Path)
    parser.add_argument("--images", type=Path, nargs="+", help="image folders (default: the folder of SOURCE)")
    parser.add_argument("--people", nargs="+", default=(), help="names of the categories that are people")
    parser.add_argument("--joints-in-coco-order", action="store_true", help="whatever their names say")
    options = parser.parse_args(arguments)
    roots = options.images or [options.source.absolute().parent]
    reading = Reading(tuple(options.people), options.joints_in_coco_order)

    def work() -> dict[str, Any]:
        try:
            report = stage_coco(options.source, options.staging, roots, print_progress, reading)
        except CocoQuestionError as error:
            # The window asks, and starts this again with the answer.
            choices = [(text, arguments_of(answer)) for text, answer in error.choices]
            print_line("question", text=error.question, choices=choices)
            raise
        return {"report": report}

    return run_child_work(options.source, work, CocoError, problem=NOT_PREPARED)


def arguments_of(reading: Reading) -> list[str]:
    """The arguments that say it to this process."""
    people = ["--people", *reading.people] if reading.people else []
    return [*people, *(["--joints-in-coco-order"] if reading.coco_order else [])]


def print_progress(stage: str, done: int, total: int) -> None:
    print_line("progress", stage=stage, done=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
