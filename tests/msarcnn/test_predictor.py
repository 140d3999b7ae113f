import copy
import dataclasses
import threading

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo
from msarcnn.feature_cache import FeatureCache
from msarcnn.keypoints import heatmap_probabilities
from msarcnn.model import Features
from msarcnn.predictor import Predictor, overflows

BOXES = np.array([[5, 10, 60, 110], [20, 20, 80, 100.5]], dtype=np.float32)


@pytest.fixture
def predictor(tiny_checkpoint):
    return Predictor.load(tiny_checkpoint, "cpu")


def encoded(predictor, photo):
    (features,) = predictor.encode([photo])
    return features


def test_people_of_an_image_are_inside_it_and_sorted(predictor, photo):
    found = predictor.detect(encoded(predictor, photo))
    assert found.boxes.dtype == np.float32
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= [90.01, 120.01]).all()
    assert (np.diff(found.scores) <= 0).all()


def test_any_box_can_be_estimated(predictor, photo):
    features = encoded(predictor, photo)
    maps = predictor.heatmaps(features, BOXES)
    logits, poses = maps.logits, predictor.decode(maps, BOXES)
    assert poses.keypoints.shape == (2, 17, 2)
    assert logits.shape == (2, 17, 64, 64) and logits.dtype == torch.float32
    np.testing.assert_allclose(heatmap_probabilities(logits).sum(dim=(2, 3)), 1, atol=1e-4)
    assert ((poses.confidences >= 0) & (poses.confidences <= 1)).all()
    assert ((poses.keypoints >= BOXES[:, None, :2]) & (poses.keypoints <= BOXES[:, None, 2:])).all()
    np.testing.assert_array_equal(predictor.estimate(features, BOXES).keypoints, poses.keypoints)


def test_every_road_through_the_model_gives_the_same_people(tiny_model, photo):
    """The network as a whole, the whole service, and its questions one by one."""
    predictor = Predictor.of(tiny_model, CheckpointInfo(tiny_model.config))
    (people,) = predictor.predict([photo])
    assert len(people) > 0
    features = encoded(predictor, photo)
    found, poses = predictor.detect(features), predictor.estimate(features, people.boxes)
    same = predictor.find(features)
    with torch.inference_mode():
        whole = tiny_model([torch.from_numpy(photo).permute(2, 0, 1)])[0]
    for boxes in (found.boxes, same.boxes, whole["boxes"].numpy()):
        np.testing.assert_array_equal(boxes, people.boxes)
    for said in (poses.visibility, same.visibility, whole["visibility"].numpy()):
        np.testing.assert_array_equal(said, people.visibility)
    np.testing.assert_allclose(people.visibility.sum(axis=-1), 1, atol=1e-5)
    for points in (poses.keypoints, same.keypoints, whole["keypoints"].numpy()):
        np.testing.assert_allclose(points, people.keypoints, atol=1e-3)
    np.testing.assert_array_equal(same.ranks, people.ranks)


@pytest.mark.parametrize("pose_score", ["box", "joints"])
def test_people_are_ranked_as_the_configuration_says(tiny_model, photo, pose_score):
    info = CheckpointInfo(dataclasses.replace(tiny_model.config, pose_score=pose_score))
    (people,) = Predictor.of(tiny_model, info).predict([photo])
    labelled = 1 - people.visibility[..., 0]
    certainty = (people.confidences * labelled).sum(axis=1) / labelled.sum(axis=1)
    expected = people.scores * certainty if pose_score == "joints" else people.scores
    np.testing.assert_allclose(people.ranks, expected, rtol=1e-6)


def test_images_of_like_shape_are_done_together_and_each_as_if_alone(tiny_model):
    """In double precision: rounding, which differs from processor to processor, must not choose between peaks."""
    rng = np.random.default_rng(0)
    shapes = [(96, 160), (160, 96), (90, 150), (96, 160), (64, 64), (96, 160)]
    images = [rng.integers(0, 255, (*shape, 3), dtype=np.uint8) for shape in shapes]
    predictor = Predictor.of(tiny_model.double(), CheckpointInfo(tiny_model.config))
    alone = [predictor.predict([image])[0] for image in images]
    batches = []
    tiny_model.backbone.register_forward_pre_hook(lambda _, inputs: batches.append(tuple(inputs[0].shape)))
    predictor.placed.batch = 3
    together = predictor.predict(images)
    assert batches == [(3, 3, 96, 160), (1, 3, 96, 160), (1, 3, 160, 96), (1, 3, 96, 96)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-2)
    assert [features.original_size for features in predictor.encode(images)] == shapes


def test_given_proposals_take_the_place_of_the_models_own(predictor, photo):
    features = encoded(predictor, photo)
    own = predictor.detect(features)
    among = predictor.detect(features, BOXES)
    assert 0 < len(among) <= len(BOXES) < len(own)


def test_many_boxes_are_the_same_as_one_at_a_time(tiny_model, photo):
    predictor = Predictor.of(tiny_model.double(), CheckpointInfo(tiny_model.config))
    features = encoded(predictor, photo)
    boxes = np.tile(BOXES, (40, 1))
    together = predictor.estimate(features, boxes).keypoints
    np.testing.assert_allclose(together[-1], predictor.estimate(features, BOXES[1:]).keypoints[0], atol=1e-2)
    assert predictor.estimate(features, np.zeros((0, 4))).keypoints.shape == (0, 17, 2)


