"""Does it matter which images are labelled first? AP on held-out images after fine-tuning on the first N of each order.

    python benchmarks/label_order.py                                   # drawn people, needs no data
    python benchmarks/label_order.py --annotations A.json --images DIR --names 'lspet_*' --quarter-turns 1

The orders are those of the app's image list (msarcnn.image_order): most work first, most different first, at random.
Each seed divides the images anew into held-out ones and a pool to choose from, which the bundled model looks at first.
The settings are those that the app's dialog fills in. With --work FOLDER a study that was broken off goes on.
"""

import argparse
import json
import random
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from fine_tuning import msarcnn, subset, write_photos

from msarcnn.config import fine_tuning_defaults
from msarcnn.image_order import expected_actions, farthest_first
from msarcnn.images import load_image
from msarcnn.predictor import Predictor
from msarcnn.presets import DEFAULT_MODEL

ORDERS = ("work", "difference", "random")


def in_order(name: str, pool: list[tuple[int, Path]], seed: int) -> list[int]:
    """Ids of the pool's images (id, file) in an order."""
    ids = [number for number, _ in pool]
    if name == "random":
        random.Random(seed).shuffle(ids)
        return ids
    model = Predictor.load_for(DEFAULT_MODEL, "cpu", print)
    found = [model.predict([load_image(file, file.parent).pixels])[0] for _, file in pool]
    if name == "work":
        work = [expected_actions(one.scores, one.confidences, one.visibility) for one in found]
        return [ids[row] for row in np.argsort(-np.array(work), kind="stable")]
    seen = np.array([one.summary for one in found])
    return [ids[row] for row in farthest_first(seen, np.zeros(len(ids), dtype=bool))]


def keypoint_ap(labels: Path, images: Path, model: str | Path) -> float:
    answer = msarcnn("evaluate", "--annotations", labels, "--images", images, "--model", model, "--json")
    return float(json.loads(answer)["keypoints"]["AP"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--names", default="*", help="pattern of the file names to use")
    parser.add_argument("--quarter-turns", type=int, default=0)
    parser.add_argument("--pool", type=int, default=100)
    parser.add_argument("--held-out", type=int, default=60)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        figures: dict[str, list[float]] = defaultdict(list)
        for seed in range(options.seeds):
            folder, total = work / f"seed{seed}", options.held_out + options.pool
            known = folder / "figures.json"
            done: dict[str, float] = json.loads(known.read_text()) if known.exists() else {}
            labels = folder / "labels.json"
            if not labels.exists():
                labels.write_text(json.dumps(write_photos(options, total, seed, folder)))
            data = json.loads(labels.read_text())
            held_out, pool = data["images"][: options.held_out], data["images"][options.held_out :]
            truth = subset(data, {image["id"] for image in held_out}, folder / "held_out.json")
            for name in ("before", *ORDERS):
                if name not in done:
                    model: str | Path = DEFAULT_MODEL
                    if name != "before":
                        files = [(image["id"], folder / "images" / image["file_name"]) for image in pool]
                        chosen = set(in_order(name, files, seed)[: options.count])
                        model = fine_tuned(data, chosen, folder, name, seed)
                    done[name] = keypoint_ap(truth, folder / "images", model)
                    known.write_text(json.dumps(done))
                figures[name].append(done[name])
                print(f"seed {seed}, {name}: keypoint AP {done[name]:.3f}", flush=True)
    print(f"\n| order of the first {options.count} of {options.pool} | keypoint AP, mean of {options.seeds} | each |")
    print("|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {np.mean(values):.3f} | {', '.join(f'{value:.3f}' for value in values)} |")


def fine_tuned(data: dict[str, object], chosen: set[int], folder: Path, name: str, seed: int) -> Path:
    """Trains on the chosen images as the app would; returns the best model."""
    labels = subset(data, chosen, folder / f"{name}.json")
    people = sum(bool(one["num_keypoints"]) for one in json.loads(labels.read_text())["annotations"])
    defaults, run = fine_tuning_defaults(len(chosen), people), folder / f"run-{name}"
    going_on = ["--resume"] if (run / "config.json").exists() else [
        *("--annotations", labels, "--images", folder / "images", "--init", DEFAULT_MODEL, "--val-fraction", 0.2),
        *("--epochs", defaults.epochs, "--train", defaults.train, "--seed", seed),
    ]  # fmt: skip
    msarcnn("train", "--output", run, *going_on)
    return run / "checkpoints" / "best.safetensors"


if __name__ == "__main__":
    main()
