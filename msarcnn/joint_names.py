"""Which joint of the skeleton a file means by a name, and so in which order its joints stand."""

import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from msarcnn.skeleton import Skeleton

T = TypeVar("T")

_SIDES = {"l": "left", "lt": "left", "lft": "left", "left": "left", "r": "right", "rt": "right", "right": "right"}
_PARTS = {
    "nose": "nose", "eye": "eye", "ear": "ear", "shoulder": "shoulder", "sho": "shoulder", "shldr": "shoulder",
    "elbow": "elbow", "elb": "elbow", "wrist": "wrist", "wri": "wrist", "hip": "hip", "knee": "knee", "kne": "knee",
    "ankle": "ankle", "ank": "ankle",
}  # fmt: skip
_NOISE = {"joint", "keypoint", "kp", "kpt", "point", "body", "human", "person"}
_ANIMALS = frozenset({"tail", "paw", "hoof", "withers", "wing", "beak", "snout", "muzzle", "antler", "fin"})
_WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W\d_]+")
_RUN_TOGETHER = re.compile(rf"(left|right|l|r)({'|'.join(_PARTS)})|({'|'.join(_PARTS)})(left|right|l|r)")
FEWEST_JOINTS = 8
"""A category with fewer joints that are known does not describe a person's body."""


class JointOrder(msgspec.Struct, frozen=True):
    """Where the skeleton's K joints stand among a file's.

    Attributes:
        places: For each joint of the skeleton its place in the file, None when the file does not have it.
        count: How many joints the file has; it may have some that the skeleton does not have.
    """

    places: tuple[int | None, ...]
    count: int

    @property
    def is_own(self) -> bool:
        """Whether the file has the skeleton's joints in the skeleton's order."""
        return self.places == tuple(range(self.count))

    def read(self, values: Sequence[T], missing: T) -> list[T]:
        """The file's values, one a joint, in the skeleton's order; `missing` where the file has no such joint."""
        return [missing if place is None else values[place] for place in self.places]

    def write(self, values: Sequence[T], into: Sequence[T]) -> list[T]:
        """`into`, one value a joint of the file, with the skeleton's joints replaced by `values`."""
        written = list(into)
        for place, value in zip(self.places, values, strict=True):
            if place is not None:
                written[place] = value
        return written


def own_order(skeleton: Skeleton) -> JointOrder:
    """The skeleton's own order."""
    count = len(skeleton.keypoints)
    return JointOrder(tuple(range(count)), count)


def joint_named(name: str, skeleton: Skeleton) -> str | None:
    """The skeleton's name for a joint ("rightEye", "eye_right", "r_eye", "RIGHT EYE" are one); None if unknown."""
    words = [word for word in _words(name) if word not in _NOISE]
    if len(words) == 1 and (match := _RUN_TOGETHER.fullmatch(words[0])):
        words = [word for word in match.groups() if word]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    parts = [_PARTS[word] for word in words if word in _PARTS]
    if len(parts) != 1 or len(sides) + len(parts) != len(words):
        return None
    meant = "_".join([*sides, *parts])
    return meant if meant in skeleton.keypoints else None


def is_animals_joint(name: str) -> bool:
    """Whether it names a part of a body that no person has ("left_front_paw", "TailBase")."""
    return not _ANIMALS.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD_ENDS.split(name.strip()) if word]


def joint_order(names: Sequence[str], skeleton: Skeleton) -> JointOrder | None:
    """The order of a file's joints by their names; None when it is not understood, so that nobody guesses.

    Understood is a list in which at least eight names are joints of the skeleton, and none of them comes twice.
    """
    meant = [joint_named(name, skeleton) for name in names]
    known = [joint for joint in meant if joint is not None]
    if len(known) < FEWEST_JOINTS or len(known) != len(set(known)):
        return None
    places = tuple(meant.index(joint) if joint in known else None for joint in skeleton.keypoints)
    return JointOrder(places, len(names))
