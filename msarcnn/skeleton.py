"""The skeleton as data: keypoint names, edges, flip pairs, OKS sigmas and colours (`resources/skeletons/*.json`)."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from msarcnn.resources import resource_path


class Skeleton(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named set of K keypoints.

    Attributes:
        name: Short name of the skeleton.
        keypoints: K names, in the order of COCO's `keypoints` array.
        edges: Pairs of 0-based keypoint indices joined by a bone.
        flip_pairs: Pairs of 0-based indices that swap in a mirror image.
        sigmas: K OKS constants; COCO's k_i = 2 * sigma_i.
        sides: K letters: "l" left, "r" right, "c" centre.
        colors: Colour of each side letter, as #rrggbb.
        placing_order: Indices in the order in which a person clicks joints by hand.
    """

    name: str
    keypoints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]
    sides: str
    colors: dict[str, str]
    placing_order: tuple[int, ...]

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        for field in ("sigmas", "sides", "placing_order"):
            if len(getattr(self, field)) != count:
                raise ValueError(f"skeleton {self.name!r}: {field} needs {count} entries")
        indices = [index for pair in self.edges + self.flip_pairs for index in pair]
        if any(not 0 <= index < count for index in indices):
            raise ValueError(f"skeleton {self.name!r}: an edge or flip pair names a keypoint outside 0..{count - 1}")

    @property
    def flip_permutation(self) -> tuple[int, ...]:
        """K indices: keypoint i of a mirrored image is keypoint `flip_permutation[i]` of the original."""
        permutation = list(range(len(self.keypoints)))
        for left, right in self.flip_pairs:
            permutation[left], permutation[right] = right, left
        return tuple(permutation)

    def coco_category(self, category_id: int = 1) -> dict[str, Any]:
        """The person category of a COCO file with this skeleton; COCO's edges count keypoints from 1."""
        return {
            "supercategory": "person",
            "id": category_id,
            "name": "person",
            "keypoints": list(self.keypoints),
            "skeleton": [[first + 1, second + 1] for first, second in self.edges],
        }


def bare_skeleton(keypoints: tuple[str, ...]) -> Skeleton:
    """A skeleton of which nothing is known but its joints' names."""
    count = len(keypoints)
    return Skeleton("", keypoints, (), (), bare_sigmas(count), "c" * count, {}, tuple(range(count)))


def bare_sigmas(count: int) -> tuple[float, ...]:
    """OKS constants of joints of which nothing is known: nearly those of COCO's hips."""
    return (0.1,) * count


def load_skeleton(path: Path) -> Skeleton:
    """Reads a skeleton file. Raises msgspec.ValidationError on a malformed one."""
    return msgspec.json.decode(path.read_bytes(), type=Skeleton)


@cache
def coco17() -> Skeleton:
    """COCO's 17 joints: what is meant where nobody says otherwise."""
    return load_skeleton(resource_path("skeletons", "coco17.json"))
