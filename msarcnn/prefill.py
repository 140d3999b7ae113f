"""`python -m msarcnn predict`: labels images with a model and writes a COCO file."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np

from msarcnn.coco import CocoDataset, Reading, read_coco, write_json_atomic
from msarcnn.dataset import LabelledImage, labelled_images
from msarcnn.evaluation import ImageResult, predict_images, to_coco_results
from msarcnn.image_formats import READ_FORMATS
from msarcnn.images import ImageError, scan_folder
from msarcnn.predictor import Predictor
from msarcnn.results import for_file

Report = Callable[[int, int, float], None]
"""Called after every image with (done, total, seconds left)."""


@dataclass(frozen=True)
class Prefilled:
    """The outcome: what was written, and what was left out or could not be read."""

    images: int
    people: int
    problems: tuple[str, ...]


def images_to_label(paths: Iterable[Path]) -> tuple[list[LabelledImage], list[str]]:
    """Lists the images of files and folders (recursive), without labels, and what was left out of folders.

    Names are relative to the folder given, or to the closest common folder of several arguments; ids are
    1..n in the order of the sorted names. Raises ImageError for a path that does not exist.
    """
    files: set[Path] = set()
    left_out: list[str] = []
    given = [Path(path).resolve() for path in paths]
    for path in given:
        if path.is_dir():
            found = scan_folder(path)
            files |= {path / name for name in found.paths}
            left_out += [f"{path}: {found.summary}"] if found.summary else []
        elif path.exists():
            files.add(path)
        else:
            raise ImageError(path, "no such file or folder", "check the path")
    if not files:
        reason = " ".join(["no image in it that can be read here", *left_out])
        raise ImageError(given[0], reason, f"give a folder with images in one of {READ_FORMATS}")
    root = given[0] if len(given) == 1 and given[0].is_dir() else _common_folder(files)
    names = sorted(file.relative_to(root).as_posix() for file in files)
    return [_unlabelled(index, root, name) for index, name in enumerate(names, start=1)], left_out


def _common_folder(files: Iterable[Path]) -> Path:
    parents = [file.parent.parts for file in files]
    shared = []
    for names in zip(*parents, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return Path(PurePath(*shared))


def _unlabelled(image_id: int, root: Path, name: str) -> LabelledImage:
    boxes, keypoints, weights = (np.zeros(shape, np.float32) for shape in ((0, 4), (0, 0, 3), (0, 0)))
    return LabelledImage(image_id, root, name, boxes, keypoints, weights, boxes)


def predict_dataset(
    predictor: Predictor, images: list[LabelledImage], threshold: float, report: Report
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Labels images: a COCO keypoint dataset whose annotations carry `score` and `keypoint_scores`.

    A joint is visible (v = 2) from the model's confidence threshold tau on, else not labelled.
    """
    problems: list[str] = []
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    by_id = {image.image_id: image for image in images}
    for result in _watched(predictor, images, problems, report):
        image = by_id[result.image_id]
        width, height = result.size
        entries.append({"id": image.image_id, "file_name": image.file_name, "width": width, "height": height})
        for person in to_coco_results([result]):
            if person["box_score"] >= threshold:
                annotations.append(_annotation(len(annotations) + 1, person, predictor.tau))
    description = f"predictions of {predictor.name} {predictor.hash}"
    return {
        "info": {"description": description},
        "licenses": [],
        "images": entries,
        "annotations": annotations,
        "categories": [predictor.skeleton.coco_category()],
    }, tuple(problems)


def predict_results(
    predictor: Predictor,
    images: list[LabelledImage],
    threshold: float,
    report: Report,
    data: CocoDataset | None = None,
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Labels images: a list in COCO's results format, all coordinates kept (a test-dev submission).

    Given the file that names the images, the results have its category, its order of joints and its pixels.
    """
    problems: list[str] = []
    found = to_coco_results(_watched(predictor, images, problems, report))
    results = [entry for entry in found if entry["box_score"] >= threshold]
    if data is not None:
        entries = {image.id: image for image in data.images}
        results = [for_file(entry, data.person, entries[entry["image_id"]]) for entry in results]
    return results, tuple(problems)


def _watched(
    predictor: Predictor, images: list[LabelledImage], problems: list[str], report: Report
) -> Iterable[ImageResult]:
    started = time.monotonic()

    def failed(error: ImageError) -> None:
        problems.append(str(error))

    for done, result in enumerate(predict_images(predictor, images, failed), start=1):
        yield result
        seen = done + len(problems)
        report(seen, len(images), (time.monotonic() - started) / seen * (len(images) - seen))


def _annotation(key: int, person: dict[str, Any], tau: float) -> dict[str, Any]:
    points = np.array(person["keypoints"]).reshape(-1, 3)
    visible = np.array(person["keypoint_scores"]) >= tau
    points = np.where(visible[:, None], np.column_stack((points[:, :2], np.full(len(points), 2))), 0)
    box = person["bbox"]
    return {
        "id": key,
        **{name: value for name, value in person.items() if name != "box_score"},
        "score": person["box_score"],
        "keypoints": [float(v) if index % 3 < 2 else int(v) for index, v in enumerate(points.ravel())],
        "num_keypoints": int(visible.sum()),
        "area": round(box[2] * box[3], 2),
        "iscrowd": 0,
        "segmentation": [],
    }


def prefill(
    predictor: Predictor,
    paths: list[Path],
    annotations: Path | None,
    images: Path | None,
    output: Path,
    results_format: bool,
    threshold: float,
    report: Report,
    reading: Reading | None = None,
) -> Prefilled:
    """Labels files and folders, or the images of a COCO file (whose ids are kept), and writes the result atomically.

    Raises:
        CocoError, ImageError: the input cannot be used.
        OSError: the output cannot be written; an older file of that name is untouched.
    """
    data, left_out = None, list[str]()
    if annotations is not None and images is not None:
        data = read_coco(annotations, keep_raw=False, roots=[images], reading=reading)
        chosen = labelled_images(data, [images])
        left_out = [f"{annotations}: {record}" for record in data.quarantined if record.section == "images"]
    else:
        chosen, left_out = images_to_label(paths)
    if results_format:
        results, problems = predict_results(predictor, chosen, threshold, report, data)
        write_json_atomic(output, msgspec.json.encode(results))
        return Prefilled(len(chosen) - len(problems), len(results), (*left_out, *problems))
    dataset, problems = predict_dataset(predictor, chosen, threshold, report)
    write_json_atomic(output, msgspec.json.encode(dataset))
    return Prefilled(len(dataset["images"]), len(dataset["annotations"]), (*left_out, *problems))
