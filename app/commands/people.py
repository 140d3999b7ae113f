"""Commands on people: each reads the document and returns an Edit, or None when there is nothing to do.

Boxes are x, y, width, height in pixels of the upright image. All raise KeyError when the image is not open
or has no such person.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from app.commands.label_edit import label_edit, person_edit
from app.document.document import Document
from app.document.records import HUMAN, Box, Change, Edit, Joint, Person

TIGHT_MARGIN = 0.1
"""Joints lie inside of the body: about so much of a person's extent is hair, hands and feet around them."""
DUPLICATE_OFFSET = 10.0
"""How far right and down, in pixels, a copy lands that would hide its original; where there is no room, elsewhere."""
_WAYS_ASIDE = tuple(
    (step * DUPLICATE_OFFSET * right, step * DUPLICATE_OFFSET * down)
    for right, down in ((1, 1), (-1, -1), (1, -1), (-1, 1))
    for step in range(20)
)


def add_person(document: Document, image: int, box: Box, joints: Sequence[Joint] | None = None) -> Edit | None:
    """A new person; without joints none is placed yet. The new key is `edit.people[0].after.key`."""
    if box.w <= 0 or box.h <= 0:
        return None
    placed = tuple(joints) if joints is not None else (Joint(),) * len(document.skeleton.keypoints)
    person = Person(document.new_person_key(), box, placed)
    return label_edit(document, image, "Draw person", (Change(None, person),))


def set_box(document: Document, image: int, key: int, box: Box) -> Edit | None:
    """Moves or resizes a person's box; its joints stay, an imported area scales with the box."""
    person = document.person(image, key)
    if box.w <= 0 or box.h <= 0:
        return None
    return person_edit(document, image, "Change box", _with_box(person, box))


def move_person(document: Document, image: int, key: int, dx: float, dy: float) -> Edit | None:
    """Moves box and placed joints by (dx, dy) pixels; who placed the joints stays as it was."""
    return person_edit(document, image, "Move person", moved(document.person(image, key), dx, dy))


def delete_person(document: Document, image: int, key: int) -> Edit | None:
    return label_edit(document, image, "Delete person", (Change(document.person(image, key), None),))


def set_joints(
    document: Document,
    image: int,
    key: int,
    joints: Sequence[Joint],
    text: str = "Estimate joints",
    fill: bool = False,
) -> Edit | None:
    """Takes over the engine's joints, except where a person placed or imported one.

    fill: also where an imported person has no label; only for somebody who asks for it.
    None also when the person was deleted while the engine was at work.
    """
    if not document.has_person(image, key):
        return None
    return person_edit(document, image, text, with_joints(document.person(image, key), joints, fill))


def with_joints(person: Person, joints: Sequence[Joint], fill: bool = False) -> Person:
    """A person with the engine's joints, except where a person placed or imported one; see `set_joints`."""
    merged = tuple(
        new if old.from_model or (fill and old.may_be_filled) else old
        for old, new in zip(person.joints, joints, strict=True)
    )
    return replace(person, joints=merged)


def toggle_crowd(document: Document, image: int, key: int) -> Edit | None:
    """Marks a person's box as a crowd region, or takes the mark back.

    What a model took for somebody's joints goes with the mark; what people have labelled stays.
    """
    person = document.person(image, key)
    if person.is_crowd:
        return person_edit(document, image, "Unmark crowd", replace(person, is_crowd=False))
    joints = tuple(Joint() if joint.from_model else joint for joint in person.joints)
    return person_edit(document, image, "Mark as crowd", replace(person, is_crowd=True, joints=joints))


def mirror(document: Document, image: int, key: int) -> Edit | None:
    """Mirrors the pose from left to right within its box, as in a mirror image: a left wrist becomes a right one."""
    person = document.person(image, key)
    axis = person.box.x + person.box.right

    def reflected(joint: Joint) -> Joint:
        if not joint.has_place:
            return joint
        return replace(joint, x=axis - joint.x, origin=HUMAN if joint.v else joint.origin)

    mirrored = tuple(reflected(person.joints[source]) for source in document.skeleton.flip_permutation)
    return person_edit(document, image, "Mirror person", replace(person, joints=mirrored))


def grow_box_to_joints(document: Document, image: int, key: int) -> Edit | None:
    """Grows the box just so far that it holds every labelled joint; it never shrinks."""
    person = document.person(image, key)
    return person_edit(document, image, "Grow box to joints", _with_box(person, reach(person)))


