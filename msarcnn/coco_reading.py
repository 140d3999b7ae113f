"""From the records of a COCO file to images and people; a record that is wrong costs no other one."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from msarcnn.coco_categories import Category
from msarcnn.coco_photos import Extent, Frame, Photos
from msarcnn.coco_records import CocoError, CocoImage, CocoOther, CocoPerson, DuplicateIdError, PersonCategory, ReadLog
from msarcnn.coco_twins import without_twins
from msarcnn.coco_validation import RawAnnotation, RawImage, UnusableError, check_image, check_person, third_values
from msarcnn.joint_names import FEWEST_JOINTS

T = TypeVar("T", bound=msgspec.Struct)

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MAX_ID = 2**63 - 1
"""Ids are stored in 64-bit columns."""
_BEYOND = "its id is beyond 64 bits"
_SPARED_OF_IMAGES = frozenset(("width", "height"))
_SPARED_OF_ANNOTATIONS = frozenset(
    ("keypoints", "num_keypoints", "area", "bbox_weight", "keypoint_weights", "keypoint_sources", "score")
)
_STEP = 200


@dataclass(frozen=True, slots=True)
class ReadAnnotation:
    """problem: why the other fields than the ids cannot be used; "" when they can."""

    index: int
    fields: RawAnnotation
    text: str
    problem: str = ""

    @property
    def is_posed(self) -> bool:
        """Whether it has labelled joints, and as many joints as describe a body."""
        values = self.fields.keypoints or ()
        return len(values) >= 3 * FEWEST_JOINTS and any(values[2::3])


class ReadImage(NamedTuple):
    """image: checked, None when it is in quarantine; stated: its file name as the file has it."""

    image: CocoImage | None
    stated: str


class _Ids(msgspec.Struct):
    id: int
    image_id: int
    category_id: int


class _AnyIds(msgspec.Struct):
    id: Any = 0
    image_id: Any = None


class _Decoder(Generic[T]):
    """Decodes records of one kind: strictly, else leniently with a note, else without fields that are not needed.

    spared: the fields that are taken as missing where they cannot be read; others are only where they are null or "".
    """

    def __init__(self, kind: type[T], section: str, spared: frozenset[str], log: ReadLog) -> None:
        self._kind, self._spared = kind, spared
        self._strict = msgspec.json.Decoder(kind).decode
        self._lenient = msgspec.json.Decoder(kind, strict=False).decode
        self._section, self._log = section, log

    def decode(self, index: int, raw: msgspec.Raw) -> T:
        """Raises UnusableError with the reason."""
        try:
            return self._strict(raw)
        except _UNDECODABLE:
            pass
        try:
            fields = self._lenient(raw)
        except RecursionError:
            raise UnusableError("it is nested too deeply") from None
        except _UNDECODABLE as error:
            return self._without_what_is_wrong(index, raw, error)
        self._log.note("numbers that are written as text: read as numbers", f"{self._section}[{index}]")
        return fields

    def _without_what_is_wrong(self, index: int, raw: msgspec.Raw, error: Exception) -> T:
        try:
            record = msgspec.json.decode(raw, type=dict[str, Any])
        except _UNDECODABLE:
            raise UnusableError(_reason(error)) from error
        missing = []
        for field in msgspec.structs.fields(self._kind):
            if field.name not in record:
                continue
            value = record[field.name]
            try:
                msgspec.convert(value, field.type, strict=False)
            except msgspec.ValidationError:
                if field.name == "bbox":
                    record["bbox"] = []
                elif field.name == "keypoints" and isinstance(value, list) and not _is_nested(value):
                    record["keypoints"] = list(map(_number, value))
                elif not field.required and (field.name in self._spared or value in (None, "")):
                    del record[field.name]
                    missing.append(field.name)
        try:
            fields = msgspec.convert(record, self._kind, strict=False)
        except msgspec.ValidationError as still:
            raise UnusableError(_reason(still)) from still
        for name in missing:
            text = f"{name} cannot be read: taken as missing"
            self._log.note(text, f"{self._section}[{index}]", warns=name == "keypoints")
        return fields


def _is_nested(values: list[Any]) -> bool:
    return any(isinstance(value, list | dict) for value in values)


def _number(value: Any) -> float | None:
    try:
        return msgspec.convert(value, float, strict=False)
    except msgspec.ValidationError:
        return None


class RecordIds(NamedTuple):
    """id: 0 when it cannot be read; image_id: None when it cannot, or when the record is no annotation."""

    id: int
    image_id: int | None


def read_ids(raw: msgspec.Raw | str) -> RecordIds:
    """Those of a record's ids that can be read, whatever else is wrong with it."""
    try:
        found = msgspec.json.decode(raw, type=_AnyIds)
    except _UNDECODABLE:
        return RecordIds(0, None)
    return RecordIds(_id(found.id) or 0, _id(found.image_id))


