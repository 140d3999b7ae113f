"""Reads and checks the dataset.yaml of a YOLO-pose data set."""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from msarcnn.joint_names import joint_order
from msarcnn.skeleton import load_skeleton

_SPLITS = ("train", "val", "test")
_MOST_BYTES = 1 << 20
_NOTHING = ("", "~", "null", "Null", "NULL")


class YoloError(ValueError):
    """The data set cannot be used as a whole; the message names the file and the cure."""


@dataclass
class YoloDataset:
    """What a dataset.yaml says, checked.

    Attributes:
        folders: Image folders in the order of train, val, test.
        person: Class index of people.
        dimensions: Numbers a joint: 2 (x, y) or 3 (x, y, v).
        order: For each joint of the skeleton its place in a line of labels; None for the skeleton's order.
    """

    folders: list[Path]
    person: int
    dimensions: int
    order: tuple[int, ...] | None


def read_description(path: Path) -> YoloDataset:
    """Reads and checks a dataset.yaml. Raises YoloError."""
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
    person = _person_class(path, content)
    return YoloDataset(_folders(path, content), person, _dimensions(path, content), _order(content, person))


def _read(path: Path) -> str:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # reading a pipe would wait for ever
            raise YoloError(f"{path}: this is no regular file. Choose the data set's dataset.yaml.")
        if state.st_size > _MOST_BYTES:
            raise YoloError(f"{path}: this is no description of a data set, it is too large. Choose its dataset.yaml.")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise YoloError(f"{path}: it cannot be read ({error.strerror}). Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise YoloError(f"{path}: this is no YAML. Choose the data set's dataset.yaml.") from error


def _dimensions(path: Path, content: dict[str, Any]) -> int:
    joints, shape = len(load_skeleton().keypoints), content.get("kpt_shape")
    if shape is None:
        raise YoloError(f"{path}: it has no kpt_shape, so it is no pose data set. Only pose data sets can be opened.")
    stated, dimensions = map(_whole, shape) if isinstance(shape, list) and len(shape) == 2 else (None, None)
    if stated is None or dimensions is None or dimensions not in (2, 3):
        raise YoloError(f"{path}: kpt_shape is neither [{joints}, 3] nor [{joints}, 2]. Correct it.")
    if stated != joints:
        raise YoloError(
            f"{path}: its people have {stated} keypoints, this program's skeleton has {joints}. "
            "Convert the data set to COCO's keypoints first."
        )
    return dimensions


def _person_class(path: Path, content: dict[str, Any]) -> int:
    names = content.get("names")
    by_key = {str(index): name for index, name in enumerate(names)} if isinstance(names, list) else names
    if not isinstance(by_key, dict) or not by_key:
        raise YoloError(f"{path}: it has no names of classes.")
    numbered = ((_whole(key), name) for key, name in by_key.items())
    by_index = {index: name for index, name in numbered if index is not None and isinstance(name, str)}
    if not by_index:
        raise YoloError(f"{path}: its classes have no numbers and names that can be read. Correct names.")
    people = [index for index, name in by_index.items() if name.lower() in ("person", "people", "human")]
    if not people and len(by_key) == 1:
        people = list(by_index)
    if not people:
        listed = ", ".join(_shown(name) for name in list(by_index.values())[:5])
        raise YoloError(f"{path}: none of its classes ({listed}) is called person.")
    return people[0]


def _order(content: dict[str, Any], person: int) -> tuple[int, ...] | None:
    """For each joint of the skeleton its place in a line of labels; None for the skeleton's order, or other names."""
    names = content.get("kpt_names")
    if isinstance(names, dict):
        names = next((value for key, value in names.items() if _whole(key) == person), None)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    order = joint_order(names)
    return None if order is None or order.is_own or None in order.places else order.places  # type: ignore[return-value]


def _folders(path: Path, content: dict[str, Any]) -> list[Path]:
    base = Path(os.path.normpath(path.absolute())).parent
    named = content.get("path", "")
    if not isinstance(named, str):
        raise YoloError(f"{path}: its path is no folder. Correct it.")
    root = Path(os.path.normpath(base / named))
    # Only an absolute path may lead elsewhere: one with ".." is that of a machine with a folder for all data sets.
    bases, missing = [root, base], "is not there. Put it beside the file."
    if not Path(named).is_absolute() and not root.is_relative_to(base):
        bases, missing = [base], "is not beside the file, and path leads out of there. Write path as an absolute one."
    folders: list[Path] = []
    for split in _SPLITS:
        places = content.get(split, [])
        for place in places if isinstance(places, list) else [places]:
            found = _folder(path, split, place, bases, missing)
            if found.resolve() not in [folder.resolve() for folder in folders]:
                folders.append(found)
    if not folders:
        raise YoloError(f"{path}: it names no folder of images (train, val).")
    return folders


def _folder(path: Path, split: str, place: object, bases: Sequence[Path], missing: str) -> Path:
    """The folder that a split names, which has to lie in one of the bases; else `missing` says what to do."""
    if not isinstance(place, str):
        raise YoloError(f"{path}: {split} is neither a folder nor a list of folders. Correct it.")
    reason = missing
    for base in bases:
        # Some services write "../train/images" and mean "train/images".
        for text in (place, place.removeprefix("../")):
            folder = Path(os.path.normpath(base / text))
            if not folder.is_relative_to(base):
                reason = "leads out of the data set's folder. Put it beside the file, or write that folder as path."
            elif folder.is_dir():
                return folder
    raise YoloError(f"{path}: its folder {_shown(place)} ({split}) {reason}")


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else None


def _shown(text: str) -> str:
    """A text of the file for a message: not too long, and without what cannot be printed."""
    return text[:100].encode("utf-8", "backslashreplace").decode()
