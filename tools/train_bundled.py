"""The bundled model from data to weights: every stage of its training, then halving and judging it.

    python tools/train_bundled.py --data data/ --weights weights/ --work runs/bundled

`data/` holds persons/ (persons_train.json, images/) and coco/ (annotations/person_keypoints_{train,val}.json,
images/), `weights/` the backbone. Seeds are fixed; the validation images judge and calibrate, they are
never trained on. Call it again after an interruption: what is done is kept, a broken-off training goes on where its
last checkpoint stands. `--rehearse` runs every stage for a few steps, into a folder of its own.

A stage may begin from weights that were committed: `--from-stage 2` takes the bundled file for stage 1's result.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

BUNDLED = Path(__file__).resolve().parents[1] / "resources" / "weights" / "msa_rcnn_mobilenet_v2.safetensors"

COMMON = [
    *("--batch", 8, "--crop", 384, "--mosaic", 0.6, "--jitter", 0.75, 1.35, "--color", 0.3),
    *("--trunk-rate", 0.3, "--weight-decay", 0.01, "--target-spread", 1.5, "--pseudo-weight", 0.7),
    *("--mixed-precision", "--average", 0.998, "--workers", 1, "--warmup", 200),
    *("--evaluate-every", 550, "--checkpoint-every", 200, "--log-every", 20),
]
COCO_REPEATS = 4
"""The 110 images with true labels are seen this many times as often as the others."""


STAGES: list[tuple[object, ...]] = [("--iterations", 3300, "--lr", 6e-4, "--sizes", 288, 384, 480, "--seed", 1)]
"""One training run each, from the best weights of the one before. The model card says what more of the same brought."""


def call(*command: object) -> None:
    """Runs one of our commands; stops everything when it fails."""
    print("+", *command, flush=True)
    subprocess.run([sys.executable, *map(str, command)], check=True)


class Recipe:
    """The files of a run of the recipe, and its steps."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.coco: Path = options.data / "coco"
        self.persons: Path = options.data / "persons"
        self.weights: Path = options.weights
        self.work: Path = options.work / "rehearsal" if options.rehearse else options.work
        self.rehearse: bool = options.rehearse
        self.first: int = options.from_stage

    @property
    def validation(self) -> list[object]:
        return [self.coco / "annotations" / "person_keypoints_val.json", self.coco / "images"]

    def model(self, stage: int) -> Path:
        """A stage's result; before the first stage that runs, it is the bundled file."""
        if stage < self.first:
            return BUNDLED
        return self.work / f"stage{stage}" / "checkpoints" / "best.safetensors"

    def train(self, stage: int) -> None:
        folder = self.work / f"stage{stage}"
        if (folder / "checkpoints" / "resume.safetensors").exists():
            call("-m", "msarcnn", "train", "--output", folder, "--resume")
            return
        coco_labels = self.coco / "annotations" / "person_keypoints_train.json"
        true = ["--annotations", coco_labels, "--images", self.coco / "images"]
        start: tuple[object, ...] = ("--init", self.model(stage - 1))
        if stage == 1:
            start = ("--backbone-weights", self.weights / "mobilenet_v2_pose.safetensors")
        call(
            *("-m", "msarcnn", "train", "--output", folder, *start),
            *("--annotations", self.persons / "persons_train.json", "--images", self.persons / "images"),
            *(true * COCO_REPEATS),
            *("--val-annotations", self.validation[0], "--val-images", self.validation[1]),
            *(*COMMON, *STAGES[stage - 1]),
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
        for stage in range(self.first, len(STAGES) + 1):
            for line in (self.work / f"stage{stage}" / "log.jsonl").read_text().splitlines():
                event = json.loads(line)
                if event["event"] in ("step", "evaluation"):
                    events.append({"stage": stage, **event})
        (self.work / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--from-stage", type=int, default=1, choices=range(1, len(STAGES) + 1))
    parser.add_argument("--rehearse", action="store_true")
    recipe = Recipe(parser.parse_args())
    for stage in range(recipe.first, len(STAGES) + 1):
        recipe.train(stage)
    recipe.finish()


if __name__ == "__main__":
    main()
