"""Frames of a video: every n-th, or only those on which something has changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from msarcnn.image_files import printable_path
from msarcnn.opencv import cv2

_SMALL = (64, 36)
"""Width and height at which frames are compared: noise and compression vanish, a step of a person does not."""


class VideoError(ValueError):
    """The file cannot be decoded; the message names it and the cure."""


class Frame(NamedTuple):
    """number: 0-based, in the video. pixels: uint8 [H, W, 3], RGB, upright."""

    number: int
    pixels: np.ndarray


def frame_count(path: Path) -> int:
    """How many frames the file says it has; 0 where it does not say. Raises VideoError."""
    capture = _open(path)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return max(count, 0)


def frames(path: Path) -> Iterator[Frame]:
    """All frames in order; a damaged end is left out.

    Raises:
        VideoError: the file is no video, its name is not UTF-8, or not a single frame can be decoded.
    """
    capture = _open(path)
    number = 0
    try:
        while True:
            there, pixels = capture.read()
            if not there:
                break
            yield Frame(number, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
            number += 1
    finally:
        capture.release()
    if number == 0:
        raise VideoError(f"{path}: none of its frames can be decoded. Convert it to MP4 with H.264 first.")


def chosen_frames(path: Path, every: int = 1, change: float = 0.0) -> Iterator[Frame]:
    """The first frame, and of every `every`-th those that differ from the one chosen before.

    Args:
        path: The video.
        every: Of so many frames one is looked at.
        change: Mean difference of the frames' small grey versions, 0..1, from which on a frame is chosen; 0 chooses
            all. 0.02 leaves out pauses, 0.1 all but large movements and cuts.

    Raises:
        VideoError: see `frames`.
        ValueError: every is below 1.
    """
    if every < 1:
        raise ValueError("every n-th frame: n is at least 1")
    last: np.ndarray | None = None
    for frame in frames(path):
        if frame.number % every:
            continue
        small = _small(frame.pixels)
        if last is None or change <= 0 or float(np.abs(small - last).mean()) >= change:
            last = small
            yield frame


def _small(pixels: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _open(path: Path) -> "cv2.VideoCapture":
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        # OpenCV would end the whole process.
        raise VideoError(f"{printable_path(path)}: its name or its folder's is not valid UTF-8. Rename it.") from error
    if not path.is_file():
        raise VideoError(f"{path}: there is no such file. Check the name.")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise VideoError(f"{path}: this is no video that can be decoded. Convert it to MP4 with H.264 first.")
    return capture
