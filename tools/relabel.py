"""Improves the labels of a training set with a teacher and with our own model (self-training).

    python tools/relabel.py --annotations persons_train.json --images images/ --teacher movenet.tflite --output new.json

Both look at every image and at its mirror image; a place on which the two looks agree is a sure one. Then:

- A joint set by a person (source letter h or i) is kept as it is.
- A joint set by a model (p) that ours is sure of too becomes their mean; where ours surely sees it elsewhere, it keeps
  a small weight, and where ours is unsure a lesser one.
- A joint without a label (-) is unknown, not invisible: it is set where ours is sure and a look of the teacher's
  agrees, or where ours is very sure.

Boxes stay as they are. With --people, a person whom ours surely finds in both looks and who has no box (and is no part
of one) is added, and a small detector's box without joints that ours does not see becomes an ignored region: taught
neither as a person nor as background. No training on its labels has paid so far (docs/decisions.md, 20).

The weights go into `keypoint_weights`, the regions into `ignore_regions`. With a better model, begin again from the
original file.
"""

import argparse
import collections
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from teacher import Teacher

from msarcnn.atomic_files import write_json_atomic
from msarcnn.images import load_image
from msarcnn.oks import box_coverage, box_overlaps
from msarcnn.predictor import Predictor
from msarcnn.skeleton import coco17

AGREE = 0.05
"""Share of a box's longer side within which two looks of one model agree."""
SAME_PLACE = 0.07
"""The same between two models."""
SURE, VERY_SURE = 0.5, 0.75
"""Calibrated confidences of our joints."""
ADDED_SCORE, SEEN_SCORE = 0.7, 0.1
"""Box scores, in the lesser of the two looks, of a missed person and of support for a box."""
SAME_PERSON_IOU, ELSEWHERE_IOU = 0.5, 0.3
PART_COVERAGE = 0.7
"""Share of a box inside a labelled one from which it is taken for a part of that person, not for another one."""
CONFIRMED, UNSURE, DISPUTED, PROPOSED = 1.0, 0.7, 0.3, 0.3
"""Weights of joints."""

FLIP = list(coco17().flip_permutation)
JOINTS = len(FLIP)


