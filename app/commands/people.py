"""Commands on people: each reads the document and returns an Edit, or None when there is nothing to do.

Boxes are x, y, width, height in pixels of the upright image. All raise KeyError when the image is not open
or has no such person.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.commands.label_edit import label_edit, person_edit
from app.document.document import Document
from app.document.records import Box, Change, Edit, Joint, Person

DUPLICATE_OFFSET = 10.0
"""How far right and down, in pixels, a duplicate lands, so that it does not hide its original."""


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
    return person_edit(document, image, "Move person", _moved(document.person(image, key), dx, dy))


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
    person = document.person(image, key)
    merged = tuple(
        new if old.from_model or (fill and old.may_be_filled) else old
        for old, new in zip(person.joints, joints, strict=True)
    )
    return person_edit(document, image, text, replace(person, joints=merged))


def toggle_crowd(document: Document, image: int, key: int) -> Edit | None:
    """Marks a person's box as a crowd region, or takes the mark back."""
    person = document.person(image, key)
    text = "Unmark crowd" if person.is_crowd else "Mark as crowd"
    return person_edit(document, image, text, replace(person, is_crowd=not person.is_crowd))


def grow_box_to_joints(document: Document, image: int, key: int) -> Edit | None:
    """Grows the box just so far that it holds every labelled joint; it never shrinks."""
    person = document.person(image, key)
    labelled = [joint for joint in person.joints if joint.v > 0]
    if not labelled:
        return None
    left = min(person.box.x, *(joint.x for joint in labelled))
    top = min(person.box.y, *(joint.y for joint in labelled))
    right = max(person.box.right, *(joint.x for joint in labelled))
    bottom = max(person.box.bottom, *(joint.y for joint in labelled))
    if (left, top, right, bottom) == (person.box.x, person.box.y, person.box.right, person.box.bottom):
        return None
    grown = Box(left, top, right - left, bottom - top)
    return person_edit(document, image, "Grow box to joints", _with_box(person, grown))


def duplicate(
    document: Document, image: int, key: int, dx: float = DUPLICATE_OFFSET, dy: float = DUPLICATE_OFFSET
) -> Edit | None:
    """A new person with the same box and joints, (dx, dy) pixels away.

    It is nobody's imported record: it gets an id, and an area from its box, of its own.
    """
    moved = _moved(document.person(image, key), dx, dy)
    copy = replace(moved, key=document.new_person_key(), area=None, raw="")
    return label_edit(document, image, "Duplicate person", (Change(None, copy),))


def _with_box(person: Person, box: Box) -> Person:
    if (box.w, box.h) == (person.box.w, person.box.h):
        return replace(person, box=box)  # scaling by a ratio of one would still cost the area its last digit
    return person.with_box(box)


def _moved(person: Person, dx: float, dy: float) -> Person:
    box = replace(person.box, x=person.box.x + dx, y=person.box.y + dy)
    joints = tuple(replace(joint, x=joint.x + dx, y=joint.y + dy) if joint.placed else joint for joint in person.joints)
    return replace(person, box=box, joints=joints)
