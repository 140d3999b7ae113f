"""Writing a folder of files as a whole, and names in it that do not collide."""

import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath


class FolderTakenError(OSError):
    """The folder to write into has something in it."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder to write into that becomes `folder` at the end, or nothing when an error ends the block.

    A link is followed: the folder that it leads to is written, the link stays.

    Raises:
        FolderTakenError: there is something in `folder`.
        OSError: it cannot be made.
    """
    asked, folder = folder, Path(os.path.realpath(folder))
    # A link that is still one leads to itself.
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise FolderTakenError(f"{asked}: there is something in it already. Choose a new or an empty folder.")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


class FreeNames:
    """Relative names for the images of several roots; no two are the same but for their suffix.

    Nor but for their case or the way that their accents are written: on other systems these would be one file.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = {root: str(index) for index, root in enumerate(roots)}
        self._taken: set[str] = set()

    def claim(self, root: Path, path: str) -> PurePosixPath:
        """The image's own path; below a number where there are several roots, with its suffix twice where needed."""
        name = PurePosixPath(path)
        if len(self._roots) > 1:
            name = PurePosixPath(self._roots[str(root)]) / name
        while _bare(name) in self._taken:
            name = name.with_name(f"{name.stem}_{name.suffix.lstrip('.')}{name.suffix}")
        self._taken.add(_bare(name))
        return name


def _bare(name: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", name.with_suffix("").as_posix().casefold())
