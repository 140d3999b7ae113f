"""A model of the shipped architecture, narrow and untrained: it answers in a moment, and nonsense."""

from pathlib import Path


def save_small_model(path: Path, seed: int) -> Path:
    """Writes a checkpoint with random weights; torch is imported only here."""
    import torch

    from msarcnn.checkpoint import CheckpointInfo, save_checkpoint
    from msarcnn.model import build_model
    from msarcnn.presets import preset

    config = preset(
        "msa_rcnn_mobilenet_v2",
        fpn_channels=16,
        box_head_width=32,
        keypoint_width=16,
        min_size=128,
        max_size=192,
        rpn_pre_nms_test=40,
        rpn_post_nms_test=20,
    )
    torch.manual_seed(seed)
    save_checkpoint(path, build_model(config), CheckpointInfo(config))
    return path
