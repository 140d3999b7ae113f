"""OpenCV, imported without what its import does to the environment.

opencv-python sets variables that break Qt and, through an empty entry in LD_LIBRARY_PATH, let every child process
search the current folder for libraries. Everything that needs OpenCV takes `cv2` from here, and the window
process never does.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_TOUCHED = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR", "LD_LIBRARY_PATH")


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _TOUCHED}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


with _environment_kept():
    import cv2

__all__ = ["cv2"]
