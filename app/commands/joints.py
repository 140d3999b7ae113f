"""Commands on the joints of one person: each returns an Edit, or None when there is nothing to do.

Whatever a person does to a joint makes it theirs (origin HUMAN): re-estimation leaves it alone from then on.
All raise KeyError when the image is not open or has no such person, IndexError for a joint that is not there.
"""

from dataclasses import replace

from app.commands.label_edit import person_edit
from app.document.document import Document
from app.document.records import HUMAN, Edit, Joint

_NEXT_VISIBILITY = {0: 2, 2: 1, 1: 0}
_VISIBILITY_TEXT = {0: "Mark joint as not labelled", 1: "Mark joint as occluded", 2: "Mark joint as visible"}


def move_joint(
    document: Document, image: int, key: int, index: int, x: float, y: float, v: int | None = None
) -> Edit | None:
    """Puts a joint at (x, y) pixels of the upright image.

    v None keeps the visibility; a joint that was not labelled becomes visible.
    """
    person = document.person(image, key)
    joint = person.joints[index]
    moved = Joint(x, y, v or joint.v or 2, HUMAN)
    return person_edit(
        document, image, "Place joint" if joint.v == 0 else "Move joint", person.with_joint(index, moved)
    )


def set_visibility(document: Document, image: int, key: int, index: int, v: int) -> Edit | None:
    """Sets v to 0, 1 or 2; the place is kept, so that 0 can be taken back. None for a joint without a place."""
    person = document.person(image, key)
    joint = person.joints[index]
    if joint.v == v or not joint.has_place:
        return None
    return person_edit(
        document, image, _VISIBILITY_TEXT[v], person.with_joint(index, replace(joint, v=v, origin=HUMAN))
    )


def cycle_visibility(document: Document, image: int, key: int, index: int) -> Edit | None:
    """0 -> 2 -> 1 -> 0; a model's hint becomes a visible joint by one step."""
    joint = document.person(image, key).joints[index]
    return set_visibility(document, image, key, index, _NEXT_VISIBILITY[joint.v])


def delete_joint(document: Document, image: int, key: int, index: int) -> Edit | None:
    """Takes a joint away, place and all; it counts as a person's decision, so no model brings it back."""
    person = document.person(image, key)
    if person.joints[index].v == 0 and not person.joints[index].has_place:
        return None
    return person_edit(document, image, "Delete joint", person.with_joint(index, Joint(origin=HUMAN)))


def swap_left_right(document: Document, image: int, key: int) -> Edit | None:
    """Exchanges the left and right joints of a person (places and visibilities; names stay)."""
    person = document.person(image, key)
    swapped = tuple(
        joint if source == index or joint.v == 0 else replace(joint, origin=HUMAN)
        for index, source in enumerate(document.skeleton.flip_permutation)
        for joint in (person.joints[source],)
    )
    return person_edit(document, image, "Swap left and right", replace(person, joints=swapped))
