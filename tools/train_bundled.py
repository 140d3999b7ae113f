"""The bundled model from data to weights: every stage of its training, then halving and judging it.

    python tools/train_bundled.py --data data/ --weights weights/ --work runs/bundled [--device cuda]

`data/` holds coco/, coco_more/, persons/, boxes/ and nobody/, `weights/` the backbone. Seeds are fixed; the validation
images choose the weights to keep and calibrate, they are never trained on, nor are the 100 held-out photos with nobody.
Call it again after an interruption: what is done is kept, a broken-off training goes on where its last checkpoint
stands. `--first N` begins with the Nth stage, from the bundled weights as what the stages before have given. `--stages
N` stops after the Nth, and ships what it gave. `--rehearse` runs every stage for a few steps, into a folder of its own.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from bundled_data import Data, prepare

from msarcnn.checkpoint import read_checkpoint, save_checkpoint
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.resources import resource_path
from msarcnn.seen_images import SEEN
from msarcnn.warm_start import origin_of

BACKBONE = "mobilenet_v2_175_pose.safetensors"
BUNDLED = resource_path("weights") / f"{DEFAULT_MODEL}.safetensors"

COMMON = [
    *("--batch", 6, "--crop", 512, "--sizes", 448, 512, 576, "--jitter", 0.75, 1.35, "--color", 0.3),
    *("--sampling", 1.5, "--target-spread", 1.5, "--trunk-rate", 0.3, "--weight-decay", 0.01, "--average", 0.998),
    *("--checkpoint-every", 200, "--log-every", 20),
]
"""Canvases of 512 px, without padding, that show people as large as the test images do."""


@dataclass(frozen=True)
class Stage:
    """One training run.

    Attributes:
        human: How often the photos with true labels are seen for once that the others are.
        options: Of `msarcnn train`, instead of or beside COMMON.
        others: Whether there are others.
    """

    human: int
    options: tuple[object, ...]
    others: bool = True


STAGES = [
    Stage(
        3,
        (
            *("--mosaic", 0.5, "--pseudo-weight", 0.5, "--iterations", 3100, "--lr", 6e-4, "--warmup", 200),
            *("--evaluate-every", 1040, "--seed", 11),
        ),
    ),
    Stage(
        1,
        (
            *("--train", "visibility", "--mosaic", 0.25, "--iterations", 600, "--lr", 1e-3, "--warmup", 50),
            *("--evaluate-every", 600, "--seed", 21),
        ),
        others=False,
    ),
    Stage(
        3,
        (
            *("--crop", 544, "--sizes", 480, 544, 608, "--mosaic", 0.5, "--pseudo-weight", 0.5, "--average", 0.999),
            *("--sampling", 1, "--iterations", 2300, "--lr", 5e-4, "--warmup", 200, "--evaluate-every", 1150),
            *("--seed", 31),
        ),
    ),
    Stage(
        3,
        (
            *("--crop", 544, "--sizes", 480, 544, 608, "--mosaic", 0.5, "--pseudo-weight", 0.5, "--average", 0.999),
            *("--sampling", 1, "--iterations", 2600, "--lr", 5e-4, "--warmup", 100, "--evaluate-every", 1300),
            *("--seed", 41),
        ),
    ),
    Stage(
        3,
        (
            *("--crop", 544, "--sizes", 480, 544, 608, "--mosaic", 0.5, "--pseudo-weight", 0.5, "--average", 0.999),
            *("--sampling", 1, "--iterations", 2700, "--lr", 5e-4, "--warmup", 100, "--evaluate-every", 1350),
            *("--seed", 51),
        ),
    ),
]
"""Each goes on with the weights of the one before. What each of them brought is in the model card."""


def call(*command: object) -> None:
    """Runs one of our commands; stops everything when it fails."""
    print("+", *command, flush=True)
    subprocess.run([sys.executable, *map(str, command)], check=True)


class Recipe:
    """The files of a run of the recipe, and its steps."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.work: Path = options.work / "rehearsal" if options.rehearse else options.work
        self.data: Data = prepare(options.data, self.work / "data")
        self.backbone: Path = options.weights / BACKBONE
        self.rehearse: bool = options.rehearse
        self.first: int = options.first
        # On a GPU single precision was faster, and loading cannot hide behind slow steps.
        on_gpu = ["--device", options.device, "--precision", "fp32", "--workers", 6]
        self.machine = ["--workers", 1] if options.device == "cpu" else on_gpu

    def model(self, stage: int) -> Path:
        """A stage's result, counted from 1; the bundled weights stand for the stage before the first one to run."""
        if stage < self.first:
            return BUNDLED
        return self.work / f"stage{stage}" / "checkpoints" / "best.safetensors"

    def train(self, number: int) -> None:
        folder = self.work / f"stage{number}"
        if (folder / "config.json").exists():
            call("-m", "msarcnn", "train", "--output", folder, "--resume")
            return
        stage = STAGES[number - 1]
        start = ["--backbone-weights", self.backbone] if number == 1 else ["--init", self.model(number - 1)]
        call(
            *("-m", "msarcnn", "train", "--output", folder, "--model", DEFAULT_MODEL, *start),
            *(
                option
                for labels, images in (*self.data.human * stage.human, *(self.data.other if stage.others else ()))
                for option in ("--annotations", labels, "--images", images)
            ),
            *("--val-annotations", self.data.validation[0], "--val-images", self.data.validation[1]),
            *(*COMMON, *self.machine, *stage.options),
            *(("--iterations", 4, "--evaluate-every", 4, "--checkpoint-every", 2) if self.rehearse else ()),
        )

    def finish(self, stages: int) -> None:
        """Half precision, figures, and one log of all stages."""
        shipped = self.work / BUNDLED.name if self.rehearse else BUNDLED
        trained = self.model(stages)
        info = read_checkpoint(trained)[1]
        model = origin_of(str(trained), DEFAULT_MODEL, None).start().model
        info = replace(info, config=model.config)
        info.lineage[SEEN] = sorted({*info.lineage[SEEN], *self.data.coco_numbers})
        save_checkpoint(shipped, model, info, half=True)
        for annotations, images in (*self.data.judged, self.data.nobody):
            call(
                *("-m", "msarcnn", "evaluate", "--annotations", annotations, "--images", images),
                *("--model", shipped, "--effort", "--json"),
            )
        events = []
        for number in range(self.first, stages + 1):
            for line in (self.work / f"stage{number}" / "log.jsonl").read_text().splitlines():
                event = json.loads(line)
                if event["event"] in ("step", "evaluation"):
                    events.append({"stage": number, **event})
        (self.work / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--first", type=int, choices=range(1, len(STAGES) + 1), default=1)
    parser.add_argument("--stages", type=int, choices=range(1, len(STAGES) + 1), default=len(STAGES))
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    if options.first > options.stages:
        parser.error(f"--first {options.first} comes after --stages {options.stages}: nothing would be trained")
    recipe = Recipe(options)
    for number in range(options.first, options.stages + 1):
        recipe.train(number)
    recipe.finish(options.stages)


if __name__ == "__main__":
    main()
