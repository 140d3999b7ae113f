"""Frames of real, tiny videos."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msarcnn.opencv import cv2
from msarcnn.video import VideoError, chosen_frames, frame_count, frames


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of 64 x 48: red for five, then a white bar moves, then blue."""
    path = tmp_path_factory.mktemp("video") / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:] = (0, 0, 200) if number < 9 else (200, 0, 0)  # BGR
        if 5 <= number < 9:
            picture[:, 10 * (number - 5) : 10 * (number - 5) + 12] = 255
        writer.write(picture)
    writer.release()
    return path


def numbers(video: Path, every: int = 1, change: float = 0.0) -> list[int]:
    return [frame.number for frame in chosen_frames(video, every, change)]


def test_frames_come_in_order_and_in_rgb(video: Path) -> None:
    found = list(frames(video))
    assert [frame.number for frame in found] == list(range(12)) and frame_count(video) == 12
    assert found[0].pixels.shape == (48, 64, 3)
    assert found[0].pixels[24, 32, 0] > 150 > 60 > found[0].pixels[24, 32, 2], "red"
    assert found[11].pixels[24, 32, 2] > 150, "blue"


def test_every_nth(video: Path) -> None:
    assert numbers(video, every=5) == [0, 5, 10]
    with pytest.raises(ValueError, match="at least 1"):
        numbers(video, every=0)


def test_only_what_has_changed(video: Path) -> None:
    # A still picture is chosen once, every step of the bar, and the new colour once.
    assert numbers(video, change=0.02) == [0, 5, 6, 7, 8, 9]
    assert numbers(video, every=2, change=0.02) == [0, 6, 8, 10]
    assert numbers(video, change=0.9) == [0]


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video at all" * 100)
    for name in ("x.mp4", "missing.mp4"):
        with pytest.raises(VideoError, match=name):
            list(frames(tmp_path / name))


def test_a_name_that_is_not_utf8_is_refused(video: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"b\xff.avi")
    try:
        odd.write_bytes(video.read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    # OpenCV crashes on such a name: another process would die of it.
    command = [sys.executable, "-c", "import sys, msarcnn.video as v; v.frame_count(v.Path(sys.argv[1]))", str(odd)]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 1 and b"VideoError" in done.stderr and b"Rename it" in done.stderr
    with pytest.raises(VideoError, match=r"b\\xff\.avi: its name .* Rename it"):
        frame_count(odd)
