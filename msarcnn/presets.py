"""Networks by name: the paper's ladder (Table 1) and its other tables' rows, and the light ones. No torch."""

from dataclasses import dataclass, field, replace
from typing import Any

from msarcnn.config import ConfigError, ModelConfig

ALL_SCALES = tuple(steps / 8 for steps in range(4, 13))
"""Factors on the test size: for 800 px the paper's shortest sides 400, 500, ... 1200."""


PAPER_BATCH = 4
"""Images a step: two on each of two GPUs."""


@dataclass(frozen=True)
class Row:
    """A row of the paper's Table 1: one switch on the row above it.

    Attributes:
        name: The preset.
        words: The paper's.
        switch: Fields of the network's configuration that differ from the row above.
        longer: The training is 1.44 times as long from here on.
        paper: Keypoint AP, AP50, AP75, APm, APl, and box AP of people, on COCO's validation set.
    """

    name: str
    words: str
    paper: tuple[float, float, float, float, float, float]
    switch: dict[str, Any] = field(default_factory=dict)
    longer: bool = False


LADDER = (
    Row("mask_rcnn_resnet50_fpn", "Mask R-CNN (baseline)", (64.1, 86.4, 69.3, 58.9, 72.7, 52.7)),
    Row("mask_rcnn_p2", "Only from P2", (64.4, 86.4, 69.9, 59.4, 72.8, 52.5), {"pooling": "roi_align_p2"}),
    Row("mask_rcnn_1x1", "1x1 conv output", (64.7, 86.3, 70.4, 59.6, 73.2, 52.4), {"keypoint_output": "deconv_conv"}),
    Row("ms_kpsnet", "MS-KpsNet", (66.2, 87.0, 72.7, 61.3, 74.5, 52.6), {"keypoint_head": "ms_kpsnet"}),
    Row("ms_kpsnet_longer", "Longer training", (66.5, 87.5, 72.5, 61.5, 75.0, 53.4), longer=True),
    Row("ms_roi_align", "MS-RoIAlign", (67.4, 87.7, 73.5, 62.1, 76.0, 54.8), {"pooling": "ms_roi_align"}, True),
    Row("msa_rcnn_top2", "Average of top-2s", (67.6, 87.7, 73.7, 62.5, 76.1, 54.8), {"decoding": "top2"}, True),
    Row(
        "msa_rcnn_tta",
        "Test-time augmentation",
        (70.3, 89.2, 76.6, 65.9, 77.9, 56.4),
        {"test_scales": ALL_SCALES},
        True,
    ),
)
"""Table 1, from the baseline on."""

_BASELINE = ModelConfig(
    name=LADDER[0].name,
    pooling="roi_align",
    keypoint_head="convs",
    keypoint_output="deconv",
    decoding="argmax",
    norm_eps=0.0,
)


def _ladder() -> dict[str, ModelConfig]:
    networks, above = {}, _BASELINE
    for row in LADDER:
        above = networks[row.name] = replace(above, name=row.name, **row.switch)
    return networks


_LIGHT = ModelConfig(
    name="msa_rcnn_mobilenet_v2",
    backbone="mobilenet_v2",
    fpn_channels=96,
    box_head_width=512,
    keypoint_width=192,
    visibility_width=64,
    min_size=480,
    max_size=640,
    image_mean=(0.5, 0.5, 0.5),
    image_std=(0.5, 0.5, 0.5),
    rpn_pre_nms_train=300,
    rpn_post_nms_train=300,
    rpn_pre_nms_test=200,
    rpn_post_nms_test=150,
    rpn_batch_per_image=128,
    box_batch_per_image=64,
    keypoint_batch_per_image=10,
    keypoint_batch_per_person=2,
    anchor_sizes=(24, 48, 96, 192, 384),
    pose_score="joints",
    decoding="expected_oks",
    second_look=True,
)
"""What runs on a CPU, several images a second."""

_MSA = ModelConfig()

PRESETS: dict[str, ModelConfig] = {
    "msa_rcnn_resnet50_fpn": _MSA,
    **_ladder(),
    "msa_rcnn_concat": replace(_MSA, name="msa_rcnn_concat", aggregation="concat"),
    "msa_rcnn_resnet101_fpn": replace(_MSA, name="msa_rcnn_resnet101_fpn", backbone="resnet101"),
    "msa_rcnn_convnext_tiny_fpn": replace(_MSA, name="msa_rcnn_convnext_tiny_fpn", backbone="convnext_tiny"),
    "mask_rcnn_plus": replace(_BASELINE, name="mask_rcnn_plus", backbone="resnext101_32x8d"),
    "mask_rcnn_plus_64x4d": replace(_BASELINE, name="mask_rcnn_plus_64x4d", backbone="resnext101_64x4d"),
    "msa_rcnn_mobilenet_v2": _LIGHT,
    "msa_rcnn_mobilenet_v2_175": replace(
        _LIGHT,
        name="msa_rcnn_mobilenet_v2_175",
        backbone_width=1.75,
        fpn_channels=128,
        box_head_width=352,
        keypoint_width=224,
        min_size=544,
        max_size=736,
    ),
}
"""Configurations by the name used on the command line and in checkpoints."""

DEFAULT_MODEL = "msa_rcnn_mobilenet_v2_175"
"""The preset whose weights are bundled."""


def preset(name: str, **changes: Any) -> ModelConfig:
    """Returns a preset with some fields changed; raises ConfigError naming the known presets."""
    if name not in PRESETS:
        raise ConfigError(f"unknown model {name!r}: known are {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)


def paper_recipe(name: str, batch_size: int) -> dict[str, Any]:
    """How the paper trains a preset (paper section 7), as fields of a TrainConfig, for a batch by the linear rule.

    Sixteen images a step make 90,000 steps, or 130,000 where the training is longer. Raises ConfigError for a light
    network, which has a recipe of its own (tools/train_bundled.py).
    """
    config = preset(name)
    if config.backbone == "mobilenet_v2":
        raise ConfigError(f"{name}: the paper trains no such network: give the recipe's settings, with --model {name}")
    short = {"mask_rcnn_plus", "mask_rcnn_plus_64x4d", *(row.name for row in LADDER if not row.longer)}
    steps, step_at = (90_000, (60 / 90, 80 / 90)) if name in short else (130_000, (100 / 130, 120 / 130))
    return {
        "iterations": round(steps * 16 / batch_size),
        "batch_size": batch_size,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "step",
        "step_at": step_at,
        "warmup": 500,
        "sizes": tuple(range(640, 801, 32)),
        "color": 0.0,
        "select": "keypoints",
        "evaluate_every": round(10_000 * 16 / batch_size),
        "checkpoint_every": 1000,
        "log_every": 20,
    }
