"""The one interface between whoever asks about people and any model that finds them.

An image is encoded once; everything else starts from its features: who is there, where the joints of any box are, how
probable every cell is. All coordinates are pixels of the upright image, (0, 0) the top-left corner of its top-left
pixel; images are [H, W, 3] uint8 RGB arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from msarcnn.skeleton import Skeleton

if TYPE_CHECKING:
    from torch import Tensor

Checkpoint = Callable[[], None]
"""Called between two stages of a network; may block (to yield) or raise (to cancel)."""

_Rows = TypeVar("_Rows", bound="People")


class FeaturesLostError(RuntimeError):
    """The device that an image was encoded on is not used any more: encode it again."""


def go_on() -> None:
    """The checkpoint of somebody who neither waits nor cancels."""


@dataclass(frozen=True)
class People:
    """People found: boxes [N, 4] float32 xyxy, scores [N] float32 in 0..1, falling."""

    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def only(self: _Rows, rows: np.ndarray) -> _Rows:
        """The same with some of its people: a mask [N] or indices."""
        values: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in fields(self) if not field.metadata.get("of_image")
        }
        chosen: dict[str, Any] = {name: value if value is None else value[rows] for name, value in values.items()}
        return replace(self, **chosen)


@dataclass(frozen=True)
class Heatmaps:
    """What a model answers about N boxes: logits [N, K, S, S] float32, a map spans its box, on the model's device.

    visibility [N, K, 3] are logits of v = 0, 1, 2; None from a model that does not tell them apart.
    """

    logits: "Tensor"
    visibility: "Tensor | None" = None


@dataclass(frozen=True)
class Poses:
    """Joints of N boxes.

    Attributes:
        keypoints: [N, K, 2] float32 x, y.
        confidences: [N, K] float32, calibrated, 0..1.
        visibility: [N, K, 3] float32, probabilities of v = 0, 1, 2, or None (msarcnn.visibility).
    """

    keypoints: np.ndarray
    confidences: np.ndarray
    visibility: np.ndarray | None


@dataclass(frozen=True)
class PosedPeople(People):
    """People with their joints.

    Attributes:
        keypoints: [N, K, 2] float32.
        confidences: [N, K] float32, calibrated, 0..1.
        visibility: [N, K, 3] float32, probabilities of v = 0, 1, 2, or None (msarcnn.visibility).
        scores: [N] float32: the chance of being a person, by the box score and the pose (`Calibration`), falling.
        ranks: [N] float32: what orders them when poses are judged (ModelConfig.pose_score); scores order boxes.
        summary: [C] float32, what the model sees on the image as a whole: near each other for images that look alike.
            None from a model that does not say.
    """

    keypoints: np.ndarray
    confidences: np.ndarray
    visibility: np.ndarray | None
    ranks: np.ndarray
    summary: np.ndarray | None = field(default=None, metadata={"of_image": True})


class PoseModel(Protocol):
    """A model that finds people and their joints.

    Features are an encoded image as this model sees it, opaque but for `original_size` (height, width) and `nbytes`;
    no other model can read them. Two threads may ask at once.
    """

    @property
    def hash(self) -> str:
        """Identity of its file, 12 hexadecimal digits; "" for a model that is in memory only."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def tau(self) -> float:
        """From this confidence on an accepted joint is labelled visible, where the model says no more of it."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The K joints that it finds, in heatmap order."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, "cuda:0" say."""
        ...

    @property
    def batch(self) -> int:
        """How many images it takes at a time: 1 on a CPU, where more are no faster."""
        ...

    def encode(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[Any]:
        """Does the work that all questions about an image share; images of like shape are done together."""
        ...

    def detect(self, features: Any, proposals: np.ndarray | None = None) -> People:
        """Finds the people of an encoded image, among given boxes [M, 4] xyxy or the model's own proposals."""
        ...

    def heatmaps(self, features: Any, boxes: np.ndarray) -> Heatmaps:
        """Where the joints of boxes [N, 4] xyxy may be.

        Raises ValueError when a box is empty or not finite.
        """
        ...

    def decode(self, maps: Heatmaps, boxes: np.ndarray, known: np.ndarray | None = None) -> Poses:
        """Joints from heatmaps, which may be a mean of several.

        known [N, K, 3] are joints that somebody has placed, x, y where v > 0: they tell where their neighbours are, but
        not to every model.
        """
        ...

    def find(self, features: Any, checkpoint: Checkpoint = go_on, proposals: np.ndarray | None = None) -> PosedPeople:
        """`detect` (among given boxes, or the model's own), `heatmaps` and `decode` of an encoded image, ranked."""
        ...

    def predict(self, images: Sequence[np.ndarray], checkpoint: Checkpoint = go_on) -> list[PosedPeople]:
        """`encode` and `find`, an image each."""
        ...
