"""Measures where labelled joints lie from each other, for estimates that know some of them (msarcnn.joint_pairs).

    python tools/measure_pairs.py person_keypoints_train.json [MORE.json ...]

Only of people with labels by hand, and never of those that a model is judged on. Writes
resources/skeletons/coco17_pairs.json.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from msarcnn.coco import read_coco
from msarcnn.dataset import ground_truth
from msarcnn.joint_pairs import measure_pairs
from msarcnn.resources import resource_path
from msarcnn.skeleton import coco17

_SMALLEST = 32.0
"""Pixels of a box's shorter side: a pixel's error of somebody smaller is large."""


def people(files: list[Path]) -> Iterator[tuple[np.ndarray, list[float]]]:
    for file in files:
        for one in ground_truth(read_coco(file, keep_raw=False))["annotations"]:
            if one["num_keypoints"] and not one["iscrowd"] and min(one["bbox"][2:]) >= _SMALLEST:
                yield np.array(one["keypoints"], dtype=float).reshape(-1, 3), one["bbox"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, nargs="+")
    pairs = measure_pairs(people(parser.parse_args().annotations), coco17())
    rows = ",\n".join(msgspec.json.encode(pair).decode() for pair in pairs)
    (resource_path("skeletons") / "coco17_pairs.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{len(pairs)} offsets, each of {min(pair.people for pair in pairs)} people or more")


if __name__ == "__main__":
    main()
