"""Writes frames of a video as photos: `python -P -m app.storage.video_frames VIDEO FOLDER`.

Progress and result are JSON lines on stdout, errors {"error": s} with exit status 1.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from app.storage.child_lines import print_line, run_child_work
from app.storage.new_folder import new_folder
from msarcnn.video import VideoError, chosen_frames, frame_count

Format = Literal["jpg", "png"]
_OPTIONS: dict[Format, dict[str, Any]] = {"jpg": {"quality": 95, "subsampling": 0}, "png": {"compress_level": 3}}


def write_frames(
    video: Path, folder: Path, *, every: int = 1, change: float = 0.0, suffix: Format = "jpg"
) -> dict[str, Any]:
    """Writes the chosen frames (see `msarcnn.video`) as NAME_000123.jpg; returns {"path", "images", "frames"}.

    Raises:
        VideoError: the video cannot be decoded.
        FolderTakenError: there is something in the folder.
        OSError: something cannot be written.
    """
    total = frame_count(video)
    count = last = 0
    with new_folder(folder) as unfinished:
        for frame in chosen_frames(video, every, change):
            out = unfinished / f"{video.stem}_{frame.number:06}.{suffix}"
            Image.fromarray(frame.pixels).save(out, **_OPTIONS[suffix])
            count, last = count + 1, frame.number
            print_line("progress", done=min(last + 1, total) if total else last + 1, total=total)
    return {"path": str(folder), "images": count, "frames": total or last + 1}


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.video_frames", description="write frames of a video as photos")
    parser.add_argument("video", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="look at every n-th frame")
    parser.add_argument("--change", type=float, default=0.0, help="least mean difference to the frame before, 0..1")
    parser.add_argument("--suffix", choices=("jpg", "png"), default="jpg")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.folder,
        lambda: write_frames(
            options.video, options.folder, every=options.every, change=options.change, suffix=options.suffix
        ),
        VideoError,
    )


if __name__ == "__main__":
    sys.exit(main())
