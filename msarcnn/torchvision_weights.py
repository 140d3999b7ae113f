"""torchvision's Keypoint R-CNN as the preset `mask_rcnn_resnet50_fpn`: recognised, checked, named as ours are.

The parameter names are the same but for three things: BatchNorm counters, which a frozen BatchNorm does not have;
the FPN's and RPN's names before torchvision 0.14; and what a file does not say at all, the BatchNorms' epsilon.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

from msarcnn.checkpoint_error import CheckpointError
from msarcnn.config import ModelConfig
from msarcnn.model_files import full_hash
from msarcnn.presets import preset
from msarcnn.weight_names import misfits, shapes_of

PRESET = "mask_rcnn_resnet50_fpn"
BATCHNORM_EPS = 1e-5
"""torchvision's epsilon wherever it is not 0."""

_OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
)
_CLASSES, _KEYPOINTS = (
    "roi_heads.box_predictor.cls_score.weight",
    "roi_heads.keypoint_predictor.kps_score_lowres.weight",
)
_MASKS = "roi_heads.mask_predictor.mask_fcn_logits.weight"


@dataclass(frozen=True)
class TorchvisionModel:
    """A Keypoint R-CNN from a file of torchvision's: weights by our names, and all that is known of it.

    title is what people call it; lineage and metrics are plain data as in a model file of ours.
    """

    config: ModelConfig
    state: dict[str, Tensor]
    title: str
    lineage: dict[str, Any]
    metrics: dict[str, Any]


def keypoint_rcnn(path: Path, weights: Mapping[str, Tensor]) -> TorchvisionModel:
    """Recognises torchvision's keypointrcnn_resnet50_fpn of one class, person, with COCO's 17 keypoints.

    Args:
        path: The file that the weights were read from.
        weights: Its tensors by name, in the layout of any version of torchvision.

    Raises:
        CheckpointError: another architecture, number of classes or number of keypoints; a sentence says which.
    """
    state = _named_as_ours(weights)
    _check_kind(path, state)
    published = published_weights(full_hash(path))
    legacy = published is KeypointRCNN_ResNet50_FPN_Weights.COCO_LEGACY
    counted = any(name.endswith("num_batches_tracked") for name in weights)
    config = preset(PRESET, norm_eps=BATCHNORM_EPS if (legacy if published else counted) else 0.0)
    _check_shapes(path, state)
    if published is None:
        return TorchvisionModel(config, state, path.stem, {}, {})
    figures = published.meta["_metrics"]["COCO-val2017"]
    return TorchvisionModel(
        config,
        state,
        "COCO Keypoint R-CNN" + (" (legacy)" if legacy else ""),
        {"source": published.url, "metrics": "on COCO val2017, as published"},
        {
            "keypoints": {"AP": round(figures["kp_map"] / 100, 4)},
            "bbox": {"AP": round(figures["box_map"] / 100, 4)},
        },
    )


def _named_as_ours(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    state = {}
    for name, value in weights.items():
        if name.endswith("num_batches_tracked"):
            continue
        for old, new in _OLD_NAMES:
            name = old.sub(new, name)
        state[name] = value
    return state


def _check_kind(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError that says what else a file is."""
    names = state.keys()
    other = "Choose a keypointrcnn_resnet50_fpn of torchvision, or a file written by `train`"
    if "fc.weight" in names or "classifier.1.weight" in names:
        start = "Give it to `train` as --backbone-weights"
        raise CheckpointError(path, "a network that classifies whole images and finds no people", start)
    if _KEYPOINTS not in names:
        kind = "Mask R-CNN (people's outlines" if _MASKS in names else "detector (boxes" if _CLASSES in names else ""
        reason = f"a {kind}, but no keypoints)" if kind else "no Keypoint R-CNN of torchvision: its names are others"
        raise CheckpointError(path, reason, other)
    keypoints = state[_KEYPOINTS].shape[1] if state[_KEYPOINTS].ndim == 4 else 0
    wanted = preset(PRESET).keypoints
    if keypoints != wanted:
        raise CheckpointError(path, f"it finds {keypoints} keypoints, this program COCO's {wanted}", other)
    classes = state[_CLASSES].shape[0] if _CLASSES in names and state[_CLASSES].ndim else 0
    if classes != 2:
        person = "Choose a model of one class, person (num_classes=2)"
        raise CheckpointError(path, f"it tells {classes} classes apart instead of background and person", person)


def _check_shapes(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError naming the first entry that is missing, too much, or of another shape."""
    misfit = misfits(state, shapes_of(preset(PRESET)))
    if misfit:
        raise CheckpointError(
            path,
            f"a Keypoint R-CNN, but not torchvision's keypointrcnn_resnet50_fpn ({misfit[0]}; {len(misfit)} such)",
            "Choose one with a ResNet-50 backbone, and whole",
        )


def published_weights(digest: str) -> KeypointRCNN_ResNet50_FPN_Weights | None:
    """Which of torchvision's published files has a SHA-256: their names end with its first eight digits."""
    for weights in KeypointRCNN_ResNet50_FPN_Weights:
        if weights.url.removesuffix(".pth").endswith(f"-{digest[:8]}"):
            return weights
    return None
