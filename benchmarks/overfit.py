"""Can the network learn at all? 40 synthetic images, keypoint AP on the very same images, on this machine.

    python benchmarks/overfit.py [--images 40] [--epochs 45]

Fine-tunes the bundled model with the project's own train command and judges it on its training images.
The figure to meet: keypoint AP >= 0.9 within 15 minutes on two CPU cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msarcnn.presets import DEFAULT_MODEL
from msarcnn.synthetic import write_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--epochs", type=float, default=45)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr", type=float, default=5e-4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        labels = write_dataset(Path(folder), arguments.images, seed=7, size=(320, 240))
        images, run = Path(folder) / "images", Path(folder) / "run"
        command = [sys.executable, "-P", "-m", "msarcnn", "train", "--annotations", labels, "--images", images]
        command += ["--val-annotations", labels, "--val-images", images, "--init", DEFAULT_MODEL]
        command += ["--output", run, "--epochs", arguments.epochs, "--batch", arguments.batch, "--lr", arguments.lr]
        command += ["--sizes", 384, 480, "--no-flip", "--color", 0, "--evaluate-every", 10**6]
        started = time.monotonic()
        subprocess.run([str(part) for part in command], check=True)
        seconds = time.monotonic() - started
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    evaluations = [entry for entry in log if entry["event"] == "evaluation"]
    steps = [entry for entry in log if entry["event"] == "step"]
    print(f"images {arguments.images}, steps {steps[-1]['step']}, {seconds / 60:.1f} minutes")
    for name, entry in (("before", evaluations[0]), ("after", evaluations[-1])):
        print(f"{name}: keypoint AP {entry['keypoints']['AP']:.3f}, box AP {entry['bbox']['AP']:.3f}")


if __name__ == "__main__":
    main()
