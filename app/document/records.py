"""What the document is made of: frozen records, plain data, no Qt.

Coordinates are floats in pixels of the upright image (EXIF orientation applied), (0, 0) the top-left
corner of the top-left pixel. Boxes are COCO's x, y, width, height.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")

HUMAN = "human"
"""Origin of a joint that a person placed or confirmed by moving it."""
IMPORTED = "imported"
"""Origin of a joint that came with an imported dataset; counts as human."""
SAME_PERSON_IOU = 0.5
"""Boxes that overlap by this much, as intersection over union, are about the same person."""


class ImageState(StrEnum):
    """How far the work on an image is."""

    UNSEEN = "unseen"
    PREDICTED = "predicted"
    IN_PROGRESS = "in progress"
    DONE = "done"
    DONE_EMPTY = "done-empty"
    REVIEWED = "reviewed"

    @property
    def finished(self) -> bool:
        """Whether the image's labels are complete, "nobody here" included."""
        return self in (ImageState.DONE, ImageState.DONE_EMPTY, ImageState.REVIEWED)


@dataclass(frozen=True, slots=True)
class Box:
    """COCO box: left, top, width, height in pixels."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    @property
    def area(self) -> float:
        return self.w * self.h

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 for empty boxes."""
        # Most pairs of a crowd do not touch: those are told by two numbers.
        width = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        if width <= 0:
            return 0.0
        height = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        if height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True)
class Joint:
    """One keypoint of a person.

    v is COCO's visibility: 0 not labelled, 1 labelled but occluded, 2 visible. A joint with v = 0 may
    still carry a place: a model's hint that is one key away from being a label. origin is HUMAN,
    IMPORTED (with v = 0: left out by whoever labelled the others), a model's hash, or "" for a joint that
    was never placed.
    """

    x: float = 0.0
    y: float = 0.0
    v: int = 0
    origin: str = ""

    @property
    def from_model(self) -> bool:
        """Whether a model put it there, or nobody: re-estimation may move it."""
        return self.origin not in (HUMAN, IMPORTED)

    @property
    def may_be_filled(self) -> bool:
        """Whether a model may place it when that is asked for: also where an import has no label."""
        return self.from_model or (self.origin == IMPORTED and self.v == 0)

    @property
    def placed(self) -> bool:
        """Whether it has a place on the image: a label, or a model's hint."""
        return self.v > 0 or (self.from_model and self.origin != "")

    @property
    def has_place(self) -> bool:
        """Whether it is anywhere: also one that was set back to "not labelled" and keeps where it was."""
        return self.placed or (self.x, self.y) != (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Person:
    """A box and K joints as one object; the box is its own, never derived from the joints.

    key is unique in the project and never used twice. raw is the imported annotation's JSON text ("" for
    people made here): unknown fields and untouched values are exported from it. area is COCO's; None
    means the box's.
    """

    key: int
    box: Box
    joints: tuple[Joint, ...]
    is_crowd: bool = False
    area: float | None = None
    raw: str = ""

    def with_joint(self, index: int, joint: Joint) -> "Person":
        return replace(self, joints=(*self.joints[:index], joint, *self.joints[index + 1 :]))

    def with_box(self, box: Box) -> "Person":
        """Changes the box; an imported area is scaled with it: it keeps its share of the box."""
        area = self.area
        if area is not None:
            area = area * box.area / self.box.area if self.box.area > 0 else box.area
        return replace(self, box=box, area=area)

    @property
    def labelled_joints(self) -> int:
        return sum(joint.v > 0 for joint in self.joints)


class PredictionStatus(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class PredictedJoint:
    """A model's place for one keypoint.

    confidence is calibrated to 0..1; visibility are the probabilities of v = 0, 1, 2, None where the model is silent.
    """

    x: float
    y: float
    confidence: float
    visibility: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A detected person: a separate layer that never is a label until somebody accepts it."""

    key: int
    model: str
    box: Box
    score: float
    joints: tuple[PredictedJoint, ...]
    status: PredictionStatus = PredictionStatus.OPEN


@dataclass(frozen=True, slots=True)
class Look:
    """What a model (by its hash) has left on an image that it has looked at.

    predictions counts its open predictions there; lowest_confidence is their lowest score (None without any).
    """

    model: str
    predictions: int = 0
    lowest_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of the project. root_key and path (relative, "/"-separated) are its identity.

    width and height are 0 until the file was read once. people is a count. looks are those of all models that have
    looked at it, the newest last. predictions, lowest_confidence and model are those of the look that is shown ("" for
    the model of an image that none has looked at): which one that is, is no fact about the image, but a choice.
    """

    key: int
    root_key: int
    path: str
    width: int = 0
    height: int = 0
    state: ImageState = ImageState.UNSEEN
    flagged: bool = False
    note: str = ""
    people: int = 0
    predictions: int = 0
    lowest_confidence: float | None = None
    model: str = ""
    looks: tuple[Look, ...] = ()

    def showing(self, model: str) -> "ImageRecord":
        """The same image with the look of a model shown, or the newest where that model has not looked."""
        shown = self.looks[-1] if self.looks else Look("")
        for look in self.looks:
            if look.model == model:
                shown = look
        return replace(
            self, predictions=shown.predictions, lowest_confidence=shown.lowest_confidence, model=shown.model
        )


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One record before and after an edit; None where it did not or does not exist."""

    before: T | None
    after: T | None

    def inverse(self) -> "Change[T]":
        return Change(self.after, self.before)


@dataclass(frozen=True, slots=True)
class Edit:
    """Everything that one command changes on one image: the unit of undo, of a transaction and of the log.

    state, flagged and note are those of the image; None leaves them alone.
    """

    image: int
    text: str
    people: tuple[Change[Person], ...] = ()
    predictions: tuple[Change[Prediction], ...] = ()
    state: Change[ImageState] | None = None
    flagged: Change[bool] | None = None
    note: Change[str] | None = None

    def inverse(self) -> "Edit":
        """The edit that takes this one back."""
        return Edit(
            self.image,
            self.text,
            tuple(change.inverse() for change in reversed(self.people)),
            tuple(change.inverse() for change in reversed(self.predictions)),
            _inverse(self.state),
            _inverse(self.flagged),
            _inverse(self.note),
        )

    def merged_with(self, later: "Edit") -> "Edit":
        """This edit and a later one on the same image as one step; the earlier text is kept."""

        def merge(first: tuple[Change[T], ...], second: tuple[Change[T], ...]) -> tuple[Change[T], ...]:
            merged: dict[int, Change[T]] = {}
            for change in (*first, *second):
                key = (change.before or change.after).key  # type: ignore[union-attr]
                merged[key] = Change(merged[key].before, change.after) if key in merged else change
            return tuple(change for change in merged.values() if change.before != change.after)

        return Edit(
            self.image,
            self.text,
            merge(self.people, later.people),
            merge(self.predictions, later.predictions),
            _joined(self.state, later.state),
            _joined(self.flagged, later.flagged),
            _joined(self.note, later.note),
        )


def _inverse(change: Change[T] | None) -> Change[T] | None:
    return change.inverse() if change else None


def _joined(first: Change[T] | None, second: Change[T] | None) -> Change[T] | None:
    return Change(first.before, second.after) if first and second else first or second
