"""MoveNet (single pose, Lightning) as a teacher: the joints of one person from a crop around a box."""

from pathlib import Path

import numpy as np
from PIL import Image

from msarcnn.skeleton import coco17


class Teacher:
    """Runs the .tflite file.

    Args:
        path: Model with a uint8 RGB input [1, S, S, 3] and an output [1, 1, 17, 3] of (y, x, score) in 0..1.
        threads: CPU threads.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        # Not a dependency of the product (`pip install -e .[tools]`): only whoever has a teacher needs its runtime.
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._flip = list(coco17().flip_permutation)

    def keypoints(self, pixels: np.ndarray, box: np.ndarray, margin: float = 1.25) -> np.ndarray:
        """The joints in a square crop whose side is `margin` times the box's longer one.

        Args:
            pixels: [H, W, 3] uint8 RGB.
            box: [4] xyxy in pixels.
            margin: Size of the crop.

        Returns:
            [17, 3]: x, y in pixels of the image, score in 0..1.
        """
        crop, left, top, side = _square(pixels, box, margin, self._input["shape"][1])
        return self._run(crop, left, top, side)

    def mirrored_keypoints(self, pixels: np.ndarray, box: np.ndarray, margin: float = 1.25) -> np.ndarray:
        """The same from the crop's mirror image, in the frame of the image as it is."""
        crop, left, top, side = _square(pixels, box, margin, self._input["shape"][1])
        found = self._run(np.ascontiguousarray(crop[:, ::-1]), 0.0, top, side)[self._flip]
        found[:, 0] = left + side - found[:, 0]
        return found

    def _run(self, crop: np.ndarray, left: float, top: float, side: float) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"], crop[None].astype(self._input["dtype"]))
        self._interpreter.invoke()
        y, x, score = self._interpreter.get_tensor(self._output)[0, 0].T.astype(float)
        return np.stack((left + x * side, top + y * side, score), axis=1)


def _square(pixels: np.ndarray, box: np.ndarray, margin: float, size: int) -> tuple[np.ndarray, float, float, float]:
    """A square around a box, black beyond the image, resized: [size, size, 3], and its left, top and side in pixels."""
    side = float(max(box[2] - box[0], box[3] - box[1])) * margin
    left, top = float(box[0] + box[2] - side) / 2, float(box[1] + box[3] - side) / 2
    image = Image.fromarray(pixels).transform(
        (size, size),
        Image.Transform.EXTENT,
        (left, top, left + side, top + side),
        Image.Resampling.BILINEAR,
    )
    if side > size:
        # EXTENT samples without antialiasing: a large crop is reduced by area averaging first.
        corners = (round(left), round(top), round(left + side), round(top + side))
        image = Image.fromarray(pixels).crop(corners).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image), left, top, side
