"""Reads and checks the dataset.yaml of a YOLO-pose data set."""

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.storage.yolo_places import YoloError, YoloPhotos, find_photos, shown
from app.storage.yolo_report import YoloReport
from msarcnn.joint_names import JointOrder, joint_order, own_order
from msarcnn.person_names import is_person_name, is_thing_name
from msarcnn.skeleton import Skeleton

_MOST_BYTES = 1 << 20
_NOTHING = ("", "~", "null", "Null", "NULL")


@dataclass
class YoloDataset:
    """What a dataset.yaml says, checked.

    Attributes:
        folder: The folder that it lies in.
        photos: The photos that it names.
        orders: For each class of people how its joints stand in a line of labels.
        classes: The names of all classes.
        joints: How many joints a line of labels has.
        dimensions: Numbers a joint: 2 (x, y) or 3 (x, y, v).
    """

    folder: Path
    photos: YoloPhotos
    orders: dict[int, JointOrder]
    classes: dict[int, str]
    joints: int
    dimensions: int


def read_description(path: Path, report: YoloReport, skeleton: Skeleton) -> YoloDataset:
    """Reads and checks a dataset.yaml, and finds its photos; what was decided, or is missing, goes to the report.

    Raises:
        YoloError: it cannot be used as a whole.
        ImageError: a folder of images cannot be listed.
    """
    text = _read(path)
    try:
        # Lists, mappings and texts alone: nothing else is needed, and what a number or a date is does not matter.
        content = yaml.load(text, yaml.BaseLoader)
    except RecursionError as error:
        raise YoloError(f"{path}: it is nested too deeply. Choose the data set's dataset.yaml.") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two for escapes like "\\UFFFFFFFF"
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place else ""
        raise YoloError(f"{path}: this is no YAML{where}. Choose the data set's dataset.yaml.") from error
    if not isinstance(content, dict):
        raise YoloError(f"{path}: it describes no data set: names, train and kpt_shape are missing.")
    content = {name: value for name, value in content.items() if value not in _NOTHING}
    classes = _classes(path, content)
    people = _people(path, classes, report)
    joints, dimensions = _shape(path, content, skeleton)
    orders = {kind: _order(path, content, kind, joints, report, skeleton) for kind in people}
    photos = find_photos(path, content, report)
    return YoloDataset(path.absolute().parent, photos, orders, classes, joints, dimensions)


def _read(path: Path) -> str:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # reading a pipe would wait for ever
            raise YoloError(f"{path}: this is no regular file. Choose the data set's dataset.yaml.")
        if state.st_size > _MOST_BYTES:
            raise YoloError(f"{path}: this is no description of a data set, it is too large. Choose its dataset.yaml.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise YoloError(f"{path}: it cannot be read ({error.strerror}). Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise YoloError(f"{path}: this is no YAML. Choose the data set's dataset.yaml.") from error


def _classes(path: Path, content: dict[str, Any]) -> dict[int, str]:
    """Names of classes by their numbers; where there is only a number of classes, names that say nothing."""
    names = content.get("names")
    count = _whole(content.get("nc"))
    if names is None and count is not None and 0 < count <= 1000:
        return {index: f"class {index}" for index in range(count)}
    by_key = {str(index): name for index, name in enumerate(names)} if isinstance(names, list) else names
    if not isinstance(by_key, dict) or not by_key:
        raise YoloError(f"{path}: it has no names of classes.")
    numbered = ((_whole(key), name) for key, name in by_key.items())
    by_index = {index: name for index, name in numbered if index is not None and isinstance(name, str)}
    if not by_index:
        raise YoloError(f"{path}: its classes have no numbers and names that can be read. Correct names.")
    return by_index


def _people(path: Path, classes: dict[int, str], report: YoloReport) -> list[int]:
    """The classes that are people: all that are named so, or the only one unless it is known to be something else."""
    people = [index for index, name in classes.items() if is_person_name(name)]
    if people:
        return people
    listed = ", ".join(shown(name) for name in list(classes.values())[:5])
    (only, *more) = classes
    if more or is_thing_name(classes[only]):
        cure = "Name the class of people person, in names."
        raise YoloError(f"{path}: none of its classes ({listed}) is called person, or a word for people. {cure}")
    report.decide(f"its only class, {listed}, is taken to be people")
    return [only]


def _shape(path: Path, content: dict[str, Any], skeleton: Skeleton) -> tuple[int, int]:
    own, shape = len(skeleton.keypoints), content.get("kpt_shape")
    if shape is None:
        raise YoloError(f"{path}: it has no kpt_shape, so it is no pose data set. Only pose data sets can be opened.")
    joints, dimensions = map(_whole, shape) if isinstance(shape, list) and len(shape) == 2 else (None, None)
    if joints is None or not 0 < joints <= 1000 or dimensions not in (2, 3):
        raise YoloError(f"{path}: kpt_shape is neither [{own}, 3] nor [{own}, 2]. Correct it.")
    return joints, dimensions


def _order(
    path: Path, content: dict[str, Any], person: int, joints: int, report: YoloReport, skeleton: Skeleton
) -> JointOrder:
    """How a person's joints stand in a line: by their names, or in COCO's order where there are none."""
    own = own_order(skeleton)
    names = _joint_names(content, person)
    if names is None:
        _refuse_unnamed(path, content, joints, skeleton)
        report.decide(f"its {joints} joints have no names: they are taken to be in COCO's order")
        return own
    order = joint_order(names, skeleton)
    listed = ", ".join(shown(name) for name in names[:6])
    if order is None:
        cure = "Write COCO's names there, in the order of the labels."
        raise YoloError(f"{path}: the names of its joints (kpt_names: {listed}, ...) are not understood. {cure}")
    if order.count != joints:
        raise YoloError(
            f"{path}: kpt_names has {order.count} names, kpt_shape says {joints} joints. Correct one of them."
        )
    if not order.is_own:
        report.decide("its joints are not in COCO's order: they are sorted by their names")
    others = [name for place, name in enumerate(names) if place not in order.places]
    if others:
        report.decide(
            f"joints that this program's skeleton does not have are left out: {', '.join(map(shown, others[:8]))}"
        )
    if None in order.places:
        report.decide(f"{order.places.count(None)} of COCO's joints are not in it: they come as not labelled")
    return order


def _joint_names(content: dict[str, Any], person: int) -> Sequence[str] | None:
    """The names of a class's joints; None where there are none, or only numbered ones ("joint 3")."""
    names = content.get("kpt_names")
    if isinstance(names, dict):
        names = next((value for key, value in names.items() if _whole(key) == person), None)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return None if len({re.sub("[0-9]+", "", name) for name in names}) == 1 else names


def _refuse_unnamed(path: Path, content: dict[str, Any], joints: int, skeleton: Skeleton) -> None:
    """Raises YoloError where joints without names cannot be in COCO's order."""
    own = len(skeleton.keypoints)
    if joints != own:
        raise YoloError(
            f"{path}: its people have {joints} keypoints without names, this program's skeleton has {own}. "
            "Write their names as kpt_names, or convert the data set to COCO's keypoints first."
        )
    flip = content.get("flip_idx")
    mirrored = tuple(map(_whole, flip)) if isinstance(flip, list) else None
    says_nothing = (None, skeleton.flip_permutation, tuple(range(own)))
    if mirrored not in says_nothing and len(set(mirrored or ())) == own:
        raise YoloError(
            f"{path}: by its flip_idx the joints are not in COCO's order, and they have no names. "
            "Write their names as kpt_names, in the order of the labels."
        )


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else None
