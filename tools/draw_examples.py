"""Draws what a model finds beside what is labelled, for the model card, without showing the photos.

    python tools/draw_examples.py --annotations person_keypoints_val.json --images images/ --output examples.png
    python tools/draw_examples.py ... --before OTHER   # the pictures as another model has them, on the left

The photos may not be republished, their labels may: labelled people are grey silhouettes with a thin black skeleton,
found people have a dashed box and a coloured skeleton (blue left, orange right) of the joints that accepting them would
label; hollow ones are occluded. The images are not picked by hand: all with labelled joints are ranked by the mean OKS
of their people (a missed one counts 0), and six at equal distances in the ranking are drawn, the best first. With two
models the ranking is the first one's.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask

from msarcnn.atomic_files import atomic_writer
from msarcnn.coco import read_coco
from msarcnn.dataset import LabelledImage, labelled_images
from msarcnn.effort import SHOWN_SCORE, match_people
from msarcnn.evaluation import ImageResult, predict_images
from msarcnn.oks import oks_terms
from msarcnn.predictor import Predictor
from msarcnn.skeleton import coco17

PANEL, CAPTION, SCALE = (440, 340), 26, 2
COLUMNS = 2
PAPER, SILHOUETTE, INK = "#ffffff", "#d9dce1", "#20242c"
SKELETON = coco17()
COLORS = {**SKELETON.colors, "c": "#8c8200"}
"""The skeleton's, with a centre that can be seen on white."""


@dataclass(frozen=True)
class Example:
    """An image's labels, what the model shows on it, and how well that fits."""

    people: list[dict[str, Any]]
    found: ImageResult
    similarity: float
    hits: int

    @property
    def posed(self) -> int:
        return sum(bool(person["num_keypoints"]) for person in self.people)


def example(people: list[dict[str, Any]], result: ImageResult) -> Example:
    found = result.only(result.scores >= SHOWN_SCORE)
    posed = [person for person in people if person["num_keypoints"]]
    matches = match_people(found.boxes, posed)
    similarities = [0.0] * len(posed)
    for index, box in matches.items():
        labels = np.array(posed[index]["keypoints"], dtype=float).reshape(-1, 3)
        terms = oks_terms(found.keypoints[box], labels, posed[index]["area"], SKELETON.sigmas)
        similarities[index] = float(terms[labels[:, 2] > 0].mean())
    return Example(people, found, float(np.mean(similarities)), len(matches))


def silhouette(person: dict[str, Any], size: tuple[int, int]) -> Image.Image:
    """The labelled region (without one: the box) as a mask of a (width, height)."""
    x, y, w, h = person["bbox"]
    segmentation = person.get("segmentation") or [[x, y, x + w, y, x + w, y + h, x, y + h]]
    if isinstance(segmentation, list):
        coded = mask.merge(mask.frPyObjects(segmentation, size[1], size[0]))
    else:
        coded = mask.frPyObjects(segmentation, size[1], size[0])
    return Image.fromarray(mask.decode(coded) * 255)


def panel(shown: Example, tau: float) -> Image.Image:
    """One picture with its caption, PANEL pixels large; tau is the model's keypoint threshold."""
    width, height = shown.found.size
    zoom = SCALE * min(PANEL[0] / width, (PANEL[1] - CAPTION) / height)
    size = (round(width * zoom), round(height * zoom))
    picture = Image.new("RGB", size, PAPER)
    for person in shown.people:
        picture.paste(SILHOUETTE, mask=silhouette(person, (width, height)).resize(size))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=SILHOUETTE, width=SCALE)
    for person in shown.people:
        if person["num_keypoints"]:
            joints = np.array(person["keypoints"], dtype=float).reshape(-1, 3)
            for first, second in SKELETON.edges:
                if joints[first, 2] and joints[second, 2]:
                    line = [*(joints[first, :2] * zoom), *(joints[second, :2] * zoom)]
                    draw.line(line, fill=INK, width=SCALE)
    for box, joints, v in zip(shown.found.boxes * zoom, shown.found.keypoints * zoom, shown.found.v(tau), strict=True):
        _dashed_box(draw, box)
        _pose(draw, joints, v)
    sheet = Image.new("RGB", (PANEL[0] * SCALE, PANEL[1] * SCALE), PAPER)
    sheet.paste(picture, (0, CAPTION * SCALE))
    text = f"{shown.found.image_id}: OKS {shown.similarity:.2f}, {shown.hits} of {shown.posed} posed people found"
    ImageDraw.Draw(sheet).text((2, 2), text, fill=INK, font=ImageFont.load_default(14 * SCALE))
    return sheet.resize(PANEL, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Drawn:
    """An example's picture, and how well it fits."""

    similarity: float
    picture: Image.Image


def pictures_of(
    predictor: Predictor, images: list[LabelledImage], people: dict[int, list[dict[str, Any]]]
) -> dict[int, Drawn]:
    """Pictures of images by id; people are the labelled ones."""
    shown = [example(people[result.image_id], result) for result in predict_images(predictor, images, print)]
    return {one.found.image_id: Drawn(one.similarity, panel(one, predictor.tau)) for one in shown}


def _dashed_box(draw: ImageDraw.ImageDraw, box: np.ndarray) -> None:
    x1, y1, x2, y2 = box
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        steps = max(int(np.hypot(end[0] - start[0], end[1] - start[1]) / (5 * SCALE)), 1)
        places = np.linspace(start, end, steps + 1)
        for index in range(0, steps, 2):
            draw.line([*places[index], *places[index + 1]], fill=INK, width=SCALE)


def _pose(draw: ImageDraw.ImageDraw, joints: np.ndarray, v: np.ndarray) -> None:
    colors = [COLORS[side] for side in SKELETON.sides]
    for first, second in SKELETON.edges:
        if v[first] and v[second]:
            line = [*joints[first], *joints[second]]
            draw.line(line, fill=colors[max(first, second)], width=2 * SCALE)
    radius = 3 * SCALE
    for (x, y), state, color in zip(joints, v, colors, strict=True):
        if state:
            circle = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(circle, fill=color if state == 2 else PAPER, outline=color, width=SCALE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", help="name or file (default: the bundled one)")
    parser.add_argument("--before", help="name or file of a model to compare it with")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6)
    options = parser.parse_args()
    data = read_coco(options.annotations)
    people: dict[int, list[dict[str, Any]]] = {}
    for person in data.people:
        people.setdefault(person.image_id, []).append(json.loads(person.raw))
    posed = {image for image, found in people.items() if any(one["num_keypoints"] for one in found)}
    chosen = [image for image in labelled_images(data, [options.images]) if image.image_id in posed]
    models = [options.before, options.model] if options.before else [options.model]
    pictures = [pictures_of(Predictor.load(model), chosen, people) for model in models]
    ranked = sorted(pictures[0], key=lambda image: -pictures[0][image].similarity)
    places = [int((2 * index + 1) / (2 * options.count) * len(ranked)) for index in range(options.count)]
    panels = [drawn[ranked[place]].picture for place in places for drawn in pictures]
    sheet = Image.new("RGB", (PANEL[0] * COLUMNS, PANEL[1] * -(-len(panels) // COLUMNS)), PAPER)
    for index, picture in enumerate(panels):
        row, column = divmod(index, COLUMNS)
        sheet.paste(picture, (column * PANEL[0], row * PANEL[1]))
    with atomic_writer(options.output) as file:
        sheet.quantize(128).save(file, "PNG", optimize=True)


if __name__ == "__main__":
    main()
