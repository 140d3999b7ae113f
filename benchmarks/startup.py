"""How long until the window is usable, and what one start imports.

    python benchmarks/startup.py [--runs 10]

Starts the real program in new processes (offscreen unless a display is set), without anything to open, and
measures from the process's start until the event loop is idle with the window shown. The first run warms the
disk cache and is reported apart. The figure to meet: 1.0 s.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROBE = """
import sys, time
from PySide6.QtCore import QTimer
import app.application as program
started = float(sys.argv[1])
def usable():
    heavy = {"torch", "torchvision", "cv2"} & set(sys.modules)
    print(time.time() - started, *heavy, flush=True)
    QTimer.singleShot(0, program.QApplication.instance().quit)
original = program.QApplication.exec
def patched(*arguments):
    QTimer.singleShot(0, lambda: QTimer.singleShot(0, usable))
    return original()
program.QApplication.exec = patched
program.main([])
"""


def one_start(folder: str) -> float:
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ, "MSARCNN_DATA_DIR": folder}
    environment["MSARCNN_SETTINGS"] = str(Path(folder) / "settings.ini")
    command = [sys.executable, "-P", "-c", PROBE, str(time.time())]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    seconds, *heavy = answer.stdout.split()
    if heavy:
        raise SystemExit(f"the window's process imported {', '.join(heavy)}")
    return float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        first = one_start(folder)
        later = [one_start(folder) for _ in range(runs)]
    print(f"first start {first:.2f} s")
    print(f"{runs} more: median {statistics.median(later):.2f} s, {min(later):.2f} to {max(later):.2f} s")


if __name__ == "__main__":
    main()
