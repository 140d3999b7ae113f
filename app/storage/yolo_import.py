"""Reads a YOLO-pose data set into a staging file: `python -P -m app.storage.yolo_import DATASET.yaml STAGING.db`.

The labels become a COCO file first, with boxes and joints in pixels of the upright photos, and go the way of every
other import from there. Progress and result are JSON lines on stdout as in `coco_import`.
"""

import argparse
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import msgspec

from app.storage.child_lines import NOT_PREPARED, run_child_work
from app.storage.coco_import import Progress, print_progress, stage_coco
from app.storage.staging import LOST_LABELS
from app.storage.yolo_description import YoloDataset, read_description
from app.storage.yolo_lines import LineError, YoloLine, kind_of, read_line
from app.storage.yolo_places import YoloError, shown
from app.storage.yolo_report import YoloReport
from msarcnn.coco import CocoError
from msarcnn.coco_report import ReadReport
from msarcnn.images import ImageError, image_size
from msarcnn.skeleton import Skeleton, coco17

_STEP = 200
_SURE = 0.5
"""A joint that a model has found is labelled from this confidence on."""
_NO_LABELS = ("classes.txt", "readme.txt", "notes.txt")

Joint = tuple[float, float, float | None]


@dataclass
class _Converted:
    """The records of the COCO file to be; joints keep their third values until all have been seen."""

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    fractional: set[int] = field(default_factory=set)
    """Images with a joint whose third value is not a whole number, as visibilities are."""
    above_one: set[int] = field(default_factory=set)
    """Images with a joint whose third value is above 1, as confidences are not."""
    label_files: Counter[Path] = field(default_factory=Counter)
    """How many photos each label file is of."""
    lossy: list[int] = field(default_factory=list)
    """Images of which labels were lost."""
    without_labels: int = 0


