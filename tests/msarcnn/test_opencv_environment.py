"""Importing OpenCV through `msarcnn.opencv` changes no environment variable."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
before = dict(os.environ)
from msarcnn.opencv import cv2
assert cv2.__version__
assert dict(os.environ) == before, {k for k in os.environ if os.environ.get(k) != before.get(k)}
import cv2 as again
assert again is cv2 and dict(os.environ) == before
"""


@pytest.mark.parametrize(
    "extra",
    [{}, {"LD_LIBRARY_PATH": "/opt/lib", "QT_QPA_FONTDIR": "/fonts", "QT_QPA_PLATFORM_PLUGIN_PATH": "/plugins"}],
)
def test_environment_is_as_before(extra: dict[str, str]) -> None:
    touched = ("LD_LIBRARY_PATH", "QT_QPA_FONTDIR", "QT_QPA_PLATFORM_PLUGIN_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in touched} | extra
    result = subprocess.run([sys.executable, "-P", "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_light_modules_import_nothing_heavy() -> None:
    script = (
        "import sys, msarcnn.images, msarcnn.coco, msarcnn.skeleton, msarcnn.synthetic\n"
        "heavy = {'torch', 'torchvision', 'cv2', 'pycocotools', 'PySide6'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