def _id(value: Any) -> int | None:
    try:
        key = msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        return None
    return key if fits_64_bits(key) else None


def fits_64_bits(key: int) -> bool:
    """Whether an id can be stored."""
    return abs(key) <= _MAX_ID


def _reason(error: Exception) -> str:
    reason, _, inner = str(error).partition(" - at `$")
    if missing := re.fullmatch(r"Object missing required field `(.+)`", reason):
        return f"{missing[1]} is missing"
    reason = reason[:1].lower() + reason[1:]
    field = inner.strip("`.")
    return f"{field} is wrong: {reason}" if field else reason


def record_text(path: Path, place: str, raw: msgspec.Raw) -> str:
    """A record's JSON text; raises CocoError when it is no UTF-8."""
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise CocoError(path, place, f"is not valid text ({error})", "save the file as UTF-8") from error


def claim_id(path: Path, section: str, found: dict[int, int], key: int, index: int, records: Sequence[object]) -> None:
    """Notes that the record at index has this id; raises when another one has it already."""
    if not fits_64_bits(key):
        raise CocoError(path, f"{section}[{index}].id", f"is {key}: beyond 64 bits", "renumber the records")
    first = found.setdefault(key, index)
    if first != index:
        excerpts = [_excerpt(records[first]), _excerpt(records[index])]
        raise DuplicateIdError(path, section, key, (first, index), (excerpts[0], excerpts[1]))


def _excerpt(record: object) -> str:
    text = bytes(record) if isinstance(record, msgspec.Raw) else msgspec.json.encode(record)
    return text[:160].decode(errors="replace") + ("..." if len(text) > 160 else "")


def read_annotations(path: Path, records: Sequence[msgspec.Raw], log: ReadLog) -> list[ReadAnnotation]:
    """The annotations that say what they belong to, in file order; the others are in the log's quarantine."""
    decoder, found = _Decoder(RawAnnotation, "annotations", _SPARED_OF_ANNOTATIONS, log), dict[int, int]()
    decode_ids = msgspec.json.Decoder(_Ids, strict=False).decode
    read = []
    for index, raw in enumerate(records):
        text = record_text(path, f"annotations[{index}]", raw) if log.keep_raw else ""
        try:
            one = ReadAnnotation(index, decoder.decode(index, raw), text)
        except UnusableError as error:
            try:
                ids = decode_ids(raw)
            except _UNDECODABLE:
                part = read_ids(raw)
                log.quarantine_annotation(index, part.id, part.image_id, str(error), text)
                continue
            one = ReadAnnotation(index, RawAnnotation(ids.id, ids.image_id, ids.category_id), text, str(error))
        if not fits_64_bits(one.fields.id):
            log.quarantine_annotation(index, 0, read_ids(raw).image_id, _BEYOND, text)
            continue
        claim_id(path, "annotations", found, one.fields.id, index, records)
        read.append(one)
    return read


def read_images(path: Path, records: Sequence[msgspec.Raw], log: ReadLog) -> dict[int, ReadImage]:
    """The images by id, in file order."""
    decoder, found = _Decoder(RawImage, "images", _SPARED_OF_IMAGES, log), dict[int, int]()
    images: dict[int, ReadImage] = {}
    for index, raw in enumerate(records):
        text = record_text(path, f"images[{index}]", raw) if log.keep_raw else ""
        try:
            fields = decoder.decode(index, raw)
        except UnusableError as error:
            log.quarantine_image(index, read_ids(raw).id, str(error), text)
            continue
        if fits_64_bits(fields.id):
            claim_id(path, "images", found, fields.id, index, records)
            images[fields.id] = ReadImage(check_image(index, fields, text, log), fields.file_name)
        else:
            log.quarantine_image(index, 0, _BEYOND, text)
            images[fields.id] = ReadImage(None, fields.file_name)
    return images


