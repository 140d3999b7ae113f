"""How well `audit` finds errors that were put into good labels.

    python tools/planted_errors.py --annotations person_keypoints_val.json --images images/ [--seeds 3]

Of the people with joints one in twenty is deleted and one in twenty doubled. Of the others' joints a tenth is made
wrong, by exchanging left and right, or by moving them near (OKS term 0.5 to 0.85), far (below 0.1, within the box), or
onto the same joint of somebody else, where there is one. What was wrong before counts as found wrongly.
"""

import argparse
import copy
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msarcnn.audit import KINDS, Finding
from msarcnn.audit_command import audit_labels
from msarcnn.coco import read_coco
from msarcnn.skeleton import coco17

JOINTS, PEOPLE = 0.1, 0.05
FIRST = 20
_TRIES = 200


@dataclass(frozen=True)
class Planted:
    """An error: its kind (as in KINDS), image, people (none for who was deleted), joints, and the box of the person."""

    kind: str
    image: int
    people: frozenset[int]
    joints: frozenset[int]
    box: tuple[float, ...]


class Gardener:
    """Puts errors into a COCO file's content."""

    def __init__(self, content: dict[str, Any], seed: int) -> None:
        self.content = copy.deepcopy(content)
        self.draw = np.random.default_rng(seed)
        self.planted: list[Planted] = []
        self.sigmas = np.array(coco17().sigmas)

    def plant(self) -> None:
        posed = [one for one in self.content["annotations"] if one.get("num_keypoints") and not one.get("iscrowd")]
        touched = self._people(posed)
        posed = [one for one in posed if one["id"] not in touched]
        joints = sum(one["num_keypoints"] for one in posed)
        kinds: dict[str, Callable[[dict[str, Any]], bool]] = {
            "inversion": self._exchange,
            "jitter": lambda person: self._move(person, 0.5, 0.85),
            "miss": lambda person: self._move(person, 0.0, 0.1),
            "swap": lambda person: self._to_another(person, posed),
        }
        while sum(len(one.joints) for one in self.planted) < JOINTS * joints:
            kind = str(self.draw.choice(list(kinds), p=[1 / 6, 5 / 18, 5 / 18, 5 / 18]))
            kinds[kind](posed[int(self.draw.integers(len(posed)))])  # now and then it cannot be done there

    def _people(self, whole: list[dict[str, Any]]) -> set[int]:
        """Deletes and doubles; returns the ids of whom it was done to."""
        order = self.draw.permutation(len(whole))
        count = max(round(PEOPLE * len(whole)), 1)
        for index in order[:count]:
            person = whole[index]
            self.content["annotations"].remove(person)
            self._note("person", person, (), ())
        highest = max(one["id"] for one in self.content["annotations"])
        for number, index in enumerate(order[count : 2 * count], 1):
            person = whole[index]
            twin = copy.deepcopy(person)
            twin["id"] = highest + number
            x, y, w, h = person["bbox"]
            by = self.draw.normal(0, 0.03, 4) * [w, h, w, h]
            twin["bbox"] = [x + by[0], y + by[1], w + by[2], h + by[3]]
            self.content["annotations"].append(twin)
            self._note("duplicate", person, (person["id"], twin["id"]), ())
        return {whole[index]["id"] for index in order[: 2 * count]}

    def _exchange(self, person: dict[str, Any]) -> bool:
        points = _points(person)
        pairs = [pair for pair in coco17().flip_pairs if (points[list(pair), 2] > 0).all() and self._free(person, pair)]
        if not pairs:
            return False
        left, right = pairs[int(self.draw.integers(len(pairs)))]
        if self._term(person, left, points[left], points[right]) > 0.3:
            return False  # they lie on each other: nobody could tell
        points[[left, right]] = points[[right, left]]
        return self._spoil("inversion", person, points, (left, right))

    def _move(self, person: dict[str, Any], low: float, high: float) -> bool:
        points, joint = _points(person), self._some_joint(person)
        if joint is None:
            return False
        x, y, w, h = person["bbox"]
        reach = 2 * self.sigmas[joint] * person["area"] ** 0.5
        for _ in range(_TRIES):
            if low:
                place = points[joint, :2] + self.draw.normal(0, reach, 2)
            else:
                place = self.draw.uniform((x, y), (x + w, y + h))
            if low <= self._term(person, joint, points[joint], place) <= high:
                points[joint, :2] = place
                return self._spoil("jitter" if low else "miss", person, points, (joint,))
        return False

    def _to_another(self, person: dict[str, Any], posed: list[dict[str, Any]]) -> bool:
        points, joint = _points(person), self._some_joint(person)
        others = [one for one in posed if one["image_id"] == person["image_id"] and one is not person]
        places = [_points(one)[joint] for one in others if joint is not None and _points(one)[joint, 2] > 0]
        if joint is None or not places:
            return False
        place = places[int(self.draw.integers(len(places)))]
        if self._term(person, joint, points[joint], place) > 0.1:
            return False
        points[joint, :2] = place[:2]
        return self._spoil("swap", person, points, (joint,))

    def _some_joint(self, person: dict[str, Any]) -> int | None:
        joints = [one for one in np.flatnonzero(_points(person)[:, 2] > 0).tolist() if self._free(person, (one,))]
        return int(self.draw.choice(joints)) if joints else None

    def _free(self, person: dict[str, Any], joints: tuple[int, ...]) -> bool:
        taken = {joint for one in self.planted if person["id"] in one.people for joint in one.joints}
        return not taken & set(joints)

    def _term(self, person: dict[str, Any], joint: int, first: np.ndarray, second: np.ndarray) -> float:
        far = float(((first[:2] - second[:2]) ** 2).sum())
        return float(np.exp(-far / (2 * max(person["area"], 1) * (2 * self.sigmas[joint]) ** 2)))

    def _spoil(self, kind: str, person: dict[str, Any], points: np.ndarray, joints: tuple[int, ...]) -> bool:
        person["keypoints"] = [value for x, y, v in points.tolist() for value in (round(x, 2), round(y, 2), int(v))]
        self._note(kind, person, (person["id"],), joints)
        return True

    def _note(self, kind: str, person: dict[str, Any], people: tuple[int, ...], joints: tuple[int, ...]) -> None:
        one = Planted(kind, person["image_id"], frozenset(people), frozenset(joints), tuple(person["bbox"]))
        self.planted.append(one)


