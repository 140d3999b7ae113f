"""Where a model loses: people, boxes, or joints; by the number of people on an image, by their size, and by joint.

    python tools/analyse.py --annotations person_keypoints_val.json --images images/ [--model FILE]
    python tools/analyse.py ... --resample 200 [--against OTHER]

Every line is keypoint AP (box AP beside it where boxes change) with one thing put right from the labels, so that the
difference to "as it is" is what that thing costs. `--resample` shows instead what is chance: mean and standard
deviation over sets of images drawn anew with replacement, and of the difference to another model on the same sets.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msarcnn.coco import read_coco
from msarcnn.dataset import ground_truth, labelled_images
from msarcnn.effort import match_people
from msarcnn.evaluation import ImageResult, encoded_results, evaluate_results, predict_images, to_coco_results
from msarcnn.model import Features
from msarcnn.oks import oks_terms
from msarcnn.predictor import Predictor
from msarcnn.skeleton import coco17

Truth = dict[str, Any]
Results = list[dict[str, Any]]
Seen = list[tuple[ImageResult, Features]]
JOINT_GROUPS = {
    "head": range(5),
    "shoulders": (5, 6),
    "elbows": (7, 8),
    "wrists": (9, 10),
    "hips": (11, 12),
    "knees": (13, 14),
    "ankles": (15, 16),
}
SIZES = {"small, under 32² px": (0, 32**2), "medium, to 96² px": (32**2, 96**2), "large": (96**2, 1e12)}


def part(truth: Truth, images: Collection[int]) -> Truth:
    """The labels of some images."""
    return {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in images],
        "annotations": [person for person in truth["annotations"] if person["image_id"] in images],
    }


def corners(people: Iterable[dict[str, Any]]) -> np.ndarray:
    """Boxes [N, 4] xyxy of annotations, every side at least a pixel."""
    boxes = np.array([person["bbox"] for person in people], dtype=np.float32).reshape(-1, 4)
    return np.concatenate((boxes[:, :2], boxes[:, :2] + np.maximum(boxes[:, 2:], 1)), axis=1)


class Analysis:
    """A model's results on labelled images, and what becomes of them when parts are put right."""

    def __init__(self, predictor: Predictor, truth: Truth, seen: Seen) -> None:
        self.predictor = predictor
        self.truth = truth
        self.seen = seen
        self.people = by_image([person for person in truth["annotations"] if not person["iscrowd"]])

    def figures(self, change: Callable[[ImageResult, Features], ImageResult], images: Collection[int] = ()) -> str:
        truth = part(self.truth, images) if images else self.truth
        wanted = {image["id"] for image in truth["images"]}
        results = [change(result, features) for result, features in self.seen if result.image_id in wanted]
        judged = evaluate_results(truth, to_coco_results(results))
        return f"keypoint AP {judged['keypoints']['AP']:.3f}   box AP {judged['bbox']['AP']:.3f}"

    def true_boxes(self, result: ImageResult, features: Features) -> ImageResult:
        """Everybody found, in the labelled box; ranked by the confidence of the joints."""
        boxes = corners(self.people[result.image_id])
        poses = self.predictor.estimate(features, boxes)
        ranks = poses.confidences.mean(axis=1)
        return ImageResult(
            result.image_id,
            result.size,
            boxes,
            ranks,
            poses.keypoints,
            poses.confidences,
            pose_scores=ranks,
            visibility=poses.visibility,
        )

    def boxes_put_right(self, result: ImageResult, features: Features) -> ImageResult:
        """People found get their labelled box; who is missed stays missed, what is nobody stays."""
        boxes = result.boxes.copy()
        for person, box in self._matches(result).items():
            boxes[box] = corners([self.people[result.image_id][person]])[0]
        poses = self.predictor.estimate(features, boxes)
        return replace(result, boxes=boxes, keypoints=poses.keypoints, confidences=poses.confidences)

    def joints_put_right(self, result: ImageResult, features: Features) -> ImageResult:
        """People found get their labelled joints."""
        keypoints = result.keypoints.copy()
        for person, box in self._matches(result).items():
            labels = np.array(self.people[result.image_id][person]["keypoints"], dtype=float).reshape(-1, 3)
            keypoints[box] = np.where(labels[:, 2:] > 0, labels[:, :2], keypoints[box])
        return replace(result, keypoints=keypoints)

    def nobody_put_right(self, result: ImageResult, features: Features) -> ImageResult:
        """Only people who are there are reported, each once."""
        return result.only(np.array(sorted(self._matches(result).values()), dtype=int))

    def joint_terms(self) -> dict[str, float]:
        """Share of labelled joints whose OKS term in the labelled box is at least 0.5, by group."""
        good: dict[str, list[bool]] = defaultdict(list)
        for result, features in self.seen:
            people = [person for person in self.people[result.image_id] if person["num_keypoints"]]
            poses = self.predictor.estimate(features, corners(people))
            for person, points in zip(people, poses.keypoints, strict=True):
                labels = np.array(person["keypoints"], dtype=float).reshape(-1, 3)
                terms = oks_terms(points, labels, person["area"], coco17().sigmas)
                for name, joints in JOINT_GROUPS.items():
                    good[name] += [bool(terms[k] >= 0.5) for k in joints if labels[k, 2] > 0]
        return {name: float(np.mean(values)) for name, values in good.items()}

    def found(self, low: float, high: float) -> str:
        """Of the people of a size (area in pixels), how many have a box, at IoU 0.5, with a score that is shown."""
        hits = []
        for result, _ in self.seen:
            shown = result.boxes[result.scores >= 0.5]
            people = self.people[result.image_id]
            matches = match_people(shown, people, 0.5)
            hits += [index in matches for index, person in enumerate(people) if low <= person["area"] < high]
        return f"{np.mean(hits):.2f} of {len(hits)}" if hits else "none"

    def visibility(self) -> tuple[np.ndarray, np.ndarray]:
        """How many joints have the labelled v, by image [n, 2] (as the model shows them, by its threshold), and of how
        many [n]: joints of people found with labelled joints that are rightly placed, or have no label."""
        right, of = [], []
        for result, _ in self.seen:
            people = self.people[result.image_id]
            counts, total = np.zeros(2), 0
            silent = replace(result, visibility=None)
            for person, box in self._matches(result).items():
                labels = np.array(people[person]["keypoints"], dtype=float).reshape(-1, 3)
                if not (labels[:, 2] > 0).any():
                    continue
                terms = oks_terms(result.keypoints[box], labels, people[person]["area"], coco17().sigmas)
                judged = (terms >= 0.5) | (labels[:, 2] == 0)
                for column, one in enumerate((result, silent)):
                    counts[column] += (one.v(self.predictor.tau)[box] == labels[:, 2])[judged].sum()
                total += int(judged.sum())
            right.append(counts)
            of.append(total)
        return np.array(right), np.array(of)

    def _matches(self, result: ImageResult) -> dict[int, int]:
        return match_people(result.boxes, self.people[result.image_id], 0.5)


