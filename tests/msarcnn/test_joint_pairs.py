"""Joints whose neighbours are known."""

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo
from msarcnn.joint_pairs import WEIGHT, known_pairs, measure_pairs, with_known_joints
from msarcnn.keypoints import decode_keypoints
from msarcnn.pose_model import Heatmaps
from msarcnn.predictor import Predictor
from msarcnn.skeleton import Skeleton, coco17

NAMES = coco17().keypoints
ELBOW, WRIST, OTHER_WRIST = (NAMES.index(name) for name in ("left_elbow", "left_wrist", "right_wrist"))
BOX = np.array([[100.0, 50.0, 300.0, 450.0]])


def known(*joints):
    points = np.zeros((1, 17, 3))
    for joint, x, y in joints:
        points[0, joint] = x, y, 2
    return points


def test_offsets_are_measured_in_units_of_the_box():
    skeleton = Skeleton("two", ("a", "b", "c"), ((0, 1),), (), (0.1,) * 3, "ccc", {}, (0, 1, 2))
    rng = np.random.default_rng(0)
    offsets = rng.normal((30, 40), (6, 3), size=(400, 2))
    people = [(np.array([[*offset, 2], [0, 0, 1], [9, 9, 2]]), (0, 0, 50, 200)) for offset in offsets]
    hidden = [(np.array([[999, 999, 0], [0, 0, 2], [9, 9, 2]]), (0, 0, 50, 200))]
    there, back = measure_pairs(people + hidden, skeleton)
    assert (there.joint, there.neighbour, there.people) == ("a", "b", 400)
    assert there.mean == pytest.approx((0.3, 0.4), abs=0.01)
    assert there.covariance == pytest.approx((0.0036, 0, 0.0009), abs=5e-4)
    assert (back.joint, back.mean) == ("b", (-there.mean[0], -there.mean[1]))
    assert measure_pairs(people[:20], skeleton) == [], "too few to say anything"


def test_every_bone_and_mirrored_pair_is_known():
    pairs = {(pair.joint, pair.neighbour) for pair in known_pairs(NAMES)}
    for one, other in {*coco17().edges, *coco17().flip_pairs}:
        assert {(NAMES[one], NAMES[other]), (NAMES[other], NAMES[one])} <= pairs
    assert known_pairs(("head", "tail")) == ()


def test_a_map_without_a_preference_follows_its_neighbour():
    told = with_known_joints(torch.zeros(1, 17, 64, 64), BOX, known((ELBOW, 200.0, 250.0)), NAMES)
    pair = next(one for one in known_pairs(NAMES) if (one.joint, one.neighbour) == ("left_wrist", "left_elbow"))
    scale = (200 * 400) ** 0.5
    x, y = 200 + pair.mean[0] * scale, 250 + pair.mean[1] * scale
    places, _ = decode_keypoints(told, torch.tensor(BOX, dtype=torch.float32), "argmax")
    assert places[0, WRIST].tolist() == pytest.approx([x, y], abs=2)
    xx, xy, yy = np.add(pair.covariance, (1e-4, 0, 1e-4))
    row, column = 20, 40
    dx = (100 + (column + 0.5) / 64 * 200 - x) / scale
    dy = (50 + (row + 0.5) / 64 * 400 - y) / scale
    expected = -WEIGHT / 2 * (np.array([dx, dy]) @ np.linalg.inv([[xx, xy], [xy, yy]]) @ [dx, dy])
    assert told[0, WRIST, row, column].item() == pytest.approx(expected, rel=1e-4)


def test_joints_without_a_known_neighbour_and_known_ones_stay():
    maps = torch.randn(1, 17, 64, 64, generator=torch.Generator().manual_seed(0))
    before = maps.clone()
    told = with_known_joints(maps, BOX, known((ELBOW, 200.0, 250.0), (WRIST, 220.0, 300.0)), NAMES)
    changed = {index for index in range(17) if not torch.equal(told[0, index], maps[0, index])}
    assert changed == {NAMES.index(name) for name in ("left_shoulder", "right_elbow", "right_wrist")}
    assert torch.equal(maps, before), "whose maps they are is not told"


def test_two_neighbours_count_less_than_twice():
    one = with_known_joints(torch.zeros(1, 17, 64, 64), BOX, known((ELBOW, 200.0, 250.0)), NAMES)
    other = with_known_joints(torch.zeros(1, 17, 64, 64), BOX, known((OTHER_WRIST, 200.0, 250.0)), NAMES)
    both = with_known_joints(
        torch.zeros(1, 17, 64, 64), BOX, known((ELBOW, 200.0, 250.0), (OTHER_WRIST, 200.0, 250.0)), NAMES
    )
    torch.testing.assert_close(both[0, WRIST], (one[0, WRIST] + other[0, WRIST]) / 2**0.5)


def test_nothing_known_changes_nothing():
    maps = torch.zeros(1, 17, 64, 64)
    assert with_known_joints(maps, BOX, known(), NAMES) is maps
    named = [f"joint {index}" for index in range(17)]
    assert with_known_joints(maps, BOX, known((ELBOW, 200.0, 250.0)), named) is maps
    nobody = with_known_joints(torch.zeros(0, 17, 64, 64), np.zeros((0, 4)), np.zeros((0, 17, 3)), NAMES)
    assert nobody.shape == (0, 17, 64, 64)


def test_a_model_reads_its_maps_again_when_joints_are_known(tiny_model, photo):
    predictor = Predictor.of(tiny_model, CheckpointInfo(tiny_model.config))
    box = np.array([[5.0, 5.0, 80.0, 110.0]])
    maps = predictor.heatmaps(predictor.encode([photo])[0], box)
    flat = Heatmaps(torch.zeros_like(maps.logits), maps.visibility)
    plain, told = predictor.decode(flat, box), predictor.decode(flat, box, known((ELBOW, 40.0, 40.0)))
    moved = np.abs(told.keypoints - plain.keypoints).max(axis=-1)[0] > 1
    assert moved[WRIST] and not moved[NAMES.index("left_ankle")]