def _points(person: dict[str, Any]) -> np.ndarray:
    return np.array(person["keypoints"], dtype=float).reshape(-1, 3)


def is_about(finding: Finding, planted: Planted) -> bool:
    """Whether a finding points at a planted error, under whatever name."""
    if finding.image != planted.image:
        return False
    if planted.kind == "person":
        return finding.kind == "person" and _overlap(finding.box, planted.box) >= 0.5
    if planted.kind == "duplicate":
        return finding.kind == "duplicate" and set(finding.people) == planted.people
    return bool(planted.people & set(finding.people)) and bool(planted.joints & set(finding.joints))


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    sides = [
        max(min(first[axis] + first[axis + 2], second[axis] + second[axis + 2]) - max(first[axis], second[axis]), 0)
        for axis in (0, 1)
    ]
    shared = sides[0] * sides[1]
    return shared / max(first[2] * first[3] + second[2] * second[3] - shared, 1e-9)


def judge(findings: list[Finding], planted: list[Planted]) -> dict[str, dict[str, float]]:
    """Figures by kind.

    How many were planted; the share found under that name among as many findings of it as were planted, and among all;
    the share found under any name; the precision of the kind's first FIRST findings, or of as many as were planted.
    """
    rows = {}
    for kind in KINDS:
        own = [finding for finding in findings if finding.kind == kind]
        wanted = [one for one in planted if one.kind == kind]
        if not wanted:
            continue

        def share(some: list[Finding], wanted: list[Planted] = wanted) -> float:
            return sum(any(is_about(finding, one) for finding in some) for one in wanted) / len(wanted)

        first = own[: min(FIRST, len(wanted))]
        rows[kind] = {
            "planted": len(wanted),
            "findings": len(own),
            "recall_at_planted": share(own[: len(wanted)]),
            "recall": share(own),
            "recall_any_name": share(findings),
            "precision_first": sum(any(is_about(finding, one) for one in wanted) for finding in first)
            / max(len(first), 1),
        }
    everything = findings[:FIRST]
    right = sum(any(is_about(finding, one) for one in planted) for finding in everything)
    rows["all"] = {
        "planted": len(planted),
        "findings": len(findings),
        "precision_first": right / max(len(everything), 1),
    }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    content = json.loads(options.annotations.read_text())
    read_coco(options.annotations, keep_raw=False, roots=[options.images])  # says what is wrong with it, if anything is
    collected: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(options.seeds):
        gardener = Gardener(content, seed)
        gardener.plant()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "planted.json"
            path.write_text(json.dumps(gardener.content))
            found = audit_labels(path, [options.images], options.model, options.device, lambda *_: None)
        for kind, row in judge(found.findings, gardener.planted).items():
            for name, value in row.items():
                collected[kind][name].append(value)
        print(f"seed {seed}: {len(found.findings)} findings", file=sys.stderr, flush=True)
    print("| kind | planted | findings | recall at planted | recall | under any name | precision, first 20 |")
    print("|---|---|---|---|---|---|---|")
    for kind, figures in collected.items():
        cells = [f"{np.mean(figures[name]):.0f}" for name in ("planted", "findings")]
        for name in ("recall_at_planted", "recall", "recall_any_name", "precision_first"):
            values = figures.get(name)
            cells.append(f"{np.mean(values):.2f} ± {np.std(values):.2f}" if values else "")
        print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
