"""Images a second of a background pre-fill: a real engine process, JPEGs on the disk.

    python benchmarks/prefill.py [--model M] [--device auto] [--images 200] [--size 640x480] [--runs 3]

On a GPU its busy share is read from nvidia-smi meanwhile. Photos are drawn people (msarcnn.synthetic), so the time
after the detection is that of some people an image.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer

from app.workers.engine_client import EngineClient
from app.workers.payloads import ImageFile, PrefillResult
from msarcnn.synthetic import make_scene

DRAWN = 20
"""Different pictures; the others are copies, since drawing takes longer than finding."""


def make_photos(folder: Path, count: int, size: tuple[int, int]) -> list[ImageFile]:
    for index in range(min(count, DRAWN)):
        Image.fromarray(make_scene(index, size).pixels).save(folder / f"{index:05}.jpg", quality=90)
    for index in range(DRAWN, count):
        shutil.copyfile(folder / f"{index % DRAWN:05}.jpg", folder / f"{index:05}.jpg")
    return [ImageFile(index, f"{index:05}.jpg", str(folder)) for index in range(count)]


def busy_share() -> float | None:
    """The GPU's busy share at this moment in percent; None without nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-i", "0"]
    try:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def prefill(engine: EngineClient, photos: list[ImageFile]) -> tuple[float, int, list[float]]:
    """Seconds that a pre-fill takes, people found with a score of 0.5, busy shares meanwhile."""
    loop, people, shares = QEventLoop(), 0, list[float]()

    def count(batch: int, key: int, result: PrefillResult) -> None:
        nonlocal people
        people += int((result.scores >= 0.5).sum())

    def watch() -> None:
        if (share := busy_share()) is not None:
            shares.append(share)

    timer = QTimer()
    timer.timeout.connect(watch)
    if busy_share() is not None:
        timer.start(500)
    engine.image_done.connect(count)
    engine.batch_finished.connect(lambda *_: loop.quit())
    started = time.perf_counter()
    engine.prefill(photos)
    loop.exec()
    engine.image_done.disconnect(count)
    return time.perf_counter() - started, people, shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    QCoreApplication(sys.argv[:1])
    engine, loop = EngineClient(device=options.device), QEventLoop()
    engine.ready.connect(loop.quit)
    engine.refused.connect(lambda _, text: sys.exit(text))
    engine.noticed.connect(print)
    engine.start(options.model)
    loop.exec()
    with tempfile.TemporaryDirectory() as folder:
        photos = make_photos(Path(folder), options.images, (width, height))
        prefill(engine, photos[:DRAWN])
        rates = []
        for _ in range(options.runs):
            seconds, people, shares = prefill(engine, photos)
            rates.append(len(photos) / seconds)
            busy = f", GPU busy {statistics.mean(shares):.0f} %" if shares else ""
            print(f"{rates[-1]:.2f} images/s, {people / len(photos):.1f} people an image{busy}", flush=True)
    assert engine.info is not None
    print(f"{engine.info.name} on {engine.info.device}: median {statistics.median(rates):.2f} images/s")
    engine.close()


if __name__ == "__main__":
    main()
