"""Reading COCO JSON: every record as its untouched text and as validated fields.

`read_coco` refuses a file (`CocoError`) only for faults that leave its structure in doubt. A single record
that is wrong is repaired with a note where the right value is certain enough, else quarantined: left out of
the clean records, listed with its reason, and kept as text so that an export can write it back.

Repaired: missing area, iscrowd or num_keypoints; a wrong num_keypoints; numbers and flags written as text; a box of
negative width or height (its corners are swapped); no box, one of no size, or one that is not four finite numbers,
around labelled keypoints (theirs is used); fields that cannot be read and are not needed (as if they were missing);
keypoints in another order than the skeleton's (sorted, by the category's names); joints without a number (not
labelled), with a visibility that is none (0.5 is a confidence, 3 is visible), or outside the image (moved to its border
within 2%, else not labelled); keypoints of another count (the box is kept); unusable `keypoint_weights` or
`keypoint_sources` (left out); an unknown image size; and, with the photos at hand, file names and sizes that are not
theirs (`coco_photos`).
Quarantined: a record without usable ids; a file name of which nothing safe remains; a box around nothing that is
missing, empty, or not four finite numbers; one outside the image; an iscrowd that is neither 0 nor 1; an unknown image
or category; labels that are for another photo.
Segmentations, crowds' run lengths included, are never decoded.

Coordinates are the file's, or the photo's where it was compared: pixels, (0, 0) the top-left corner of the top-left
pixel, boxes x, y, width, height.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from msarcnn.atomic_files import atomic_writer, remove_stale_temporaries, write_json_atomic
from msarcnn.coco_categories import Category, CocoQuestionError, Reading, people_categories
from msarcnn.coco_photos import Photos
from msarcnn.coco_reading import RecordReader, claim_id, fits_64_bits, read_annotations, read_images, record_text
from msarcnn.coco_records import (
    CocoError,
    CocoImage,
    CocoOther,
    CocoPerson,
    DuplicateIdError,
    Note,
    PersonCategory,
    Quarantined,
    ReadLog,
    locate,
)
from msarcnn.skeleton import Skeleton

__all__ = [
    "CocoDataset",
    "CocoError",
    "CocoImage",
    "CocoOther",
    "CocoPerson",
    "CocoQuestionError",
    "DuplicateIdError",
    "Note",
    "PersonCategory",
    "Quarantined",
    "Reading",
    "atomic_writer",
    "read_coco",
    "remove_stale_temporaries",
    "write_json_atomic",
]

T = TypeVar("T")

_NOT_JSON = re.compile(rb"-?(NaN|Infinity)")


class CocoDataset(msgspec.Struct):
    """A COCO file. The records' `index` is their place in the file's array, so order can be restored.

    Attributes:
        path: The file.
        header: Every top-level field but `images` and `annotations`, decoded.
        header_raw: The same fields as untouched JSON text.
        categories: The categories whose annotations are people; the one for new people first.
        images: Usable images, in file order.
        people: Usable annotations of people, in file order.
        others: Annotations of other categories, in file order; only their ids are checked.
        quarantined: Records that cannot be used, with reasons.
        notes: What was repaired or is odd, one note a kind of thing.
        skeleton: The joints of its people, in the order of their keypoints here.
    """

    path: Path
    header: dict[str, Any]
    header_raw: dict[str, str]
    categories: tuple[PersonCategory, ...]
    images: list[CocoImage]
    people: list[CocoPerson]
    others: list[CocoOther]
    quarantined: list[Quarantined]
    notes: list[Note]
    skeleton: Skeleton

    @property
    def person(self) -> PersonCategory | None:
        """The category of new people; None when the file has none of people."""
        return self.categories[0] if self.categories else None

    @property
    def lost_people(self) -> int:
        """How many records in quarantine are people, or may be."""
        return sum(record.person for record in self.quarantined)

    @property
    def images_that_lost_people(self) -> set[int]:
        """Ids of the images with a record in quarantine that is a person, or may be."""
        return {one.image_id for one in self.quarantined if one.person and one.image_id is not None}

    def people_by_image(self) -> dict[int, list[CocoPerson]]:
        """People of every usable image by image id; an empty list where there are none."""
        groups: dict[int, list[CocoPerson]] = {image.id: [] for image in self.images}
        for person in self.people:
            groups[person.image_id].append(person)
        return groups


def read_coco(
    path: Path,
    *,
    keep_raw: bool = True,
    roots: Sequence[Path] = (),
    reading: Reading | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CocoDataset:
    """Reads and validates a COCO file: keypoints, detection-only, or a list of images only.

    Args:
        path: The JSON file, UTF-8 with or without a byte order mark.
        keep_raw: Whether the records carry their JSON text, which an importer wants and training does not.
        roots: The image folders: what the file says about a photo is compared with the photo (`coco_photos`), and
            labels are measured in its pixels. Without them the file is believed.
        reading: What somebody has said about a file that leaves it open.
        progress: Called with (done, total) while photos are compared, some hundred microseconds each.

    Raises:
        CocoError: with file, place and cure, when the file cannot be read as COCO at all.
        CocoQuestionError: when it leaves open who is a person, or in which order joints stand.
        DuplicateIdError: when two records of a kind have the same id.
    """
    reading = reading or Reading()
    top = _top_level(path)
    log = ReadLog(path, keep_raw)
    raw_images = _records(path, top, "images", log, required=True)
    raw_annotations = _records(path, top, "annotations", log, required=False)
    header = {key: _decode(path, key, raw, Any) for key, raw in top.items()}
    categories = _categories(path, header, needed=bool(raw_annotations))
    annotations = read_annotations(path, raw_annotations, log)
    used = Counter(one.fields.category_id for one in annotations)
    posed = Counter(one.fields.category_id for one in annotations if one.is_posed)
    people = people_categories(path, categories, used, posed, reading, log)
    images = read_images(path, raw_images, log)
    if raw_images and not any(map(fits_64_bits, images)):
        first = log.quarantined[-len(raw_images)]
        raise CocoError(
            path, f"images[{first.index}]", f"cannot be used ({first.reason})", "correct the images' entries"
        )
    reader = RecordReader(images, categories, people, Photos(roots, log) if roots else None, log)
    reader.read(annotations, progress)
    return CocoDataset(
        path=path,
        header=header,
        header_raw={key: record_text(path, key, raw) for key, raw in top.items()},
        categories=people,
        images=reader.images,
        people=reader.people,
        others=reader.others,
        quarantined=sorted(log.quarantined, key=lambda one: (one.section == "annotations", one.index)),
        notes=log.notes(),
        skeleton=reading.skeleton,
    )


def _top_level(path: Path) -> dict[str, msgspec.Raw]:
    """Returns the file's top-level fields, undecoded."""
    if not path.is_file():
        raise CocoError(path, "", "is not a file that exists", "give the name of a COCO JSON file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CocoError(path, "", f"cannot be read ({error.strerror})", "check the file's permissions") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise CocoError(path, "", "is UTF-16 or UTF-32 text", "save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise CocoError(path, "", "is empty", "export it again")
    if data.lstrip()[:1] == b"[":
        raise CocoError(path, "", "is a list, not a COCO dataset", "give the dataset, not a file of results")
    try:
        return msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except RecursionError as error:
        raise CocoError(path, "", "is nested too deeply", "export it again") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _malformed(path, data, error) from error


def _malformed(path: Path, data: bytes, error: Exception) -> CocoError:
    match = re.search(r"\(byte (\d+)\)", str(error))
    if match is None:
        return CocoError(path, "", f"is not valid JSON ({error})", "export it again")
    offset = int(match[1])
    line = data.count(b"\n", 0, offset) + 1
    column = offset - (data.rfind(b"\n", 0, offset) + 1) + 1
    reason = f"is not valid JSON at line {line}, column {column} ({error})"
    # The decoder points at the first or the second character of such a word.
    word = _NOT_JSON.match(data, max(offset - 1, 0)) or _NOT_JSON.match(data, offset)
    if word:
        reason = f"is {word[0].decode()}, which JSON does not allow, at line {line}, column {column}"
    return CocoError(path, locate(data, offset), reason, "write finite numbers, or null, and export it again")


def _decode(path: Path, place: str, raw: msgspec.Raw, kind: type[T] | Any) -> T | Any:
    """Decodes one value; faults become a CocoError that names the exact place."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        inner = inner.rstrip("`")
        missing = re.fullmatch(r"Object missing required field `(.+)`", reason)
        if missing:
            raise CocoError(path, f"{place}{inner}.{missing[1]}", "is missing", "add it") from error
        reason = reason[:1].lower() + reason[1:]
        raise CocoError(path, f"{place}{inner}", f"is wrong: {reason}", "correct it") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CocoError(path, place, f"is not valid text ({error})", "save the file as UTF-8") from error
    except RecursionError as error:
        raise CocoError(path, place, "is nested too deeply", "remove it") from error


def _records(path: Path, top: dict[str, msgspec.Raw], key: str, log: ReadLog, required: bool) -> list[msgspec.Raw]:
    raw = top.pop(key, None)
    if raw is None:
        if required:
            cure = "give a COCO dataset, with images and annotations"
            if "shapes" in top and "imagePath" in top:
                cure = f"this is labelme's file about one photo: {cure}"
            raise CocoError(path, key, "is missing", cure)
        return []
    if bytes(raw) == b"null" and not required:
        log.note("is null: taken as an empty list", key)
        return []
    return _decode(path, key, raw, list[msgspec.Raw])


def _categories(path: Path, header: dict[str, Any], needed: bool) -> dict[int, Category]:
    if header.get("categories") is None:
        if needed:
            raise CocoError(path, "categories", "is missing", "add it: annotations refer to it")
        return {}
    try:
        categories = msgspec.convert(header["categories"], list[Category], strict=False)
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        raise CocoError(path, f"categories{inner.rstrip('`')}", f"is wrong: {reason}", "correct it") from error
    found: dict[int, int] = {}
    for index, category in enumerate(categories):
        claim_id(path, "categories", found, category.id, index, header["categories"])
    return {category.id: category for category in categories}
