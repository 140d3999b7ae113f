"""Backbone and feature pyramid (paper section 4; Lin et al., "Feature Pyramid Networks")."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.checkpoint import checkpoint as checkpoint_activations
from torchvision.models import (
    convnext_tiny,
    mobilenet_v2,
    resnet50,
    resnet101,
    resnext101_32x8d,
    resnext101_64x4d,
)
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from msarcnn.config import ModelConfig

LEVELS = ("0", "1", "2", "3")
"""Names of P2..P5 in the feature dictionary; P6, for the RPN only, is "pool"."""

_RESNETS = {
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnext101_32x8d": resnext101_32x8d,
    "resnext101_64x4d": resnext101_64x4d,
}
_RESNET_LAYERS = {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}
_MOBILENET_LAYERS = {"3": "0", "6": "1", "13": "2", "17": "3"}
_CONVNEXT_LAYERS = {"1": "0", "3": "1", "5": "2", "7": "3"}


class Backbone(nn.Module):
    """A trunk whose C2..C5 feed an FPN.

    The parameter names are torchvision's (`body.*`, `fpn.*`), so that its detection weights load by name.
    The stem and C2 are frozen, and so is every BatchNorm.

    Args:
        body: Stages in order; those named in the getter's return_layers are C2..C5.
        channels: Channels of C2..C5.
        fpn_channels: Channels of every pyramid level.
        frozen: Names of the stages that never train.

    Attributes:
        forgets: In training what lies within a stage is computed once more for the gradient instead of kept.
    """

    def __init__(
        self, body: IntermediateLayerGetter, channels: list[int], fpn_channels: int, frozen: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(channels, fpn_channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = fpn_channels
        self.forgets = False
        for name in frozen:
            if name in body:
                body[name].requires_grad_(False)

    def forward(self, images: Tensor, checkpoint: Callable[[], None] | None = None) -> dict[str, Tensor]:
        """Computes P2..P6.

        Args:
            images: [B, 3, H, W], normalised, H and W multiples of 32.
            checkpoint: Called before every stage; may block (to yield) or raise (to cancel).

        Returns:
            {"0": P2 [B, C, H/4, W/4], "1": P3, "2": P4, "3": P5, "pool": P6}.
        """
        maps: dict[str, Tensor] = {}
        value = images
        for name, stage in self.body.items():
            if checkpoint is not None:
                checkpoint()
            value = recomputed(stage, value) if self.forgets and torch.is_grad_enabled() else stage(value)
            if name in self.body.return_layers:
                maps[self.body.return_layers[name]] = value
        if checkpoint is not None:
            checkpoint()
        pyramid: dict[str, Tensor] = self.fpn(maps)
        return pyramid


def recomputed(part: nn.Module, value: Tensor) -> Tensor:
    """A part's output, whose inner values are computed once more for the gradient."""
    output: Tensor = checkpoint_activations(part, value, use_reentrant=False)
    return output


def build_backbone(config: ModelConfig) -> Backbone:
    """Builds the backbone of a configuration with random weights."""

    def norm(channels: int) -> FrozenBatchNorm2d:
        return FrozenBatchNorm2d(channels, eps=config.norm_eps)

    if config.backbone == "mobilenet_v2":
        trunk = mobilenet_v2(weights=None, norm_layer=norm, width_mult=config.backbone_width).features
        channels = [trunk[int(index)].out_channels for index in _MOBILENET_LAYERS]
        body = IntermediateLayerGetter(trunk, dict(_MOBILENET_LAYERS))
        # Depthwise convolutions are memory bound: an unfolded frozen BatchNorm costs a third of the whole pass.
        fold_frozen_batchnorm(body)
        return Backbone(body, channels, config.fpn_channels, frozen=("0", "1", "2", "3"))
    if config.backbone == "convnext_tiny":
        # Its norms are LayerNorms, which see one image only: they train.
        body = IntermediateLayerGetter(convnext_tiny(weights=None).features, dict(_CONVNEXT_LAYERS))
        return Backbone(body, [96, 192, 384, 768], config.fpn_channels, frozen=("0", "1"))
    resnet = _RESNETS[config.backbone](weights=None, norm_layer=norm)
    body = IntermediateLayerGetter(resnet, dict(_RESNET_LAYERS))
    return Backbone(body, [256, 512, 1024, 2048], config.fpn_channels, frozen=("conv1", "bn1", "layer1"))


def fold_frozen_batchnorm(module: nn.Module) -> None:
    """Folds every frozen BatchNorm that follows a convolution into it, in place; the function stays the same."""
    previous: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, FrozenBatchNorm2d) and previous is not None:
            trainable = previous[1].weight.requires_grad
            fused = fuse_conv_bn_eval(previous[1].eval(), child.eval())
            fused.weight.requires_grad_(trainable)
            assert fused.bias is not None
            fused.bias.requires_grad_(False)
            setattr(module, previous[0], fused)
            setattr(module, name, nn.Identity())
            previous = None
        else:
            previous = (name, child) if isinstance(child, nn.Conv2d) else None
            fold_frozen_batchnorm(child)


def resnet_body_state(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns the entries of torchvision's ResNet or ResNeXt into those of our body: the classifier is left out.

    Args:
        weights: State dictionary with keys "conv1.weight", "bn1.weight", ..., "fc.weight".
    """
    return {
        f"backbone.body.{name}": value
        for name, value in weights.items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }


def mobilenet_body_state(features: dict[str, Tensor], eps: float, width: float = 1.0) -> dict[str, Tensor]:
    """Turns torchvision's `features.*` entries of a mobilenet_v2 into those of our folded body.

    Args:
        features: State dictionary with keys "features.0.0.weight", ... and their BatchNorms; the classifier's last
            convolution may be there, and is not used.
        eps: epsilon of those BatchNorms.
        width: The network's width_mult.

    Raises:
        RuntimeError: an entry is missing or has another shape (torch's message names it).
    """
    network = mobilenet_v2(
        weights=None, width_mult=width, norm_layer=lambda channels: FrozenBatchNorm2d(channels, eps=eps)
    )
    with torch.no_grad():
        body = IntermediateLayerGetter(network.features, dict(_MOBILENET_LAYERS))
        names = body.state_dict().keys()
        state = {key.removeprefix("features."): value for key, value in features.items()}
        body.load_state_dict({key: value for key, value in state.items() if key in names})
        fold_frozen_batchnorm(body)
    return {f"backbone.body.{key}": value for key, value in body.state_dict().items()}
