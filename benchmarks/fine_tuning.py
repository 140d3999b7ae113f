"""Does fine-tuning on a few labelled images pay? AP and actions a person on held-out images, before and after.

    python benchmarks/fine_tuning.py                                   # drawn people, needs no data
    python benchmarks/fine_tuning.py --annotations A.json --images DIR --names 'lspet_*' --quarter-turns 1

From the bundled model, on N images with the settings that the app's dialog fills in, on the CPU; the held-out images
are the same for every N. `--quarter-turns` turns photos on their side: a kind of picture that the model has not been
trained for, with labels that stay right. `--general B.json DIR` also judges on other images, to see what is forgotten.
Other settings can be tried with --train, --epochs, --batch, --lr and --precision.
"""

import argparse
import fnmatch
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from msarcnn.config import fine_tuning_defaults
from msarcnn.images import load_image
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.skeleton import coco17
from msarcnn.synthetic import write_dataset

Coco = dict[str, Any]


def turned(annotation: dict[str, Any], width: int) -> dict[str, Any]:
    """An annotation after a quarter turn anticlockwise of an image `width` pixels wide: (x, y) -> (y, width - x)."""
    x, y, w, h = annotation["bbox"]
    flat = annotation.get("keypoints") or []
    points = [flat[index : index + 3] for index in range(0, len(flat), 3)]
    keypoints = [value for px, py, v in points for value in ((py, width - px, v) if v else (0, 0, 0))]
    return {**annotation, "bbox": [y, width - x - w, h, w], "keypoints": keypoints, "segmentation": []}


def chosen_images(data: Coco, names: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Images with a labelled joint whose name fits, in an order that the seed decides."""
    posed = {a["image_id"] for a in data["annotations"] if a.get("num_keypoints")}
    fitting = [image for image in data["images"] if image["id"] in posed and fnmatch.fnmatch(image["file_name"], names)]
    if len(fitting) < count:
        sys.exit(f"{count} images are needed, {len(fitting)} fit {names!r}: ask for fewer, or give more")
    random.Random(seed).shuffle(fitting)
    return fitting[:count]


def write_turned(data: Coco, source: Path, images: list[dict[str, Any]], turns: int, out: Path) -> Coco:
    """Copies images, each turned by a number of quarter turns, and returns their labels."""
    out.mkdir(parents=True)
    by_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in data["annotations"]:
        if annotation["image_id"] in by_image:
            by_image[annotation["image_id"]].append(annotation)
    entries, annotations = [], []
    for image in images:
        pixels = load_image(source / image["file_name"], source).pixels
        picture, people = Image.fromarray(pixels), by_image[image["id"]]
        for _ in range(turns % 4):
            people = [turned(person, picture.width) for person in people]
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        name = f"{image['id']}.png"
        picture.save(out / name)
        entries.append({"id": image["id"], "file_name": name, "width": picture.width, "height": picture.height})
        annotations += people
    return {"images": entries, "annotations": annotations, "categories": [coco17().coco_category()]}


def write_photos(options: argparse.Namespace, count: int, seed: int, folder: Path) -> Coco:
    """Photos in FOLDER/images and their labels: those that --annotations and its options choose, else drawn ones."""
    if not options.annotations:
        drawn: Coco = json.loads(write_dataset(folder, count, seed, (400, 300)).read_text())
        return drawn
    source = json.loads(options.annotations.read_text())
    images = chosen_images(source, options.names, count, seed)
    return write_turned(source, options.images, images, options.quarter_turns, folder / "images")


def subset(data: Coco, ids: set[int], path: Path) -> Path:
    """Writes the labels of some images."""
    images = [image for image in data["images"] if image["id"] in ids]
    annotations = [annotation for annotation in data["annotations"] if annotation["image_id"] in ids]
    path.write_text(json.dumps({**data, "images": images, "annotations": annotations}))
    return path


def msarcnn(*arguments: object) -> str:
    command = [sys.executable, "-P", "-m", "msarcnn", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def judged(labels: Path, images: Path, model: str | Path) -> str:
    figures = json.loads(
        msarcnn("evaluate", "--annotations", labels, "--images", images, "--model", model, "--effort", "--json")
    )
    effort = figures["effort"]
    return (
        f"keypoint AP {figures['keypoints']['AP']:.3f}, box AP {figures['bbox']['AP']:.3f}, "
        f"actions a person {effort['actions_per_person']:.2f} (from nothing {effort['from_nothing_per_person']:.2f}), "
        f"untouched {effort['untouched']:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--names", default="*", help="pattern of the file names to use")
    parser.add_argument("--quarter-turns", type=int, default=0)
    parser.add_argument("--general", type=Path, nargs=2, metavar=("ANNOTATIONS", "IMAGES"))
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 20, 40])
    parser.add_argument("--held-out", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--train", choices=["heads", "all"], help="instead of the app's choice")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        total = options.held_out + max(options.counts)
        data = write_photos(options, total, options.seed, folder)
        ids = [image["id"] for image in data["images"]]
        held_out = subset(data, set(ids[: options.held_out]), folder / "held_out.json")
        judged_on = {"held out": (held_out, folder / "images")}
        if options.general:
            judged_on["in general"] = tuple(options.general)
        for kind, (labels, pictures) in judged_on.items():
            print(f"before, {kind}: {judged(labels, pictures, options.model)}", flush=True)
        for count in options.counts:
            labels = subset(data, set(ids[options.held_out :][:count]), folder / f"{count}.json")
            people = sum(bool(a["num_keypoints"]) for a in json.loads(labels.read_text())["annotations"])
            defaults = fine_tuning_defaults(count, people)
            run = folder / f"run{count}"
            arguments = ["--epochs", options.epochs or defaults.epochs, "--train", options.train or defaults.train]
            arguments += ["--batch", options.batch] if options.batch else []
            arguments += ["--lr", options.lr] if options.lr else []
            arguments += ["--precision", options.precision]
            started = time.monotonic()
            msarcnn(
                *("train", "--annotations", labels, "--images", folder / "images", "--init", options.model),
                *("--output", run, "--val-fraction", 0.2, *arguments),
            )
            minutes = (time.monotonic() - started) / 60
            print(f"{count} images, {people} people, {minutes:.1f} min", flush=True)
            for kind, (truth, pictures) in judged_on.items():
                print(f"after, {kind}: {judged(truth, pictures, run / 'checkpoints' / 'best.safetensors')}", flush=True)


if __name__ == "__main__":
    main()
