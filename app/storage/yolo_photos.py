"""Photos as readers of YOLO data sets want them: under a name that they find, in a format that they know, upright.

Ultralytics finds photos by their suffixes, refuses formats that are not in its list, and turns JPEG alone by EXIF in
every version. Names are changed and formats are converted for it; pixels stay what they are.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from msarcnn.images import SUPPORTED_SUFFIXES, ImageError, PhotoHeader, load_image, read_header

Photos = Literal["link", "copy"]

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".mpo"), "MPO": (".jpg", ".jpeg", ".mpo"), "PNG": (".png",), "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"), "WEBP": (".webp",),
}  # fmt: skip
"""What every version reads, by Pillow's name of the format. HEIC is read by newer ones only."""
_SMALLEST = 10
"""Photos with a shorter side are ignored when the data set is read."""
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class PlannedPhoto:
    """How one photo is written.

    Attributes:
        source: Its file.
        root: The image folder that it lies in.
        size: Width and height in pixels that its labels are measured in.
        name: Its path in the data set.
        converted: It is written anew, as PNG.
        by_itself: Never a second name of the original, which the reader might overwrite.
    """

    source: Path
    root: Path
    size: tuple[int, int]
    name: PurePosixPath
    converted: bool
    by_itself: bool


def plan_photo(root: Path, path: str, stated: tuple[int, int] | None) -> PlannedPhoto:
    """Says how a photo has to be written; stated: width and height that its labels came with.

    Raises ImageError for a file that cannot be read, lies outside of its image folder, or would be of no use.
    """
    source = root / path
    header = read_header(source, root)
    upright = (header.width, header.height)
    size = stated or upright
    is_stored_way = size == upright[::-1] and size[0] != size[1]
    if is_stored_way and not header.is_sideways:
        reason = f"its labels are for {size[0]} x {size[1]} pixels, it has {upright[0]} x {upright[1]}"
        raise ImageError(source, reason, "correct its width and height in the file that the labels came from")
    if min(upright) < _SMALLEST:
        reason = f"{upright[0]} x {upright[1]} pixels, readers of YOLO ignore photos below {_SMALLEST}"
        raise ImageError(source, reason, "use a larger picture")
    converted = is_stored_way or not _is_read(header)
    suffixes = (".png",) if converted else _SUFFIXES[header.format]
    by_itself = header.format == "JPEG" and not _ends(source, _JPEG_END)
    return PlannedPhoto(source, root, size, _found_name(path, suffixes), converted, by_itself)


def write_photo(photo: PlannedPhoto, to: Path, photos: Photos) -> None:
    """Writes the photo to a file. Raises ImageError when it has to be converted and is damaged, and OSError."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if photo.converted:
        pixels = load_image(photo.source, photo.root, labelled_size=photo.size).pixels
        Image.fromarray(pixels).save(to, "PNG", compress_level=3)
        return
    source = photo.source.resolve()  # a second name of a link would lead to another place than the link
    # A second name of the same file first: a symbolic link would end with the folder that it leads to.
    ways = (to.hardlink_to, to.symlink_to) if photos == "link" and not photo.by_itself else ()
    for way in ways:
        with suppress(OSError):  # another disk, or a system without links
            way(source)
            return
    shutil.copyfile(source, to)


def _is_read(header: PhotoHeader) -> bool:
    """Whether every version reads the photo, with the pixels that our loader gives."""
    if header.format == "TIFF":  # its pages, and its grey values, become channels there
        return header.mode == "RGB" and not header.several and header.orientation == 1
    return header.format in ("JPEG", "MPO") or (header.format in _SUFFIXES and header.orientation == 1)


def _found_name(path: str, suffixes: tuple[str, ...]) -> PurePosixPath:
    """The photo's path with a suffix for its format, and without parts that readers pass over or mistake.

    Hidden names are not looked for, and labels are looked for where the last folder called "images" is "labels".
    """
    *folders, name = PurePosixPath(path).parts
    own = PurePosixPath(name).suffix.lower()
    if own not in suffixes:
        stem = PurePosixPath(name).stem if own in SUPPORTED_SUFFIXES else name
        name = f"{stem}{suffixes[0]}"
    folders = ["images_" if folder == "images" else folder for folder in folders]
    return PurePosixPath(*("_" + part[1:] if part.startswith(".") else part for part in (*folders, name)))


def _ends(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(-min(len(mark), path.stat().st_size), 2)
        return file.read() == mark
