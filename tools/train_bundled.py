"""The bundled model from data to weights: every stage of its training, then halving and judging it.

    python tools/train_bundled.py --data data/ --weights weights/ --work runs/bundled [--device cuda]

`data/` holds persons/ (persons_train.json, images/) and coco/ (annotations/person_keypoints_{train,val}.json,
images/), `weights/` the backbone. Seeds are fixed; the validation images judge and calibrate, they are
never trained on. Call it again after an interruption: what is done is kept, a broken-off training goes on where its
last checkpoint stands. `--rehearse` runs every stage for a few steps, into a folder of its own.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from msarcnn.checkpoint import load_checkpoint, save_checkpoint

BUNDLED = Path(__file__).resolve().parents[1] / "resources" / "weights" / "msa_rcnn_mobilenet_v2.safetensors"

COMMON = [
    *("--jitter", 0.75, 1.35, "--color", 0.3, "--trunk-rate", 0.3, "--weight-decay", 0.01),
    *("--target-spread", 1.5, "--pseudo-weight", 0.7, "--average", 0.998),
    *("--checkpoint-every", 200, "--log-every", 20),
]
SMALL = ["--batch", 8, "--crop", 384, "--mosaic", 0.6, "--sizes", 288, 384, 480]
"""Canvases smaller than the test images: cheap, many people a step."""
LARGE = ["--batch", 16, "--crop", 512, "--mosaic", 0.5, "--sizes", 384, 480, 576, "--sampling", 2]
"""Canvases that show people as large as the test images do."""
COCO_REPEATS = 4
"""The 110 images with true labels are seen this many times as often as the others."""


@dataclass(frozen=True)
class Stage:
    """One training run.

    Attributes:
        start: Numbers of the stages, from 1, whose mean weights it begins with; none: the backbone's.
        options: Of `msarcnn train`, beside COMMON.
    """

    start: tuple[int, ...]
    options: tuple[object, ...]


STAGES = [
    Stage((), (*SMALL, "--iterations", 3300, "--lr", 6e-4, "--warmup", 200, "--evaluate-every", 550, "--seed", 1)),
    Stage((1,), (*SMALL, "--iterations", 1400, "--lr", 2.5e-4, "--warmup", 100, "--evaluate-every", 350, "--seed", 4)),
    Stage((1, 2), (*LARGE, "--iterations", 1855, "--lr", 4e-4, "--warmup", 200, "--evaluate-every", 450, "--seed", 3)),
]
"""What each of them brought is in the model card."""


def call(*command: object) -> None:
    """Runs one of our commands; stops everything when it fails."""
    print("+", *command, flush=True)
    subprocess.run([sys.executable, *map(str, command)], check=True)


def write_mean(models: list[Path], output: Path) -> None:
    """Writes the mean of the weights of models of one architecture; everything else is the last one's."""
    loaded = [load_checkpoint(path) for path in models]
    states = [model.state_dict() for model, _ in loaded]
    mean = {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}
    model, info = loaded[-1]
    model.load_state_dict(mean)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(output, model, info)


class Recipe:
    """The files of a run of the recipe, and its steps."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.coco: Path = options.data / "coco"
        self.persons: Path = options.data / "persons"
        self.weights: Path = options.weights
        self.work: Path = options.work / "rehearsal" if options.rehearse else options.work
        self.rehearse: bool = options.rehearse
        # On a GPU single precision was faster, and loading cannot hide behind slow steps.
        on_cpu = options.device == "cpu"
        on_gpu = ["--device", options.device, "--precision", "fp32", "--workers", 6]
        self.machine = ["--workers", 1] if on_cpu else on_gpu

    @property
    def validation(self) -> list[object]:
        return [self.coco / "annotations" / "person_keypoints_val.json", self.coco / "images"]

    def model(self, stage: int) -> Path:
        """A stage's result."""
        return self.work / f"stage{stage}" / "checkpoints" / "best.safetensors"

    def start(self, stage: Stage) -> list[object]:
        """Where a stage's weights come from."""
        if not stage.start:
            return ["--backbone-weights", self.weights / "mobilenet_v2_pose.safetensors"]
        models = [self.model(number) for number in stage.start]
        if len(models) == 1:
            return ["--init", models[0]]
        mean = self.work / f"mean_{'_'.join(map(str, stage.start))}.safetensors"
        write_mean(models, mean)
        return ["--init", mean]

    def train(self, number: int) -> None:
        folder = self.work / f"stage{number}"
        if (folder / "config.json").exists():
            call("-m", "msarcnn", "train", "--output", folder, "--resume")
            return
        stage = STAGES[number - 1]
        coco_labels = self.coco / "annotations" / "person_keypoints_train.json"
        true = ["--annotations", coco_labels, "--images", self.coco / "images"]
        call(
            *("-m", "msarcnn", "train", "--output", folder, *self.start(stage)),
            *("--annotations", self.persons / "persons_train.json", "--images", self.persons / "images"),
            *(true * COCO_REPEATS),
            *("--val-annotations", self.validation[0], "--val-images", self.validation[1]),
            *(*COMMON, *self.machine, *stage.options),
            *(("--iterations", 4, "--evaluate-every", 4, "--checkpoint-every", 2) if self.rehearse else ()),
        )

    def finish(self) -> None:
        """Half precision, figures, and one log of all stages."""
        halved = self.work / "halved.safetensors" if self.rehearse else BUNDLED
        call("-m", "msarcnn", "halve", self.model(len(STAGES)), halved)
        annotations, images = self.validation
        call(
            *("-m", "msarcnn", "evaluate", "--annotations", annotations, "--images", images),
            *("--model", halved, "--effort", "--json"),
        )
        events = []
        for number in range(1, len(STAGES) + 1):
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
    parser.add_argument("--rehearse", action="store_true")
    recipe = Recipe(parser.parse_args())
    for number in range(1, len(STAGES) + 1):
        recipe.train(number)
    recipe.finish()


if __name__ == "__main__":
    main()
