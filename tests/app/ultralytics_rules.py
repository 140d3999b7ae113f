"""How Ultralytics finds the photos and labels of a data set: its rules, in our own words.

Two rules for the root are known: older versions put every relative one below their own folder for data sets, newer
ones only when it does not exist as seen from the current folder. Without `path` the yaml's own folder is the root.
"""

import glob
from pathlib import Path
from typing import Literal

import yaml
from PIL import Image

Version = Literal["old", "new"]
KNOWN = {"bmp", "dng", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp", "pfm"}
"""Suffixes, and Pillow's names of formats, that every version takes."""


def find_split(description: Path, split: str, version: Version, datasets: Path) -> Path:
    """The folder of a split; description is the path as the user gives it, datasets their folder for data sets."""
    content = yaml.safe_load(description.read_text(encoding="utf-8"))
    root = Path(content.get("path") or description.parent)
    if not root.is_absolute() and (version == "old" or not root.exists()):
        root = datasets / root
    return (root / content[split]).resolve()


def photos_of(folder: Path) -> list[Path]:
    """What is found below a folder: hidden names are not, nor names without a suffix that is known."""
    found = glob.glob(f"{folder}/**/*.*", recursive=True)  # noqa: PTH207 - it is the folder that becomes a pattern
    return sorted(Path(name) for name in found if name.rsplit(".", 1)[-1].lower() in KNOWN)


def labels_of(photo: Path) -> Path:
    """The label file that is read for a photo: the last folder "images" is "labels" there."""
    before, _, behind = str(photo).rpartition("/images/")
    return Path(f"{before}/labels/{behind}").with_suffix(".txt")


def why_ignored(photo: Path) -> str:
    """Why a photo that was found is thrown out again; "" when it is taken."""
    with Image.open(photo) as image:
        if (image.format or "").lower() not in KNOWN:
            return f"format {image.format}"
        return "too small" if min(image.size) < 10 else ""


def is_written_anew(photo: Path) -> bool:
    """Whether the file itself is overwritten: a JPEG with anything behind its end mark is "restored" in its place."""
    with Image.open(photo) as image:
        return image.format == "JPEG" and not photo.read_bytes().endswith(b"\xff\xd9")
