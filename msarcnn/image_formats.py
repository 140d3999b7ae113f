"""Which kinds of photos are read on this machine, and what to do about the others. Loads no image library."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import PurePath


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is a part of
        return False


HEIC_IS_READ = _is_installed("pillow_heif")
"""Whether the optional plugin is there."""
AVIF_IS_READ = _is_installed("PIL._avif")
"""Pillow reads AVIF by itself from 11.3 on, where it was built with it."""


@dataclass(frozen=True)
class PhotoKind:
    """A kind of photos that may not be read here.

    Attributes:
        name: What people call it.
        suffixes: Its files' endings in lower case.
        cure: What to do about one of its photos; "it" is the photo.
    """

    name: str
    suffixes: tuple[str, ...]
    cure: str


HEIC = PhotoKind(
    "HEIC", (".heic", ".heif", ".hif"), "convert it to JPEG, or install pillow-heif (pip install pillow-heif)"
)
AVIF = PhotoKind("AVIF", (".avif",), "convert it to JPEG or PNG, or install Pillow 11.3 or newer")
JPEG_2000 = PhotoKind("JPEG 2000", (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "convert it to JPEG or PNG")
JPEG_XL = PhotoKind("JPEG XL", (".jxl",), "convert it to JPEG or PNG")
RAW = PhotoKind(
    "camera raw",
    (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srw", ".orf", ".rw2", ".raf", ".pef"),
    "develop it to JPEG",
)
_OTHERS = PhotoKind("PSD, PNM or TGA", (".psd", ".ppm", ".pgm", ".pnm", ".tga"), "convert it to PNG")

SUPPORTED_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(HEIC.suffixes if HEIC_IS_READ else ()),
    *(AVIF.suffixes if AVIF_IS_READ else ()),
)
"""Lower-case endings of the files that `find_images` lists; the loader itself goes by content."""
READ_FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF" + ", HEIC" * HEIC_IS_READ + ", AVIF" * AVIF_IS_READ
"""What can be read, for sentences."""

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_JPEG_2000_HEADS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")


@dataclass(frozen=True)
class UnreadPhotos:
    """Photos of one kind that are not read here.

    Attributes:
        kind: What people call the kind.
        count: How many.
        first: Name of the first one.
        cure: What to do about them.
    """

    kind: str
    count: int
    first: str
    cure: str

    def __str__(self) -> str:
        cure = self.cure if self.count == 1 else self.cure.replace(" it ", " them ")
        photos = "photo is" if self.count == 1 else "photos are"
        return f"{self.count} {self.kind} {photos} not read (the first: {self.first}): {cure}"


def unread_kind(name: str) -> PhotoKind | None:
    """The kind that a file's name says it is of, when photos of that kind are not read here."""
    suffix = PurePath(name).suffix.lower()
    if suffix in SUPPORTED_SUFFIXES:
        return None
    kinds = (HEIC, AVIF, JPEG_2000, JPEG_XL, RAW, _OTHERS)
    return next((kind for kind in kinds if suffix in kind.suffixes), None)


def unread_photos(names: Iterable[str]) -> tuple[UnreadPhotos, ...]:
    """Counts the photos among files' names that are not read here, by kind, in the order of the kinds' first ones."""
    counts: Counter[PhotoKind] = Counter()
    first: dict[PhotoKind, str] = {}
    for name in names:
        if (kind := unread_kind(name)) is not None:
            counts[kind] += 1
            first.setdefault(kind, name)
    return tuple(UnreadPhotos(kind.name, counts[kind], name, kind.cure) for kind, name in first.items())


def kind_of_content(head: bytes) -> PhotoKind | None:
    """The kind of a file that could not be opened, from its first 12 bytes or more; None when it is none of these."""
    if head[4:8] == b"ftyp":
        if head[8:12] in _HEIC_BRANDS:
            return HEIC
        return AVIF if head[8:12] in (b"avif", b"avis") else None
    return JPEG_2000 if head.startswith(_JPEG_2000_HEADS) else None
