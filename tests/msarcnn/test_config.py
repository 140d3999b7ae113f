import json
import math
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msarcnn.config import ConfigError, ModelConfig, TrainConfig, fine_tuning_defaults
from msarcnn.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_its_dictionary(name):
    config = PRESETS[name]
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert config.name == name


def test_unknown_fields_and_values_are_refused_by_name():
    with pytest.raises(ConfigError, match="colour"):
        ModelConfig.from_dict({"colour": 1})
    with pytest.raises(ConfigError, match="backbone = 'vgg'"):
        preset("msa_rcnn_resnet50_fpn", backbone="vgg")
    with pytest.raises(ConfigError, match="16x16"):
        preset("msa_rcnn_resnet50_fpn", pooling="roi_align")
    with pytest.raises(ConfigError, match="known are"):
        preset("yolo")


def test_the_map_is_56_cells_wide_for_the_baseline_and_64_for_ms_kpsnet():
    assert PRESETS["mask_rcnn_resnet50_fpn"].heatmap_size == 56
    assert PRESETS["msa_rcnn_resnet50_fpn"].heatmap_size == 64


def test_the_paper_learning_rate_follows_the_linear_rule_and_its_steps():
    config = TrainConfig(iterations=90_000, batch_size=16, optimizer="sgd", schedule="step", warmup=500)
    assert config.base_learning_rate == pytest.approx(0.02)
    assert config.learning_rate_at(0) == pytest.approx(0.02 / 3)
    assert config.learning_rate_at(500) == pytest.approx(0.02)
    assert config.learning_rate_at(59_999) == pytest.approx(0.02)
    assert config.learning_rate_at(60_000) == pytest.approx(0.002)
    assert config.learning_rate_at(80_000) == pytest.approx(0.0002)
    assert TrainConfig(batch_size=4, optimizer="sgd").base_learning_rate == pytest.approx(0.005)


def test_cosine_halves_the_rate_half_way():
    config = TrainConfig(iterations=1000, learning_rate=0.1, warmup=0)
    assert config.learning_rate_at(500) == pytest.approx(0.05)
    assert config.learning_rate_at(999) < 1e-6 * math.e


def test_settings_survive_json_and_refuse_nonsense():
    config = TrainConfig(sizes=(320, 352), jitter=(0.5, 2.0))
    assert TrainConfig.from_dict({**config.to_dict(), "sizes": [320, 352]}) == config
    with pytest.raises(ConfigError, match="iterations"):
        TrainConfig(iterations=0)
    with pytest.raises(ConfigError, match="jitter"):
        TrainConfig(jitter=(2.0, 1.0))
    with pytest.raises(ConfigError, match=r"sampling = 0"):
        TrainConfig(sampling=0)
    with pytest.raises(ConfigError, match=r"mosaic = 0.5: needs crop"):
        TrainConfig(mosaic=0.5)


def test_fine_tuning_defaults_give_few_images_many_passes_and_few_people_the_heads():
    assert fine_tuning_defaults(0, 0).epochs == fine_tuning_defaults(20, 60).epochs == 30
    assert fine_tuning_defaults(100, 300).epochs == 15
    assert fine_tuning_defaults(10_000, 30_000).epochs == 5
    assert fine_tuning_defaults(100, 499).train == "heads"
    assert fine_tuning_defaults(100, 500).train == "all"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": -5}, "crop = -5: expected `int` >= 0"),
        ({"learning_rate": -1}, "learning_rate = -1: expected `float` >= 0"),
        ({"learning_rate": math.nan}, "learning_rate = nan: expected `float` >= 0"),
        ({"workers": -1}, "workers = -1: expected `int` >= 0"),
        ({"gradient_clip": 0}, "gradient_clip = 0: expected `float` > 0"),
        ({"batch_size": 2.5}, "batch_size = 2.5: expected `int`"),
        ({"batch_size": True}, "batch_size = True: expected `int`"),
        ({"batch_size": "2"}, "batch_size = '2': expected `int`"),
        ({"flip": 1}, "flip = 1: expected `bool`"),
        (
            {"sizes": [320, 0]},
            r"sizes = \[320, 0\]: expected `int` >= 1",
        ),
        ({"sizes": 320}, "sizes = 320: expected `array`"),
        ({"jitter": [1.0]}, r"jitter = \[1.0\]: expected `array` of length 2"),
        ({"momentum": 1}, "momentum = 1: expected `float` < 1"),
        ({"seed": -1}, "seed = -1"),
        ({"warmup": 10**400}, r"warmup = 1000+\.\.\.: expected `int` <= 1000000000"),
        ({"optimizer": ["sgd"]}, r"optimizer = \['sgd'\]: expected `str`"),
        ({"lerning_rate": 1.0, "batch": 2}, "unknown fields batch, lerning_rate"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_with_what_is_needed(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict(changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": 17.5}, "keypoints = 17.5: expected `int`"),
        ({"fpn_channels": 10**9}, "fpn_channels = 1000000000"),
        ({"box_nms": 1.5}, "box_nms = 1.5: expected `float` <= 1"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std"),
        ({"image_mean": ["a", "b", "c"]}, "image_mean"),
        ({"anchor_sizes": [32, 64, 128, 256]}, r"anchor_sizes = \[32, 64, 128, 256\]: expected `array` of length 5"),
        ({"name": None}, "name = None: expected `str`"),
        ([1, 2], "no object with named fields"),
        (None, "no object with named fields"),
    ],
)
def test_a_wrong_field_of_a_model_is_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict(changes)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
@given(data=st.data())
def test_any_value_in_any_field_is_taken_as_it_is_or_refused_by_the_name_of_the_field(kind, data):
    name = data.draw(st.sampled_from(sorted(kind.__dataclass_fields__)))
    value = data.draw(plain)
    try:
        config = kind.from_dict({name: value})
    except ConfigError as error:
        assert name in str(error)
        assert len(str(error)) < 400
        return
    assert kind.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    if isinstance(config, TrainConfig):
        rates = [config.learning_rate_at(step) for step in (0, config.iterations // 2, config.iterations - 1)]
        assert all(math.isfinite(rate) and rate >= 0 for rate in rates)


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
def test_every_number_has_a_range(kind):
    """A new field without one would accept a learning rate of -1 again."""
    hints = get_type_hints(kind, include_extras=True)
    assert not [name for name, hint in hints.items() if hint in (int, float, tuple[int, ...], tuple[float, ...])]
    assert len(hints) == len(kind.__dataclass_fields__)
