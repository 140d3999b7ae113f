"""What `msarcnn.coco` hands out: the records of a COCO file, and the errors and notes about them."""

import re
from pathlib import Path

import msgspec
import numpy as np

from msarcnn.joint_names import JointOrder

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]')
_EXAMPLES = 20
ANY_SIDE = 100_000.0
"""Stands for the side of an image whose size is unknown; no image that can be read is larger."""


class CocoError(Exception):
    """A file that cannot be read as COCO; the message names file, place, fault and cure.

    Attributes:
        path: The file.
        place: Where in it, e.g. "annotations[12].bbox"; empty for the file as a whole.
        reason: What is wrong there.
        cure: What to do about it.
    """

    def __init__(self, path: Path, place: str, reason: str, cure: str) -> None:
        super().__init__(f"{path}: {place + ' ' if place else ''}{reason}; {cure}")
        self.path = path
        self.place = place
        self.reason = reason
        self.cure = cure


class DuplicateIdError(CocoError):
    """Two records of a section share an id.

    Attributes:
        section: "images", "annotations" or "categories".
        id: The id.
        indices: Places of both records in the section.
        records: The beginnings of both records' texts.
    """

    def __init__(self, path: Path, section: str, key: int, indices: tuple[int, int], records: tuple[str, str]) -> None:
        second = f"{section}[{indices[1]}]"
        reason = f"has the same id {key} as {section}[{indices[0]}]: {records[0]} and {records[1]}"
        super().__init__(path, second, reason, "give every record its own id")
        self.section = section
        self.id = key
        self.indices = indices
        self.records = records


class CocoImage(msgspec.Struct, frozen=True, gc=False):
    """An image entry.

    Attributes:
        index: Place in the file's `images`.
        id: The file's image id.
        file_name: Relative path that stays inside the image root (`images.safe_relative_path`).
        width: Stated width in pixels; 0 when unknown.
        height: Stated height in pixels; 0 when unknown.
        image_root: Which of several image folders it lies in.
        ignore_regions: Boxes x, y, w, h in which nothing is known about people.
        raw: The entry's JSON text, untouched.
        scale: What the file's x and y were multiplied by to be in the photo's pixels.
    """

    index: int
    id: int
    file_name: str
    width: int
    height: int
    image_root: int
    ignore_regions: tuple[tuple[float, float, float, float], ...]
    raw: str
    scale: tuple[float, float] = (1.0, 1.0)


class CocoPerson(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An annotation of a person.

    Attributes:
        index: Place in the file's `annotations`.
        id: The file's annotation id.
        image_id: Id of a usable image.
        category_id: Its category, one of the dataset's `categories`.
        bbox: x, y, w, h in pixels; w and h are positive. It may reach over the image's border.
        keypoints: float64 [K, 3], x, y, v, read-only; v is 0 not labelled, 1 occluded, 2 visible. All zero for
            a person without keypoints; a joint with v = 0 keeps the place that the file gives it.
        num_keypoints: How many joints have v > 0.
        area: The file's area, or the box's where that is missing.
        iscrowd: Whether the box marks a crowd instead of one person.
        keypoint_weights: K weights >= 0 of the joints in the loss, or None.
        keypoint_sources: K letters, h human, i imported, p predicted, - none; or None.
        bbox_weight: Weight >= 0 of the box's place in the loss.
        score: Detection score, for files of predictions; or None.
        raw: The annotation's JSON text, untouched.
    """

    index: int
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    keypoints: np.ndarray
    num_keypoints: int
    area: float
    iscrowd: bool
    keypoint_weights: tuple[float, ...] | None
    keypoint_sources: str | None
    bbox_weight: float
    score: float | None
    raw: str


class CocoOther(msgspec.Struct, frozen=True, gc=False):
    """An annotation of another category: kept for export, never used."""

    index: int
    id: int
    image_id: int
    category_id: int
    raw: str


class PersonCategory(msgspec.Struct, frozen=True):
    """A category whose annotations are people.

    Attributes:
        id: The file's category id.
        name: Its name.
        keypoints: The file's keypoint names, in the file's order; empty where it names none.
        order: Where the skeleton's joints stand among them.
    """

    id: int
    name: str
    keypoints: tuple[str, ...]
    order: JointOrder


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A record that cannot be used.

    section is "images" or "annotations", index its place there; id is 0 where it has none that can be read; person
    says that a person is lost with it, or may be; image_id is that of an annotation, None where it cannot be read.
    """

    section: str
    index: int
    id: int
    reason: str
    raw: str
    person: bool = False
    image_id: int | None = None

    def __str__(self) -> str:
        return f"{self.section}[{self.index}] (id {self.id}): {self.reason}"


class Note(msgspec.Struct, frozen=True):
    """Something repaired or odd: the text, how many records it concerns, and the first places.

    warns: something is lost, or may be wrong.
    """

    text: str
    count: int
    places: tuple[str, ...]
    warns: bool = False

    def __str__(self) -> str:
        more = f" and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.places[0]}{more}: {self.text}"


class ReadLog:
    """Collects quarantined records and notes while a file is read; equal notes are counted, not repeated."""

    def __init__(self, path: Path, keep_raw: bool) -> None:
        self.path = path
        self.keep_raw = keep_raw
        self.quarantined: list[Quarantined] = []
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._warnings: set[str] = set()

    def note(self, text: str, place: str, *, warns: bool = False) -> None:
        if warns:
            self._warnings.add(text)
        count = self._counts.get(text, 0)
        self._counts[text] = count + 1
        if count < _EXAMPLES:
            self._places.setdefault(text, []).append(place)

    def quarantine_image(self, index: int, key: int, reason: str, raw: str) -> None:
        self.quarantined.append(Quarantined("images", index, key, reason, raw))

    def quarantine_annotation(
        self, index: int, key: int, image_id: int | None, reason: str, raw: str, *, person: bool = True
    ) -> None:
        self.quarantined.append(Quarantined("annotations", index, key, reason, raw, person, image_id))

    def notes(self) -> list[Note]:
        return [
            Note(text, count, tuple(self._places[text]), text in self._warnings) for text, count in self._counts.items()
        ]


def locate(data: bytes, offset: int) -> str:
    """Returns the place of a byte in JSON text that is valid up to there, e.g. "annotations[12].bbox[2]"."""
    steps: list[int | bytes] = []
    expects_key = False
    for match in _TOKEN.finditer(data, 0, offset):
        token = match[0]
        if token in (b"[", b"{"):
            expects_key = token == b"{"
            steps.append(b"" if expects_key else 0)
        elif token in (b"]", b"}"):
            if steps:
                steps.pop()
            expects_key = False
        elif token == b",":
            if steps and isinstance(steps[-1], int):
                steps[-1] += 1
            else:
                expects_key = bool(steps)
        elif expects_key:
            steps[-1] = token[1:-1]
            expects_key = False
    names = [f"[{step}]" if isinstance(step, int) else f".{step.decode(errors='replace')}" for step in steps]
    return "".join(names).removeprefix(".")
