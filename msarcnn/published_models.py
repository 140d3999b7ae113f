"""Weights that torchvision publishes, by the names that this program gives them; torchvision says the rest."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

COCO = "coco"
BACKBONE_WEIGHTS = {
    backbone: f"imagenet-{backbone}" for backbone in ("resnet50", "resnet101", "resnext101_32x8d", "mobilenet_v2")
}
"""Names of ImageNet weights by backbone (`ModelConfig.backbone`)."""
PUBLISHED = (COCO, *BACKBONE_WEIGHTS.values())
"""Every name; known without torchvision."""


@dataclass(frozen=True)
class PublishedModel:
    """A file to download.

    Attributes:
        name: On the command line.
        title: For people.
        pose: Whether it finds people's joints; otherwise it is a backbone's weights, to start a training from.
        architecture: The preset that it runs as, or the backbone.
        url: Where it lies; its last part is the file's name.
        size: Bytes, as published (rounded to a thousandth of 2**20).
        licence: Its terms, as far as they are known.
        figures: What was measured by its publisher: "keypoint_ap", "box_ap" or "top1", 0..1.
        figures_on: The data that it was measured on.
    """

    name: str
    title: str
    pose: bool
    architecture: str
    url: str
    size: int
    licence: str
    figures: dict[str, float] = field(default_factory=dict)
    figures_on: str = ""

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.url).name

    @property
    def sha256_prefix(self) -> str:
        """torchvision's file names end with the first digits of the file's SHA-256: name-0676ba61.pth."""
        _, dash, digits = PurePosixPath(self.url).stem.rpartition("-")
        known = dash and len(digits) >= 8 and all(digit in "0123456789abcdef" for digit in digits)
        return digits if known else ""


def ask_torchvision() -> list[PublishedModel]:
    """Asks torchvision's own tables. Importing it takes seconds, so the answer is worth keeping."""
    from torchvision.models import get_model_weights
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

    models = [_pose(COCO, "COCO Keypoint R-CNN", KeypointRCNN_ResNet50_FPN_Weights.DEFAULT)]
    for backbone, name in BACKBONE_WEIGHTS.items():
        # Not the newer recipe's: the first weights are the ones that detectors are usually started from.
        weights = get_model_weights(backbone)["IMAGENET1K_V1"]
        models.append(_backbone(name, backbone, weights))
    return models


def _pose(name: str, title: str, weights: Any) -> PublishedModel:
    data, figures = _measured(weights)
    shown = {"keypoint_ap": figures.get("kp_map"), "box_ap": figures.get("box_map")}
    return PublishedModel(
        name, title, True, "mask_rcnn_resnet50_fpn", weights.url, _size(weights), _terms("COCO"), _shares(shown), data
    )


def _backbone(name: str, backbone: str, weights: Any) -> PublishedModel:
    data, figures = _measured(weights)
    title = f"ImageNet weights of {backbone}"
    shown = _shares({"top1": figures.get("acc@1")})
    return PublishedModel(name, title, False, backbone, weights.url, _size(weights), _terms("ImageNet"), shown, data)


def _measured(weights: Any) -> tuple[str, dict[str, float]]:
    """The first data set that figures are given for, and the figures, in per cent."""
    return next(iter(weights.meta.get("_metrics", {}).items()), ("", {}))


def _shares(percents: dict[str, float | None]) -> dict[str, float]:
    return {name: round(value / 100, 4) for name, value in percents.items() if value is not None}


def _size(weights: Any) -> int:
    return round(weights.meta.get("_file_size", 0) * 2**20)


def _terms(data: str) -> str:
    return f"BSD 3-Clause (torchvision); trained on {data}, whose terms may apply"
