"""Between an imported annotation's JSON text and a person: reading it, and writing back only what changed.

Coordinates are COCO's pixels, taken over as they are.
"""

import math
from collections.abc import Sequence

import msgspec

from app.document.records import HUMAN, IMPORTED, Box, Joint, Person
from app.storage.rows import person_from_json
from msarcnn.coco_photos import SAME_SHAPE
from msarcnn.joint_names import JointOrder

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


def edited_raw(
    raw: str, before: Person, after: Person, order: JointOrder, scale: tuple[float, float] = (1.0, 1.0)
) -> str:
    """An annotation's text with what differs between `before`, as imported, and `after` replaced in it.

    All other values stay byte for byte, single keypoints that did not move included; but a joint that could not be
    used as it stood is written as it was read, so that the record agrees with itself.

    Args:
        raw: The text.
        before: The person as imported.
        after: The person as it is.
        order: Where the skeleton's joints stand in the text.
        scale: The text's pixels to one of the photo's, in x and in y.
    """
    fields = _decode_fields(raw)
    moved = after.joints != before.joints
    if after.box != before.box or (moved and not _says(fields.get("bbox"), _box_values(before.box, scale))):
        fields["bbox"] = _raw(_box_values(after.box, scale))
    if after.box != before.box and "bbox_weight" in fields:
        fields["bbox_weight"] = _raw(1)
    if after.area != before.area or (after.area is None and after.box != before.box):
        area = after.box.area if after.area is None else after.area
        fields["area"] = _raw(area * scale[0] * scale[1])
    if after.is_crowd != before.is_crowd:
        fields["iscrowd"] = _raw(int(after.is_crowd))
    if moved:
        numbers = _keypoints(fields.get("keypoints"), after, order, scale)
        fields["keypoints"] = _raw(numbers)
        labelled = [msgspec.json.decode(number) > 0 for number in numbers[2::3]]
        fields["num_keypoints"] = _raw(sum(labelled))
        fields["keypoint_sources"] = _raw(_letters(fields.get("keypoint_sources"), after, order, labelled))
        if "keypoint_weights" in fields:
            fields["keypoint_weights"] = _weights(fields["keypoint_weights"], before, after, order)
    return msgspec.json.encode(fields).decode()


def new_annotation(
    person: Person,
    key: int,
    image_id: int,
    category_id: int,
    order: JointOrder,
    scale: tuple[float, float] = (1.0, 1.0),
) -> str:
    """The annotation text of a person made here: COCO's fields and `keypoint_sources`, in the category's order."""
    numbers = _keypoints(None, person, order, scale)
    labelled = [msgspec.json.decode(number) > 0 for number in numbers[2::3]]
    area = person.box.area if person.area is None else person.area
    fields = {
        "id": key,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": _box_values(person.box, scale),
        "area": area * scale[0] * scale[1],
        "iscrowd": int(person.is_crowd),
        "segmentation": [],
        "keypoints": numbers,
        "num_keypoints": sum(labelled),
        "keypoint_sources": _letters(None, person, order, labelled),
    }
    return msgspec.json.encode(fields).decode()


def reordered(raw: str, places: Sequence[int]) -> str:
    """An annotation's text with its joints in another order; what it says of a joint stays byte for byte.

    places: for each joint to be written its place in the text.
    """
    fields = _decode_fields(raw)
    keypoints, weights = _list(fields.get("keypoints")), _list(fields.get("keypoint_weights"))
    if keypoints and len(keypoints) == 3 * len(places):
        keypoints = [number for place in places for number in keypoints[3 * place : 3 * place + 3]]
        fields["keypoints"] = _raw(keypoints)
        if "num_keypoints" in fields:
            fields["num_keypoints"] = _raw(_labelled(keypoints))
    if weights and len(weights) == len(places):
        fields["keypoint_weights"] = _raw([weights[place] for place in places])
    letters = _text(fields.get("keypoint_sources"))
    if letters and len(letters) == len(places):
        fields["keypoint_sources"] = _raw("".join(letters[place] for place in places))
    return msgspec.json.encode(fields).decode()


def rescaled(raw: str, scale: tuple[float, float]) -> str:
    """An annotation's text in pixels of another size: box, area, joints and outlines; a mask states its own size.

    scale: the pixels wanted to one of the text's, in x and in y. What is no number stays as it is.
    """
    fields = _decode_fields(raw)
    for name, axes in (("bbox", (*scale, *scale)), ("keypoints", (*scale, 1.0))):
        if numbers := _list(fields.get(name)):
            fields[name] = _raw(_times(numbers, axes))
    if "area" in fields:
        (fields["area"],) = _times([fields["area"]], (scale[0] * scale[1],))
    if outlines := _list(fields.get("segmentation")):
        scaled = [_raw(_times(numbers, scale)) if (numbers := _list(one)) else one for one in outlines]
        fields["segmentation"] = _raw(scaled)
    return msgspec.json.encode(fields).decode()


