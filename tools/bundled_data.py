"""What the bundled models learn from and are judged by: the data folders as COCO files of our own, in one form."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOX_WEIGHTS = {"native": 1.0, "joints+det": 0.3, "joints": 0.3, "yolox_nano": 0.3}
"""How much a box's place teaches, by where it comes from: people's, from joints, a small detector's."""
HELD_OUT_NOBODY = 100
"""Photos with nobody that are never trained on: the people invented on them are counted."""


@dataclass(frozen=True)
class Data:
    """COCO files with the image folder of each.

    Attributes:
        human: People whose joints people labelled.
        other: Photos whose joints a teacher placed, and photos with nobody.
        validation: Both validation sets in one file, for the figures that choose the weights to keep.
        judged: The validation sets, one by one.
        nobody: The photos with nobody that are held out.
        coco_numbers: COCO's numbers of the photos to train on that are not called by them.
    """

    human: tuple[tuple[Path, Path], ...]
    other: tuple[tuple[Path, Path], ...]
    validation: tuple[Path, Path]
    judged: tuple[tuple[Path, Path], ...]
    nobody: tuple[Path, Path]
    coco_numbers: tuple[int, ...]


def prepare(data: Path, work: Path) -> Data:
    """Writes the files.

    Args:
        data: Holds coco/, coco_more/, persons/, boxes/ and nobody/.
        work: Where to write to.

    Raises:
        OSError: a file is missing, or cannot be written.
    """
    work.mkdir(parents=True, exist_ok=True)

    def write(name: str, content: dict[str, Any]) -> Path:
        path = work / f"{name}.json"
        path.write_text(json.dumps(content))
        return path

    coco, more = data / "coco", data / "coco_more"
    more_labels = _labels(more)
    nobody = _read(data / "nobody" / "nobody.json")
    kept, held_out = _split_nobody(nobody)
    return Data(
        human=(
            (_path(coco), coco / "images"),
            (write("coco_more", _unknown_where_incomplete(more_labels)), more / "images"),
        ),
        other=(
            (write("persons", _weighed(_read(data / "persons" / "persons_train.json"))), data / "persons" / "images"),
            (data / "boxes" / "boxes_train.json", data / "boxes" / "images"),
            (write("nobody", kept), data / "nobody" / "images"),
        ),
        validation=(
            write("validation", _merged({folder.name: _labels(folder, "val") for folder in (coco, more)})),
            data,
        ),
        judged=tuple((_path(folder, "val"), folder / "images") for folder in (coco, more)),
        nobody=(write("nobody_held_out", held_out), data / "nobody" / "images"),
        coco_numbers=tuple(image["coco_id"] for image in more_labels["images"] if "coco_id" in image),
    )


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _path(folder: Path, part: str = "train") -> Path:
    return folder / "annotations" / f"person_keypoints_{part}.json"


def _labels(folder: Path, part: str = "train") -> dict[str, Any]:
    return _read(_path(folder, part))


def _split_nobody(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Photos to train on, and every seventh to hold out: of every source, and hard ones among them."""
    images = sorted(data["images"], key=lambda image: (image["source"], image["id"]))
    held_out = {image["id"] for image in images[:: len(images) // HELD_OUT_NOBODY][:HELD_OUT_NOBODY]}

    def part(wanted: bool) -> dict[str, Any]:
        chosen = [image for image in images if (image["id"] in held_out) is wanted]
        return {"images": chosen, "annotations": [], "categories": data["categories"]}

    return part(False), part(True)


def _weighed(data: dict[str, Any]) -> dict[str, Any]:
    """Boxes that nobody drew teach their places less."""
    annotations = [{**one, "bbox_weight": BOX_WEIGHTS[one["box_src"]]} for one in data["annotations"]]
    return {**data, "annotations": annotations}


def _unknown_where_incomplete(data: dict[str, Any]) -> dict[str, Any]:
    """Photos on which some people have no label teach no background."""
    images = [
        image
        if image.get("people_complete", True)
        else {**image, "ignore_regions": [[0, 0, image["width"], image["height"]]]}
        for image in data["images"]
    ]
    return {**data, "images": images}


def _merged(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Several files as one, whose image folder is the one that holds theirs; ids are new."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, part in parts.items():
        ids = {image["id"]: len(images) + number for number, image in enumerate(part["images"], 1)}
        images += [
            {**image, "id": ids[image["id"]], "file_name": f"{name}/images/{image['file_name']}"}
            for image in part["images"]
        ]
        annotations += [
            {**one, "id": len(annotations) + number, "image_id": ids[one["image_id"]]}
            for number, one in enumerate(part["annotations"], 1)
        ]
    return {"images": images, "annotations": annotations, "categories": next(iter(parts.values()))["categories"]}
