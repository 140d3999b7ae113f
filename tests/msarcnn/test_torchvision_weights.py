"""torchvision's Keypoint R-CNN gives through our door what it gives through torchvision's."""

import os
import re
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2, resnet50, resnet101
from torchvision.models.detection import (
    KeypointRCNN,
    KeypointRCNN_ResNet50_FPN_Weights,
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn,
)
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops import FrozenBatchNorm2d

from msarcnn import torchvision_weights
from msarcnn.checkpoint import CheckpointError, load_checkpoint
from msarcnn.predictor import Predictor
from msarcnn.skeleton import coco17

DETECTIONS = 6


def frozen_norm(eps):
    return lambda channels: FrozenBatchNorm2d(channels, eps=eps)


def randomised(model, seed):
    """Statistics as after a training, and heads that tell places apart: else every box scores the same."""
    generator = torch.Generator().manual_seed(seed)
    values = [*model.named_buffers(), *model.named_parameters()]
    for name, value in values:
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1, generator=generator)
        elif name.endswith("bn3.weight"):
            value.data.fill_(0.25)
        elif name.endswith(("cls_logits.weight", "cls_score.weight")):
            value.data.mul_(30)
    for name, value in values:
        if name.endswith("bn2.running_var"):
            # Channels that hardly vary, as trained networks have them: with an epsilon they would be other numbers.
            value.data[::8] = 1e-6
        elif name.endswith("bn2.weight"):
            value.data[::8] = 1e-3
    return model.eval()


@pytest.fixture(scope="module")
def theirs():
    """As torchvision builds it for its published weights: frozen BatchNorm without an epsilon."""
    torch.manual_seed(0)
    body = resnet50(weights=None, norm_layer=frozen_norm(0.0))
    return randomised(KeypointRCNN(_resnet_fpn_extractor(body, 3), 2, num_keypoints=17), seed=1)


