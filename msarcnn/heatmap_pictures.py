"""What a model sees of people, as pictures: their joints' maps side by side over the photo."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from msarcnn.dataset import LabelledImage
from msarcnn.heatmap_colors import colored
from msarcnn.images import ImageError
from msarcnn.keypoints import heatmap_probabilities
from msarcnn.opencv import cv2
from msarcnn.predictor import Predictor

_TILE = 160
"""Pixels of a map's longer side in a picture."""
_CAPTION = 18
_COLUMNS = 6
_SHADE, _COVER = 0.55, 0.65
"""How much of the photo is left under a map, and how much of it a peak covers."""
_TEXT, _LABEL, _ANSWER = (230, 230, 230), (77, 208, 165), (255, 255, 255)


@dataclass(frozen=True)
class Pictures:
    """How pictures are drawn: colours (COLOR_MAPS), scale, and the indices of the joints."""

    colors: str
    logarithmic: bool
    joints: tuple[int, ...]
    names: tuple[str, ...]

    def of(
        self, pixels: np.ndarray, box: np.ndarray, maps: np.ndarray, answers: np.ndarray, labels: np.ndarray
    ) -> np.ndarray:
        """The joints' maps side by side over the photo's part in the box.

        Args:
            pixels: uint8 [H, W, 3], RGB.
            box: [4] xyxy.
            maps: [K, S, S] probabilities.
            answers: [K, 2], where the model puts the joints: crosses.
            labels: [K, 3] x, y, v: rings where v > 0.

        Returns:
            uint8 [h, w, 3], RGB.
        """
        extent = box[2:] - box[:2]
        width, height = (max(round(float(side) * _TILE / float(extent.max())), 1) for side in extent)
        photo = _part(pixels, box, (width, height))
        columns = min(_COLUMNS, len(self.joints))
        rows = -(-len(self.joints) // columns)
        tile_width = max(width, 96)
        picture = np.full((rows * (height + _CAPTION), columns * tile_width, 3), 24, np.uint8)
        for place, joint in enumerate(self.joints):
            tile = self._tile(photo, maps[joint])
            scale = np.array([width, height]) / extent
            if labels[joint, 2] > 0:
                cv2.circle(tile, _at((labels[joint, :2] - box[:2]) * scale), 4, _LABEL, 1, cv2.LINE_AA)
            cv2.drawMarker(tile, _at((answers[joint] - box[:2]) * scale), _ANSWER, cv2.MARKER_CROSS, 9, 1)
            top, left = place // columns * (height + _CAPTION), place % columns * tile_width
            picture[top : top + height, left : left + width] = tile
            at = (left + 2, top + height + 13)
            cv2.putText(picture, self.names[joint], at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, _TEXT, 1, cv2.LINE_AA)
        return picture

    def _tile(self, photo: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        colors, cover = colored(probabilities, self.colors, self.logarithmic)
        size = (photo.shape[1], photo.shape[0])
        colors, cover = (cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in (colors, cover))
        cover = cover[..., None] * _COVER
        mixed: np.ndarray = (photo * _SHADE * (1 - cover) + colors * cover).astype(np.uint8)
        return np.ascontiguousarray(mixed)


def _part(pixels: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The photo in a box [4] xyxy, black where that reaches beyond it, as float32 of a size (width, height)."""
    x1, y1, x2, y2 = (round(float(side)) for side in box)
    part = np.zeros((max(y2 - y1, 1), max(x2 - x1, 1), 3), np.uint8)
    seen = pixels[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
    top, left = max(-y1, 0), max(-x1, 0)
    part[top : top + seen.shape[0], left : left + seen.shape[1]] = seen[: part.shape[0] - top, : part.shape[1] - left]
    resized: np.ndarray = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return resized.astype(np.float32)


def _at(place: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(place, -1000, 1000)
    return round(float(x)), round(float(y))


def write_heatmaps(
    model: Predictor,
    images: list[LabelledImage],
    output: Path,
    pictures: Pictures,
    score: float,
    report: Callable[[int, int], None],
    problems: list[str],
) -> int:
    """Writes a picture a person: of who is labelled, or, on an image without labels, of whom the model finds.

    Args:
        model: Whose maps.
        images: With their labels.
        output: The folder; it is made. Pictures are called IMAGE_NUMBER.png, in the images' own folders; with the
            image's suffix as well where two would have one name.
        pictures: How they are drawn.
        score: Least score of people that are found.
        report: Called with (number, total) before each image.
        problems: What could not be read is added.

    Returns:
        How many pictures were written.

    Raises:
        OSError: one cannot be written.
    """
    count = 0
    stems = Counter(PurePosixPath(image.file_name).with_suffix("") for image in images)
    for done, image in enumerate(images, 1):
        report(done, len(images))
        try:
            pixels = image.load()
        except ImageError as error:
            problems.append(str(error))
            continue
        features = model.encode([pixels])[0]
        boxes, labels = image.boxes, image.keypoints
        if not len(boxes):
            found = model.find(features)
            boxes = found.boxes[found.scores >= score]
            labels = np.zeros((len(boxes), len(model.skeleton.keypoints), 3), np.float32)
        answer = model.heatmaps(features, boxes)
        poses = model.decode(answer, boxes)
        maps = heatmap_probabilities(answer.logits.float()).cpu().numpy()
        name = PurePosixPath(image.file_name)
        called = name.stem if stems[name.with_suffix("")] == 1 else name.name
        for number, box in enumerate(boxes):
            place = output / name.parent / f"{called}_{number + 1}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            drawn = pictures.of(pixels, box, maps[number], poses.keypoints[number], labels[number])
            place.write_bytes(cv2.imencode(".png", drawn[..., ::-1])[1].tobytes())
            count += 1
    return count