def label_file(image: Path) -> Path:
    """Where the labels of an image are: "images" in its path becomes "labels", its suffix ".txt"."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _convert(dataset: YoloDataset, report: YoloReport, progress: Progress) -> _Converted:
    converted, photos = _Converted(), dataset.photos
    for number, (root, name) in enumerate(photos.names, 1):
        if number % _STEP == 0:
            progress("reading", number, len(photos.names))
        photo = photos.roots[root] / name
        labels = label_file(photo)
        try:
            width, height = image_size(photo, photos.roots[root])
        except ImageError as error:
            lost = _label_lines(dataset, labels, converted, report) or []
            report.lose("a photo cannot be read", str(error), people=len(lost))
            continue
        key = len(converted.images) + 1
        record = {"id": key, "file_name": name, "width": width, "height": height, "image_root": root}
        converted.images.append(record)
        losses = report.losses
        lines = _label_lines(dataset, labels, converted, report)
        converted.lossy += [key] if report.losses > losses else []
        converted.without_labels += lines is None
        for line in lines or ():
            thirds = [v for *_, v in line.joints or () if v is not None]
            converted.fractional |= {key} if not all(map(float.is_integer, thirds)) else set()
            converted.above_one |= {key} if max(thirds, default=0) > 1 else set()
            annotation = {"id": len(converted.annotations) + 1, "image_id": key}
            converted.annotations.append(annotation | _in_pixels(dataset, line, width, height))
    _finish(dataset, converted, report)
    return converted


def _label_lines(
    dataset: YoloDataset, labels: Path, converted: _Converted, report: YoloReport
) -> list[YoloLine] | None:
    """The people in a label file; None where it is not there."""
    try:
        if not labels.exists():
            return None
        converted.label_files[labels] += 1
        if not labels.is_file():  # reading a pipe would wait for ever
            report.lose("a label file is no regular file", _short(labels, dataset))
            return []
        texts = labels.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        report.lose("a label file cannot be read", f"{_short(labels, dataset)}: {error}")
        return []
    found: dict[YoloLine, None] = {}
    for number, text in enumerate(texts, 1):
        if not (words := text.split()):
            continue
        place = f"{_short(labels, dataset)}, line {number}"
        kind = kind_of(words)
        if kind is not None and kind not in dataset.orders:
            _leave_out(dataset, kind, place, report)
            continue
        try:
            line = read_line(words, dataset.joints, dataset.dimensions)
        except LineError as error:
            report.lose(str(error), f"{place}: {len(words)} values", people=1)
            continue
        if line in found:
            report.note("a line is there twice: one of them is taken", place)
            continue
        found[line] = None
        if line.score is not None:
            report.note("a line ends with a score, which is not kept", place)
    return list(found)


def _short(file: Path, dataset: YoloDataset) -> str:
    """A file's name for people: as seen from the data set's folder, where it is below it."""
    return str(file.relative_to(dataset.folder) if file.is_relative_to(dataset.folder) else file)


def _leave_out(dataset: YoloDataset, kind: int, place: str, report: YoloReport) -> None:
    name = dataset.classes.get(kind)
    if name is None:
        report.lose(f"an object is of class {kind}, which names does not have", place, people=1)
    else:
        report.leave_out(f"an object of class {shown(name)}, not a person")


def _in_pixels(dataset: YoloDataset, line: YoloLine, width: int, height: int) -> dict[str, Any]:
    x, y, w, h = line.box
    shares = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
    box = [round(value, 2) for value in shares]
    annotation: dict[str, Any] = {
        "category_id": 1, "bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": 0, "segmentation": []
    }  # fmt: skip
    if line.joints is not None:
        flat: list[float] = []
        missing: Joint = (0.0, 0.0, 0.0)
        for x, y, v in dataset.orders[line.kind].read(line.joints, missing):
            third = 2.0 * bool(x or y) if v is None else v
            flat += (round(x * width, 2), round(y * height, 2), third)
        annotation["keypoints"] = flat
    return annotation


def _finish(dataset: YoloDataset, converted: _Converted, report: YoloReport) -> None:
    """Turns third values into visibilities, now that all are known, and reports on the files as a whole."""
    odd = 0
    for annotation in converted.annotations:
        image, flat = annotation["image_id"], annotation.get("keypoints", [])
        # A joint of confidence 0 or 1 looks like a visibility: what its file and the others hold decides.
        confident = image in converted.fractional or bool(converted.fractional and image not in converted.above_one)
        for at in range(0, len(flat), 3):
            value = flat[at + 2]
            v = 2 * (value >= _SURE) if confident else int(min(max(value, 0), 2))
            odd += not confident and v != value
            flat[at : at + 3] = (flat[at], flat[at + 1], v) if v else (0, 0, 0)
        annotation["num_keypoints"] = sum(v > 0 for v in flat[2::3])
        if confident and flat:
            text = "a person has confidences in place of visibilities: joints are visible from"
            report.note(f"{text} {_SURE} on, else not labelled", warns=True)
    if odd:
        report.note("a joint's visibility is not 0, 1 or 2: the nearest is taken", count=odd)
    if converted.without_labels:
        # Where nobody has labels at all, they are probably somewhere else.
        none = converted.without_labels == len(converted.images)
        root, name = dataset.photos.names[0]
        expected = f"{label_file(dataset.photos.roots[root] / name)} is not there" if none else ""
        report.note("a photo has no label file", expected, converted.without_labels, none)
    for labels, count in converted.label_files.items():
        if count > 1:
            report.note("photos of one name share a label file, and so its people", _short(labels, dataset), warns=True)
    _report_orphans(dataset, converted, report)


def _report_orphans(dataset: YoloDataset, converted: _Converted, report: YoloReport) -> None:
    for folder in dataset.photos.folders:
        labels = label_file(folder / "images.jpg").parent
        if labels == folder or not labels.is_dir():
            continue
        for file in sorted(labels.rglob("*.txt")):
            if file not in converted.label_files and file.name.lower() not in _NO_LABELS:
                report.lose("a label file has no photo that can be read", _short(file, dataset))


def stage_yolo(description: Path, staging: Path, progress: Progress, skeleton: Skeleton | None = None) -> ReadReport:
    """Prepares a data set for a project whose people have the skeleton's joints (COCO's by default).

    Raises:
        YoloError: it cannot be used as a whole: joints that are not understood, missing folders, no people.
        ImageError: a folder of images cannot be listed.
        OSError, sqlite3.Error: a file cannot be read or written.
    """
    found = YoloReport()
    skeleton = skeleton or coco17()
    dataset = read_description(description, found, skeleton)
    converted = _convert(dataset, found, progress)
    content = {
        "info": {"description": f"from {description.name}"},
        "images": converted.images,
        "annotations": converted.annotations,
        "categories": [skeleton.coco_category()],
    }
    with tempfile.TemporaryDirectory(prefix="msarcnn-yolo-") as folder:
        coco = Path(folder) / PurePath(description.absolute().parent.name or "dataset").with_suffix(".json")
        coco.write_bytes(msgspec.json.encode(content))
        report = stage_coco(coco, staging, dataset.photos.roots, progress)
    # What was converted on the way is gone now: the source is the description.
    with closing(sqlite3.connect(staging)) as connection, connection:
        connection.execute("UPDATE source SET path = ?", (str(description.absolute()),))
        _mark_losses(connection, converted.lossy)
    report.source = description.name
    found.add_to(report)
    return report


def _mark_losses(staging: sqlite3.Connection, images: Sequence[int]) -> None:
    """Lets the project know which images lost labels: nothing on them is background as long as nobody has looked."""
    (first,) = staging.execute("SELECT annotations FROM source").fetchone()
    rows = ((first + at, None, f'{{"image_id":{key}}}', LOST_LABELS) for at, key in enumerate(images))
    staging.executemany("INSERT INTO other (position, image_position, raw, reason) VALUES (?, ?, ?, ?)", rows)
    staging.execute("UPDATE source SET annotations = annotations + ?", (len(images),))


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.yolo_import", description="prepare a YOLO-pose data set")
    parser.add_argument("source", type=Path)
    parser.add_argument("staging", type=Path)
    options = parser.parse_args(arguments)

    def work() -> dict[str, Any]:
        return {"report": stage_yolo(options.source, options.staging, print_progress)}

    return run_child_work(options.source, work, YoloError, CocoError, ImageError, problem=NOT_PREPARED)


if __name__ == "__main__":
    sys.exit(main())
