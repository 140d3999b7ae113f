"""What is saved by learning a project's habit of marking joints: actions a person, before and after so many images.

    python tools/habit_study.py --annotations person_keypoints_val.json --images images/ [--model M] [--seeds 5]

The labels are changed into those of projects with other habits. In each, a model's v for people whom it has found is
corrected on images that were not learnt from: one joint at a time, and by boxes around joints (msarcnn.effort).

A second table has annotators who label as in COCO and correct a share of what is shown wrong, image after image: what
they leave is learnt from, too, where they have set any v of that person, as the app does it.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from msarcnn.coco import read_coco
from msarcnn.dataset import ground_truth, labelled_images
from msarcnn.effort import GOOD_JOINT_TERM, SHOWN_SCORE, VISIBLE, group_steps, match_people
from msarcnn.evaluation import predict_images
from msarcnn.habit import learn_habit, with_habit
from msarcnn.oks import oks_terms
from msarcnn.skeleton import coco17
from msarcnn.top_down import load_pose_model
from msarcnn.visibility import CORRECTIONS, probable_v

LEARNT = (0, 5, 10, 20, 40)
"""Images."""
CARE = (1.0, 0.8, 0.5, 0.0)
"""Shares of the wrong v that somebody corrects."""
EVERY = 5
"""Images after which it is learnt again."""
FACE = ("left_eye", "right_eye", "left_ear", "right_ear")

Habit = Callable[[np.ndarray], np.ndarray]
"""v [M, K] as in COCO -> v [M, K] as somebody else labels them."""

Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Of people found on an image: P(v) [M, K, 3], places [M, K, 2], whether these are right [M, K], COCO's v [M, K]."""


def habits() -> dict[str, Habit]:
    faces = np.isin(coco17().keypoints, FACE)
    return {
        "as in COCO": lambda v: v,
        "occluded joints are left out": lambda v: np.where(v == 1, 0, v),
        "occluded or not is not told": lambda v: np.where(v == 1, 2, v),
        "eyes and ears are left out": lambda v: np.where(faces, 0, v),
    }


def found_people(annotations: Path, images: Path, model: str | None) -> list[Found]:
    """The people of each image with somebody who has joints and was found."""
    data = read_coco(annotations, keep_raw=False, roots=[images])
    asked = load_pose_model(model, None, "cpu", print)
    people: dict[int, list[dict[str, object]]] = {}
    for one in ground_truth(data)["annotations"]:
        if one["num_keypoints"] and not one["iscrowd"]:
            people.setdefault(one["image_id"], []).append(one)
    found = []
    for result in predict_images(asked, labelled_images(data, [images]), print):
        shown = result.only(result.scores >= SHOWN_SCORE)
        labelled = people.get(result.image_id, [])
        matches = match_people(shown.boxes, labelled)
        if shown.visibility is None:
            raise SystemExit(f"{asked.name} does not tell v = 0, 1, 2 apart: there is nothing to learn a habit for")
        if matches:
            rows = list(matches.values())
            labels = [np.array(labelled[person]["keypoints"], dtype=float).reshape(-1, 3) for person in matches]
            areas = [float(labelled[person]["area"]) for person in matches]  # type: ignore[arg-type]
            terms = [
                oks_terms(shown.keypoints[row], label, area, coco17().sigmas)
                for row, label, area in zip(rows, labels, areas, strict=True)
            ]
            v = np.array(labels)[..., 2].astype(int)
            right = (np.array(terms) >= GOOD_JOINT_TERM) | (v == 0)
            found.append((shown.visibility[rows], shown.keypoints[rows], right, v))
    return found


def actions(found: list[Found], habit: Habit, factors: np.ndarray) -> np.ndarray:
    """Steps of V and deletions a person: one joint at a time, and by boxes around joints."""
    singly = grouped = people = 0
    for said, places, right, labels in found:
        wanted = habit(labels)
        shown = probable_v(np.zeros(wanted.shape), with_habit(said, factors), 0.0)
        shown = np.where(~right & (wanted > 0) & (shown == 0), VISIBLE, shown)  # it was moved, and is visible by that
        singly += int(CORRECTIONS[shown, wanted].sum())
        grouped += sum(group_steps(*one) for one in zip(places, shown, wanted, strict=True))
        people += len(wanted)
    return np.array([singly, grouped]) / people


def with_care(found: list[Found], care: float, seed: int) -> np.ndarray:
    """Steps of V that the last half of the images would take, with what was learnt by then, and without."""
    draw, half = np.random.default_rng(seed), len(found) // 2
    said: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    factors = np.zeros((len(coco17().keypoints), 3))
    for number, (probabilities, _, _, labels) in enumerate(found[:half], 1):
        shown = probable_v(np.zeros(labels.shape), with_habit(probabilities, factors), 0.0)
        alone = probable_v(np.zeros(labels.shape), probabilities, 0.0)
        corrected = (shown != labels) & (draw.random(labels.shape) < care)
        left = np.where(corrected, labels, shown)
        counts = (corrected & (left != alone)).any(axis=1)
        said.append(probabilities[counts])
        kept.append(left[counts])
        if number % EVERY == 0:
            factors = learn_habit(np.concatenate(said), np.concatenate(kept))
    judged = [actions(found[half:], lambda v: v, one)[0] for one in (np.zeros_like(factors), factors)]
    return np.array(judged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    found = found_people(options.annotations, options.images, options.model)
    if len(found) <= max(LEARNT):
        raise SystemExit(
            f"{len(found)} images have people who are labelled and found; more than {max(LEARNT)} are needed"
        )
    print(f"{sum(len(v) for *_, v in found)} people on {len(found)} images; {options.seeds} orders of them.\n")
    print("| habit | " + " | ".join(f"{count} images learnt" for count in LEARNT) + " |")
    print("|---" * (len(LEARNT) + 1) + "|")
    for name, habit in habits().items():
        cells = []
        for count in LEARNT:
            figures = []
            for seed in range(options.seeds):
                order = np.random.default_rng(seed).permutation(len(found))
                learnt = [found[index] for index in order[:count]]
                factors = np.zeros((len(coco17().keypoints), 3))
                if learnt:
                    said, v = (np.concatenate([one[part] for one in learnt]) for part in (0, 3))
                    factors = learn_habit(said, habit(v))
                figures.append(actions([found[index] for index in order[max(LEARNT) :]], habit, factors))
            mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
            cells.append(f"{mean[0]:.2f} ± {spread[0]:.2f}, {mean[1]:.2f} ± {spread[1]:.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| corrected | actions a person without | with what was learnt |\n|---|---|---|")
    for care in CARE:
        orders = [np.random.default_rng(seed).permutation(len(found)) for seed in range(options.seeds)]
        figures = [with_care([found[index] for index in order], care, seed) for seed, order in enumerate(orders)]
        (before, after), (spread_before, spread_after) = np.mean(figures, axis=0), np.std(figures, axis=0)
        print(f"| {care:.0%} | {before:.2f} ± {spread_before:.2f} | {after:.2f} ± {spread_after:.2f} |")


if __name__ == "__main__":
    main()
