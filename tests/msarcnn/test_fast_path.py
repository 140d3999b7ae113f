"""The fast path: fewer proposals, short numbers where the CPU has them, nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from msarcnn import fast_path
from msarcnn.checkpoint import CheckpointInfo, save_checkpoint
from msarcnn.command_line import main
from msarcnn.fast_path import FAST_PROPOSALS, short_numbers
from msarcnn.model import build_model
from msarcnn.synthetic import write_dataset
from msarcnn.top_down import load_pose_model


@pytest.fixture
def eager(tiny_config, tmp_path):
    """A network that looks at more boxes than the fast path does."""
    torch.manual_seed(0)
    config = replace(tiny_config, rpn_pre_nms_test=2000, rpn_post_nms_test=900, anchor_sizes=(4, 8, 16, 32, 64))
    path = tmp_path / "eager.safetensors"
    save_checkpoint(path, build_model(config), CheckpointInfo(config))
    return path


def loaded(path, fast):
    return load_pose_model(path, None, "cpu", pytest.fail, fast)


def test_it_looks_at_the_best_three_hundred(eager, photo):
    plain, fast = loaded(eager, False), loaded(eager, True)
    boxes = [model.propose(model.encode([photo])[0]) for model in (plain, fast)]
    assert len(boxes[0]) > FAST_PROPOSALS == len(boxes[1])


def test_without_the_instructions_numbers_stay_as_they_are(tiny_checkpoint, photo, monkeypatch):
    monkeypatch.setattr(fast_path, "has_bf16", lambda device: False)
    plain, fast = (loaded(tiny_checkpoint, wanted).predict([photo])[0] for wanted in (False, True))
    assert np.array_equal(plain.boxes, fast.boxes) and np.array_equal(plain.keypoints, fast.keypoints)


def test_with_them_the_cpu_computes_in_bfloat16_and_answers_in_single_precision(tiny_checkpoint, photo, monkeypatch):
    monkeypatch.setattr(fast_path, "has_bf16", lambda device: True)
    model = loaded(tiny_checkpoint, True)
    features = model.encode([photo])[0]
    assert {value.dtype for value in features.maps.values()} == {torch.bfloat16}
    boxes = np.array([[10.0, 10, 60, 100]])
    maps = model.heatmaps(features, boxes)
    exact = loaded(tiny_checkpoint, False)
    reference = exact.heatmaps(exact.encode([photo])[0], boxes)
    assert maps.logits.dtype == torch.float32
    assert torch.allclose(maps.logits, reference.logits, atol=0.05) and not torch.equal(maps.logits, reference.logits)
    assert model.find(features).boxes.dtype == np.float32
    with short_numbers(torch.device("cpu"), wanted=False):
        assert not torch.is_autocast_enabled("cpu")


def test_the_commands_take_it(capsys, tiny_checkpoint, tmp_path):
    write_dataset(tmp_path, images=2, seed=1, size=(160, 120))
    data = ["--annotations", tmp_path / "annotations.json", "--images", tmp_path / "images"]
    assert main([str(one) for one in ["evaluate", *data, "--model", tiny_checkpoint, "--fast", "--json"]]) == 0
    assert {"keypoints", "bbox"} <= json.loads(capsys.readouterr().out).keys()
    found = tmp_path / "found.json"
    arguments = ["predict", tmp_path / "images", "--output", found, "--model", tiny_checkpoint, "--fast"]
    assert main([str(one) for one in arguments]) == 0 and found.exists()
    refused = ["predict", tmp_path / "images", "--output", found, "--fast", "--ray", "local"]
    assert main([str(one) for one in refused]) == 2
    assert "--tta, --fast and --detector cannot be shared" in capsys.readouterr().err