class RecordReader:
    """Sorts annotations into people, others and the quarantine, once their images have been compared with the photos.

    Args:
        images: By id, in file order.
        categories: By id.
        people: Those of people.
        photos: The image folders; None: the file is believed.
        log: For notes and the quarantine.

    Attributes:
        images, people, others: What can be used, in file order, after `read`.
    """

    def __init__(
        self,
        images: Mapping[int, ReadImage],
        categories: Mapping[int, Category],
        people: Sequence[PersonCategory],
        photos: Photos | None,
        log: ReadLog,
    ) -> None:
        self._read_images, self._categories, self._photos, self._log = images, categories, photos, log
        self._people_categories = {category.id: category for category in people}
        self._frames: dict[int, Frame] = {}
        self._quarantined_images: set[int] = set()
        self.images: list[CocoImage] = []
        self.people: list[CocoPerson] = []
        self.others: list[CocoOther] = []

    def read(self, annotations: Sequence[ReadAnnotation], progress: Callable[[int, int], None]) -> None:
        """Sorts them; progress is called with (done, total) while photos are compared."""
        self._compare_photos(annotations, progress)
        unread = {record.id for record in self._log.quarantined if record.section == "images"}
        self._quarantined_images = unread | {key for key, (image, _) in self._read_images.items() if image is None}
        confident = self._categories_of_confidences(annotations)
        for one in annotations:
            self._sort(one, one.fields.category_id in confident)
        self.people, twins = without_twins(self.people, self._people_categories, self._log)
        self.others = sorted([*self.others, *twins], key=lambda other: other.index)
        lost = {record.image_id for record in self._log.quarantined if record.person}
        for image in self.images:
            if image.id in lost:
                self._log.note(
                    "images that lost people: nothing on them counts as background", f"images[{image.index}]"
                )

    def _categories_of_confidences(self, annotations: Sequence[ReadAnnotation]) -> set[int]:
        """Where a confidence of 0 or 1 looks like a visibility, what the others of the category hold decides."""
        fractional, flagged = set(), set()
        for one in annotations:
            if one.fields.category_id in self._people_categories:
                values = third_values(one.fields)
                if values.fractional:
                    fractional.add(one.fields.category_id)
                if values.flagged:
                    flagged.add(one.fields.category_id)
        return fractional - flagged

    def _compare_photos(self, annotations: Sequence[ReadAnnotation], progress: Callable[[int, int], None]) -> None:
        people = defaultdict[int, list[RawAnnotation]](list)
        if self._photos is not None:
            for one in annotations:
                if one.fields.category_id in self._people_categories:
                    people[one.fields.image_id].append(one.fields)
            self._photos.find((image, stated) for image, stated in self._read_images.values() if image is not None)
        files: set[tuple[int, str]] = set()
        for number, (key, (image, _)) in enumerate(self._read_images.items()):
            if self._photos is not None and number % _STEP == 0:
                progress(number, len(self._read_images))
            if image is None:
                continue
            frame = Frame(image)
            if self._photos is not None:
                try:
                    frame = self._photos.frame(image, Extent(people[key]))
                except UnusableError as error:
                    self._log.quarantine_image(image.index, key, str(error), image.raw)
                    continue
            name = (frame.image.image_root, frame.image.file_name)
            if name in files:
                self._log.note("another image entry names the same file", f"images[{image.index}]")
            files.add(name)
            self._frames[key] = frame
        if self._photos is not None:
            for key, frame in self._frames.items():
                if frame.upright is not None:
                    self._frames[key] = self._photos.settled(frame, len(Extent(people[key])) > 0)
        self.images = [frame.image for frame in self._frames.values()]

    def _sort(self, one: ReadAnnotation, confident: bool) -> None:
        index, fields, text, problem = one.index, one.fields, one.text, one.problem
        category = self._people_categories.get(fields.category_id)
        lost = category is not None
        frame = self._frames.get(fields.image_id)
        if frame is None:
            state = "is in quarantine" if fields.image_id in self._quarantined_images else "does not exist"
            reason = f"its image {fields.image_id} {state}"
            self._log.quarantine_annotation(index, fields.id, fields.image_id, reason, text, person=lost)
        elif fields.category_id not in self._categories:
            reason = f"its category {fields.category_id} does not exist"
            self._log.quarantine_annotation(index, fields.id, fields.image_id, reason, text)
        elif category is None:
            self.others.append(CocoOther(index, fields.id, fields.image_id, fields.category_id, text))
        elif problem or frame.problem:
            self._log.quarantine_annotation(index, fields.id, fields.image_id, problem or frame.problem, text)
        else:
            person = check_person(index, frame.scaled(fields), frame.image, category, text, self._log, confident)
            if person is not None:
                self.people.append(person)
