"""Reads a YOLO-pose data set into a staging file: `python -P -m app.storage.yolo_import DATASET.yaml STAGING.db`.

The labels become a COCO file first, with boxes and joints in pixels of the upright photos, and go the way of every
other import from there. Progress and result are JSON lines on stdout as in `coco_import`.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import msgspec

from app.storage.child_lines import NOT_PREPARED, run_child_work
from app.storage.coco_import import Progress, print_progress, stage_coco
from app.storage.yolo_description import YoloDataset, YoloError, read_description
from msarcnn.coco import CocoError
from msarcnn.coco_report import ReadReport, ReportLine
from msarcnn.images import ImageError, find_images, image_size
from msarcnn.skeleton import load_skeleton

_STEP = 200
_MOST_SHARES = 1000.0
"""No number of a person is larger, in shares of the image."""


@dataclass
class _Converted:
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: int = 0


def label_file(image: Path) -> Path:
    """Where the labels of an image are: "images" in its path becomes "labels", its suffix ".txt"."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _convert(dataset: YoloDataset, progress: Progress) -> _Converted:
    converted = _Converted()
    names = [(index, folder, name) for index, folder in enumerate(dataset.folders) for name in find_images(folder)]
    for number, (root, folder, name) in enumerate(names, 1):
        if number % _STEP == 0:
            progress("reading", number, len(names))
        try:
            width, height = image_size(folder / name, folder)
        except ImageError as error:
            converted.problems.append(str(error))
            continue
        key = len(converted.images) + 1
        record = {"id": key, "file_name": name, "width": width, "height": height, "image_root": root}
        converted.images.append(record)
        labels = label_file(folder / name)
        try:
            there = labels.exists()
            if there and not labels.is_file():  # reading a pipe would wait for ever
                converted.problems.append(f"{labels}: it is no regular file")
                continue
            lines = labels.read_text(encoding="utf-8").splitlines() if there else []
        except (OSError, UnicodeDecodeError) as error:
            converted.problems.append(f"{labels}: it cannot be read ({error})")
            continue
        for person in _people(dataset, labels, lines, converted):
            person |= {"id": len(converted.annotations) + 1, "image_id": key}
            converted.annotations.append(_in_pixels(person, width, height))
    return converted


def _people(dataset: YoloDataset, labels: Path, lines: list[str], converted: _Converted) -> Iterator[dict[str, Any]]:
    joints = len(load_skeleton().keypoints)
    length = 5 + joints * dataset.dimensions
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            values = _numbers(words, length)
        except ValueError as error:
            converted.problems.append(f"{labels}, line {number}: {error}")
            continue
        if int(values[0]) != dataset.person:
            converted.others += 1
            continue
        x, y, w, h = values[1:5]
        person: dict[str, Any] = {"bbox": [x - w / 2, y - h / 2, w, h]}
        if len(values) == length:
            triples = _triples(values[5:], dataset.dimensions)
            person["keypoints"] = [triples[place] for place in dataset.order or range(joints)]
        yield person


def _numbers(words: list[str], length: int) -> list[float]:
    """The numbers of a person; raises ValueError with what is wrong."""
    if len(words) not in (5, length):
        raise ValueError(f"{len(words)} values, a person has {length}")
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ValueError("a value is no number") from None
    if not all(map(math.isfinite, values)) or any(abs(value) > _MOST_SHARES for value in values[1:]):
        raise ValueError("a value is not finite, or too large for a share of the image")
    return values


def _triples(values: list[float], dimensions: int) -> list[list[float]]:
    triples = []
    for start in range(0, len(values), dimensions):
        x, y = values[start : start + 2]
        v = values[start + 2] if dimensions == 3 else 2.0 * bool(x or y)
        triples.append([x, y, float(min(max(round(v), 0), 2))])
    return triples


def _in_pixels(person: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    x, y, w, h = person["bbox"]
    box = [round(value, 2) for value in (x * width, y * height, w * width, h * height)]
    annotation = {
        **person, "category_id": 1, "bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": 0, "segmentation": []
    }  # fmt: skip
    if "keypoints" in person:
        flat: list[float] = []
        for x, y, v in person["keypoints"]:
            flat += (round(x * width, 2), round(y * height, 2), int(v)) if v else (0, 0, 0)
        annotation |= {"keypoints": flat, "num_keypoints": sum(v > 0 for v in flat[2::3])}
    return annotation


def stage_yolo(description: Path, staging: Path, progress: Progress) -> ReadReport:
    """Prepares a data set for a project.

    Raises:
        YoloError: it cannot be used as a whole: another number of keypoints, missing folders, no people.
        ImageError: a folder of images cannot be listed.
        OSError, sqlite3.Error: a file cannot be read or written.
    """
    dataset = read_description(description)
    converted = _convert(dataset, progress)
    content = {
        "info": {"description": f"from {description.name}"},
        "images": converted.images,
        "annotations": converted.annotations,
        "categories": [load_skeleton().coco_category()],
    }
    with tempfile.TemporaryDirectory(prefix="msarcnn-yolo-") as folder:
        coco = Path(folder) / PurePath(description.absolute().parent.name or "dataset").with_suffix(".json")
        coco.write_bytes(msgspec.json.encode(content))
        report = stage_coco(coco, staging, dataset.folders, progress)
    for problem in converted.problems:
        report.lines.insert(0, ReportLine("left out", problem, 1, [], warns=True))
    report.source, report.others = description.name, converted.others
    return report


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
