import dataclasses
import threading

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo
from msarcnn.predictor import FeatureCache, Features, Predictor

BOXES = np.array([[5, 10, 60, 110], [20, 20, 80, 100.5]], dtype=np.float32)


@pytest.fixture
def predictor(tiny_checkpoint):
    return Predictor.load(tiny_checkpoint)


def test_people_of_an_image_are_inside_it_and_sorted(predictor, photo):
    found = predictor.detect(predictor.encode(photo))
    assert found.boxes.dtype == np.float32
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= [90.01, 120.01]).all()
    assert (np.diff(found.scores) <= 0).all()


def test_any_box_can_be_estimated(predictor, photo):
    features = predictor.encode(photo)
    poses = predictor.estimate(features, BOXES, heatmaps=True)
    assert poses.keypoints.shape == (2, 17, 2)
    assert poses.heatmaps is not None and poses.heatmaps.shape == (2, 17, 64, 64)
    np.testing.assert_allclose(poses.heatmaps.astype(np.float64).sum(axis=(2, 3)), 1, atol=0.02)
    assert ((poses.confidences >= 0) & (poses.confidences <= 1)).all()
    assert ((poses.keypoints >= BOXES[:, None, :2]) & (poses.keypoints <= BOXES[:, None, 2:])).all()
    assert predictor.estimate(features, BOXES).heatmaps is None


def test_the_two_stages_agree_with_the_whole_network(tiny_model):
    photo = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)  # needs no resizing
    predictor = Predictor(tiny_model, CheckpointInfo(tiny_model.config))
    features = predictor.encode(photo)
    found = predictor.detect(features)
    poses = predictor.estimate(features, found.boxes)
    with torch.inference_mode():
        whole = tiny_model([torch.from_numpy(photo).permute(2, 0, 1).float() / 255])[0]
    np.testing.assert_allclose(found.boxes, whole["boxes"].numpy(), atol=1e-3)
    np.testing.assert_allclose(poses.keypoints, whole["keypoints"].numpy(), atol=0.05)


def test_many_boxes_are_the_same_as_one_at_a_time(predictor, photo):
    features = predictor.encode(photo)
    boxes = np.tile(BOXES, (40, 1))
    together = predictor.estimate(features, boxes).keypoints
    np.testing.assert_allclose(together[-1], predictor.estimate(features, BOXES[1:]).keypoints[0], atol=1e-2)
    assert predictor.estimate(features, np.zeros((0, 4))).keypoints.shape == (0, 17, 2)


@pytest.mark.parametrize("box", [[10, 10, 10, 20], [10, 10, 5, 20], [0, 0, np.nan, 5]])
def test_an_empty_box_is_refused(predictor, photo, box):
    with pytest.raises(ValueError, match="x2 > x1"):
        predictor.estimate(predictor.encode(photo), np.array([box]))


def test_an_encoded_image_is_kept_under_its_key(predictor, photo):
    features = predictor.encode(photo, key="a")
    assert predictor.encode(np.zeros_like(photo), key="a") is features
    assert predictor.cached("a") is features
    assert predictor.cached("b") is None


def test_the_cache_is_bounded_in_bytes_and_drops_the_oldest():
    def features(side):
        return Features({"0": torch.zeros(1, 1, side, side)}, (side, side), (side, side))

    cache = FeatureCache(max_bytes=1000)
    for key in "abc":
        cache.put(key, features(10))  # 400 bytes each
    assert cache.get("a") is None
    assert cache.get("b") is not None
    cache.put("d", features(10))
    assert cache.get("c") is None, "b was used later than c"
    cache.put("huge", features(100))
    assert cache.get("huge") is None
    assert cache.nbytes <= 1000


def test_encoding_can_be_cancelled_between_stages(predictor, photo):
    calls = []

    def checkpoint():
        calls.append(1)
        if len(calls) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        predictor.encode(photo, key="cancelled", checkpoint=checkpoint)
    assert len(calls) == 5
    assert predictor.cached("cancelled") is None


def test_two_threads_may_ask_at_once(predictor, photo):
    features = predictor.encode(photo)
    expected = predictor.estimate(features, BOXES).keypoints
    answers = []

    def ask():
        for _ in range(5):
            answers.append(predictor.estimate(features, BOXES).keypoints)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 10
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-3)


def test_answers_are_in_the_pixels_of_the_photo_not_of_the_resized_one(predictor, photo):
    features = predictor.encode(photo)
    double = dataclasses.replace(features, original_size=(photo.shape[0] * 2, photo.shape[1] * 2))
    small, large = predictor.estimate(features, BOXES), predictor.estimate(double, BOXES * 2)
    np.testing.assert_allclose(large.keypoints, small.keypoints * 2, rtol=1e-4)
    np.testing.assert_allclose(predictor.detect(double).boxes, predictor.detect(features).boxes * 2, rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 2000, 3), (1500, 1, 3), (1, 1, 3)])
def test_odd_shapes_have_an_answer(predictor, shape):
    features = predictor.encode(np.zeros(shape, dtype=np.uint8))
    assert predictor.detect(features).boxes.shape[1] == 4


def test_a_large_photo_is_resized_with_antialiasing(predictor):
    """Noise that the eye cannot see at test size must not reach the network as noise."""
    noise = np.random.default_rng(0).integers(0, 255, (960, 1600, 3), dtype=np.uint8)
    batch, size = predictor._model.transform.batch_pixels(torch.from_numpy(noise).permute(2, 0, 1))
    assert size == (96, 160)
    assert batch[0, :, : size[0], : size[1]].std() < 0.3 * (noise / 255 * 2 - 1).std()


def test_a_missing_device_is_refused_with_a_cure(tiny_checkpoint):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ValueError, match="choose cpu"):
        Predictor.load(tiny_checkpoint, device="cuda")
