"""Synthetic people: shaded articulated figures with exact boxes and COCO-17 keypoints.

They make the sample project and the tests' data: `python -m msarcnn.synthetic OUT --images 8 --seed 0`.
Every picture follows from its seed alone.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from msarcnn.atomic_files import write_json_atomic
from msarcnn.skeleton import coco17
from msarcnn.synthetic_figure import Figure, random_figure, view
from msarcnn.synthetic_render import NOBODY, Canvas, Capsule, Paint

_FACE_JOINTS = 5
_FACE_DEPTH, _BODY_DEPTH = 0.035, 0.115
"""How far, in body heights, a joint may lie behind the surface in front of it and still be visible."""
_MIN_PIXELS = 40
"""People of whom fewer pixels show are not annotated."""


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticPerson:
    """A person as COCO would annotate it.

    Attributes:
        box: x, y, w, h in pixels: exactly the visible part.
        keypoints: float32 [17, 3], x, y in pixels and v: 2 visible, 1 hidden inside the image, 0 (at 0, 0) outside.
        area: Number of visible pixels.
    """

    box: tuple[float, float, float, float]
    keypoints: np.ndarray
    area: int


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticScene:
    """pixels is uint8 [H, W, 3] RGB; annotations are the people, farthest first."""

    pixels: np.ndarray
    annotations: tuple[SyntheticPerson, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A figure put into the scene: foot is where it stands in pixels, scale its height in pixels."""

    figure: Figure
    foot: tuple[float, float]
    scale: float
    yaw: float
    pitch: float
    layer: float

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Body coordinates [..., 3] to pixels x, y and depth."""
        camera = view(points, self.yaw, self.pitch) * self.scale
        return camera + np.array([self.foot[0], self.foot[1], self.layer])


def make_scene(seed: int, size: tuple[int, int] = (480, 360), people: int | None = None) -> SyntheticScene:
    """Renders a scene.

    Args:
        seed: Decides everything.
        size: Width and height in pixels.
        people: How many people stand in the scene; 1 to 4 drawn from the seed when None. One of whom almost
            nothing shows has no annotation.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    count = int(rng.integers(1, 5)) if people is None else people
    horizon = height * float(rng.uniform(0.2, 0.5))
    light = np.array([rng.uniform(-0.8, 0.8), -0.7, rng.uniform(0.4, 0.9)])
    canvas = Canvas(_background(rng, width, height, horizon), light)
    placed = _place(rng, count, width, height)
    for index, person in enumerate(placed):
        _cast_shadow(canvas, person)
        for capsule in person.figure.furniture:
            canvas.draw_capsule(_in_camera(capsule, person), NOBODY)
        for capsule in person.figure.capsules:
            canvas.draw_capsule(_in_camera(capsule, person), index)
        if rng.random() < 0.25:
            _draw_obstacle(rng, canvas, person)
    annotations = (_annotate(canvas, person, index) for index, person in enumerate(placed))
    pixels = canvas.pixels * rng.uniform(0.8, 1.1) + rng.normal(0.0, rng.uniform(1.0, 5.0), canvas.pixels.shape)
    return SyntheticScene(
        np.clip(pixels, 0, 255).astype(np.uint8), tuple(person for person in annotations if person is not None)
    )


def _in_camera(capsule: Capsule, person: _Placed) -> Capsule:
    start, end = person.to_camera(capsule.start), person.to_camera(capsule.end)
    scale = person.scale
    return Capsule(start, end, capsule.start_radius * scale, capsule.end_radius * scale, capsule.paint)


def _place(rng: np.random.Generator, count: int, width: int, height: int) -> list[_Placed]:
    """Puts figures on the ground, farthest (smallest) first, side by side with some overlap."""
    near = float(rng.uniform(0.55, 0.95))
    scales = np.sort(near * rng.uniform(0.5, 1.0, count)) * height
    slots = (rng.permutation(count) + rng.uniform(0.0, 1.0, count)) / max(count, 1)
    pitch = float(rng.uniform(0.0, 0.25))
    placed = []
    for index in range(count):
        scale = float(scales[index])
        # Nearer means lower in the image; the nearest may lose their feet at its bottom.
        foot = height * float(rng.uniform(0.9, 1.08)) - (near * height - scale) * 0.35
        yaw = float(rng.choice([0.0, 0.0, np.pi, np.pi / 2, -np.pi / 2]) + rng.normal(0.0, 0.45))
        figure = random_figure(rng)
        placed.append(_Placed(figure, (float(slots[index]) * width, foot), scale, yaw, pitch, index * 4.0 * height))
    return placed