def _times(numbers: list[msgspec.Raw], axes: tuple[float, ...]) -> list[msgspec.Raw]:
    """Numbers multiplied by the factors of their axes, which follow each other."""
    scaled = []
    for at, text in enumerate(numbers):
        factor = axes[at % len(axes)]
        try:
            value = msgspec.json.decode(text, type=float | None, strict=False) if factor != 1 else None
        except msgspec.ValidationError:
            value = None
        scaled.append(_raw(value * factor) if value else text)
    return scaled


def stated_side(value: object) -> int:
    """A width or height that a record states, as an import reads it; 0 where it says nothing."""
    try:
        number = msgspec.convert(value, int | float | None, strict=False)
    except msgspec.ValidationError:
        return 0
    return int(number) if number and math.isfinite(number) and number >= 1 and number == int(number) else 0


def copy_scale(stated: tuple[int, int], photo: tuple[int, int]) -> tuple[float, float] | None:
    """How a record that states another size than its photo's is measured: its pixels to one of the photo's, x and y.

    None when it is measured in the photo's own pixels: the sizes are equal, exchanged, or not of one shape. 0 is an
    unknown side.
    """
    if not all((*stated, *photo)) or stated in (photo, photo[::-1]):
        return None
    scale = (stated[0] / photo[0], stated[1] / photo[1])
    return scale if abs(scale[0] / scale[1] - 1) <= SAME_SHAPE else None


def with_fields(raw: str, **values: object) -> str:
    """A record's text with some values replaced; everything else stays byte for byte."""
    fields = _decode_fields(raw)
    for name, value in values.items():
        fields[name] = _raw(value)
    return msgspec.json.encode(fields).decode()


def _keypoints(
    raw: msgspec.Raw | None, after: Person, order: JointOrder, scale: tuple[float, float]
) -> list[msgspec.Raw]:
    """The numbers of all joints of the category; those that are right as they stand keep their text."""
    numbers = _list(raw)
    if numbers is None or len(numbers) != 3 * order.count:
        numbers = [_ZERO] * (3 * order.count)
    for joint, place in zip(after.joints, order.places, strict=True):
        if place is None:
            continue
        triple = slice(3 * place, 3 * place + 3)
        hidden = joint.v == 0 and _says(numbers[3 * place + 2], 0.0)
        wanted = (joint.x * scale[0], joint.y * scale[1], joint.v) if joint.v else (0, 0, 0)
        if not hidden and not all(map(_says, numbers[triple], wanted)):
            numbers[triple] = map(_raw, wanted)
    # What belongs to no joint of ours may be null as well; a written record has numbers only.
    return [_ZERO if number == b"null" else number for number in numbers]


def _labelled(numbers: list[msgspec.Raw]) -> int:
    """How many of the joints of COCO's flat x, y, v are labelled."""
    return sum(not _says(v, 0.0) for v in numbers[2::3])


def _letters(raw: msgspec.Raw | None, after: Person, order: JointOrder, labelled: list[bool]) -> str:
    """`keypoint_sources` of all joints of the category."""
    letters = _text(raw)
    if letters is None or len(letters) != order.count:
        letters = "i" * order.count
    written = order.write(source_letters(after.joints), letters)
    return "".join(letter if there else "-" for letter, there in zip(written, labelled, strict=True))


def _weights(raw: msgspec.Raw, before: Person, after: Person, order: JointOrder) -> msgspec.Raw:
    """Training weights of the joints: 1 for what a person has placed since, whatever the import thought of it."""
    weights = _list(raw)
    if weights is None or len(weights) != order.count:
        return raw  # unusable anyway
    for place, old, new in zip(order.places, before.joints, after.joints, strict=True):
        if place is not None and new != old and new.origin == HUMAN and new.v:
            weights[place] = _raw(1)
    return _raw(weights)


def _box_values(box: Box, scale: tuple[float, float]) -> tuple[float, ...]:
    if scale == (1.0, 1.0):
        return box.x, box.y, box.w, box.h
    return box.x * scale[0], box.y * scale[1], box.w * scale[0], box.h * scale[1]


def _says(raw: msgspec.Raw | None, wanted: float | tuple[float, ...]) -> bool:
    """Whether a text says these numbers, but for the rounding of a scale."""
    try:
        stated = msgspec.json.decode(raw or b"null")
        pairs = zip(stated, wanted, strict=True) if isinstance(wanted, tuple) else [(stated, wanted)]
        return all(math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6) for one, other in pairs)
    except (TypeError, ValueError):
        return False


def _list(raw: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    try:
        return msgspec.json.decode(raw or b"null", type=list[msgspec.Raw] | None)
    except msgspec.ValidationError:
        return None


def _text(raw: msgspec.Raw | None) -> str | None:
    text = msgspec.json.decode(raw or b"null")
    return text if isinstance(text, str) else None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


_ZERO = _raw(0)
