"""Between an imported annotation's JSON text and a person: reading it, and writing back only what changed.

Coordinates are COCO's pixels, taken over as they are.
"""

import msgspec

from app.document.records import HUMAN, IMPORTED, Box, Joint, Person
from app.storage.rows import person_from_json

JOINTS = 17
"""Joints of the one skeleton that projects have so far."""
FROM_MODEL = "model"
"""Origin of an imported joint whose `keypoint_sources` letter says that some model placed it."""

_ORIGINS = {"h": HUMAN, "p": FROM_MODEL}

Number = int | float


class AnnotationFields(msgspec.Struct):
    """What is read of an annotation's text."""

    bbox: list[float]
    keypoints: list[float] | None = None
    area: float | None = None
    iscrowd: Number | bool | None = None
    keypoint_sources: str | None = None


decode_annotation = msgspec.json.Decoder(AnnotationFields).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def joint_origins(sources: str | None, count: int) -> list[str]:
    """The origins of imported joints; without usable letters all count as imported."""
    letters = sources if sources is not None and len(sources) == count else "i" * count
    return [_ORIGINS.get(letter, IMPORTED) for letter in letters]


def make_joints(values: list[float], sources: str | None) -> tuple[Joint, ...]:
    """From COCO's flat x, y, v.

    Where some joints are labelled, the others were left out by whoever did that: they count as imported. Where
    none is, nobody has labelled keypoints: they have no origin, so a model may place them.
    """
    origins = joint_origins(sources, len(values) // 3)
    unlabelled = IMPORTED if any(values[2::3]) else ""
    return tuple(
        Joint(values[3 * index], values[3 * index + 1], int(values[3 * index + 2]), origin)
        if values[3 * index + 2]
        else Joint(values[3 * index], values[3 * index + 1], 0, unlabelled)
        for index, origin in enumerate(origins)
    )


def person_from_raw(key: int, raw: str) -> Person:
    """Reads a sound annotation text; a person without keypoints gets unplaced joints.

    Raises:
        msgspec.ValidationError: bbox is missing or a field has another type; such records are imported
            with their repaired form beside them, and this is not asked to read them.
    """
    fields = decode_annotation(raw)
    x, y, w, h = fields.bbox
    placed = make_joints(fields.keypoints, fields.keypoint_sources) if fields.keypoints else (Joint(),) * JOINTS
    return Person(key, Box(x, y, w, h), placed, bool(fields.iscrowd), fields.area, raw)


def read_person(key: int, data: str | None, imported: str | None, raw: str | None) -> Person:
    """A person as it is now, from the columns of its row."""
    text = data or imported
    return person_from_json(key, text, raw or "") if text else person_from_raw(key, raw or "")


def source_letters(joints: tuple[Joint, ...]) -> str:
    """`keypoint_sources`: h human, i imported, p predicted, - not labelled."""
    letters = {HUMAN: "h", IMPORTED: "i"}
    return "".join(letters.get(joint.origin, "p") if joint.v else "-" for joint in joints)


def edited_raw(raw: str, before: Person, after: Person) -> str:
    """An annotation's text with what differs between `before`, as imported, and `after` replaced in it.

    All other values stay byte for byte, single keypoints that did not move included.
    """
    fields = _decode_fields(raw)
    if after.box != before.box:
        box = after.box
        fields["bbox"] = _raw((box.x, box.y, box.w, box.h))
    if after.area != before.area or (after.area is None and after.box != before.box):
        fields["area"] = _raw(after.box.area if after.area is None else after.area)
    if after.is_crowd != before.is_crowd:
        fields["iscrowd"] = _raw(int(after.is_crowd))
    if after.joints != before.joints:
        fields["keypoints"] = _keypoints(fields.get("keypoints"), before, after)
        fields["num_keypoints"] = _raw(after.labelled_joints)
        fields["keypoint_sources"] = _raw(source_letters(after.joints))
        if "keypoint_weights" in fields:
            fields["keypoint_weights"] = _weights(fields["keypoint_weights"], before, after)
    return msgspec.json.encode(fields).decode()


def new_annotation(person: Person, key: int, image_id: int, category_id: int) -> str:
    """The annotation text of a person made here: COCO's fields and `keypoint_sources`."""
    box = person.box
    fields = {
        "id": key,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": (box.x, box.y, box.w, box.h),
        "area": box.area if person.area is None else person.area,
        "iscrowd": int(person.is_crowd),
        "segmentation": [],
        "keypoints": [value for joint in person.joints for value in _triple(joint)],
        "num_keypoints": person.labelled_joints,
        "keypoint_sources": source_letters(person.joints),
    }
    return msgspec.json.encode(fields).decode()


def reordered(raw: str, read: tuple[int, ...] | None, written: tuple[int, ...] | None) -> str:
    """An annotation's text with its joints in another order.

    Args:
        raw: The text; what it says of a joint stays byte for byte.
        read: Place of each of the skeleton's joints in the text, None for the skeleton's order.
        written: The same for the result.
    """
    if read == written:
        return raw
    fields = _decode_fields(raw)
    places = range(JOINTS)
    target = dict(zip(written or places, read or places, strict=True))
    order = [target[place] for place in places]
    keypoints = msgspec.json.decode(fields.get("keypoints", b"null"), type=list[msgspec.Raw] | None)
    if keypoints and len(keypoints) == 3 * JOINTS:
        fields["keypoints"] = _raw([value for place in order for value in keypoints[3 * place : 3 * place + 3]])
    weights = msgspec.json.decode(fields.get("keypoint_weights", b"null"))
    if isinstance(weights, list) and len(weights) == JOINTS:
        fields["keypoint_weights"] = _raw([weights[place] for place in order])
    letters = msgspec.json.decode(fields.get("keypoint_sources", b"null"))
    if isinstance(letters, str) and len(letters) == JOINTS:
        fields["keypoint_sources"] = _raw("".join(letters[place] for place in order))
    return msgspec.json.encode(fields).decode()


def with_fields(raw: str, **values: object) -> str:
    """A record's text with some values replaced; everything else stays byte for byte."""
    fields = _decode_fields(raw)
    for name, value in values.items():
        fields[name] = _raw(value)
    return msgspec.json.encode(fields).decode()


def _keypoints(raw: msgspec.Raw | None, before: Person, after: Person) -> msgspec.Raw:
    numbers = msgspec.json.decode(raw, type=list[msgspec.Raw] | None) if raw is not None else None
    if not numbers or len(numbers) != 3 * len(after.joints):
        return _raw([value for joint in after.joints for value in _triple(joint)])
    for index, (old, new) in enumerate(zip(before.joints, after.joints, strict=True)):
        if (old.x, old.y, old.v) != (new.x, new.y, new.v):
            numbers[3 * index : 3 * index + 3] = [_raw(value) for value in _triple(new)]
    return _raw(numbers)


def _weights(raw: msgspec.Raw, before: Person, after: Person) -> msgspec.Raw:
    """Training weights of the joints: 1 for what a person has placed since, whatever the import thought of it."""
    numbers = msgspec.json.decode(raw)
    if not isinstance(numbers, list) or len(numbers) != len(after.joints):
        return raw  # unusable anyway
    weights = msgspec.json.decode(raw, type=list[msgspec.Raw])
    for index, (old, new) in enumerate(zip(before.joints, after.joints, strict=True)):
        if new != old and new.origin == HUMAN and new.v:
            weights[index] = _raw(1)
    return _raw(weights)


def _triple(joint: Joint) -> tuple[float, float, int]:
    """COCO has no hints: a joint that is not labelled is 0, 0, 0."""
    return (joint.x, joint.y, joint.v) if joint.v else (0, 0, 0)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