def _annotate(canvas: Canvas, person: _Placed, index: int) -> SyntheticPerson | None:
    mask = canvas.owner == index
    area = int(mask.sum())
    if area < _MIN_PIXELS:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = float(columns[0]), float(rows[0])
    box = (left, top, float(columns[-1] + 1 - left), float(rows[-1] + 1 - top))
    keypoints = np.zeros((17, 3), np.float32)
    height, width = mask.shape
    for number, (x, y, z) in enumerate(person.to_camera(person.figure.joints)):
        if 0 <= x < width and 0 <= y < height:
            slack = (_FACE_DEPTH if number < _FACE_JOINTS else _BODY_DEPTH) * person.scale
            around = (slice(max(int(y) - 1, 0), int(y) + 2), slice(max(int(x) - 1, 0), int(x) + 2))
            shows = mask[around] & (canvas.depth[around] - z <= slack)
            keypoints[number] = (x, y, 2 if shows.any() else 1)
    return SyntheticPerson(box, keypoints, area)


def _noise(rng: np.random.Generator, width: int, height: int, cells: int) -> np.ndarray:
    """Smooth noise of mean 0, [height, width, 1]: a random grid of cells x cells, enlarged."""
    grid = Image.fromarray(rng.normal(0.0, 1.0, (cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))[..., None]


def _background(rng: np.random.Generator, width: int, height: int, horizon: float) -> np.ndarray:
    """A textured wall or sky, with rectangles in front of it, over a floor with lines; float32 [H, W, 3]."""
    rows = np.arange(height, dtype=np.float32)[:, None, None]
    wall, floor = (rng.uniform(low, high) + rng.uniform(-35, 35, 3) for low, high in ((80, 220), (60, 180)))
    picture = np.array(wall * (0.8 + 0.3 * rows / max(horizon, 1.0))) * np.ones((1, width, 1))
    for _ in range(int(rng.integers(2, 9))):
        x, y = rng.uniform(-0.1, 1.0) * width, rng.uniform(-0.2, 0.9) * horizon
        w, h = rng.uniform(0.05, 0.3) * width, rng.uniform(0.1, 0.8) * horizon
        block = (slice(max(int(y), 0), max(int(y + h), 0)), slice(max(int(x), 0), max(int(x + w), 0)))
        picture[block] = picture[block] * 0.25 + (rng.uniform(40, 220) + rng.uniform(-50, 50, 3)) * 0.75
    ground = int(horizon)
    depth = (rows[ground:] - horizon + 2.0) / height
    stripes = np.sin(rng.uniform(2.0, 6.0) / depth + rng.uniform(0, 6.28)) * rng.uniform(0.0, 0.12)
    picture[ground:] = floor * (0.75 + 0.4 * depth + stripes)
    texture = sum(_noise(rng, width, height, cells) * weight for cells, weight in ((5, 12), (24, 9), (90, 8)))
    return np.asarray(picture + texture * rng.uniform(0.4, 1.4), np.float32)


def _cast_shadow(canvas: Canvas, person: _Placed) -> None:
    """Darkens the ground under the feet."""
    height, width = canvas.depth.shape
    x = (np.arange(width, dtype=np.float32)[None, :] - person.foot[0]) / (0.26 * person.scale)
    y = (np.arange(height, dtype=np.float32)[:, None] - person.foot[1]) / (0.06 * person.scale)
    darkness = 0.5 * np.exp(-2.0 * (x**2 + y**2))
    darkness[canvas.owner != NOBODY] *= 0.3
    canvas.pixels *= 1.0 - darkness[..., None]


def _draw_obstacle(rng: np.random.Generator, canvas: Canvas, person: _Placed) -> None:
    """Puts a box, a pole or a shrub in front of a person, hiding a part of it."""
    height, width = canvas.depth.shape
    x, foot = person.foot[0] + float(rng.normal(0.0, 0.15)) * person.scale, person.foot[1]
    z = person.layer + 2.0 * height
    color = rng.uniform(30, 220, 3)
    kind = rng.integers(3)
    if kind == 0:
        half, tall = float(rng.uniform(0.12, 0.3)) * person.scale, float(rng.uniform(0.15, 0.45)) * person.scale
        texture = color.astype(np.float32) + _noise(rng, width, height, 40) * 10
        shaded = texture * np.linspace(1.1, 0.8, height, dtype=np.float32)[:, None, None]
        canvas.draw_slab((x - half, foot - tall, x + half, foot + 0.06 * person.scale), z, shaded)
    elif kind == 1:
        paint = Paint((float(color[0]), float(color[1]), float(color[2])), (220.0, 220.0, 220.0), 6.0)
        radius = float(rng.uniform(0.02, 0.045)) * person.scale
        top, bottom = np.array([x, foot - 1.3 * person.scale, z]), np.array([x, foot + 0.05 * person.scale, z])
        canvas.draw_capsule(Capsule(top, bottom, radius, radius, paint), NOBODY)
    else:
        for _ in range(24):
            green = (float(rng.uniform(20, 90)), float(rng.uniform(70, 150)), float(rng.uniform(15, 70)))
            offset = np.array([rng.normal(0.0, 0.11), -abs(rng.normal(0.08, 0.11)), rng.uniform(0.0, 0.1)])
            leaf = np.array([x, foot, z]) + offset * person.scale
            twig = leaf + rng.normal(0.0, 0.03, 3) * person.scale
            canvas.draw_capsule(Capsule(leaf, twig, 0.035 * person.scale, 0.015 * person.scale, Paint(green)), NOBODY)


def write_dataset(folder: Path, images: int, seed: int = 0, size: tuple[int, int] = (480, 360)) -> Path:
    """Writes images/*.jpg and annotations.json, a COCO keypoint dataset; returns the latter's path.

    Image i is `make_scene(seed * 100003 + i, size)`. Existing files of the same names are replaced. Raises OSError.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(images):
        scene = make_scene(seed * 100003 + number, size)
        name = f"people_{number + 1:04d}.jpg"
        Image.fromarray(scene.pixels).save(folder / "images" / name, quality=90)
        entries.append({"id": number + 1, "file_name": name, "width": size[0], "height": size[1]})
        for person in scene.annotations:
            annotations.append(_coco_annotation(len(annotations) + 1, number + 1, person))
    document = {
        "info": {"description": "Synthetic people", "version": "1.0", "seed": seed},
        "licenses": [],
        "images": entries,
        "annotations": annotations,
        "categories": [coco17().coco_category()],
    }
    path = folder / "annotations.json"
    write_json_atomic(path, msgspec.json.format(msgspec.json.encode(document), indent=1))
    return path


def _coco_annotation(key: int, image: int, person: SyntheticPerson) -> dict[str, Any]:
    keypoints: list[float] = []
    for x, y, v in person.keypoints.tolist():
        keypoints += [round(x, 2), round(y, 2), int(v)]
    return {
        "id": key,
        "image_id": image,
        "category_id": 1,
        "bbox": list(person.box),
        "area": person.area,
        "iscrowd": 0,
        "segmentation": [],
        "keypoints": keypoints,
        "num_keypoints": int((person.keypoints[:, 2] > 0).sum()),
    }


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) >= 32 and int(height) >= 32):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT of at least 32x32, e.g. 480x360")
    return int(width), int(height)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: writes a dataset and prints where."""
    parser = argparse.ArgumentParser(prog="python -m msarcnn.synthetic", description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write images/ and annotations.json to")
    parser.add_argument("--images", type=int, default=8, help="number of images (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="seed, >= 0 (default: 0)")
    parser.add_argument("--size", type=_size, default=(480, 360), metavar="WxH", help="default: 480x360")
    options = parser.parse_args(arguments)
    if options.images < 1 or options.seed < 0:
        parser.error("--images must be at least 1 and --seed at least 0")
    try:
        path = write_dataset(options.out, options.images, options.seed, options.size)
    except OSError as error:
        print(f"{options.out}: cannot be written ({error.strerror}); choose another folder", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
