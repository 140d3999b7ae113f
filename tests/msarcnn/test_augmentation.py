import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msarcnn.augmentation import augment, mirror_target, mosaic
from msarcnn.config import TrainConfig
from msarcnn.skeleton import coco17

FLIP = torch.tensor(coco17().flip_permutation)
PLAIN = TrainConfig(flip=False, color=0.0)


def target(boxes, keypoints=None, ignored=()):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    points = torch.zeros(len(boxes), 17, 3) if keypoints is None else keypoints
    return {
        "boxes": boxes,
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "keypoints": points,
        "keypoint_weights": (points[..., 2] > 0).float(),
        "visibility": points[..., 2].long(),
        "ignore_boxes": torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    }


def one_joint(x, y, index=9):
    points = torch.zeros(1, 17, 3)
    points[0, index] = torch.tensor([x, y, 2.0])
    return points


def run(pixels, wanted, config, sizes, seed=0, ratio=2.0):
    return augment(pixels, wanted, config, sizes, ratio, FLIP, torch.Generator().manual_seed(seed))


def test_resizing_scales_boxes_and_joints():
    image, moved = run(
        torch.zeros(3, 100, 200, dtype=torch.uint8), target([[10, 20, 50, 80]], one_joint(30, 40)), PLAIN, (50,)
    )
    assert image.shape == (3, 50, 100)
    assert moved["boxes"][0].tolist() == [5, 10, 25, 40]
    assert moved["keypoints"][0, 9].tolist() == [15, 20, 2]


def test_the_longest_side_is_bounded():
    image, _ = run(torch.zeros(3, 100, 1000, dtype=torch.uint8), target([]), PLAIN, (100,), ratio=2.0)
    assert image.shape[-1] == 200


def test_a_mirror_image_swaps_left_and_right_and_has_no_pixel_offset():
    points = one_joint(30.0, 40.0, index=9)  # the left wrist
    mirrored = mirror_target(target([[10, 20, 50, 80]], points, [[0, 0, 5, 5]]), 100, FLIP)
    assert mirrored["boxes"][0].tolist() == [50, 20, 90, 80]
    assert mirrored["ignore_boxes"][0].tolist() == [95, 0, 100, 5]
    assert mirrored["keypoints"][0, 10].tolist() == [70, 40, 2]
    assert mirrored["keypoint_weights"][0].nonzero().ravel().tolist() == [10]


def test_mirroring_twice_is_nothing():
    wanted = target([[10, 20, 50, 80]], torch.rand(1, 17, 3) * 50, [[1, 2, 3, 4]])
    back = mirror_target(mirror_target(wanted, 123, FLIP), 123, FLIP)
    for key, value in wanted.items():
        torch.testing.assert_close(back[key], value)


def test_a_joint_outside_the_crop_is_not_taught_and_a_sliver_of_a_person_is_ignored():
    config = dataclasses.replace(PLAIN, crop=50)
    wanted = target([[0, 0, 100, 50], [0, 0, 50, 50]], torch.cat([one_joint(5, 5), one_joint(95, 5)]))
    kept = [run(torch.zeros(3, 50, 200, dtype=torch.uint8), wanted, config, (50,), seed, 8.0)[1] for seed in range(30)]
    assert any(len(one["boxes"]) == 0 and len(one["ignore_boxes"]) for one in kept), "a sliver becomes ignored"
    for one in kept:
        taught = one["keypoint_weights"] > 0
        points = one["keypoints"][taught]
        assert ((points[:, :2] >= 0) & (points[:, :2] <= 50)).all()
        assert (one["boxes"] >= 0).all() and (one["boxes"] <= 50).all()
        assert len(one["boxes"]) == len(one["keypoints"]) == len(one["labels"]) == len(one["keypoint_weights"])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(40, 120), st.integers(40, 120))
