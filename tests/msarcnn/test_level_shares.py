"""Which levels of the pyramid a joint comes from, against what taking a level away does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo
from msarcnn.level_shares import level_contributions
from msarcnn.model import build_model
from msarcnn.predictor import Predictor
from msarcnn.presets import preset

BOX = torch.tensor([20.0, 10.0, 90.0, 110.0])


def network(name="msa_rcnn_mobilenet_v2", **changes):
    torch.manual_seed(4)
    small = {"min_size": 96, "max_size": 128, "fpn_channels": 16, "keypoint_width": 16, "box_head_width": 16}
    return build_model(replace(preset(name), **small, **changes)).eval()


def encoded(model):
    image = torch.rand(3, 120, 100, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        return model.encode([image])


@pytest.mark.parametrize("aggregation", ["sum", "concat"])
def test_a_small_change_of_a_level_does_what_its_contribution_says(aggregation):
    model = network(aggregation=aggregation)
    features = encoded(model)
    parts = level_contributions(model, features, BOX, 3)
    assert parts is not None and parts.shape == (4, 16, 16) and parts.abs().sum() > 0
    heads, pool = model.roi_heads, model.roi_heads.keypoint_roi_pool
    resized = BOX[None] * torch.tensor(
        [features.sizes[0][1] / 100, features.sizes[0][0] / 120, features.sizes[0][1] / 100, features.sizes[0][0] / 120]
    )

    def said(levels):
        logits = heads.keypoint_predictor(heads.keypoint_head(pool.aggregated(levels)))[0, 3].double().flatten()
        return logits.log_softmax(dim=0)

    with torch.no_grad():
        levels = pool.by_level(features.maps, [resized])
        cell, step = said(levels).argmax(), 1e-2
        for index in range(4):
            changed = [level * (1 + step * (place == index)) for place, level in enumerate(levels)]
            difference = (said(changed)[cell] - said(levels)[cell]) / step
            assert difference.item() == pytest.approx(parts[index].sum().item(), rel=0.1, abs=1e-5)


def test_a_model_that_looks_at_one_level_has_nothing_to_tell_apart():
    model = network(pooling="roi_align_p2")
    assert level_contributions(model, encoded(model), BOX, 3) is None


def test_the_model_is_asked_about_an_image_that_it_has_encoded():
    model = network()
    predictor = Predictor.of(model, CheckpointInfo(model.config))
    (features,) = predictor.encode([np.zeros((120, 100, 3), np.uint8)])
    parts = predictor.levels(features, np.array([20, 10, 90, 110]), 3)
    assert parts.shape == (4, 16, 16) and parts.dtype == np.float32 and np.isfinite(parts).all()
    before = predictor.heatmaps(features, np.array([[20, 10, 90, 110]])).logits
    predictor.levels(features, np.array([20, 10, 90, 110]), 3)
    torch.testing.assert_close(predictor.heatmaps(features, np.array([[20, 10, 90, 110]])).logits, before)
