"""A simulated annotator: how many actions lead from a model's pre-fill to the labels, and how many from nothing.

The actions are the app's own, one each:

accept      once an image on which a prediction is shown (Space)
delete      a person shown where none is labelled (Backspace); one inside a crowd region costs nothing
draw        the box of a labelled person who was not found; the joints are then estimated from it
adjust      a box whose IoU with the label is below 0.7; the joints are then estimated from the new one
move        a labelled joint whose own OKS term is below 0.5, to its place, the worst first; joints that the model has
            placed follow, as far as what is known now tells where they are
visibility  a step of V on joints that are right in place (not labelled -> visible -> occluded -> not labelled), or
            deleting joints that have no label; the joints of a person that a box holds are selected together, and
            spanning the box counts no more than pointing at one joint does

`evaluate` also counts the actions of annotators who do without parts of it: without joints for boxes that are drawn
or adjusted, without joints that follow, without the model's v (a threshold decides), one joint at a time, and without
all of these.

From nothing, a person costs 18 actions: a box, and for every of the 17 joints a click or the skip key. A person whose
joints nobody labelled costs 1, the box, and only the box is judged.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from msarcnn.oks import box_coverage, box_overlaps, oks_terms
from msarcnn.skeleton import coco17
from msarcnn.visibility import CORRECTIONS

ACTIONS = ("accept", "delete", "draw", "adjust", "move", "visibility")
SHOWN_SCORE = 0.5
"""Box score from which a person is shown: the app's default."""
SAME_PERSON_IOU = 0.3
"""A box that overlaps a label less is quicker deleted and drawn anew than adjusted."""
GOOD_BOX_IOU = 0.7
GOOD_JOINT_TERM = 0.5
DRAWS = 1000
"""Sets of images drawn anew for the spread of a figure."""
CORRECTION_TARGETS = (0.85, 0.90, 0.95)
VISIBLE = 2
"""What moving makes of a joint that was a hint."""
CYCLE = (0, 2, 1)
"""v in the order of the app's key V; of several joints the one furthest behind decides what all become."""

Estimate = Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]
"""A box [4] xyxy, and joints [K, 3] that are known where v > 0, or None -> keypoints [K, 2] and the v [K] that each is
accepted with."""


@dataclass(frozen=True)
class Shown:
    """The people that a model shows on an image: boxes [N, 4] xyxy, keypoints [N, K, 2], v [N, K] int64: 0, 1, 2.

    A joint with v = 0 is a hint: its place is known, its label is missing.
    """

    boxes: np.ndarray
    keypoints: np.ndarray
    v: np.ndarray