def test_a_marked_pixel_goes_where_its_joint_goes(seed, height, width):
    """The image and its targets are moved by the same map, whatever is drawn."""
    pixels = torch.zeros(3, height, width, dtype=torch.uint8)
    y, x = height // 3, width // 2
    pixels[:, y - 3 : y + 3, x - 3 : x + 3] = 255
    config = TrainConfig(color=0.0, jitter=(0.7, 1.5), crop=48)
    image, moved = run(pixels, target([[0, 0, width, height]], one_joint(x, y)), config, (64,), seed)
    taught = (moved["keypoint_weights"] > 0).nonzero()
    if len(moved["boxes"]) == 0 or len(taught) == 0:
        return
    px, py, _ = moved["keypoints"][0, taught[0, 1]].tolist()
    bright = image[0].numpy()
    if not (4 < px < bright.shape[1] - 4 and 4 < py < bright.shape[0] - 4):
        return
    rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]] + 0.5
    assert (bright * columns).sum() / bright.sum() == pytest.approx(px, abs=1.0)
    assert (bright * rows).sum() / bright.sum() == pytest.approx(py, abs=1.0)


def test_the_same_seed_gives_the_same_sample():
    config = TrainConfig(color=0.5, jitter=(0.5, 1.5), crop=48)
    pixels = torch.randint(0, 255, (3, 90, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first, second = (run(pixels, target([[5, 5, 60, 80]]), config, (64, 80), seed=3) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1]["boxes"], second[1]["boxes"])
    assert first[0].min() >= 0 and first[0].max() <= 1


def test_a_person_too_small_to_see_is_ignored():
    wanted = target([[0, 0, 28, 28], [50, 50, 60, 60]], torch.cat([one_joint(5, 5), one_joint(55, 55)]))
    _, moved = run(torch.zeros(3, 100, 100, dtype=torch.uint8), wanted, PLAIN, (50,))
    assert moved["boxes"].tolist() == [[0, 0, 14, 14]]
    assert moved["ignore_boxes"].tolist() == [[25, 25, 30, 30]]


@pytest.mark.parametrize("count", [4, 9])
def test_a_mosaic_keeps_people_where_their_pixels_go(count):
    """A white square in every image: each box of the mosaic lies on one, and no white lies outside."""
    pixels = torch.zeros(3, 80, 60, dtype=torch.uint8)
    pixels[:, 20:50, 15:45] = 255
    wanted = target([[15, 20, 45, 50]], one_joint(30, 35), [[0, 0, 10, 10]])
    config = TrainConfig(color=0.0, jitter=(0.6, 1.3), crop=120, mosaic=1.0)
    for seed in range(10):
        image, moved = mosaic([(pixels, wanted)] * count, config, FLIP, torch.Generator().manual_seed(seed))
        assert image.shape == (3, 120, 120)
        covered = torch.zeros(120, 120)
        for left, top, right, bottom in torch.cat((moved["boxes"], moved["ignore_boxes"])).tolist():
            covered[max(round(top) - 1, 0) : round(bottom) + 1, max(round(left) - 1, 0) : round(right) + 1] = 1
        assert (image[0][covered == 0] < 0.6).all()
        for left, top, right, bottom in moved["boxes"].tolist():
            assert image[0][round(top) + 2 : round(bottom) - 2, round(left) + 2 : round(right) - 2].mean() > 0.9
        taught = moved["keypoints"][moved["keypoint_weights"] > 0]
        assert len(taught)
        for x, y, _ in taught.tolist():
            assert image[0][min(int(y), 119), min(int(x), 119)] > 0.9
        assert len(moved["boxes"]) == len(moved["labels"]) == len(moved["keypoints"])


def test_a_mosaic_has_as_many_images_as_it_was_given():
    shades = [(torch.full((3, 40, 40), 25 * index, dtype=torch.uint8), target([])) for index in range(1, 10)]
    config = TrainConfig(color=0.0, crop=90, mosaic=1.0, jitter=(1.0, 1.2))
    image, _ = mosaic(shades, config, FLIP, torch.Generator().manual_seed(1))
    seen = {round(float(value) * 255) for value in image[0].unique()}
    assert seen == {25 * index for index in range(1, 10)}
