"""Reads a YOLO-pose data set into a staging file: `python -P -m app.storage.yolo_import DATASET.yaml STAGING.db`.

The labels become a COCO file first, with boxes and joints in pixels of the upright photos, and go the way of every
other import from there. Progress and result are JSON lines on stdout as in `coco_import`.
"""

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import msgspec
import yaml

from app.storage.child_lines import print_error, print_line
from app.storage.coco_import import ImportReport, Progress, stage_coco
from msarcnn.coco import CocoError
from msarcnn.images import ImageError, find_images, image_size
from msarcnn.skeleton import load_skeleton

_SPLITS = ("train", "val", "test")
_STEP = 200
_MOST_YAML_BYTES = 1 << 20


class YoloError(ValueError):
    """The data set cannot be used as a whole; the message names the file and the cure."""


@dataclass
class YoloDataset:
    """What a dataset.yaml says, checked.

    Attributes:
        folders: Image folders in the order of train, val, test.
        person: Class index of people.
        dimensions: Numbers a joint: 2 (x, y) or 3 (x, y, v).
    """

    folders: list[Path]
    person: int
    dimensions: int


@dataclass
class _Converted:
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: int = 0


def read_description(path: Path) -> YoloDataset:
    """Reads and checks a dataset.yaml. Raises YoloError."""
    try:
        if path.stat().st_size > _MOST_YAML_BYTES:
            raise YoloError(f"{path}: this is no description of a data set, it is too large. Choose its dataset.yaml.")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise YoloError(f"{path}: it cannot be read ({error.strerror}). Check its permissions.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place else ""
        raise YoloError(f"{path}: this is no YAML{where}. Choose the data set's dataset.yaml.") from error
    if not isinstance(content, dict):
        raise YoloError(f"{path}: it describes no data set: names, train and kpt_shape are missing.")
    return YoloDataset(_folders(path, content), _person_class(path, content), _dimensions(path, content))


def _dimensions(path: Path, content: dict[Any, Any]) -> int:
    joints, shape = len(load_skeleton().keypoints), content.get("kpt_shape")
    if shape is None:
        raise YoloError(f"{path}: it has no kpt_shape, so it is no pose data set. Only pose data sets can be opened.")
    if not isinstance(shape, list) or len(shape) != 2 or shape[1] not in (2, 3):
        raise YoloError(f"{path}: kpt_shape is {shape!r}; it has to be [{joints}, 3] or [{joints}, 2].")
    if shape[0] != joints:
        raise YoloError(
            f"{path}: its people have {shape[0]} keypoints, this program's skeleton has {joints}. "
            "Convert the data set to COCO's keypoints first."
        )
    return int(shape[1])


def _person_class(path: Path, content: dict[Any, Any]) -> int:
    names = content.get("names")
    by_index = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(by_index, dict) or not by_index:
        raise YoloError(f"{path}: it has no names of classes.")
    people = [index for index, name in by_index.items() if str(name).lower() in ("person", "people", "human")]
    if not people and len(by_index) == 1:
        people = list(by_index)
    if not people or not isinstance(people[0], int):
        listed = ", ".join(str(name) for name in list(by_index.values())[:5])
        raise YoloError(f"{path}: none of its classes ({listed}) is called person.")
    return people[0]


def _folders(path: Path, content: dict[Any, Any]) -> list[Path]:
    base = path.absolute().parent
    named = content.get("path")
    bases = [base / str(named)] if named else []
    bases.append(base)
    folders: list[Path] = []
    for split in _SPLITS:
        places = content.get(split)
        for place in places if isinstance(places, list) else [places] if places else []:
            # Some services write "../train/images" and mean "train/images".
            texts = (str(place), str(place).removeprefix("../"))
            found = next((b / text for b in bases for text in texts if (b / text).is_dir()), None)
            if found is None:
                raise YoloError(f"{path}: its folder {place} ({split}) is not there. Put it beside the file.")
            if found.resolve() not in [folder.resolve() for folder in folders]:
                folders.append(found)
    if not folders:
        raise YoloError(f"{path}: it names no folder of images (train, val).")
    return folders


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
            lines = labels.read_text(encoding="utf-8").splitlines() if labels.exists() else []
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
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) not in (5, length) or any(value != value for value in values):
            converted.problems.append(f"{labels}, line {number}: {len(words)} values, a person has {length}")
            continue
        if int(values[0]) != dataset.person:
            converted.others += 1
            continue
        x, y, w, h = values[1:5]
        person: dict[str, Any] = {"bbox": [x - w / 2, y - h / 2, w, h]}
        if len(values) == length:
            person["keypoints"] = _triples(values[5:], dataset.dimensions)
        yield person


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


def stage_yolo(description: Path, staging: Path, progress: Progress) -> ImportReport:
    """Prepares a data set for a project.

    Raises:
        YoloError: it cannot be used as a whole: another number of keypoints, missing folders, no people.
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
    report.notes = [*converted.problems[:100], *report.notes][:100]
    if converted.others:
        report.notes.append(f"{converted.others} objects of other classes than people were left out")
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.yolo_import", description="prepare a YOLO-pose data set")
    parser.add_argument("source", type=Path)
    parser.add_argument("staging", type=Path)
    options = parser.parse_args(arguments)
    try:
        report = stage_yolo(
            options.source,
            options.staging,
            lambda stage, done, total: print_line("progress", stage=stage, done=done, total=total),
        )
    except (YoloError, CocoError) as error:
        print_error(str(error))
        return 1
    except (OSError, sqlite3.Error) as error:
        print_error(f"{options.source}: cannot be prepared for import ({error}). Check the disk.")
        return 1
    print_line("result", **msgspec.structs.asdict(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
