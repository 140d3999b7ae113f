"""Commands on the joints of one person: each returns an Edit, or None when there is nothing to do.

Whatever a person does to a joint makes it theirs (origin HUMAN): re-estimation leaves it alone from then on.
All raise KeyError when the image is not open or has no such person, IndexError for a joint that is not there.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from app.commands.label_edit import person_edit
from app.document.document import Document
from app.document.records import HUMAN, Edit, Joint, Person

_CYCLE = (0, 2, 1)
"""v in the order of the key that steps through them."""
_VISIBILITY_TEXT = {0: "not labelled", 1: "occluded", 2: "visible"}


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


def move_joints(document: Document, image: int, key: int, places: Mapping[int, tuple[float, float]]) -> Edit | None:
    """Puts joints at x, y by their indices, in pixels; one that was not labelled becomes visible."""
    person = document.person(image, key)
    return person_edit(document, image, f"Move {_joints(places)}", with_moved(person, places))


def with_moved(person: Person, places: Mapping[int, tuple[float, float]]) -> Person:
    """The person with some joints put where somebody wants them; one that is there already stays whoever's it is."""
    for index, (x, y) in places.items():
        joint = person.joints[index]
        if (x, y) != (joint.x, joint.y):
            person = person.with_joint(index, Joint(x, y, joint.v or 2, HUMAN))
    return person


def placed(person: Person, indices: Collection[int]) -> dict[int, Joint]:
    """Those of the joints that have a place, by their indices."""
    return {index: person.joints[index] for index in indices if person.joints[index].has_place}


def set_visibility(document: Document, image: int, key: int, indices: Collection[int], v: int) -> Edit | None:
    """Sets v of those joints that have a place to 0, 1 or 2; the places are kept, so that 0 can be taken back."""
    person = document.person(image, key)
    after = person
    for index in indices:
        joint = person.joints[index]
        if joint.v != v and joint.has_place:
            after = after.with_joint(index, replace(joint, v=v, origin=HUMAN))
    return person_edit(document, image, f"Mark {_joints(indices)} as {_VISIBILITY_TEXT[v]}", after)


def cycle_visibility(document: Document, image: int, key: int, indices: Collection[int]) -> Edit | None:
    """0 -> 2 -> 1 -> 0; a model's hint becomes a visible joint by one step.

    Of several joints the one furthest behind in this order decides, and all become what it becomes.
    """
    joints = [document.person(image, key).joints[index] for index in indices]
    behind = min((_CYCLE.index(joint.v) for joint in joints if joint.has_place), default=None)
    if behind is None:
        return None
    return set_visibility(document, image, key, indices, _CYCLE[(behind + 1) % len(_CYCLE)])


def delete_joints(document: Document, image: int, key: int, indices: Collection[int]) -> Edit | None:
    """Takes joints away, places and all; it counts as a person's decision, so no model brings them back."""
    person = document.person(image, key)
    after = person
    for index in indices:
        if person.joints[index].v or person.joints[index].has_place:
            after = after.with_joint(index, Joint(origin=HUMAN))
    return person_edit(document, image, f"Delete {_joints(indices)}", after)


def swap_left_right(document: Document, image: int, key: int, only: Collection[int] = ()) -> Edit | None:
    """Exchanges the left and right joints of a person (places and visibilities; names stay).

    only: indices of which those are that are exchanged, each with its other side; without any all are.
    """
    person = document.person(image, key)
    twins = document.skeleton.flip_permutation
    meant = {index for one in only for index in (one, twins[one])} or set(range(len(twins)))
    swapped = tuple(
        joint if source == index or joint.v == 0 else replace(joint, origin=HUMAN)
        for index, source in enumerate(twin if at in meant else at for at, twin in enumerate(twins))
        for joint in (person.joints[source],)
    )
    return person_edit(document, image, "Swap left and right", replace(person, joints=swapped))


def _joints(indices: Collection[int]) -> str:
    return "joint" if len(indices) == 1 else f"{len(indices)} joints"
