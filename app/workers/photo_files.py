"""Which files of a disk are photos; nothing is opened. Loads no image library: the window asks this."""

from pathlib import Path

from msarcnn.image_files import SUPPORTED_SUFFIXES, FoundImages, scan_folder


def is_photo(path: Path) -> bool:
    """Whether a file's name is that of a photo."""
    return path.suffix.lower() in SUPPORTED_SUFFIXES


def list_photos(folder: Path) -> FoundImages:
    """Returns the photos below a folder, and a sentence for each that was left out. Raises ImageError."""
    return scan_folder(folder)
