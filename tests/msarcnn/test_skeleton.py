"""The shipped skeleton is COCO's, and malformed ones are refused."""

import json
from pathlib import Path

import msgspec
import pytest

from msarcnn.resources import resource_path
from msarcnn.skeleton import coco17, load_skeleton


def test_coco_17() -> None:
    skeleton = coco17()
    assert skeleton.keypoints[0] == "nose" and skeleton.keypoints[16] == "right_ankle" and len(skeleton.keypoints) == 17
    for index, (name, side) in enumerate(zip(skeleton.keypoints, skeleton.sides, strict=True)):
        assert side == {"left": "l", "right": "r"}.get(name.split("_")[0], "c")
        mirrored = skeleton.keypoints[skeleton.flip_permutation[index]]
        assert mirrored.split("_")[-1] == name.split("_")[-1]
        assert (skeleton.flip_permutation[index] == index) == (side == "c")
    assert sorted(skeleton.placing_order) == list(range(17))
    assert skeleton.sigmas[0] == 0.026 and skeleton.sigmas[11] == 0.107
    assert set(skeleton.sides) <= set(skeleton.colors)


@pytest.mark.parametrize(
    "change",
    [{"sigmas": [0.1]}, {"edges": [[0, 17]]}, {"flip_pairs": [[-1, 2]]}, {"sides": "lr"}, {"unknown": 1}, {"name": 3}],
)
def test_malformed_skeletons_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    fields = json.loads(resource_path("skeletons", "coco17.json").read_text())
    path = tmp_path / "skeleton.json"
    path.write_text(json.dumps({**fields, **change}))
    with pytest.raises(msgspec.ValidationError):
        load_skeleton(path)


def test_missing_resources_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.json is missing"):
        resource_path("skeletons", "nothing.json")
