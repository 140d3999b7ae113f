"""The single image loader: the decoder, the engine and the trainer all get their pixels here.

Pillow behind a list of allowed formats. Every file is opened by descriptor and must be a regular file, its
size is checked from the header before a pixel is decoded, and EXIF orientation is applied once (not at all to
HEIC, whose reader turns the pixels). A file gives a whole picture or an `ImageError`, never half a picture.

How pixels become 8-bit RGB:

* Grey of 16 or 32 bits is scaled, never cut off: black is 0 and white is the smallest of 255, 1023, 4095,
  16383 and 65535 that holds the image's highest value, so frames of one camera keep their brightness. Values
  that are negative or above 65535 are stretched from lowest to highest. Floating-point grey within 0..1 is
  multiplied by 255; all other floating-point grey follows the rule for 16 bits.
* Alpha (of palettes too) is composited over white, as a browser shows it.
* CMYK, YCbCr, Lab, palette and 1-bit are converted by Pillow; 16-bit colour keeps its high byte.
* Of animations and of files with several pages the first is taken, with a note.
"""

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from msarcnn.image_damage import refuse_damage, scan_png
from msarcnn.image_files import (
    FoundImages,
    ImageError,
    UnsafePathError,
    find_images,
    open_regular,
    printable_path,
    safe_relative_path,
    scan_folder,
)
from msarcnn.image_formats import AVIF_IS_READ, READ_FORMATS, SUPPORTED_SUFFIXES, kind_of_content

__all__ = [
    "MAX_PIXELS",
    "SUPPORTED_SUFFIXES",
    "FoundImages",
    "ImageError",
    "LoadedImage",
    "PhotoHeader",
    "UnsafePathError",
    "find_images",
    "image_size",
    "load_image",
    "printable_path",
    "read_header",
    "safe_relative_path",
    "scan_folder",
]

MAX_PIXELS = 200_000_000
"""Largest width x height that is decoded: 200 megapixels, 600 MB as RGB."""


def _heic() -> tuple[str, ...]:
    """Pillow's name of HEIC, where the plugin that reads it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return ()
    pillow_heif.register_heif_opener()
    return ("HEIF",)


# MPO is asked for as JPEG: Pillow's JPEG reader hands such files on by itself.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", *(("AVIF",) if AVIF_IS_READ else ()), *_heic())
_ORIENTATION = 0x0112
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_SIDEWAYS = (5, 6, 7, 8)
_INVERSE_TRANSPOSE = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_WHITE_LEVELS = (255, 1023, 4095, 16383, 65535)

# Pillow's own limit is a process-wide number, and its message names no width and height: `_open` checks ours.
Image.MAX_IMAGE_PIXELS = None
# `warnings.catch_warnings` swaps process-wide state, so only one thread at a time may read a header.
_header_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A child forked while another thread held the lock would wait for it forever.
    os.register_at_fork(before=_header_lock.acquire, after_in_parent=_header_lock.release)
    os.register_at_fork(after_in_child=_header_lock.release)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """An upright picture.

    Attributes:
        pixels: uint8 [H, W, 3], RGB, C-contiguous, writable.
        notes: Sentences about what was done to the file's pixels, or what is odd about the file.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


class Photo(NamedTuple):
    """An image file to be read: the arguments of `load_image`, as they travel between processes."""

    path: Path
    root: Path | None = None
    labelled_size: tuple[int, int] | None = None

    def read(self) -> LoadedImage:
        """The picture. Raises ImageError."""
        return load_image(self.path, self.root, labelled_size=self.labelled_size)


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """What a file says about its picture before it is decoded.

    Attributes:
        format: Pillow's name of the file's format: "JPEG", "MPO", "PNG", ...
        mode: Pillow's name of its kind of pixels: "RGB", "L", ...
        several: It holds further frames or pages.
        orientation: EXIF's, 1 to 8: how the stored picture has to be turned.
        width: Of the upright picture in pixels.
        height: Likewise.
    """

    format: str
    mode: str
    several: bool
    orientation: int
    width: int
    height: int

    @property
    def is_sideways(self) -> bool:
        """Whether width and height are exchanged in the stored picture."""
        return self.orientation in _SIDEWAYS


