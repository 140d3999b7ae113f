"""The paper's ladder in small: every row trained with one budget on a light trunk, on drawn people, over several seeds.

    python benchmarks/ablation.py --output runs/ablation [--seeds 3] [--steps 400]
    python benchmarks/ablation.py --annotations A.json --images DIR --val-annotations B.json --val-images DIR2 ...

The rows are the paper's switches (msarcnn/presets.py) on a MobileNetV2 with narrow heads. Rows that differ in decoding
or looks only are judged on the weights of the row above. What is done is kept in OUTPUT/results.jsonl: call it again to
go on. The table has means and standard deviations over the seeds, whichever way they come out.
"""

import argparse
import json
import shutil
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from msarcnn.augmented import looking
from msarcnn.checkpoint import CheckpointInfo, load_checkpoint
from msarcnn.coco import read_coco
from msarcnn.config import ModelConfig, TrainConfig
from msarcnn.dataset import LabelledImage, ground_truth, labelled_images
from msarcnn.evaluation import evaluate_results, predict_images, to_coco_results
from msarcnn.model import build_model
from msarcnn.predictor import Predictor
from msarcnn.presets import LADDER, preset
from msarcnn.run_folder import RunFolder
from msarcnn.synthetic import write_dataset
from msarcnn.training import Trainer
from msarcnn.warm_start import Origin

NARROW = {
    "pooling": "roi_align",
    "keypoint_head": "convs",
    "keypoint_output": "deconv",
    "decoding": "argmax",
    "visibility_width": 0,
    "fpn_channels": 64,
    "box_head_width": 256,
    "keypoint_width": 96,
    "min_size": 256,
    "max_size": 384,
    "anchor_sizes": (16, 32, 64, 128, 256),
    "pose_score": "box",
    "second_look": False,
}
"""The light network as the baseline, small enough for hundreds of steps a run."""
LONGER = 1.44
WITHOUT_TRAINING = ("decoding", "test_scales")
"""Switches that the weights know nothing of."""


@dataclass(frozen=True)
class Small:
    """A row of the ladder in small.

    Attributes:
        name, words: The paper's row.
        config: Its network.
        steps: Of its training.
        weights_of: The row whose weights it is judged with, itself where it is trained.
    """

    name: str
    words: str
    config: ModelConfig
    steps: int
    weights_of: str


def small_ladder(steps: int) -> list[Small]:
    """Every row of Table 1."""
    rows: list[Small] = []
    config = preset("msa_rcnn_mobilenet_v2", **NARROW)
    for row in LADDER:
        config = replace(config, name=row.name, **row.switch)
        trained = not rows or not row.switch or not set(row.switch) <= set(WITHOUT_TRAINING)
        wanted = round(steps * (LONGER if row.longer else 1))
        rows.append(Small(row.name, row.words, config, wanted, row.name if trained else rows[-1].weights_of))
    return rows


@dataclass(frozen=True)
class Data:
    """What is trained on, and what is judged on."""

    training: list[LabelledImage]
    held_out: list[LabelledImage]
    truth: dict[str, Any]


def read_data(options: argparse.Namespace) -> Data:
    """The files named, or drawn people: 240 images to train on and 80 to judge by."""
    if not options.annotations:
        for name, images, seed in (("train", 240, 1), ("val", 80, 2)):
            folder = options.output / name
            if not (folder / "annotations.json").exists():
                write_dataset(folder, images, seed, (384, 288))
        places = [
            (options.output / name / "annotations.json", options.output / name / "images") for name in ("train", "val")
        ]
    else:
        places = [(options.annotations, options.images), (options.val_annotations, options.val_images)]
    files = [read_coco(path, keep_raw=False, roots=[images]) for path, images in places]
    training, held_out = (labelled_images(data, [images]) for data, (_, images) in zip(files, places, strict=True))
    return Data([image for image in training if image.has_keypoints], held_out, ground_truth(files[1]))


def trained(row: Small, seed: int, data: Data, folder: Path, backbone: Path | None) -> float:
    """Trains a row; returns the minutes that it took."""
    started = time.monotonic()
    torch.manual_seed(seed)
    model = Origin(row.config, backbone=backbone).start().model if backbone else build_model(row.config)
    config = TrainConfig(
        iterations=row.steps,
        batch_size=8,
        learning_rate=1e-3,
        weight_decay=0.01,
        warmup=50,
        sizes=(224, 256, 288),
        average=0.99,
        seed=seed,
        log_every=50,
        checkpoint_every=100_000,
        workers=1,
    )
    shutil.rmtree(folder, ignore_errors=True)  # broken off: it begins anew
    run = RunFolder(folder)
    run.create()
    run.write_config({})
    Trainer(model, CheckpointInfo(row.config), data.training, config, run).train()
    return (time.monotonic() - started) / 60


def judged(row: Small, weights: Path, data: Data) -> dict[str, float]:
    model, _ = load_checkpoint(weights)
    model.config = row.config
    asked = looking(Predictor.of(model, CheckpointInfo(row.config)))
    figures = evaluate_results(data.truth, to_coco_results(predict_images(asked, data.held_out, print)))
    return {"keypoint AP": figures["keypoints"]["AP"], "box AP": figures["bbox"]["AP"]}


def print_table(results: list[dict[str, Any]], ladder: list[Small]) -> None:
    """Markdown: means, standard deviations, the paper's figures beside them."""
    print("| row | keypoint AP | box AP | runs | the paper's keypoint AP, box AP |\n|---|---|---|---|---|")
    paper = {row.name: row.paper for row in LADDER}
    for row in ladder:
        mine = [result for result in results if result["row"] == row.name]
        if mine:
            cells = []
            for name in ("keypoint AP", "box AP"):
                values = [result[name] for result in mine]
                spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.3f}{spread}")
            print(f"| {row.words} | {' | '.join(cells)} | {len(mine)} | {paper[row.name][0]}, {paper[row.name][5]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400, help="of the rows before `longer training`")
    parser.add_argument("--backbone-weights", type=Path, help="for the trunk (default: random)")
    for name in ("--annotations", "--images", "--val-annotations", "--val-images"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    data, ladder = read_data(options), small_ladder(options.steps)
    log = options.output / "results.jsonl"
    results = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for seed in range(options.seeds):
        for row in ladder:
            if any((result["row"], result["seed"]) == (row.name, seed) for result in results):
                continue
            folder = options.output / f"{row.weights_of}_{seed}"
            minutes = trained(row, seed, data, folder, options.backbone_weights) if row.weights_of == row.name else 0.0
            figures = judged(row, RunFolder(folder).best_checkpoint, data)
            results.append({"row": row.name, "seed": seed, "minutes": round(minutes, 2), **figures})
            print(json.dumps(results[-1]), flush=True)
            with log.open("a") as file:
                file.write(json.dumps(results[-1]) + "\n")
    print_table(results, ladder)


if __name__ == "__main__":
    main()
