"""The architecture: the paper's Table 2, shapes, and what may train."""

import pytest
import torch

from msarcnn.backbone import fold_frozen_batchnorm
from msarcnn.keypoint_head import HeatmapOutput, MSKpsNet
from msarcnn.model import build_model, resize_boxes
from msarcnn.presets import preset
from msarcnn.summary import count_parameters


def parts_of(name, **changes):
    with torch.device("meta"):
        return count_parameters(build_model(preset(name, **changes)))


def test_parameters_by_part_are_those_of_table_2_with_the_sum():
    parts = parts_of("msa_rcnn_resnet50_fpn")
    assert {name: round(count / 1e6, 2) for name, count in parts.items()} == {
        "backbone": 26.85,
        "ms_roi_align": 4.72,
        "classification_head": 17.84,
        "keypoint_head": 26.88,
        "rpn": 0.59,
    }
    assert round((sum(parts.values()) - parts["rpn"]) / 1e6, 1) == 76.3


def test_parameters_by_part_are_those_of_table_2_with_concatenation():
    parts = parts_of("msa_rcnn_resnet50_fpn", aggregation="concat")
    assert round(parts["classification_head"] / 1e6, 2) == 68.17
    assert round(parts["keypoint_head"] / 1e6, 2) == 37.50
    assert round((sum(parts.values()) - parts["rpn"]) / 1e6, 1) == 137.2


def test_the_baseline_has_the_parameter_names_of_torchvisions_keypoint_rcnn():
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    with torch.device("meta"):
        theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
        ours = build_model(preset("mask_rcnn_resnet50_fpn")).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {
        name: value.shape for name, value in theirs.items() if "num_batches_tracked" not in name
    }


def test_the_stem_and_c2_are_frozen_and_batchnorm_never_trains():
    with torch.device("meta"):
        backbone = build_model(preset("msa_rcnn_resnet50_fpn")).backbone
    trainable = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert not any(name.startswith(("body.conv1", "body.layer1")) or "bn" in name for name in trainable)
    assert any(name.startswith("body.layer2") for name in trainable)


def test_heads_have_the_shapes_of_the_paper():
    body, output = MSKpsNet(8, 16), HeatmapOutput(16, 17)
    value = body(torch.rand(3, 8, 16, 16))
    assert value.shape == (3, 16, 16, 16)
    assert output(value).shape == (3, 17, 64, 64)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in body.modules()) == 11


def test_folding_batchnorm_keeps_the_function():
    torch.manual_seed(0)
    backbone = build_model(preset("msa_rcnn_resnet50_fpn", fpn_channels=8)).backbone.eval()
    for name, buffer in backbone.named_buffers():
        if "running_var" in name or name.endswith("weight"):
            buffer.uniform_(0.5, 1.5)
        else:
            buffer.uniform_(-0.2, 0.2)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = backbone(image)
        fold_frozen_batchnorm(backbone)
        after = backbone(image)
    for level in before:
        torch.testing.assert_close(after[level], before[level], rtol=1e-3, atol=1e-3)
    assert not any("running_var" in name for name, _ in backbone.named_buffers())


def test_levels_have_their_strides(tiny_model):
    features = tiny_model.backbone(torch.rand(1, 3, 96, 160))
    assert {name: tuple(value.shape[-2:]) for name, value in features.items()} == {
        "0": (24, 40),
        "1": (12, 20),
        "2": (6, 10),
        "3": (3, 5),
        "pool": (2, 3),
    }


def test_inference_gives_people_in_the_pixels_of_each_image(tiny_model):
    tiny_model.eval()
    with torch.inference_mode():
        results = tiny_model([torch.rand(3, 96, 160), torch.rand(3, 200, 100)])
    for result, (height, width) in zip(results, [(96, 160), (200, 100)], strict=True):
        count = len(result["boxes"])
        assert result["keypoints"].shape == (count, 17, 2)
        assert (result["boxes"] >= 0).all()
        assert (result["boxes"] <= torch.tensor([width, height, width, height]) + 1e-3).all()
        assert (result["scores"].diff() <= 0).all()


def test_resizing_boxes():
    box = torch.tensor([[10.0, 20.0, 30.0, 40.0]])
    assert resize_boxes(box, (100, 200), (50, 400)).tolist() == [[20.0, 10.0, 60.0, 20.0]]


def test_training_without_targets_is_refused(tiny_model):
    with pytest.raises((AssertionError, ValueError)):
        tiny_model.train()([torch.rand(3, 64, 64)])
