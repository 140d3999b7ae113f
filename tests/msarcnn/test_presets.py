"""The paper's tables as presets: what a row switches, how it is trained, and that each of them works."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
import torch

from msarcnn.augmented import AugmentedModel, looking
from msarcnn.checkpoint import CheckpointInfo
from msarcnn.command_line import build_parser
from msarcnn.config import ConfigError, ModelConfig, TrainConfig
from msarcnn.model import build_model
from msarcnn.predictor import Predictor
from msarcnn.presets import LADDER, PRESETS, paper_recipe, preset
from msarcnn.train_command import settings_from_arguments

NARROW = {"fpn_channels": 16, "box_head_width": 32, "keypoint_width": 16, "min_size": 64, "max_size": 96}


def differences(one, other):
    return {field.name for field in fields(ModelConfig) if getattr(one, field.name) != getattr(other, field.name)}


def test_each_row_of_the_ladder_is_one_switch_on_the_row_above():
    for above, row in pairwise(LADDER):
        switched = differences(PRESETS[above.name], PRESETS[row.name]) - {"name"}
        assert switched == set(row.switch), row.name
        assert len(switched) + (row.longer and not above.longer) == 1, row.name


def test_the_ladder_ends_at_the_papers_network():
    assert differences(PRESETS["msa_rcnn_top2"], PRESETS["msa_rcnn_resnet50_fpn"]) == {"name", "norm_eps"}
    assert [row.paper[0] for row in LADDER] == [64.1, 64.4, 64.7, 66.2, 66.5, 67.4, 67.6, 70.3]


@pytest.mark.parametrize(
    ("name", "batch", "steps", "falls"),
    [
        ("mask_rcnn_resnet50_fpn", 16, 90_000, (60_000, 80_000)),
        ("ms_kpsnet", 4, 360_000, (240_000, 320_000)),
        ("ms_kpsnet_longer", 16, 130_000, (100_000, 120_000)),
        ("msa_rcnn_resnet50_fpn", 4, 520_000, (400_000, 480_000)),
        ("mask_rcnn_plus", 8, 180_000, (120_000, 160_000)),
    ],
)
def test_the_papers_schedules(name, batch, steps, falls):
    config = TrainConfig.from_dict(paper_recipe(name, batch))
    rate = 0.02 * batch / 16
    assert config.iterations == steps and config.learning_rate_at(1000) == pytest.approx(rate)
    for place, before, after in zip(falls, (1, 0.1), (0.1, 0.01), strict=True):
        assert config.learning_rate_at(place - 1) == pytest.approx(rate * before)
        assert config.learning_rate_at(place) == pytest.approx(rate * after)


def settings(*words):
    arguments = ["train", "--annotations", "a.json", "--images", "i", "--output", "run", *map(str, words)]
    return settings_from_arguments(build_parser().parse_args(arguments))


def test_train_takes_a_row_and_what_is_given_besides():
    row = settings("--preset", "ms_roi_align")
    assert row.model_config == PRESETS["ms_roi_align"]
    assert (row.train_config.batch_size, row.train_config.iterations) == (4, 520_000)
    assert row.train_config.select == "keypoints" and row.train_config.sizes[0] == 640
    small = settings("--preset", "ms_roi_align", "--batch", 2, "--iterations", 10, "--optimizer", "adamw")
    assert (small.train_config.batch_size, small.train_config.iterations) == (2, 10)
    assert small.train_config.optimizer == "adamw" and small.train_config.schedule == "step"
    with pytest.raises(ConfigError, match="leave out --model"):
        settings("--preset", "ms_roi_align", "--model", "ms_kpsnet")
    with pytest.raises(ConfigError, match="the paper trains no such network"):
        settings("--preset", "msa_rcnn_mobilenet_v2")


def test_the_last_row_looks_in_nine_sizes_without_being_told():
    config = preset("msa_rcnn_tta", **NARROW)
    asked = looking(Predictor.of(build_model(config), CheckpointInfo(config)))
    assert isinstance(asked, AugmentedModel) and len(asked.sizes) == 9
    plain = preset("msa_rcnn_top2", **NARROW)
    assert isinstance(looking(Predictor.of(build_model(plain), CheckpointInfo(plain))), Predictor)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_two_steps_and_predicts(name, photo):
    torch.manual_seed(0)
    config = preset(name, **NARROW)
    model = build_model(config)
    # A random trunk without norms has large numbers: small steps.
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], 1e-8)
    points = torch.cat((torch.rand(1, 17, 2) * 40 + 15, torch.full((1, 17, 1), 2.0)), dim=2)
    target = {
        "boxes": torch.tensor([[10.0, 10, 60, 62]]),
        "labels": torch.ones(1, dtype=torch.int64),
        "keypoints": points,
        "keypoint_weights": torch.ones(1, 17),
        "visibility": torch.full((1, 17), 2),
        "ignore_boxes": torch.zeros(0, 4),
    }
    trained = []
    for _ in range(2):
        losses = model.train()([torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))], [target])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        trained.append(sum(losses.values()).item())
    assert np.isfinite(trained).all() and trained[0] != trained[1]
    predictor = Predictor.of(model, CheckpointInfo(config))
    (features,) = predictor.encode([photo])
    poses = predictor.estimate(features, np.float32([[10, 5, 60, 100]]))
    assert poses.keypoints.shape == (1, 17, 2) and np.isfinite(poses.keypoints).all()
    assert len(predictor.predict([photo])) == 1