@dataclass
class Effort:
    """Sums over images; `figures` makes them means. sigmas: the skeleton's, K of them.

    groups says whether the annotator selects several joints at once, follow whether joints follow those that are moved.
    corrections holds a person's number of corrections to each of CORRECTION_TARGETS; posed counts the people with
    labelled joints, untouched those of them who were found and needed nothing; by_image are the actions on each image
    and those from nothing.
    """

    sigmas: Sequence[float] = field(default_factory=lambda: coco17().sigmas)
    groups: bool = True
    follow: bool = True
    images: int = 0
    people: int = 0
    posed: int = 0
    untouched: int = 0
    from_nothing: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    corrections: list[tuple[int, ...]] = field(default_factory=list)
    by_image: list[tuple[int, int]] = field(default_factory=list)

    def add(self, truth: Sequence[dict[str, Any]], shown: Shown, estimate: Estimate | None) -> None:
        """Counts one image.

        Args:
            truth: Its COCO annotations.
            shown: The pre-fill.
            estimate: The model's joints for any boxes of this image; None for outside predictions, where a box that
                is drawn brings no joints and an adjusted one keeps those it has.
        """
        before = self.actions.total(), self.from_nothing
        people = [person for person in truth if not person.get("iscrowd")]
        crowds = [person["bbox"] for person in truth if person.get("iscrowd")]
        matches = match_people(shown.boxes, people)
        spare = [index for index in range(len(shown.boxes)) if index not in matches.values()]
        self.images += 1
        self.people += len(people)
        self.actions["accept"] += bool(len(shown.boxes))
        in_crowd = [(box_coverage(shown.boxes, crowd) >= 0.5) for crowd in crowds]
        self.actions["delete"] += sum(not any(inside[index] for inside in in_crowd) for index in spare)
        for index, person in enumerate(people):
            self._add_person(person, shown, matches.get(index), estimate)
        self.by_image.append((self.actions.total() - before[0], self.from_nothing - before[1]))

    def _add_person(self, person: dict[str, Any], shown: Shown, match: int | None, estimate: Estimate | None) -> None:
        keypoints = np.array(person.get("keypoints") or np.zeros(0), dtype=float).reshape(-1, 3)
        posed = bool((keypoints[:, 2] > 0).any())
        counts: Counter[str] = Counter()
        x, y, w, h = person["bbox"]
        box = np.array([x, y, x + w, y + h], dtype=float)
        pose = None
        if match is None:
            counts["draw"] = 1
        else:
            pose = shown.keypoints[match], shown.v[match]
            if box_overlaps(shown.boxes[match][None], person["bbox"])[0] < GOOD_BOX_IOU:
                counts["adjust"] = 1
            else:
                box = shown.boxes[match]
        if posed:
            if counts and estimate is not None:
                pose = estimate(box, None)
            if pose is None:
                # Nothing to correct: every labelled joint is placed, and marked where it is occluded.
                counts["move"] = int((keypoints[:, 2] > 0).sum())
                counts["visibility"] = int((keypoints[:, 2] == 1).sum())
                self.corrections.append(corrections_needed(np.linspace(0, 1, counts["move"] + 1).tolist()))
            else:
                again = None if estimate is None or not self.follow else partial(_places, estimate, box)
                steps = []
                for step in corrected(pose[0], keypoints, person["area"], self.sigmas, again):
                    steps.append(step)
                    if not step.wrong and step.oks >= CORRECTION_TARGETS[-1]:
                        break
                done = next(step for step in steps if not step.wrong)
                counts += joint_actions(done.moved, pose[1], keypoints, done.places if self.groups else None)
                self.corrections.append(corrections_needed([step.oks for step in steps]))
        self.posed += posed
        self.untouched += posed and not counts.total()
        self.from_nothing += 1 + len(keypoints) * posed
        self.actions += counts

    def figures(self) -> dict[str, Any]:
        """Actions a person and an image, beside those from nothing; shares and corrections; all as plain numbers.

        ratio_spread is the standard deviation of the ratio over sets of images drawn anew with replacement.
        """
        total = self.actions.total()
        corrections = np.array(self.corrections).reshape(-1, len(CORRECTION_TARGETS)).sum(axis=0)
        return {
            "images": self.images,
            "people": self.people,
            "actions_per_person": _ratio(total, self.people),
            "actions_per_image": _ratio(total, self.images),
            "from_nothing_per_person": _ratio(self.from_nothing, self.people),
            "ratio": _ratio(total, self.from_nothing),
            "ratio_spread": _ratio_spread(self.by_image),
            "untouched": _ratio(self.untouched, self.posed),
            "actions": {name: self.actions[name] for name in ACTIONS},
            **{
                f"NoC{target * 100:.0f}": _ratio(int(count), self.posed)
                for target, count in zip(CORRECTION_TARGETS, corrections, strict=True)
            },
        }


def match_people(
    boxes: np.ndarray, people: Sequence[dict[str, Any]], least_iou: float = SAME_PERSON_IOU
) -> dict[int, int]:
    """Pairs labelled people with boxes [N, 4] xyxy, the best IoU first: index of a person -> index of a box."""
    overlaps = np.array([box_overlaps(boxes, person["bbox"]) for person in people]).reshape(len(people), len(boxes))
    matches: dict[int, int] = {}
    for flat in np.argsort(-overlaps, axis=None, kind="stable"):
        person, box = divmod(int(flat), len(boxes))
        if overlaps[person, box] < least_iou:
            break
        if person not in matches and box not in matches.values():
            matches[person] = box
    return matches


def joint_actions(
    moved: np.ndarray, shown: np.ndarray, labels: np.ndarray, places: np.ndarray | None = None
) -> Counter[str]:
    """Actions that make a pose the labelled one.

    Args:
        moved: [K] which joints have been moved to their places.
        shown: [K] the v that each joint was accepted with; 0 is a hint.
        labels: [K, 3] the labelled places and their v: 0, 1 or 2.
        places: [K, 2] where the joints are then; None for an annotator who sets v one joint at a time.
    """
    wanted = labels[:, 2].astype(int)
    v = np.where(moved & (shown == 0), VISIBLE, shown).astype(int)
    steps = int(CORRECTIONS[v, wanted].sum()) if places is None else group_steps(places, v, wanted)
    return Counter(move=int(moved.sum()), visibility=steps)