@pytest.mark.parametrize("box", [[10, 10, 10, 20], [10, 10, 5, 20], [0, 0, np.nan, 5]])
def test_an_empty_box_is_refused(predictor, photo, box):
    with pytest.raises(ValueError, match="x2 > x1"):
        predictor.estimate(encoded(predictor, photo), np.array([box]))


def test_the_cache_is_bounded_in_bytes_and_drops_the_oldest():
    def features(side):
        return Features({"0": torch.zeros(1, 1, side, side)}, [(side, side)], [(side, side)])

    cache = FeatureCache(1000)
    for key in "abc":
        cache.put(key, features(10))  # 400 bytes each
    assert cache.get("a") is None
    assert cache.get("b") is not None
    cache.put("d", features(10))
    assert cache.get("c") is None, "b was used later than c"
    cache.put("huge", features(100))
    assert cache.get("huge") is None
    assert cache.nbytes <= 1000
    cache.set_bound(500)
    assert cache.get("d") is not None and cache.nbytes == 400
    cache.clear()
    assert cache.nbytes == 0 and cache.get("b") is None


def test_encoding_can_be_cancelled_between_stages(predictor, photo):
    calls = []

    def checkpoint():
        calls.append(1)
        if len(calls) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        predictor.encode([photo], checkpoint)
    assert len(calls) == 5


def test_two_threads_may_ask_at_once(predictor, photo):
    features = encoded(predictor, photo)
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
    features = encoded(predictor, photo)
    double = dataclasses.replace(features, original_sizes=[(photo.shape[0] * 2, photo.shape[1] * 2)])
    small, large = predictor.estimate(features, BOXES), predictor.estimate(double, BOXES * 2)
    np.testing.assert_allclose(large.keypoints, small.keypoints * 2, rtol=1e-4)
    np.testing.assert_allclose(predictor.detect(double).boxes, predictor.detect(features).boxes * 2, rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 2000, 3), (1500, 1, 3), (1, 1, 3)])
def test_odd_shapes_have_an_answer(predictor, shape):
    features = encoded(predictor, np.zeros(shape, dtype=np.uint8))
    assert predictor.detect(features).boxes.shape[1] == 4


def test_a_large_photo_is_resized_with_antialiasing(predictor):
    """Noise that the eye cannot see at test size must not reach the network as noise."""
    noise = np.random.default_rng(0).integers(0, 255, (960, 1600, 3), dtype=np.uint8)
    batch = predictor.placed.network.transform.batch([torch.from_numpy(noise).permute(2, 0, 1)])
    assert batch.image_sizes == [(96, 160)]
    assert batch.tensors[0, :, :96, :160].std() < 0.3 * (noise / 255 * 2 - 1).std()


def test_a_network_whose_values_are_too_large_for_half_precision_is_told(tiny_model):
    tiny_model.eval()
    assert not overflows(tiny_model)
    half = copy.deepcopy(tiny_model).half()
    assert not overflows(half)
    with torch.no_grad():
        tiny_model.backbone.fpn.layer_blocks[0][0].weight *= 1e6
    assert not overflows(tiny_model)
    assert overflows(copy.deepcopy(tiny_model).half())


@pytest.mark.parametrize("part", ["rpn.head.cls_logits", "roi_heads.box_head.fc6", "roi_heads.keypoint_predictor"])
def test_every_head_is_looked_at(tiny_model, part):
    half = tiny_model.eval().half()
    with torch.no_grad():
        for value in half.get_submodule(part).parameters():
            value.fill_(torch.inf)
    assert overflows(half)


def test_numbers_too_large_for_half_precision_are_an_error_and_not_nobody(tiny_model, photo):
    half = tiny_model.eval().half()
    with torch.no_grad():
        half.roi_heads.box_head.fc6.weight.fill_(6e4)
    with pytest.raises(RuntimeError, match="too large for half precision"):
        Predictor.of(half, CheckpointInfo(half.config)).predict([photo])


def test_an_image_as_a_whole_is_its_top_features_without_the_padding(tiny_model):
    """Two images in one frame of 96 x 128 px, one filling it: cells of 32 px, so 3 x 4 and 2 x 2 of them."""
    maps = {level: torch.zeros(2, 2, 3, 4) for level in ("0", "1", "2")}
    top = torch.full((2, 2, 3, 4), 100.0)
    top[0, 0], top[0, 1] = 3.0, 4.0
    top[1, :, :2, :2] = torch.tensor([[[0.0, 2.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    features = Features(maps | {"3": top}, [(96, 128), (40, 64)], [(96, 128), (40, 64)])
    torch.testing.assert_close(features.summaries(), torch.tensor([[0.6, 0.8], [1.0, 0.0]]))


def test_a_find_says_what_the_image_is_like(predictor, photo):
    (whole,), (twice, other) = predictor.predict([photo]), predictor.predict([photo, photo[::-1]])
    assert whole.summary.dtype == np.float32 and np.linalg.norm(whole.summary) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(twice.summary, whole.summary, atol=1e-4)
    assert np.abs(other.summary - whole.summary).max() > 1e-4
    alone = predictor.find(encoded(predictor, photo))
    np.testing.assert_allclose(alone.summary, whole.summary, atol=1e-5)
    assert whole.only(np.zeros(len(whole), dtype=bool)).summary is not None, "it is the image's, whoever is on it"
