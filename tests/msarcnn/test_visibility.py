"""The third output: v = 0, 1, 2 of every joint, decided by what corrections cost."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msarcnn.coco import read_coco
from msarcnn.dataset import labelled_images
from msarcnn.model import build_model
from msarcnn.presets import PRESETS, preset
from msarcnn.visibility import CORRECTIONS, probable_v
from msarcnn.visibility_head import VisibilityHead, edge_distances, visibility_loss


@pytest.mark.parametrize(
    ("probabilities", "v"),
    [
        ((1, 0, 0), 0),
        ((0, 1, 0), 1),
        ((0, 0, 1), 2),
        # Expected steps from 0, 1, 2: 0.9, 1.0, 0.6.
        ((0.5, 0.1, 0.4), 2),
        # 0.8, 0.9, 0.7: visible, though it is the least probable, since both others are a step away from it.
        ((0.4, 0.2, 0.4), 2),
        # 1.0, 0.8, 0.7.
        ((0.4, 0.3, 0.3), 2),
    ],
)
def test_the_v_that_takes_the_fewest_corrections(probabilities, v):
    assert probable_v(np.array(0.0), np.array(probabilities), 0.5) == v


def test_a_silent_model_has_its_threshold():
    assert probable_v(np.array([0.3, 0.5, 0.9]), None, 0.5).tolist() == [0, 2, 2]


@given(st.tuples(*[st.floats(0.001, 1)] * 3))
def test_no_other_v_is_expected_to_take_fewer(weights):
    p = np.array(weights) / sum(weights)
    expected = [sum(CORRECTIONS[shown, wanted] * p[wanted] for wanted in range(3)) for shown in range(3)]
    assert expected[probable_v(np.array(0.0), p, 0.0)] == pytest.approx(min(expected))


def test_the_papers_presets_are_without_it():
    for name in ("msa_rcnn_resnet50_fpn", "mask_rcnn_resnet50_fpn"):
        assert PRESETS[name].visibility_width == 0
    assert build_model(preset("msa_rcnn_mobilenet_v2", visibility_width=0)).roi_heads.visibility_head is None


def test_a_side_at_the_photos_edge_has_no_distance():
    boxes = torch.tensor([[0.0, 10, 20, 50], [30, 30, 40, 40]])
    assert edge_distances(boxes, (60, 40)).tolist() == [[0, 0.25, 1, 0.25], [1, 1, 0, 1]]


def make_head():
    torch.manual_seed(0)
    head = VisibilityHead(channels=6, keypoints=3, width=8)
    torch.nn.init.normal_(head.weight)
    return head


def test_a_joint_is_looked_at_where_its_map_says_that_it_is():
    head = make_head()
    features = torch.zeros(1, 6, 16, 16)
    logits = torch.zeros(1, 3, 64, 64)
    logits[0, :, 21, 41] = 50.0
    before = head(features, logits, torch.zeros(1, 4))
    features[0, :, 5, 10] = 9.0  # cell (21, 41) of the map
    features[0, :, 5, 9] = -9.0  # its neighbour: the mean of the whole person stays
    assert (head(features, logits, torch.zeros(1, 4)) - before).abs().max() > 0.1
    features = torch.zeros(1, 6, 16, 16)
    features[0, :, 12, 3], features[0, :, 12, 4] = 9.0, -9.0
    torch.testing.assert_close(head(features, logits, torch.zeros(1, 4)), before)


def test_it_learns_without_disturbing_the_keypoint_head():
    head = make_head()
    features, logits = torch.randn(2, 6, 16, 16, requires_grad=True), torch.randn(2, 3, 64, 64, requires_grad=True)
    visibility_loss(head(features, logits, torch.zeros(2, 4)), torch.tensor([[0, 1, 2], [2, -1, 0]])).backward()
    assert features.grad is None and logits.grad is None
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_only_what_is_known_counts():
    logits = torch.zeros(1, 2, 3)
    logits[0, 0] = torch.tensor([0.0, 0.0, 1.0])
    one = visibility_loss(logits, torch.tensor([[2, -1]]))
    assert one.item() == pytest.approx(float(np.log(2 + np.e) - 1), rel=1e-5)
    assert visibility_loss(logits, torch.tensor([[-1, -1]])).item() == 0


JOINTS = [30.0, 30, 2, 40, 30, 1, 0, 0, 0] + [0] * 42


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({}, True),
        ({"keypoint_sources": "hh" + "-" * 15}, True),
        ({"keypoint_sources": "hp" + "-" * 15}, False),
        ({"keypoint_weights": [1.0] * 17}, False),
        ({"keypoints": [0] * 51, "num_keypoints": 0}, False),
    ],
    ids=["COCO's", "a person's", "partly a model's", "weighed", "box only"],
)
def test_whose_visibility_is_taught(tmp_path, fields, known):
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 30, 30], "area": 900, "iscrowd": 0}
    person |= {"keypoints": JOINTS, "num_keypoints": 2} | fields
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    (image,) = labelled_images(read_coco(path), [tmp_path])
    assert image.target()["visibility"][0].tolist() == ([2, 1, 0] + [0] * 14 if known else [-1] * 17)