def old_layout(state):
    """Names as before torchvision 0.14, in which the published file is."""
    renamed = OrderedDict()
    for name, value in state.items():
        name = re.sub(r"(fpn\.(?:inner|layer)_blocks\.\d)\.0\.", r"\1.", name)
        renamed[name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")] = value
    return renamed


def answers(model, pixels, detections=DETECTIONS):
    """torchvision's own, for the first people; what it is asked for changes none of them."""
    model.roi_heads.detections_per_img = detections
    with torch.inference_mode():
        return {
            name: value.numpy() for name, value in model([torch.from_numpy(pixels).permute(2, 0, 1) / 255])[0].items()
        }


def ours(path, pixels, detections=DETECTIONS):
    predictor = Predictor.load(path)
    (features,) = predictor.encode([pixels])
    found = predictor.detect(features)
    boxes = found.boxes[:detections]
    return predictor, boxes, found.scores[:detections], predictor.estimate(features, boxes).keypoints


def assert_same(found, expected):
    _, boxes, scores, keypoints = found
    assert len(expected["boxes"]) == DETECTIONS and expected["scores"].min() > 0.05
    assert np.ptp(expected["scores"]) > 0.01, "scores that are all the same compare nothing"
    np.testing.assert_allclose(boxes, expected["boxes"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(keypoints, expected["keypoints"][..., :2], atol=1e-3, rtol=0)


def noise(height, width, seed=12):
    """Blobs of colour: a photo's low frequencies without a photo."""
    coarse = torch.rand((1, 3, height // 40, width // 40), generator=torch.Generator().manual_seed(seed))
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    return (image * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


@pytest.mark.parametrize(
    ("layout", "zipped", "size"),
    [(OrderedDict, True, (800, 864)), (old_layout, False, (813, 800))],
    ids=["today's names", "the published file's names and format, padded"],
)
def test_its_people_are_torchvisions(theirs, tmp_path, layout, zipped, size):
    path = tmp_path / "people.pth"
    torch.save(layout(theirs.state_dict()), path, _use_new_zipfile_serialization=zipped)
    pixels = noise(*size)
    found = ours(path, pixels)
    assert_same(found, answers(theirs, pixels))


@pytest.mark.parametrize("builder", ["frozen", "trained from nothing"])
def test_the_epsilon_is_that_of_the_network_that_was_saved(theirs, tmp_path, builder):
    """A file does not say it; only a BatchNorm that trained counts its batches, and has one."""
    if builder == "frozen":
        model, eps = theirs, 0.0
    else:
        torch.manual_seed(0)
        model, eps = randomised(keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None), seed=2), 1e-5
    path = tmp_path / "my people.pth"
    torch.save(model.state_dict(), path)
    loaded, info = load_checkpoint(path)
    assert info.config.norm_eps == eps and info.config.name == "mask_rcnn_resnet50_fpn"
    image = torch.rand((1, 3, 96, 128), generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        for level, expected in model.backbone(image).items():
            torch.testing.assert_close(loaded.eval().backbone(image)[level], expected, rtol=1e-4, atol=1e-4)


def weightless(model, **changes):
    """A model's state dictionary of hardly any bytes: every entry is one number, seen in the entry's shape."""
    state = {name: torch.zeros(()).expand(value.shape) for name, value in model.state_dict().items()}
    return {**state, **changes}


def on_meta(builder, *args, **kwargs):
    with torch.device("meta"):
        return builder(*args, weights=None, **kwargs)


def detector(builder, **kwargs):
    return on_meta(builder, weights_backbone=None, **kwargs)


def saved(tmp_path, content, zipped=True):
    path = tmp_path / "some file.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def test_a_file_describes_itself(tmp_path, monkeypatch):
    path = saved(tmp_path, weightless(detector(keypointrcnn_resnet50_fpn)))
    _, info = load_checkpoint(path)
    assert info.name == "some file" and info.config.name == "mask_rcnn_resnet50_fpn"
    assert info.keypoint_names == coco17().keypoints
    assert "default" in info.calibration.origin
    assert info.metrics == {} and info.lineage == {}
    monkeypatch.setattr(torchvision_weights, "full_hash", lambda path: "fc266e95" + "0" * 56)
    _, info = load_checkpoint(path)
    assert info.name == "COCO Keypoint R-CNN"
    assert info.metrics == {"keypoints": {"AP": 0.65}, "bbox": {"AP": 0.546}}
    assert info.lineage["source"] == KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.url
    counted = weightless(detector(keypointrcnn_resnet50_fpn), num_batches_tracked=torch.tensor(9))
    assert torchvision_weights.keypoint_rcnn(path, counted).config.norm_eps == 0.0, "what is published is known"
    monkeypatch.setattr(torchvision_weights, "full_hash", lambda path: "9f466800" + "0" * 56)
    assert load_checkpoint(path)[1].config.norm_eps == 1e-5, "torchvision takes the epsilon from COCO_V1 alone"


KEYPOINT_HEAD = "roi_heads.keypoint_predictor.kps_score_lowres.weight"
CLASSES = "roi_heads.box_predictor.cls_score.weight"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: weightless(detector(fasterrcnn_resnet50_fpn)), r"a detector \(boxes, but no keypoints\)"),
        (lambda: weightless(detector(maskrcnn_resnet50_fpn)), r"a Mask R-CNN \(people's outlines, but no keypoints\)"),
        (lambda: weightless(on_meta(resnet50)), "classifies whole images.* --backbone-weights"),
        (lambda: weightless(on_meta(mobilenet_v2)), "classifies whole images.* --backbone-weights"),
        (lambda: weightless(detector(keypointrcnn_resnet50_fpn, num_classes=91)), "it tells 91 classes apart"),
        (lambda: weightless(detector(keypointrcnn_resnet50_fpn, num_keypoints=21)), "it finds 21 keypoints.* 17"),
        (
            lambda: weightless(KeypointRCNN(_resnet_fpn_extractor(on_meta(resnet101), 3), 2, num_keypoints=17)),
            "not torchvision's keypointrcnn_resnet50_fpn .*layer3.6.* is too much",
        ),
        (lambda: {KEYPOINT_HEAD: torch.zeros(512, 17, 4, 4)}, "it tells 0 classes apart"),
        (lambda: {KEYPOINT_HEAD: torch.zeros(3)}, "it finds 0 keypoints"),
        (lambda: {KEYPOINT_HEAD: torch.zeros(512, 17, 4, 4), CLASSES: torch.tensor(2.0)}, "it tells 0 classes apart"),
        (lambda: {"some.weight": torch.zeros(3)}, "no Keypoint R-CNN of torchvision"),
        (
            lambda: {"model": {"some.weight": torch.zeros(3)}, "epoch": 3},
            r"not weights by name alone \('model' is dict",
        ),
        (lambda: {1: torch.zeros(3)}, "not weights by name alone"),
        (lambda: {"a": torch.zeros(3).to_sparse()}, "a is no plain tensor"),
        (lambda: {"a": torch.zeros(3, dtype=torch.complex64)}, "a is no plain tensor"),
        (lambda: [torch.zeros(3)], "no weights by name but list"),
        (dict, "no weights by name but dict"),
        (lambda: weightless(detector(keypointrcnn_resnet50_fpn), more=torch.zeros(2)), "more is too much; 1 such"),
        (
            lambda: weightless(detector(keypointrcnn_resnet50_fpn), **{"rpn.head.cls_logits.bias": torch.zeros(9)}),
            r"rpn.head.cls_logits.bias is \[9\] instead of \[3\]",
        ),
    ],
)
def test_another_model_is_refused_in_words(tmp_path, content, message):
    refused(saved(tmp_path, content()), message)


def refused(path, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 400 + len(str(path))


class Attack:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (os.system, (f"touch '{self.mark}'",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_file_is_not_executed(tmp_path, monkeypatch, zipped):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark = tmp_path / "executed"
    refused(saved(tmp_path, {"weights": Attack(mark)}, zipped), "could run a program, so it was not opened")
    assert not mark.exists()


def test_a_whole_network_is_refused_naming_the_cure(tmp_path):
    refused(saved(tmp_path, torch.nn.Linear(2, 2)), r"not opened\. Save the network's state_dict\(\)")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_torchscript_program_is_not_run(tmp_path):
    path = tmp_path / "program.pth"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    refused(path, "a TorchScript program")


def test_what_would_unfold_to_any_size_is_refused(tmp_path):
    whole, small = saved(tmp_path, {"a": torch.zeros(1_000_000)}), tmp_path / "small.pth"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    refused(small, "a compressed archive")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(tmp_path, zipped):
    path = saved(tmp_path, {f"layer{number}.weight": torch.zeros(64) for number in range(9)}, zipped)
    data = path.read_bytes()
    for size in (0, 1, 4, 5, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        refused(path, "PyTorch|damaged")


def test_what_is_called_pth_and_is_none(tmp_path):
    path = tmp_path / "notes.pth"
    path.write_text("epoch 3: better\n" * 99)
    refused(path, "no file of PyTorch's, whatever its name says")
    path.write_bytes(b"PK\x03\x04 and nothing that an archive needs")
    refused(path, "cut off or damaged")
    refused(tmp_path / "nowhere.pth", "no such file")


def test_a_file_of_ours_is_one_whatever_its_name(tiny_checkpoint):
    renamed = tiny_checkpoint.rename(tiny_checkpoint.with_suffix(".pth"))
    assert load_checkpoint(renamed)[1].name == "msa_rcnn_mobilenet_v2"
