"""Reading COCO JSON: every record as its untouched text and as validated fields.

`read_coco` refuses a file (`CocoError`) only for faults that leave its structure in doubt. A single record
that is wrong is repaired with a note where the right value is certain enough, else quarantined: left out of
the clean records, listed with its reason, and kept as text so that an export can write it back.

Repaired: missing area, iscrowd or num_keypoints; a wrong num_keypoints; a box of negative width or height
(its corners are swapped); no box, or 0, 0, 0, 0, around labelled keypoints (theirs is used); keypoints in
another order than the skeleton's (sorted, by the category's names); labelled keypoints outside the image
(moved to its border within 2%, else taken as not labelled); unusable `keypoint_weights` or
`keypoint_sources` (left out); an unknown image size.
Quarantined: a file name that leads out of the image folder; keypoints that are not 3 * K finite numbers with
v in 0, 1, 2; a box that is not four finite numbers, is empty, or lies outside the image; an unknown image or
category. Segmentations, crowds' run lengths included, are never decoded.

Coordinates are the file's: pixels, (0, 0) the top-left corner of the top-left pixel, boxes x, y, width, height.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from msarcnn.atomic_files import atomic_writer, remove_stale_temporaries, write_json_atomic
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
from msarcnn.coco_validation import RawAnnotation, RawImage, check_image, check_person
from msarcnn.skeleton import load_skeleton

__all__ = [
    "CocoDataset",
    "CocoError",
    "CocoImage",
    "CocoOther",
    "CocoPerson",
    "DuplicateIdError",
    "Note",
    "PersonCategory",
    "Quarantined",
    "atomic_writer",
    "read_coco",
    "remove_stale_temporaries",
    "write_json_atomic",
]

T = TypeVar("T")

_MAX_ID = 2**63 - 1
"""Ids are stored in 64-bit columns."""
_NOT_JSON = re.compile(rb"-?(NaN|Infinity)")


class _AnnotationHead(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int


class _Category(msgspec.Struct):
    id: int
    name: str
    keypoints: list[str] | None = None


class CocoDataset(msgspec.Struct):
    """A COCO file. The records' `index` is their place in the file's array, so order can be restored.

    Attributes:
        path: The file.
        header: Every top-level field but `images` and `annotations`, decoded.
        header_raw: The same fields as untouched JSON text.
        person: The category whose annotations are people; None when the file has no such category.
        images: Usable images, in file order.
        people: Usable annotations of the person category, in file order.
        others: Annotations of other categories, in file order; only their ids are checked.
        quarantined: Records that cannot be used, with reasons.
        notes: What was repaired or is odd, one note a kind of thing.
    """

    path: Path
    header: dict[str, Any]
    header_raw: dict[str, str]
    person: PersonCategory | None
    images: list[CocoImage]
    people: list[CocoPerson]
    others: list[CocoOther]
    quarantined: list[Quarantined]
    notes: list[Note]

    def people_by_image(self) -> dict[int, list[CocoPerson]]:
        """People of every usable image by image id; an empty list where there are none."""
        groups: dict[int, list[CocoPerson]] = {image.id: [] for image in self.images}
        for person in self.people:
            groups[person.image_id].append(person)
        return groups


def read_coco(path: Path, *, keep_raw: bool = True) -> CocoDataset:
    """Reads and validates a COCO file: keypoints, detection-only, or a list of images only.

    Args:
        path: The JSON file, UTF-8 with or without a byte order mark.
        keep_raw: Whether the records carry their JSON text, which an importer wants and training does not.

    Raises:
        CocoError: with file, place and cure, when the file cannot be read as COCO at all.
        DuplicateIdError: when two records of a kind have the same id.
    """
    top = _top_level(path)
    raw_images = _records(path, top, "images", required=True)
    raw_annotations = _records(path, top, "annotations", required=False)
    header = {key: _decode(path, key, raw, Any) for key, raw in top.items()}
    categories = _categories(path, header, needed=bool(raw_annotations))
    log = ReadLog(path, keep_raw)
    person = _person_category(categories, log)
    images = _read_images(path, raw_images, log)
    people, others = _read_annotations(path, raw_annotations, images, categories, person, log)
    return CocoDataset(
        path=path,
        header=header,
        header_raw={key: _text(path, key, raw) for key, raw in top.items()},
        person=person,
        images=[image for image in images.values() if image is not None],
        people=people,
        others=others,
        quarantined=log.quarantined,
        notes=log.notes(),
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


def _text(path: Path, place: str, raw: msgspec.Raw) -> str:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise CocoError(path, place, f"is not valid text ({error})", "save the file as UTF-8") from error


def _records(path: Path, top: dict[str, msgspec.Raw], key: str, required: bool) -> list[msgspec.Raw]:
    raw = top.pop(key, None)
    if raw is None:
        if required:
            raise CocoError(path, key, "is missing", "give a COCO dataset, with images and annotations")
        return []
    return _decode(path, key, raw, list[msgspec.Raw])


def _categories(path: Path, header: dict[str, Any], needed: bool) -> dict[int, _Category]:
    if "categories" not in header:
        if needed:
            raise CocoError(path, "categories", "is missing", "add it: annotations refer to it")
        return {}
    try:
        categories = msgspec.convert(header["categories"], list[_Category])
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        raise CocoError(path, f"categories{inner.rstrip('`')}", f"is wrong: {reason}", "correct it") from error
    found: dict[int, int] = {}
    for index, category in enumerate(categories):
        _claim(path, "categories", found, category.id, index, header["categories"])
    return {category.id: category for category in categories}


def _claim(path: Path, section: str, found: dict[int, int], key: int, index: int, records: Sequence[Any]) -> None:
    """Notes that the record at index has this id; raises when another one has it already."""
    if not -_MAX_ID <= key <= _MAX_ID:
        raise CocoError(path, f"{section}[{index}].id", f"is {key}: beyond 64 bits", "renumber the records")
    first = found.setdefault(key, index)
    if first != index:
        excerpts = [_excerpt(records[first]), _excerpt(records[index])]
        raise DuplicateIdError(path, section, key, (first, index), (excerpts[0], excerpts[1]))


def _excerpt(record: object) -> str:
    text = bytes(record) if isinstance(record, msgspec.Raw) else msgspec.json.encode(record)
    return text[:160].decode(errors="replace") + ("..." if len(text) > 160 else "")


def _person_category(categories: dict[int, _Category], log: ReadLog) -> PersonCategory | None:
    """The category named "person", else the first one with as many keypoints as the skeleton."""
    names = load_skeleton().keypoints
    fitting = [c for c in categories.values() if not c.keypoints or len(c.keypoints) == len(names)]
    named = [category for category in fitting if category.name.strip().lower() == "person"]
    chosen = [c for c in named if c.keypoints] or named or [c for c in fitting if c.keypoints]
    if not chosen:
        if categories:
            log.note(
                f"no category named person with {len(names)} keypoints: its annotations are kept, not shown",
                "categories",
            )
        return None
    person = chosen[0]
    stated = tuple(person.keypoints or names)
    order = keypoint_order(stated)
    if order is not None:
        log.note("the person category's keypoints are not in COCO's order: they are sorted on reading", "categories")
    elif _plain(stated) != names:
        log.note(
            "the person category's keypoint names are not COCO's: they are taken to be in COCO's order", "categories"
        )
    return PersonCategory(person.id, person.name, stated, order)


def keypoint_order(names: Sequence[str]) -> tuple[int, ...] | None:
    """For each joint of the skeleton its place among `names`; None when they are in order, or other names."""
    wanted, stated = load_skeleton().keypoints, _plain(names)
    if stated == wanted or sorted(stated) != sorted(wanted):
        return None
    return tuple(stated.index(name) for name in wanted)


def _plain(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names)


def _read_images(path: Path, records: list[msgspec.Raw], log: ReadLog) -> dict[int, CocoImage | None]:
    """Returns the images by id, in file order; None for those in quarantine."""
    images: dict[int, CocoImage | None] = {}
    found: dict[int, int] = {}
    files: set[tuple[int, str]] = set()
    for index, raw in enumerate(records):
        fields: RawImage = _decode(path, f"images[{index}]", raw, RawImage)
        _claim(path, "images", found, fields.id, index, records)
        text = _text(path, f"images[{index}]", raw) if log.keep_raw else ""
        image = check_image(index, fields, text, log)
        images[fields.id] = image
        if image is not None:
            if (image.image_root, image.file_name) in files:
                log.note("another image entry names the same file", f"images[{index}]")
            files.add((image.image_root, image.file_name))
    return images


def _read_annotations(
    path: Path,
    records: list[msgspec.Raw],
    images: dict[int, CocoImage | None],
    categories: dict[int, _Category],
    person: PersonCategory | None,
    log: ReadLog,
) -> tuple[list[CocoPerson], list[CocoOther]]:
    people: list[CocoPerson] = []
    others: list[CocoOther] = []
    found: dict[int, int] = {}
    decode_head = msgspec.json.Decoder(_AnnotationHead).decode
    decode_person = msgspec.json.Decoder(RawAnnotation).decode
    for index, raw in enumerate(records):
        try:
            head = decode_head(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            head = _decode(path, f"annotations[{index}]", raw, _AnnotationHead)
        _claim(path, "annotations", found, head.id, index, records)
        text = _text(path, f"annotations[{index}]", raw) if log.keep_raw else ""
        image = images.get(head.image_id)
        if image is None:
            state = "is in quarantine" if head.image_id in images else "does not exist"
            log.quarantine("annotations", index, head.id, f"its image {head.image_id} {state}", text)
        elif head.category_id not in categories:
            log.quarantine("annotations", index, head.id, f"its category {head.category_id} does not exist", text)
        elif person is None or head.category_id != person.id:
            others.append(CocoOther(index, head.id, head.image_id, head.category_id, text))
        else:
            try:
                fields = decode_person(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                fields = _decode(path, f"annotations[{index}]", raw, RawAnnotation)
            checked = check_person(index, fields, image, person, text, log)
            if checked is not None:
                people.append(checked)
    return people, others