def drawn_anew(truth: Truth, models: list[Results], images: Sequence[int]) -> tuple[Truth, list[Results]]:
    """Labels and each model's results for a list of image ids in which an image may come twice; numbered from 1."""
    entries = {image["id"]: image for image in truth["images"]}
    people = by_image(truth["annotations"])
    found = [by_image(results) for results in models]
    drawn: Truth = {**truth, "images": [], "annotations": []}
    results: list[Results] = [[] for _ in models]
    for new, old in enumerate(images, start=1):
        drawn["images"].append({**entries[old], "id": new})
        for person in people[old]:
            drawn["annotations"].append({**person, "image_id": new, "id": len(drawn["annotations"]) + 1})
        for kept, own in zip(results, found, strict=True):
            kept += [{**result, "image_id": new} for result in own[old]]
    return drawn, results


def by_image(entries: Results) -> dict[int, Results]:
    groups: dict[int, Results] = defaultdict(list)
    for entry in entries:
        groups[entry["image_id"]].append(entry)
    return groups


def print_chance(truth: Truth, models: list[Results], draws: int) -> None:
    """Mean and standard deviation of every model's figures over images drawn anew, and of the second less the first."""
    generator = np.random.default_rng(0)
    ids = [image["id"] for image in truth["images"]]
    figures = []
    for _ in range(draws):
        drawn, results = drawn_anew(truth, models, generator.choice(ids, len(ids)).tolist())
        judged = [evaluate_results(drawn, one) for one in results]
        figures.append([[one["keypoints"]["AP"], one["bbox"]["AP"]] for one in judged])
    values = np.array(figures)
    table = {f"model {index + 1}": (values[:, index], "") for index in range(len(models))}
    if len(models) == 2:
        table["difference"] = (values[:, 1] - values[:, 0], "+")
    for name, (columns, sign) in table.items():
        (keypoints, boxes), (spread, box_spread) = columns.mean(axis=0), columns.std(axis=0)
        print(f"{name}: keypoint AP {keypoints:{sign}.3f} ± {spread:.3f}   box AP {boxes:{sign}.3f} ± {box_spread:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", help="name or file (default: the bundled one)")
    parser.add_argument("--resample", type=int, metavar="DRAWS")
    parser.add_argument("--against", help="name or file of a second model, with --resample")
    options = parser.parse_args()
    assert len(coco17().keypoints) == 17, "the groups of joints are COCO's"
    data = read_coco(options.annotations, keep_raw=False)
    images = labelled_images(data, [options.images])
    predictor = Predictor.load(options.model)
    if options.resample:
        predictors = [predictor] + ([Predictor.load(options.against)] if options.against else [])
        models = [to_coco_results(predict_images(one, images, print)) for one in predictors]
        print_chance(ground_truth(data), models, options.resample)
        return
    seen = list(encoded_results(predictor, images, print))
    print_losses(Analysis(predictor, ground_truth(data), seen))


