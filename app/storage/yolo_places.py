"""Where the photos of a YOLO data set are: folders, lists of files, and what is named but not there."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from app.storage.yolo_report import YoloReport
from msarcnn.image_formats import unread_kind
from msarcnn.images import SUPPORTED_SUFFIXES, scan_folder

_SPLITS = ("train", "val", "validation", "test")
_MOST_BYTES = 64 << 20
_OUTSIDE = "a list names a photo outside of the data set's folder"
_ABSENT = "a list names a photo that is not there"


class YoloError(ValueError):
    """The data set cannot be used as a whole; the message names the file and the cure."""


@dataclass(frozen=True)
class YoloPhotos:
    """The photos that a description names.

    Attributes:
        roots: Image folders.
        names: (index of the root, "/"-separated path below it) of every photo, once each.
        folders: Folders that were named as a whole.
    """

    roots: list[Path] = field(default_factory=list)
    names: list[tuple[int, str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def find_photos(path: Path, content: dict[str, Any], report: YoloReport) -> YoloPhotos:
    """Finds the photos of train, val and test.

    A split that is not there is reported, and the rest is taken. Nothing outside of the description's folder, or of
    an absolute `path` in it, is looked at.

    Args:
        path: The description.
        content: What it says.
        report: Where to say what is left out.

    Raises:
        YoloError: nothing of what it names is there.
        ImageError: a folder cannot be listed.
    """
    bases, missing = _bases(path, content)
    found, seen, problems = YoloPhotos(), set[Path](), list[str]()
    numbers: dict[Path, int] = {}
    listed_folders: set[Path] = set()
    for split in _SPLITS:
        places = content.get(split, [])
        for text in places if isinstance(places, list) else [places]:
            if not isinstance(text, str):
                raise YoloError(f"{path}: {split} is neither a folder nor a list of folders. Correct it.")
            try:
                place = _place(path, split, text, bases, missing)
            except YoloError as error:
                problems.append(str(error))
                continue
            if not place.is_dir():
                listed = _in_list(place, bases, report)
            elif (real := place.resolve()) in listed_folders:
                continue
            else:
                listed_folders.add(real)
                found.folders.append(place)
                numbers.setdefault(place, len(numbers))
                listed = _in_folder(place, report)
            for root, name in listed:
                if (photo := root / name) not in seen:
                    seen.add(photo)
                    found.names.append((numbers.setdefault(root, len(numbers)), name))
    found.roots.extend(numbers)
    if not found.folders and not found.names:
        raise YoloError(problems[0] if problems else f"{path}: it names no folder of images (train, val).")
    for problem in problems:
        report.lose(problem.removeprefix(f"{path}: "))
    return found


def _bases(path: Path, content: dict[str, Any]) -> tuple[list[Path], str]:
    """The folders that everything has to lie in, and what to say about what does not."""
    base = Path(os.path.normpath(path.absolute())).parent
    named = content.get("path", "")
    if not isinstance(named, str):
        raise YoloError(f"{path}: its path is no folder. Correct it.")
    root = Path(os.path.normpath(base / named))
    # Only an absolute path may lead elsewhere: one with ".." is that of a machine with a folder for all data sets.
    if not Path(named).is_absolute() and not root.is_relative_to(base):
        return [base], "is not beside the file, and path leads out of there. Write path as an absolute one."
    return list(dict.fromkeys([root, base])), "is not there. Put it beside the file."


def _place(path: Path, split: str, place: str, bases: Sequence[Path], missing: str) -> Path:
    """The folder or list that a split names, which has to lie in one of the bases; else `missing` says what to do."""
    reason = missing
    for base in bases:
        # Some services write "../train/images" and mean "train/images".
        for text in (place, place.removeprefix("../")):
            found = Path(os.path.normpath(base / text))
            if not found.is_relative_to(base):
                reason = "leads out of the data set's folder. Put it beside the file, or write that folder as path."
            elif found.is_dir() or (found.suffix.lower() == ".txt" and found.is_file()):
                return found
    what = "list" if place.lower().endswith(".txt") else "folder"
    raise YoloError(f"{path}: its {what} {shown(place)} ({split}) {reason}")


def _in_folder(folder: Path, report: YoloReport) -> Iterator[tuple[Path, str]]:
    images = scan_folder(folder)
    for unread in images.unread:
        text = f"a {unread.kind} photo is not read here: {unread.cure}"
        report.lose(text, str(folder / unread.first), unread.count)
    for sentence in images.skipped:
        report.lose("a file is no photo that can be listed", sentence)
    for name in images.paths:
        yield folder, name


def _in_list(file: Path, bases: Sequence[Path], report: YoloReport) -> Iterator[tuple[Path, str]]:
    """The photos that a list names: a path a line, relative to the list's folder or to the data set's."""
    try:
        state = file.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_BYTES:
            report.lose("a list of photos is too large, or no regular file", str(file))
            return
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        report.lose("a list of photos cannot be read", f"{file}: {error}")
        return
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        where = f"{file.name}, line {number}: {shown(text)}"
        photo, reason = _listed(text, file, bases)
        if photo is None:
            report.lose(reason, where)
        elif photo.suffix.lower() not in SUPPORTED_SUFFIXES:
            kind = unread_kind(photo.name)
            cure = (
                f"a {kind.name} photo is not read here: {kind.cure}" if kind else "a list names a file that is no photo"
            )
            report.lose(cure, where)
        else:
            base = next(base for base in bases if photo.is_relative_to(base))
            yield base, photo.relative_to(base).as_posix()


def _listed(text: str, file: Path, bases: Sequence[Path]) -> tuple[Path | None, str]:
    """The photo that a line of a list names, or None and why there is none."""
    reason = _ABSENT
    for spelling in dict.fromkeys((text, text.replace("\\", "/"))):
        if spelling.startswith("./"):
            candidates = [file.parent / spelling]
        else:
            # Some tools write the names as they are in their archive, below "data".
            names = (spelling, re.sub("^/?data/", "", spelling))
            candidates = [base / name for name in dict.fromkeys(names) for base in (file.parent, *bases)]
        for candidate in candidates:
            photo = Path(os.path.normpath(candidate))
            if PureWindowsPath(spelling).drive or not any(photo.is_relative_to(base) for base in bases):
                reason = _OUTSIDE
            elif photo.is_file():
                return photo, ""
    return None, reason


def shown(text: str) -> str:
    """A text of the file for a message: not too long, and without what cannot be printed."""
    return text[:100].encode("utf-8", "backslashreplace").decode()
