"""`python -m msarcnn heatmaps`: what a model sees of every person, as a picture each."""

import argparse
import json
import sys
from pathlib import Path
from typing import TypeAlias

from msarcnn.coco import Reading
from msarcnn.config import DEVICE_HELP
from msarcnn.heatmap_colors import COLOR_MAPS
from msarcnn.presets import DEFAULT_MODEL

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_heatmaps_command(commands: Commands) -> argparse.ArgumentParser:
    """Adds `heatmaps` to the parser of the command line; returns it for the options of all that read COCO files."""
    heatmaps = commands.add_parser("heatmaps", help="what a model sees of every person, as a picture each")
    heatmaps.add_argument("paths", type=Path, nargs="*", metavar="IMAGES", help="files and folders")
    heatmaps.add_argument("--annotations", type=Path, help="COCO file whose people to look at, with --images")
    heatmaps.add_argument("--images", type=Path)
    heatmaps.add_argument("--output", type=Path, required=True, metavar="DIR")
    heatmaps.add_argument("--joints", nargs="+", metavar="NAME", help="left_wrist, for instance (default: all)")
    heatmaps.add_argument("--colors", choices=COLOR_MAPS, default=COLOR_MAPS[0])
    heatmaps.add_argument("--linear", action="store_true", help="shares of the peak, instead of three decades")
    heatmaps.add_argument("--threshold", type=float, default=0.5, help="least score of people found (default 0.5)")
    heatmaps.add_argument("--model", help=f"name or file (default {DEFAULT_MODEL})")
    heatmaps.add_argument("--device", default="auto", help=DEVICE_HELP)
    heatmaps.add_argument("--json", action="store_true")
    heatmaps.set_defaults(function=run_heatmaps)
    return heatmaps


def run_heatmaps(arguments: argparse.Namespace) -> int:
    """Writes the pictures; returns the exit status.

    Raises:
        ValueError: arguments that do not go together; CheckpointError, DataError, CocoError, ImageError: a file cannot
            be used. OSError: a picture cannot be written.
    """
    from msarcnn.heatmap_pictures import Pictures, write_heatmaps
    from msarcnn.predictor import Predictor
    from msarcnn.prefill import images_asked_for

    if (arguments.annotations is None) != (arguments.images is None) or bool(arguments.paths) == bool(arguments.images):
        raise ValueError("say where the photos are: files and folders, or --annotations with --images")
    reading = Reading(tuple(arguments.people or ()), arguments.joints_in_coco_order)
    asked = images_asked_for(arguments.paths, arguments.annotations, arguments.images, reading)
    problems: list[str] = list(asked.left_out)
    model = Predictor.load_for(arguments.model, arguments.device, problems.append)
    names = model.skeleton.keypoints
    unknown = [name for name in arguments.joints or () if name not in names]
    if unknown:
        raise ValueError(f"--joints {unknown[0]}: the model has {', '.join(names)}")
    joints = tuple(names.index(name) for name in arguments.joints or names)
    pictures = Pictures(arguments.colors, not arguments.linear, joints, names)

    def report(done: int, total: int) -> None:
        print(f"{done}/{total} images   ", end="\n" if done == total else "\r", file=sys.stderr, flush=True)

    count = write_heatmaps(model, asked.images, arguments.output, pictures, arguments.threshold, report, problems)
    for problem in problems:
        print(problem, file=sys.stderr)
    facts = {"output": str(arguments.output), "pictures": count, "problems": problems}
    print(json.dumps(facts) if arguments.json else f"{count} pictures -> {arguments.output}")
    return 0