def reach(person: Person) -> Box:
    """The box around a person's box and labelled joints; the person's own when no joint lies outside of it."""
    box = person.box
    labelled = [joint for joint in person.joints if joint.v > 0]
    around = span(labelled, (box.x, box.right), (box.y, box.bottom))
    inside = (around.x, around.y, around.right, around.bottom) == (box.x, box.y, box.right, box.bottom)
    return box if inside else around


def span(joints: Collection[Joint], xs: Iterable[float] = (), ys: Iterable[float] = ()) -> Box:
    """The box around joints, and around some more x and y. Raises ValueError when there is nothing to be around."""
    xs, ys = (*xs, *(joint.x for joint in joints)), (*ys, *(joint.y for joint in joints))
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def tighten_box(document: Document, image: int, key: int) -> Edit | None:
    """Shrinks the box around the labelled joints, with room for head and feet; no side moves outwards.

    The room is `TIGHT_MARGIN` of the longer side of the joints' extent. None with fewer than two labelled joints.
    """
    person = document.person(image, key)
    labelled = [joint for joint in person.joints if joint.v > 0]
    if len(labelled) < 2:
        return None
    around = span(labelled)
    room = TIGHT_MARGIN * max(around.w, around.h)
    left, top = max(around.x - room, person.box.x), max(around.y - room, person.box.y)
    right, bottom = min(around.right + room, person.box.right), min(around.bottom + room, person.box.bottom)
    if right <= left or bottom <= top:
        return None  # the joints lie outside of the box: there is nothing to shrink to
    return person_edit(document, image, "Tighten box", _with_box(person, Box(left, top, right - left, bottom - top)))


def paste(document: Document, image: int, copied: Sequence[Person], text: str = "Paste") -> Edit | None:
    """New people with the boxes and joints of `copied`, which may come from another image.

    One who would land exactly on somebody goes some `DUPLICATE_OFFSET` pixels aside, so as not to hide. Where the size
    of the image is known all are moved onto it, and shrunk if they are larger; a joint that lies beside it even so (it
    reached over the box) is not labelled. They get ids and areas of their own.
    """
    record = document.image(image)
    size = (record.width, record.height)
    taken = {person.box for person in document.people(image)}
    pasted = []
    for person in copied:
        person = fitted(person, *size)
        tried = (fitted(moved(person, *way), *size) for way in _WAYS_ASIDE)
        person = next((aside for aside in tried if aside.box not in taken), person)
        taken.add(person.box)
        joints = tuple(_labelled_on_image(joint, *size) for joint in person.joints)
        pasted.append(replace(person, key=document.new_person_key(), joints=joints, area=None, raw=""))
    return label_edit(document, image, text, tuple(Change(None, person) for person in pasted))


def fitted(person: Person, width: float, height: float) -> Person:
    """The person moved onto an image of this size (0 x 0: unknown), shrunk with its joints if it is larger."""
    if not width or not height:
        return person
    scale = min(1.0, width / person.box.w, height / person.box.h)
    if scale < 1.0:
        person = _scaled(person, scale)
    box = person.box
    dx = max(min(0.0, width - box.right), -box.x)
    dy = max(min(0.0, height - box.bottom), -box.y)
    return moved(person, dx, dy)


def _labelled_on_image(joint: Joint, width: float, height: float) -> Joint:
    """The joint, with v = 0 where it lies beside an image of this size (0 x 0: unknown)."""
    if not width or not height or (0 <= joint.x <= width and 0 <= joint.y <= height):
        return joint
    return replace(joint, v=0)


def _scaled(person: Person, scale: float) -> Person:
    """The person at another size, its top left corner where it was."""
    x, y = person.box.x, person.box.y
    joints = tuple(
        replace(joint, x=x + (joint.x - x) * scale, y=y + (joint.y - y) * scale) if joint.has_place else joint
        for joint in person.joints
    )
    return replace(person, box=Box(x, y, person.box.w * scale, person.box.h * scale), joints=joints)


def duplicate(document: Document, image: int, key: int) -> Edit | None:
    """A second person with the same box and joints, a little to the right and below."""
    return paste(document, image, [document.person(image, key)], "Duplicate person")


def _with_box(person: Person, box: Box) -> Person:
    if (box.w, box.h) == (person.box.w, person.box.h):
        return replace(person, box=box)  # scaling by a ratio of one would still cost the area its last digit
    return person.with_box(box)


def moved(person: Person, dx: float, dy: float) -> Person:
    """The person with box and placed joints shifted by (dx, dy) pixels."""
    box = replace(person.box, x=person.box.x + dx, y=person.box.y + dy)
    joints = tuple(
        replace(joint, x=joint.x + dx, y=joint.y + dy) if joint.has_place else joint for joint in person.joints
    )
    return replace(person, box=box, joints=joints)
