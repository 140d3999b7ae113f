"""Which files of a disk are photos; nothing is opened. Loads no image library: the window asks this."""

from pathlib import Path

from msarcnn.file_names import find_file
from msarcnn.image_files import FoundImages, scan_folder
from msarcnn.image_formats import SUPPORTED_SUFFIXES, unread_photos

PHOTO_PATTERNS = " ".join(f"*{suffix}" for suffix in SUPPORTED_SUFFIXES)
"""The photos' names, as file dialogs want them."""


def is_photo(path: Path) -> bool:
    """Whether a file's name is that of a photo."""
    return path.suffix.lower() in SUPPORTED_SUFFIXES


def has_photo(folder: Path, name: str) -> bool:
    """Whether a data set's name, in whatever spelling, is that of a file in the folder."""
    return find_file(folder, name) is not None


def why_no_photo(path: Path) -> str:
    """Why a photo of this name is not read here, and what to do; "" when the name is not that of such a photo."""
    return "".join(map(str, unread_photos([path.name])))


def list_photos(folder: Path) -> FoundImages:
    """Returns the photos below a folder, and what was left out. Raises ImageError."""
    return scan_folder(folder)