def group_steps(places: np.ndarray, v: np.ndarray, wanted: np.ndarray) -> int:
    """Steps of V and deletions that give joints their v, each on the joints that a box holds.

    Boxes are taken one after the other, whichever saves most a step; one may hold any joints that are wanted the same.

    Args:
        places: [K, 2] pixels.
        v: [K] what the joints have.
        wanted: [K] what they shall have.

    Returns:
        No more than the joints cost one by one (see CORRECTIONS).
    """
    v, steps = v.copy(), 0
    while (v != wanted).any():
        singly = CORRECTIONS[v, wanted]
        choices = [
            *_boxes(places, v, wanted),
            *((np.array([joint]), singly[joint]) for joint in np.flatnonzero(singly)),
        ]
        held, cost = max(choices, key=lambda choice: singly[choice[0]].sum() / choice[1])
        v[held] = wanted[held]
        steps += int(cost)
    return steps


def _boxes(places: np.ndarray, v: np.ndarray, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Yields joints that a box around some of the wrong ones holds, and the steps that put all of them right."""
    for target in CYCLE:
        wrong = np.flatnonzero((wanted == target) & (v != wanted)).tolist()
        for corners in (list(some) for count in (2, 3, 4) for some in combinations(wrong, count)):
            low, high = places[corners].min(axis=0), places[corners].max(axis=0)
            held = np.flatnonzero(((places >= low) & (places <= high)).all(axis=1))
            if (wanted[held] == target).all():
                behind = min(CYCLE.index(int(value)) for value in v[held])
                steps = (CYCLE.index(target) - behind) % len(CYCLE) or len(CYCLE)
                yield held, steps if target else 1  # Del takes one whatever they are


@dataclass(frozen=True)
class Corrected:
    """A pose after some joints were moved to their places: places [K, 2], moved [K].

    wrong says whether a labelled joint is still to be moved, oks is the OKS by now.
    """

    places: np.ndarray
    moved: np.ndarray
    wrong: bool
    oks: float


def corrected(
    places: np.ndarray,
    labels: np.ndarray,
    area: float,
    sigmas: Sequence[float],
    again: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[Corrected]:
    """Yields a pose after 0, 1, 2, ... of its labelled joints were moved to their places, the worst first.

    Args:
        places: [K, 2] as the model has placed them.
        labels: [K, 3].
        area: The person's, in pixels.
        sigmas: K OKS constants.
        again: The model's places [K, 2] by what is known, [K, 3] with v > 0 where it is; None: no joint follows.
    """
    places, labelled = places.copy(), labels[:, 2] > 0
    moved = np.zeros(len(labels), dtype=bool)
    while True:
        terms = oks_terms(places, labels, area, sigmas)
        wrong = bool((labelled & ~moved & (terms < GOOD_JOINT_TERM)).any())
        yield Corrected(places.copy(), moved.copy(), wrong, float(terms[labelled].mean()))
        left = np.flatnonzero(labelled & ~moved)
        if not len(left):
            return
        worst = left[terms[left].argmin()]
        moved[worst], places[worst] = True, labels[worst, :2]
        if again is not None:
            places[~moved] = again(np.where(moved[:, None], labels, 0.0))[~moved]


def corrections_needed(oks: Sequence[float]) -> tuple[int, ...]:
    """NoC@85/90/95 (Click-Pose): joints put right, the worst first, until the OKS reaches 0.85 / 0.90 / 0.95.

    Args:
        oks: After 0, 1, 2, ... corrections; the last is 1.
    """
    return tuple(next(n for n, reached in enumerate(oks) if reached >= target) for target in CORRECTION_TARGETS)


def _places(estimate: Estimate, box: np.ndarray, known: np.ndarray) -> np.ndarray:
    return estimate(box, known)[0]


def _ratio_spread(by_image: Sequence[tuple[int, int]]) -> float:
    if not by_image:
        return 0.0
    counts = np.array(by_image, dtype=float)
    drawn = np.random.default_rng(0).integers(len(counts), size=(DRAWS, len(counts)))
    actions, from_nothing = counts[drawn].sum(axis=1).T
    ratios = actions[from_nothing > 0] / from_nothing[from_nothing > 0]
    return round(float(ratios.std()), 4) if len(ratios) else 0.0


def _ratio(part: float, whole: float) -> float:
    """A rounded quotient; -1 where there is nothing to divide by, as in pycocotools' figures."""
    return round(part / whole, 4) if whole else -1.0
