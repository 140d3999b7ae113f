"""What goes in and out of the workers: frozen plain data. Pixels of the upright image, floats, (0, 0) top left."""

import os
from dataclasses import dataclass

import msgspec
import numpy as np
from PySide6.QtGui import QImage

from app.document.records import Box, PredictedJoint, Prediction
from app.workers.wire import Message


class ImageFile(msgspec.Struct, frozen=True, gc=False):
    """An image to read. A struct, since a pre-fill of everything makes 100,000 of them at once.

    Attributes:
        key: Its key in the project.
        path: With a root, relative to it ("/"-separated, as in `ImageRecord.path`); without, absolute.
        root: Absolute path of the folder that the file must lie in.
        labelled_size: Width and height in the dataset it was imported from: when they are those of the stored,
            not of the upright picture, its labels are too, and EXIF orientation is not applied.
    """

    key: int
    path: str
    root: str | None = None
    labelled_size: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    def to_message(self) -> Message:
        """Its fields as plain data; paths as bytes, since a file name need not be valid text."""
        return {
            "path": os.fsencode(self.path),
            "root": None if self.root is None else os.fsencode(self.root),
            "labelled_size": self.labelled_size,
        }


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Something that computes: id as it is asked for ("cpu", "cuda:0"), name, bytes of its memory (0: unknown)."""

    id: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The model that answers.

    Attributes:
        hash: 12 hexadecimal digits.
        name: For people.
        tau: Keypoint threshold, 0..1.
        device: Id of where it computes.
        model: What was asked for: a file, a preset, or None for the bundled one.
        batch: How many images of a batch it takes at a time.
        device_info: What is known of that device.
    """

    hash: str
    name: str
    tau: float
    device: str
    model: str | None = None
    batch: int = 1
    device_info: DeviceInfo = DeviceInfo("cpu", "CPU", 0)


@dataclass(frozen=True, slots=True, eq=False)
class PrefillResult:
    """The people found on one image, best first.

    Attributes:
        width, height: The upright image's size in pixels.
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels.
        scores: float32 [N], 0..1.
        keypoints: float32 [N, K, 2], x, y in pixels.
        confidences: float32 [N, K], 0..1.
        visibility: float32 [N, K, 3], probabilities of v = 0, 1, 2; None where the model is silent.
        model_hash: Which model it was.
        summary: float32 [C], what it sees on the image as a whole; None where it does not say.
        notes: What the image reader had to say, e.g. "animated: the first frame is used".
    """

    width: int
    height: int
    boxes: np.ndarray
    scores: np.ndarray
    keypoints: np.ndarray
    confidences: np.ndarray
    visibility: np.ndarray | None
    model_hash: str
    notes: tuple[str, ...] = ()
    summary: np.ndarray | None = None

    @classmethod
    def from_message(cls, message: Message) -> "PrefillResult":
        """From the engine's "predicted" reply."""
        return cls(
            width=message["width"],
            height=message["height"],
            boxes=message["boxes"],
            scores=message["scores"],
            keypoints=message["keypoints"],
            confidences=message["confidences"],
            visibility=message["visibility"],
            model_hash=message["model_hash"],
            notes=tuple(message["notes"]),
            summary=message["summary"],
        )

    def __len__(self) -> int:
        return len(self.scores)

    def predictions(self, first_key: int) -> tuple[Prediction, ...]:
        """The same as records with the keys first_key, first_key + 1, ... (`len(result)` of them)."""
        return tuple(
            Prediction(
                key=first_key + index,
                model=self.model_hash,
                box=Box(x1, y1, x2 - x1, y2 - y1),
                score=score,
                joints=_joints(self, index),
            )
            for index, ((x1, y1, x2, y2), score) in enumerate(
                zip(self.boxes.tolist(), self.scores.tolist(), strict=True)
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class EstimateResult:
    """The joints of N given boxes.

    Attributes:
        width, height: The upright image's size in pixels.
        boxes: The N boxes as asked; the heatmaps span exactly these.
        keypoints: float32 [N, K, 2], x, y in pixels.
        confidences: float32 [N, K], 0..1.
        visibility: float32 [N, K, 3], probabilities of v = 0, 1, 2; None where the model is silent.
        heatmaps: float16 [N, K, S, S], probabilities that sum to 1 a map (row = y); None unless asked for.
        model_hash: Which model it was.
        tau: That model's keypoint threshold: a joint below it is a hint, not a label, unless the model says more.
        levels: float32 [4, s, s], how much P2 to P5 speak for one joint of the first box; None where that was not
            asked, or the model looks at one level only.
        unaware: float32 [N, K, 2], where the model would have put the joints without those that it was told; None where
            it was told none.
    """

    width: int
    height: int
    boxes: tuple[Box, ...]
    keypoints: np.ndarray
    confidences: np.ndarray
    visibility: np.ndarray | None
    heatmaps: np.ndarray | None
    model_hash: str
    tau: float
    levels: np.ndarray | None = None
    unaware: np.ndarray | None = None

    @classmethod
    def from_message(cls, message: Message, boxes: tuple[Box, ...]) -> "EstimateResult":
        """From the engine's "estimated" reply and the boxes that were asked about."""
        return cls(
            width=message["width"],
            height=message["height"],
            boxes=boxes,
            keypoints=message["keypoints"],
            confidences=message["confidences"],
            visibility=message["visibility"],
            heatmaps=message["heatmaps"],
            model_hash=message["model_hash"],
            tau=message["tau"],
            levels=message["levels"],
            unaware=message["unaware"],
        )

    def joints(self, index: int) -> tuple[PredictedJoint, ...]:
        """The joints of one of the boxes."""
        return _joints(self, index)

    def places(self, index: int, joint: int) -> tuple[PredictedJoint, ...]:
        """Where a joint may be, in pixels, the most probable place first; its confidence is that place's probability.

        Nothing where no heatmaps were asked for.
        """
        from msarcnn.peaks import peaks

        if self.heatmaps is None:
            return ()
        box = self.boxes[index]
        return tuple(
            PredictedJoint(box.x + one.x * box.w, box.y + one.y * box.h, one.probability)
            for one in peaks(self.heatmaps[index, joint])
        )


def _joints(result: PrefillResult | EstimateResult, index: int) -> tuple[PredictedJoint, ...]:
    places, confidences = result.keypoints[index].tolist(), result.confidences[index].tolist()
    if result.visibility is None:
        return tuple(PredictedJoint(x, y, c) for (x, y), c in zip(places, confidences, strict=True))
    said = result.visibility[index].tolist()
    return tuple(PredictedJoint(x, y, c, tuple(v)) for (x, y), c, v in zip(places, confidences, said, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """Pixels for the screen.

    Attributes:
        pixels: uint8 [h, w, 3], RGB, upright; for a thumbnail scaled down.
        width, height: Size of the whole upright image in pixels, for a thumbnail too.
        notes: What the image reader had to say.
    """

    pixels: np.ndarray
    width: int
    height: int
    notes: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        return int(self.pixels.nbytes)

    def to_qimage(self) -> QImage:
        """The pixels as a QImage of its own memory (RGB32, what Qt paints fastest); needs no QGuiApplication."""
        rows, columns = self.pixels.shape[:2]
        shared = QImage(self.pixels.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
        return shared.convertToFormat(QImage.Format.Format_RGB32)