def print_losses(analysis: Analysis) -> None:
    """The figures with one thing put right at a time, and by group."""
    print(f"{'as it is':34}", analysis.figures(lambda result, features: result))
    print(f"{'boxes of found people right':34}", analysis.figures(analysis.boxes_put_right))
    print(f"{'joints of found people right':34}", analysis.figures(analysis.joints_put_right))
    print(f"{'nobody reported who is not there':34}", analysis.figures(analysis.nobody_put_right))
    print(f"{'all true boxes given':34}", analysis.figures(analysis.true_boxes))
    counts = {image: len(people) for image, people in analysis.people.items()}
    for name, fewest, most in (("one person", 1, 1), ("two to four people", 2, 4), ("five and more", 5, 10**6)):
        images = {image for image, count in counts.items() if fewest <= count <= most}
        if images:
            print(f"{f'{name}: {len(images)} images':34}", analysis.figures(lambda result, features: result, images))
    for name, (low, high) in SIZES.items():
        print(f"{f'found, {name}':34}", analysis.found(low, high))
    for name, share in analysis.joint_terms().items():
        print(f"{f'joints right in true boxes, {name}':34} {share:.2f}")
    print_visibility(*analysis.visibility())


def print_visibility(right: np.ndarray, of: np.ndarray) -> None:
    """Shares of joints with the labelled v, and their standard deviation over images drawn anew with replacement."""
    right, of = right[of > 0], of[of > 0]
    if not len(of):
        return
    drawn = np.random.default_rng(0).integers(len(of), size=(1000, len(of)))
    shares = right[drawn].sum(axis=1) / of[drawn].sum(axis=1)[:, None]
    columns = {"v right, as shown": shares[:, 0], "v right, by the threshold": shares[:, 1]}
    means = right.sum(axis=0) / of.sum()
    for (name, values), mean in zip(columns.items(), means, strict=True):
        print(f"{name:34} {mean:.3f} ± {values.std():.3f} of {of.sum()}")
    gain = shares[:, 0] - shares[:, 1]
    print(
        f"{'difference':34} {means[0] - means[1]:+.3f} ± {gain.std():.3f}, above 0 in {np.mean(gain > 0):.1%} of draws"
    )


if __name__ == "__main__":
    main()
