"""Reading COCO results, a list of detections: boxes, keypoints, or both, of the person category of an annotation file.

Joints are in the order of `keypoint_names` where an entry has them, else in that of the annotation file's category.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from msarcnn.coco import CocoDataset, CocoImage, PersonCategory
from msarcnn.dataset import PERSON_CATEGORY, DataError
from msarcnn.joint_names import JointOrder, joint_order, own_order
from msarcnn.skeleton import Skeleton


class _Entry(msgspec.Struct):
    image_id: int | None = None
    score: float | None = None
    category_id: int | None = None
    bbox: list[float] | None = None
    keypoints: list[float] | None = None
    keypoint_names: list[str] | None = None
    keypoint_scores: list[float] | None = None
    keypoint_visibility: list[Annotated[int, msgspec.Meta(ge=0, le=2)]] | None = None
    box_score: float | None = None


@dataclass(frozen=True)
class Results:
    """People found by some model.

    entries are in COCO's results format, joints in the skeleton's order; kinds names what all of them have:
    "keypoints", "bbox" or both; problems says what was left out.
    """

    entries: list[dict[str, Any]]
    kinds: tuple[str, ...]
    problems: list[str]


def read_results(path: Path, data: CocoDataset) -> Results:
    """Reads the results for an annotation file.

    Args:
        path: The list of results.
        data: The annotations; their categories of people decide who of the results is a person.

    Raises:
        DataError: the file is no list of results, an entry does not fit, or none is of a person; names the place.
    """
    try:
        found = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=list[_Entry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = re.sub(r" - at `\$\[(\d+)\]\.?(.*)`$", r" in entry \1 \2", str(error)).rstrip()
        raise DataError(f"{path}: not COCO results ({reason}): give a JSON list of detections") from error
    lost_images = {record.id for record in data.quarantined if record.section == "images"}
    categories = {category.id: category for category in data.categories}
    people, left_out = [], Counter[str]()
    for index, entry in enumerate(found):
        if entry.image_id in lost_images:
            left_out["of images that are left out themselves"] += 1
        elif entry.category_id is not None and entry.category_id not in categories:
            left_out[f"of other categories than {_called(data)}"] += 1
        else:
            people.append((index, entry))
    problems = [f"{path}: results left out: {count} of {len(found)}, {why}" for why, count in left_out.items()]
    if found and not people:
        raise DataError("; ".join(problems) + ": nothing is left to judge")
    known = {image.id for image in data.images}
    entries = []
    for index, entry in people:
        order = _order(entry, categories.get(entry.category_id or 0, data.person), data.skeleton)
        fault = "names its keypoints in a way that is not known" if order is None else _fault(entry, known, order.count)
        if order is None or fault:
            raise DataError(f"{path}: entry {index} {fault}")
        entries.append(_plain(entry, order))
    return Results(entries, _kinds(path, [entry for _, entry in people], problems), problems)


def _order(entry: _Entry, category: PersonCategory | None, skeleton: Skeleton) -> JointOrder | None:
    """Where the skeleton's joints stand in an entry: by its own names, else its category's; None if not understood."""
    if entry.keypoint_names:
        return joint_order(entry.keypoint_names, skeleton)
    return category.order if category else own_order(skeleton)


def _called(data: CocoDataset) -> str:
    named = ", ".join(f"{category.id} ({category.name})" for category in data.categories)
    return f"{named} in {data.path}" if named else f"a person's ({data.path} has none)"


def _fault(entry: _Entry, images: set[int], joints: int) -> str:
    """What is wrong with an entry; empty when nothing is."""
    if entry.image_id is None or entry.score is None:
        return "needs image_id and score"
    if entry.image_id not in images:
        return f"is of image {entry.image_id}, which is not in the annotations: give the results of these images"
    if not entry.bbox and not entry.keypoints:
        return f"needs bbox (4 numbers) or keypoints ({3 * joints} numbers)"
    lengths = {"bbox": 4, "keypoints": 3 * joints, "keypoint_scores": joints, "keypoint_visibility": joints}
    for name, wanted in lengths.items():
        values = getattr(entry, name)
        if values and len(values) != wanted:
            return f"has {len(values)} numbers in {name} instead of {wanted}"
    if entry.bbox and min(entry.bbox[2:]) < 0:
        return "has a bbox of negative width or height"
    return ""


def _kinds(path: Path, entries: Sequence[_Entry], problems: list[str]) -> tuple[str, ...]:
    """What every entry has; adds to the problems what is not judged for want of it."""
    without = {name: sum(not getattr(entry, name) for entry in entries) for name in ("keypoints", "bbox")}
    if all(without.values()):
        raise DataError(
            f"{path}: {without['bbox']} have no bbox, {without['keypoints']} have no keypoints: "
            f"judge those with boxes and those with keypoints as two files"
        )
    words = {"keypoints": "keypoints: no keypoint figures", "bbox": "bbox: no box figures"}
    problems += [f"{path}: {count} of {len(entries)} have no {words[name]}" for name, count in without.items() if count]
    return tuple(name for name, count in without.items() if not count)


def _plain(entry: _Entry, order: JointOrder) -> dict[str, Any]:
    """The entry with the category that is judged, its joints in the skeleton's order."""
    plain = {name: value for name, value in msgspec.structs.asdict(entry).items() if value is not None}
    plain.pop("keypoint_names", None)
    if entry.keypoints:
        triples = [entry.keypoints[at : at + 3] for at in range(0, len(entry.keypoints), 3)]
        plain["keypoints"] = [value for triple in order.read(triples, [0.0] * 3) for value in triple]
    if entry.keypoint_scores:
        plain["keypoint_scores"] = order.read(entry.keypoint_scores, 0.0)
    if entry.keypoint_visibility:
        plain["keypoint_visibility"] = order.read(entry.keypoint_visibility, 0)
    return {**plain, "category_id": PERSON_CATEGORY}


def for_file(entry: dict[str, Any], person: PersonCategory | None, image: CocoImage) -> dict[str, Any]:
    """A result of ours as one of a file's: its category, its pixels, and its order of joints.

    The order is named where it is not the skeleton's, and `image_size` is given where the pixels are not the photo's.
    """
    keypoints = entry["keypoints"]
    triples = [keypoints[at : at + 3] for at in range(0, len(keypoints), 3)]
    if person is not None:
        entry = {**entry, "category_id": person.id}
        if not person.order.is_own:
            triples = person.order.write(triples, [[0, 0, 0]] * person.order.count)
            for name in ("keypoint_scores", "keypoint_visibility"):
                if name in entry:
                    entry[name] = person.order.write(entry[name], [0] * person.order.count)
            entry["keypoint_names"] = list(person.keypoints)
    sx, sy = image.scale
    if image.scale != (1.0, 1.0):
        triples = [[round(x / sx, 2), round(y / sy, 2), v] for x, y, v in triples]
        bbox = [round(number / factor, 2) for number, factor in zip(entry["bbox"], (sx, sy, sx, sy), strict=True)]
        entry = {**entry, "bbox": bbox, "image_size": [round(image.width / sx), round(image.height / sy)]}
    return {**entry, "keypoints": [value for triple in triples for value in triple]}
