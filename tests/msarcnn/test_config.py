import math

import pytest

from msarcnn.config import PRESETS, ConfigError, ModelConfig, TrainConfig, fine_tuning_defaults, preset


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