def load_image(
    path: Path, root: Path | None = None, *, labelled_size: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> LoadedImage:
    """Reads an image file as upright 8-bit RGB.

    Args:
        path: The file; relative paths are relative to root where one is given.
        root: Folder that the file must lie in once all links are followed.
        labelled_size: Width and height that a dataset states. Where they fit only the picture as it is stored,
            before EXIF turns it by 90 degrees, its labels were made on the stored picture: the picture is then
            left as stored, with a note.
        max_pixels: Limit on width x height.

    Raises:
        ImageError: for everything that does not give a whole picture.
    """
    notes: list[str] = []
    with _reading(path), open_regular(path, root) as file, _open(path, file, max_pixels, notes) as image:
        width, height = _upright_size(image, file)
        orientation = _orientation(image)
        keep_stored = orientation in _SIDEWAYS and labelled_size == (height, width) and width != height
        refuse_damage(image, file)
        image.load()
        if _is_sequence(image):
            notes.append("holds several frames or pages: the first is used")
        # Pillow turns TIFF files by itself while it loads them.
        turned_by_pillow = isinstance(image, TiffImagePlugin.TiffImageFile)
        picture: Image.Image = image
        if keep_stored:
            notes.append("EXIF rotation ignored: the dataset's width and height are those of the stored picture")
            if turned_by_pillow:
                picture = image.transpose(_INVERSE_TRANSPOSE[orientation])
        elif orientation != 1:
            ImageOps.exif_transpose(image, in_place=True)
        pixels = _to_rgb(picture, notes)
    return LoadedImage(pixels, tuple(notes))


def image_size(path: Path, root: Path | None = None) -> tuple[int, int]:
    """Returns width and height of the upright image in pixels, read from the header alone.

    (A PNG with EXIF data behind its pixels is the exception: it is decoded.) A damaged picture may still have
    a size. Raises ImageError where `load_image` would refuse the header.
    """
    header = read_header(path, root)
    return header.width, header.height


def read_header(path: Path, root: Path | None = None) -> PhotoHeader:
    """Returns what is known without decoding the picture. Raises ImageError as `image_size` does."""
    with _reading(path), open_regular(path, root) as file, _open(path, file, MAX_PIXELS, []) as image:
        width, height = _upright_size(image, file)
        facts = (str(image.format), image.mode, _is_sequence(image), _orientation(image))
        return PhotoHeader(*facts, width, height)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns everything that opening or decoding can raise into ImageError.

    Decoders meet hostile bytes and raise nearly every kind of exception; this is the one place that takes all.
    """
    try:
        yield
    except ImageError:
        raise
    except Image.UnidentifiedImageError as error:
        reason = f"not an image that can be read here ({READ_FORMATS})"
        raise ImageError(path, reason, "convert it to one of these formats") from error
    except FileNotFoundError as error:
        raise ImageError(path, "file not found", "restore it, or relocate the image folder") from error
    except PermissionError as error:
        raise ImageError(path, "no permission to read it", "change its permissions") from error
    except MemoryError as error:
        raise ImageError(path, "not enough memory to decode it", "close other programs or shrink the image") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(path, f"cannot be read ({error.strerror})", "check the disk or the network") from error
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(path, f"damaged or truncated ({detail})", "replace it with an intact copy") from error


def _identified(path: Path, file: BinaryIO) -> Image.Image:
    try:
        return Image.open(file, formats=_FORMATS)
    except Image.UnidentifiedImageError:
        file.seek(0)
        kind = kind_of_content(file.read(12))
        if kind is None:
            raise
        raise ImageError(path, f"a {kind.name} photo, which cannot be read here", kind.cure) from None


@contextmanager
def _open(path: Path, file: BinaryIO, max_pixels: int, notes: list[str]) -> Iterator[Image.Image]:
    """Opens the header; Pillow's warnings about it are added to the notes."""
    if file.seek(0, io.SEEK_END) == 0:
        raise ImageError(path, "the file is empty", "replace it with an intact copy")
    file.seek(0)
    with _header_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = _identified(path, file)
        if image.format != "PNG":  # a PNG without EXIF would be decoded by this; `_upright_size` looks after it
            image.getexif()
    notes.extend(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
    with image:
        width, height = image.size
        if width * height > max_pixels:
            limit = f"the limit is {max_pixels / 1e6:g} megapixels"
            raise ImageError(path, f"{width} x {height} pixels, {limit}", "shrink the image")
        if width < 1 or height < 1:
            raise ImageError(path, f"{width} x {height} pixels", "replace it with an intact copy")
        yield image


def _tiff_tag(image: Image.Image, tag: int, default: int) -> int:
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    value = image.tag_v2.get(tag, default)
    return value if isinstance(value, int) else default


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8 as the file states it; 1 where it states none or nonsense."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        value: object = _tiff_tag(image, _ORIENTATION, 1)
    elif image.format == "HEIF":  # its reader follows what the container says, and EXIF is information only
        value = 1
    else:
        value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright_size(image: Image.Image, file: BinaryIO) -> tuple[int, int]:
    """Width and height after EXIF orientation, without decoding where that is possible."""
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Recent versions of Pillow state the upright size already, so start from the stored one.
        width, height = _tiff_tag(image, _TIFF_WIDTH, width), _tiff_tag(image, _TIFF_HEIGHT, height)
    elif image.format == "PNG" and not _png_metadata(image) and not scan_png(file, check=False):
        return width, height
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _png_metadata(image: Image.Image) -> bool:
    return any(key in image.info for key in ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"))


def _is_sequence(image: Image.Image) -> bool:
    # The further pictures of an MPO are previews and gain maps of the same one: not worth a note.
    return bool(getattr(image, "is_animated", False)) and image.format != "MPO"


def _to_rgb(image: Image.Image, notes: list[str]) -> np.ndarray:
    """Returns uint8 [H, W, 3] by the rules of the module's docstring."""
    if image.mode.startswith(("I", "F")):
        grey = _grey_to_uint8(np.asarray(image), notes)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        if coloured.getchannel("A").getextrema() != (255, 255):
            notes.append("transparency composited over white")
            white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
            white.alpha_composite(coloured)
            coloured = white
        return np.array(coloured.convert("RGB"), order="C")
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), order="C")


def _grey_to_uint8(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Scales grey of more than 8 bits, [H, W], to uint8."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("its pixels contain values that are not numbers")
    black = 0.0
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        white = 1.0
    elif low >= 0 and high <= _WHITE_LEVELS[-1]:
        white = float(next(level for level in _WHITE_LEVELS if high <= level))
    else:
        black, white = low, high
    notes.append(f"grey values {black:g}..{white:g} scaled to 0..255")
    scaled = (values.astype(np.float32) - np.float32(black)) * np.float32(255.0 / ((white - black) or 1.0))
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