class Looks:
    """Our model on an image, [H, W, 3] uint8 RGB, and on its mirror image."""

    def __init__(self, predictor: Predictor, pixels: np.ndarray) -> None:
        self.predictor = predictor
        self.width = pixels.shape[1]
        self._plain = predictor.encode([pixels])[0]
        self._mirrored = predictor.encode([pixels[:, ::-1]])[0]

    def people(self) -> tuple[np.ndarray, np.ndarray]:
        """Detections of both looks: boxes [N, 4], the mean of the two, and scores [N], the lesser one."""
        first, second = self.predictor.detect(self._plain), self.predictor.detect(self._mirrored)
        other = self._mirrored_boxes(second.boxes)
        boxes, scores = [], []
        for box, score in zip(first.boxes, first.scores, strict=True):
            overlaps = box_overlaps(other, xywh(box)) if len(other) else np.zeros(1)
            best = int(overlaps.argmax())
            if overlaps[best] >= SAME_PERSON_IOU:
                boxes.append((box + other[best]) / 2)
                scores.append(min(float(score), float(second.scores[best])))
        return np.array(boxes).reshape(-1, 4), np.array(scores)

    def joints(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places [N, K, 2], the mean of the two looks, and confidences [N, K], 0 where they disagree."""
        first = self.predictor.estimate(self._plain, boxes)
        second = self.predictor.estimate(self._mirrored, self._mirrored_boxes(boxes))
        other = second.keypoints[:, FLIP]
        other = np.stack((self.width - other[..., 0], other[..., 1]), axis=-1)
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        agree = np.linalg.norm(first.keypoints - other, axis=-1) <= AGREE * sides[:, None]
        confidences = (first.confidences + second.confidences[:, FLIP]) / 2
        return (first.keypoints + other) / 2, confidences * agree

    def _mirrored_boxes(self, boxes: np.ndarray) -> np.ndarray:
        return np.stack((self.width - boxes[:, 2], boxes[:, 1], self.width - boxes[:, 0], boxes[:, 3]), axis=1)


def xywh(box: np.ndarray) -> list[float]:
    return [round(float(v), 2) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]


def judged_joints(
    labels: np.ndarray, letters: str, places: np.ndarray, confidences: np.ndarray, teacher: np.ndarray, side: float
) -> tuple[np.ndarray, str, list[float]]:
    """The joints of a person after both models looked.

    Args:
        labels: [K, 3] x, y, v as they are.
        letters: Their K sources.
        places, confidences: [K, 2] and [K], ours; confidence 0 where our two looks disagree.
        teacher: [L, K, 2] the teacher's looks; L may be 0.
        side: The box's longer side in pixels.

    Returns:
        Joints [K, 3], sources, weights.
    """
    joints, sources, weights = labels.astype(float).copy(), list(letters), [0.0] * len(letters)
    for k, letter in enumerate(letters):
        sure = confidences[k] >= SURE
        if letter in "hi":
            weights[k] = 1.0
        elif letter == "p":
            same = np.linalg.norm(labels[k, :2] - places[k]) <= SAME_PLACE * side
            weights[k] = UNSURE if not sure else CONFIRMED if same else DISPUTED
            if sure and same:
                joints[k, :2] = (labels[k, :2] + places[k]) / 2
        elif sure:
            distances = np.linalg.norm(teacher[:, k] - places[k], axis=-1)
            if len(distances) and distances.min() <= SAME_PLACE * side:
                joints[k] = *((teacher[distances.argmin(), k] + places[k]) / 2), 2
                sources[k], weights[k] = "p", UNSURE
            elif confidences[k] >= VERY_SURE:
                joints[k] = *places[k], 2
                sources[k], weights[k] = "p", PROPOSED
    return joints, "".join(sources), weights


def relabelled(annotation: dict[str, Any], joints: np.ndarray, sources: str, weights: list[float]) -> dict[str, Any]:
    present = np.array(list(sources)) != "-"
    flat = np.where(present[:, None], joints, 0.0)
    return {
        **annotation,
        "keypoints": [round(float(v), 1) for v in flat.ravel()],
        "num_keypoints": int(present.sum()),
        "keypoint_sources": sources,
        "keypoint_weights": [round(w, 3) for w in weights],
    }


class Relabeller:
    """Goes through the images and counts what it changes; people: whether it also looks for missed people."""

    def __init__(self, predictor: Predictor, teacher: Teacher, people: bool = False) -> None:
        self.predictor = predictor
        self.teacher = teacher
        self.people = people
        self.counts: collections.Counter[str] = collections.Counter()

    def image(self, pixels: np.ndarray, people: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[list[float]]]:
        """New annotations of an image (added people without an id), and its ignored regions (xywh)."""
        looks = Looks(self.predictor, pixels)
        ignored: list[list[float]] = []
        if self.people:
            people, ignored = self._checked_people(looks, people)
        return self._with_joints(pixels, looks, people), ignored

    def _checked_people(
        self, looks: Looks, people: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[list[float]]]:
        """The people with those that were missed, without boxes that nothing supports; the latter, to be ignored."""
        boxes, scores = looks.people()
        kept, ignored = [], []
        likely = boxes[scores >= SEEN_SCORE]
        for person in people:
            detected = person.get("box_src") == "yolox_nano" and not person.get("num_keypoints")
            if detected and box_overlaps(likely, person["bbox"]).max(initial=0.0) < SAME_PERSON_IOU:
                ignored.append(person["bbox"])
                self.counts["unsupported boxes ignored"] += 1
            else:
                kept.append(person)
        for box, score in zip(boxes, scores, strict=True):
            known = any(
                box_overlaps(box[None], person["bbox"])[0] >= ELSEWHERE_IOU
                or box_coverage(box[None], person["bbox"])[0] >= PART_COVERAGE
                for person in people
            )
            if known or score < ADDED_SCORE:
                continue
            kept.append(
                {
                    "bbox": xywh(box),
                    "box_src": "msarcnn",
                    "score": round(float(score), 3),
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": round(float((box[2] - box[0]) * (box[3] - box[1])), 1),
                }
            )
            self.counts["people added"] += 1
        return kept, ignored

    def _with_joints(self, pixels: np.ndarray, looks: Looks, people: list[dict[str, Any]]) -> list[dict[str, Any]]:
        singles = [person for person in people if not person.get("iscrowd")]
        corners = np.array([person["bbox"] for person in singles], dtype=np.float32).reshape(-1, 4)
        corners[:, 2:] = corners[:, :2] + np.maximum(corners[:, 2:], 1)
        places, confidences = looks.joints(corners)
        done = {}
        for index, person in enumerate(singles):
            labels = np.array(person.get("keypoints") or [0.0] * (3 * JOINTS), dtype=float).reshape(-1, 3)
            before = person.get("keypoint_sources") or "-" * JOINTS
            box, sure = corners[index], confidences[index] >= SURE
            readings = np.zeros((0, JOINTS, 2))
            if any(letter == "-" and yes for letter, yes in zip(before, sure, strict=True)):
                both = (self.teacher.keypoints(pixels, box), self.teacher.mirrored_keypoints(pixels, box))
                readings = np.stack(both)[..., :2]
            side = float(max(box[2:] - box[:2]))
            joints, after, weights = judged_joints(labels, before, places[index], confidences[index], readings, side)
            for old, new, weight in zip(before, after, weights, strict=True):
                self.counts[f"joints {old} -> {new} weight {weight}"] += 1
            done[id(person)] = relabelled(person, joints, after, weights)
        return [done.get(id(person), person) for person in people]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="MoveNet Lightning as .tflite")
    parser.add_argument("--model", help="ours, name or file (default: the bundled one)")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--people", action="store_true", help="also look for missed people")
    parser.add_argument("--limit", type=int, help="only so many images, for a try")
    options = parser.parse_args()
    data = json.loads(options.annotations.read_text())
    by_image = collections.defaultdict(list)
    for annotation in data["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    worker = Relabeller(Predictor.load(options.model), Teacher(options.teacher), options.people)
    images = data["images"][: options.limit]
    annotations: list[dict[str, Any]] = []
    started = time.monotonic()
    for index, image in enumerate(images):
        pixels = load_image(options.images / image["file_name"], options.images).pixels
        people, ignored = worker.image(pixels, by_image[image["id"]])
        image["ignore_regions"] = image.get("ignore_regions", []) + ignored
        annotations += [{**person, "image_id": image["id"]} for person in people]
        if index % 200 == 199:
            print(f"{index + 1} of {len(images)} images, {time.monotonic() - started:.0f} s", flush=True)
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    result = {**data, "images": images, "annotations": annotations}
    write_json_atomic(options.output, json.dumps(result).encode())
    for name, count in sorted(worker.counts.items()):
        print(f"{count:7} {name}")


if __name__ == "__main__":
    main()
