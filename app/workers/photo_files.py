"""Which files of a disk are photos; nothing is opened. Loads no image library: the window asks this."""

from pathlib import Path

from msarcnn.image_files import FoundImages, scan_folder
from msarcnn.image_formats import SUPPORTED_SUFFIXES, unread_photos

PHOTO_PATTERNS = " ".join(f"*{suffix}" for suffix in SUPPORTED_SUFFIXES)
"""The photos' names, as file dialogs want them."""


def is_photo(path: Path) -> bool:
    """Whether a file's name is that of a photo."""
    return path.suffix.lower() in SUPPORTED_SUFFIXES


def why_no_photo(path: Path) -> str:
    """Why a photo of this name is not read here, and what to do; "" when the name is not that of such a photo."""
    return "".join(map(str, unread_photos([path.name])))


def list_photos(folder: Path) -> FoundImages:
    """Returns the photos below a folder, and what was left out. Raises ImageError."""
    return scan_folder(folder)
