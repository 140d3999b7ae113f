"""Which files are images of a dataset: safe names, listing a folder, opening a file; nothing is decoded here."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from msarcnn.image_formats import SUPPORTED_SUFFIXES, UnreadPhotos, unread_photos


class ImageError(Exception):
    """An image that cannot be used; the message names the file, what is wrong with it and the cure.

    Attributes:
        path: The file as it was asked for.
        reason: What is wrong, without the file's name.
    """

    def __init__(self, path: Path, reason: str, cure: str) -> None:
        super().__init__(f"{printable_path(path)}: {reason}; {cure}")
        self.path = path
        self.reason = reason
        self.cure = cure

    def __reduce__(self) -> tuple[type["ImageError"], tuple[Path, str, str]]:
        """Makes the error survive the way between processes."""
        return type(self), (self.path, self.reason, self.cure)


class UnsafePathError(ValueError):
    """A file name from a dataset that could lead outside the dataset's folder."""


@dataclass(frozen=True, slots=True)
class FoundImages:
    """What `scan_folder` found.

    Attributes:
        paths: Images that can be read by their names: relative, "/"-separated, sorted.
        skipped: A sentence for every file or folder that was left out for a reason of its own.
        unread: Photos of kinds that are not read here. One beside a readable one of the same name is not counted:
            cameras write both.
    """

    paths: tuple[str, ...]
    skipped: tuple[str, ...]
    unread: tuple[UnreadPhotos, ...] = ()

    @property
    def summary(self) -> str:
        """What was left out, with counts and cures; "" when nothing was."""
        sentences = [f"{unread}." for unread in self.unread]
        if self.skipped:
            files = "1 file was" if len(self.skipped) == 1 else f"{len(self.skipped)} files were"
            sentences.append(f"{files} left out. The first: {self.skipped[0]}.")
        return " ".join(sentences)


def printable_path(path: Path | PurePosixPath | str) -> str:
    """Returns a path as text that can be shown and stored: bytes that are not UTF-8 appear as \\xNN."""
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace") if _encodable(str(path)) else repr(str(path))


def _encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def safe_relative_path(text: str) -> PurePosixPath:
    """Returns a dataset's `file_name` as a path that stays inside whatever root it is joined to.

    A pure check of the text; links are checked when the file is opened with a root. Refused with
    `UnsafePathError`: empty names, NUL, `..`, absolute and UNC paths, drive letters, URLs, and text that no
    file name can hold. A backslash counts as a separator in these checks and is otherwise left alone.
    """
    problem = ""
    slashed = text.replace("\\", "/")
    if not text.strip() or PurePosixPath(slashed) == PurePosixPath("."):
        problem = "is empty"
    elif "\0" in text:
        problem = "contains a NUL character"
    elif not _encodable(text):
        problem = "contains characters that no file name can have"
    elif slashed.startswith("/"):
        problem = "is an absolute path"
    elif len(text) > 1 and text[1] == ":" and text[0].isalpha():
        problem = "starts with a drive letter"
    elif "://" in slashed:
        problem = "is a URL"
    elif ".." in slashed.split("/"):
        problem = "contains '..'"
    if problem:
        raise UnsafePathError(f"file name {text[:200]!r} {problem}: use a path relative to the image folder")
    return PurePosixPath(text)


def find_images(folder: Path) -> list[str]:
    """Returns the relative "/"-separated paths of the image files below a folder, sorted.

    Hidden files and folders, linked folders, and links to files outside are left out; `scan_folder` says which.
    """
    return list(scan_folder(folder).paths)


def scan_folder(folder: Path) -> FoundImages:
    """Like `find_images`, also telling what looked like an image and was left out, and why.

    Raises ImageError when the folder itself cannot be listed.
    """
    found: list[str] = []
    skipped: list[str] = []
    others: list[str] = []

    def unreadable(error: OSError) -> None:
        place = Path(error.filename or folder)
        if place == folder:
            raise ImageError(folder, f"cannot be listed ({error.strerror})", "choose a folder that you may read")
        skipped.append(f"{printable_path(place)}: folder cannot be listed ({error.strerror})")

    real_root = folder.resolve()
    for current, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name.startswith("."):
                continue
            path = Path(current, name)
            if path.suffix.lower() not in SUPPORTED_SUFFIXES:
                others.append(path.relative_to(folder).as_posix())
                continue
            problem = _why_not_listed(path, real_root)
            if problem:
                skipped.append(f"{printable_path(path)}: {problem}")
            else:
                found.append(path.relative_to(folder).as_posix())
    readable = {PurePosixPath(name).with_suffix("") for name in found}
    alone = (name for name in sorted(others) if PurePosixPath(name).with_suffix("") not in readable)
    return FoundImages(tuple(sorted(found)), tuple(skipped), unread_photos(alone))


def _why_not_listed(path: Path, real_root: Path) -> str:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(real_root):
            return "a link out of the folder"
        return "" if path.is_file() else "not a regular file"
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links before Python 3.13
        return f"cannot be examined ({error})"


def _contained(path: Path, root: Path) -> Path:
    """Returns the real path of a file, which must lie inside root."""
    if ".." in path.parts:
        raise ImageError(path, "contains '..'", "use a path relative to the image folder")
    real_root = root.resolve()
    real = (root / path).resolve(strict=True)
    if not real.is_relative_to(real_root):
        cure = "add the folder that it lies in as an image folder"
        raise ImageError(path, f"lies outside the image folder {printable_path(root)}", cure)
    return real


@contextmanager
def open_regular(path: Path, root: Path | None) -> Iterator[BinaryIO]:
    """Opens a regular file for reading; never waits on a FIFO and never follows a link out of root."""
    if "\0" in str(path) or not _encodable(str(path)):
        raise ImageError(path, "not a possible file name", "correct the name")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    target = path
    try:
        if root is not None:
            target = _contained(path, root)
            flags |= getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(target, flags)
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(path, f"cannot be opened ({reason})", "check the file and its folder") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImageError(path, "not a regular file", "give the name of an image file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)
