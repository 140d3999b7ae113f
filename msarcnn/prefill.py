"""`python -m msarcnn predict`: labels images with a model and writes a COCO file."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np

from msarcnn.coco import CocoDataset, Reading, read_coco, write_json_atomic
from msarcnn.dataset import LabelledImage, labelled_images
from msarcnn.evaluation import predict_images, to_coco_results
from msarcnn.image_formats import READ_FORMATS
from msarcnn.images import ImageError, scan_folder
from msarcnn.pose_model import PoseModel
from msarcnn.read_ahead import Readers
from msarcnn.results import for_file
from msarcnn.skeleton import Skeleton
from msarcnn.visibility import probable_v

Report = Callable[[int, int, float], None]
"""Called after every image with (done, total, seconds left)."""


@dataclass(frozen=True)
class ToLabel:
    """The images to label, the file that names them if there is one, and what was left out of it or of folders."""

    images: list[LabelledImage]
    data: CocoDataset | None
    left_out: list[str]


@dataclass(frozen=True)
class ModelFacts:
    """What a written file says of its model; tau: from this confidence on a joint is labelled visible."""

    name: str
    hash: str
    tau: float
    skeleton: Skeleton

    @classmethod
    def of(cls, model: PoseModel) -> "ModelFacts":
        return cls(model.name, model.hash, model.tau, model.skeleton)


@dataclass(frozen=True)
class FoundPeople:
    """The people of an image, in COCO's results format, in pixels of its size (width, height)."""

    image_id: int
    size: tuple[int, int]
    people: list[dict[str, Any]]


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
    return [unlabelled(index, root, name) for index, name in enumerate(names, start=1)], left_out


def _common_folder(files: Iterable[Path]) -> Path:
    parents = [file.parent.parts for file in files]
    shared = []
    for names in zip(*parents, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return Path(PurePath(*shared))


def unlabelled(image_id: int, root: Path, name: str, labelled_size: tuple[int, int] | None = None) -> LabelledImage:
    """An image that nothing is known about yet."""
    boxes, keypoints, weights = (np.zeros(shape, np.float32) for shape in ((0, 4), (0, 0, 3), (0, 0)))
    nothing = boxes, keypoints, weights, np.zeros(0, np.float32), weights > 0, boxes
    return LabelledImage(image_id, root, name, *nothing, labelled_size)


def images_asked_for(
    paths: list[Path], annotations: Path | None, images: Path | None, reading: Reading | None = None
) -> ToLabel:
    """The images of files and folders, or those of a COCO file (whose ids are kept).

    Raises CocoError, DataError, ImageError.
    """
    if annotations is None or images is None:
        chosen, skipped = images_to_label(paths)
        return ToLabel(chosen, None, skipped)
    data = read_coco(annotations, keep_raw=False, roots=[images], reading=reading)
    left_out = [f"{annotations}: {record}" for record in data.quarantined if record.section == "images"]
    return ToLabel(labelled_images(data, [images]), data, left_out)


def found_people(
    model: PoseModel,
    images: Iterable[LabelledImage],
    threshold: float,
    problems: list[str],
    readers: Readers | None = None,
) -> Iterator[FoundPeople]:
    """Whom a model finds with at least a score, an item an image, in order.

    An image that cannot be read gives no item: what is wrong with it is added to the problems. With readers they
    decode, see `predict_images`.
    """

    def failed(error: ImageError) -> None:
        problems.append(str(error))

    for result in predict_images(model, images, failed, readers):
        people = [person for person in to_coco_results([result]) if person["box_score"] >= threshold]
        yield FoundPeople(result.image_id, result.size, people)


def write_found(
    found: Iterable[FoundPeople],
    asked: ToLabel,
    model: ModelFacts,
    output: Path,
    results_format: bool,
    problems: list[str],
) -> Prefilled:
    """Writes atomically whom a model has found, as a dataset or as results.

    Args:
        found: In the order of the images.
        asked: What it was asked.
        model: Who was asked.
        output: The file.
        results_format: Whether it becomes COCO's results format.
        problems: What could not be read; complete when `found` has ended.

    Raises:
        OSError: the output cannot be written; an older file of that name is untouched.
    """
    if results_format:
        results = results_of(found, asked.data)
        write_json_atomic(output, msgspec.json.encode(results))
        images, people = len(asked.images) - len(problems), len(results)
    else:
        dataset = dataset_of(found, asked.images, model)
        write_json_atomic(output, msgspec.json.encode(dataset))
        images, people = len(dataset["images"]), len(dataset["annotations"])
    return Prefilled(images, people, (*asked.left_out, *problems))


def dataset_of(found: Iterable[FoundPeople], images: list[LabelledImage], model: ModelFacts) -> dict[str, Any]:
    """A COCO keypoint dataset whose annotations carry `score` and `keypoint_scores`.

    A joint has the v that the model gives it; one that does not tell them apart labels joints as visible (v = 2) from
    its confidence threshold tau on.
    """
    names = {image.image_id: image.file_name for image in images}
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for one in found:
        width, height = one.size
        entries.append({"id": one.image_id, "file_name": names[one.image_id], "width": width, "height": height})
        for person in one.people:
            annotations.append(_annotation(len(annotations) + 1, person, model.tau))
    return {
        "info": {"description": f"predictions of {model.name} {model.hash}"},
        "licenses": [],
        "images": entries,
        "annotations": annotations,
        "categories": [model.skeleton.coco_category()],
    }


def results_of(found: Iterable[FoundPeople], data: CocoDataset | None = None) -> list[dict[str, Any]]:
    """A list in COCO's results format, all coordinates kept (a test-dev submission).

    Given the file that names the images, the results have its category, its order of joints and its pixels.
    """
    results = [person for one in found for person in one.people]
    if data is None:
        return results
    entries = {image.id: image for image in data.images}
    return [for_file(entry, data.person, entries[entry["image_id"]]) for entry in results]


def _watched(found: Iterable[FoundPeople], total: int, problems: list[str], report: Report) -> Iterator[FoundPeople]:
    started = time.monotonic()
    for done, one in enumerate(found, start=1):
        yield one
        seen = done + len(problems)
        report(seen, total, (time.monotonic() - started) / seen * (total - seen))


def _annotation(key: int, person: dict[str, Any], tau: float) -> dict[str, Any]:
    points = np.array(person["keypoints"]).reshape(-1, 3)
    v = np.array(person.get("keypoint_visibility") or probable_v(np.array(person["keypoint_scores"]), None, tau))
    points = np.where(v[:, None] > 0, np.column_stack((points[:, :2], v)), 0)
    box = person["bbox"]
    return {
        "id": key,
        **{name: value for name, value in person.items() if name not in ("box_score", "keypoint_visibility")},
        "score": person["box_score"],
        "keypoints": [float(v) if index % 3 < 2 else int(v) for index, v in enumerate(points.ravel())],
        "num_keypoints": int((v > 0).sum()),
        "area": round(box[2] * box[3], 2),
        "iscrowd": 0,
        "segmentation": [],
    }


def prefill(
    model: PoseModel,
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
        CocoError, DataError, ImageError: the input cannot be used.
        OSError: the output cannot be written; an older file of that name is untouched.
    """
    asked, problems = images_asked_for(paths, annotations, images, reading), list[str]()
    found = _watched(found_people(model, asked.images, threshold, problems), len(asked.images), problems, report)
    return write_found(found, asked, ModelFacts.of(model), output, results_format, problems)
