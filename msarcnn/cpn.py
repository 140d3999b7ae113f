"""CPN, the top-down peer of the paper's tables 3 and 4 (paper section 8.4; Chen et al., "Cascaded Pyramid Network").

A crop around one person goes through a trunk and a GlobalNet, a pyramid each of whose levels is supervised; a RefineNet
joins the levels and learns the joints that are hard. Heat is regressed, its target a Gaussian whose peak is 1.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.transforms.v2.functional import normalize

from msarcnn.config import ConfigError, TrainConfig
from msarcnn.crop_config import CropConfig
from msarcnn.sampling import Mean, mean_of
from msarcnn.targets import Target

_CHANNELS = (256, 512, 1024, 2048)
"""Of C2..C5."""


def _block(inputs: int, outputs: int, kernel: int, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)]
    layers += [nn.BatchNorm2d(outputs)] + ([nn.ReLU(inplace=True)] if relu else [])
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """A residual block of the RefineNet: 1x1, 3x3, 1x1."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _block(inputs, width, 1), _block(width, width, 3), _block(width, outputs, 1, relu=False)
        )
        self.skip: nn.Module = nn.Identity() if inputs == outputs else _block(inputs, outputs, 1, relu=False)

    def forward(self, value: Tensor) -> Tensor:
        return torch.relu(self.body(value) + self.skip(value))


class GlobalNet(nn.Module):
    """The pyramid: C2..C5 -> four maps of `channels`, coarsest first, and the heat that each of them sees."""

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_block(inputs, channels, 1) for inputs in reversed(_CHANNELS))
        self.descend = nn.ModuleList(_block(channels, channels, 1, relu=False) for _ in _CHANNELS[1:])
        self.predict = nn.ModuleList(
            nn.Sequential(_block(channels, channels, 1), nn.Conv2d(channels, keypoints, 3, padding=1))
            for _ in _CHANNELS
        )

    def forward(self, trunk: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """C2..C5, finest first -> features and heat [B, K, H/4, W/4], both coarsest first."""
        size = list(trunk[0].shape[-2:])
        features: list[Tensor] = []
        heat = []
        for level, value in enumerate(reversed(trunk)):
            value = self.lateral[level](value)
            if features:
                above = interpolate(features[-1], size=list(value.shape[-2:]), mode="bilinear", align_corners=False)
                value = value + self.descend[level - 1](above)
            features.append(value)
            heat.append(interpolate(self.predict[level](value), size=size, mode="bilinear", align_corners=False))
        return features, heat


class RefineNet(nn.Module):
    """Joins the pyramid's levels: the coarser one is, the more bottlenecks it has."""

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        half = channels // 2
        self.cascade = nn.ModuleList(
            nn.Sequential(*(Bottleneck(channels, half, channels) for _ in range(count))) for count in (3, 2, 1, 0)
        )
        self.join = nn.Sequential(
            Bottleneck(len(_CHANNELS) * channels, half, channels), nn.Conv2d(channels, keypoints, 3, padding=1)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """The GlobalNet's features, coarsest first -> heat [B, K, H/4, W/4]."""
        size = list(features[-1].shape[-2:])
        levels = [
            interpolate(part(value), size=size, mode="bilinear", align_corners=False)
            for part, value in zip(self.cascade, features, strict=True)
        ]
        heat: Tensor = self.join(torch.cat(levels, dim=1))
        return heat


class CPN(nn.Module):
    """The network: crops -> heat.

    Args:
        config: Its configuration.
    """

    def __init__(self, config: CropConfig) -> None:
        super().__init__()
        self.config = config
        layers = {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}
        self.backbone = nn.ModuleDict({"body": IntermediateLayerGetter(resnet50(weights=None), layers)})
        self.global_net = GlobalNet(config.channels, config.keypoints)
        self.refine_net = RefineNet(config.channels, config.keypoints)

    def forward(self, crops: Tensor) -> tuple[list[Tensor], Tensor]:
        """Crops [B, 3, H, W] in 0..1 -> the GlobalNet's heat, coarsest first, and the RefineNet's [B, K, H/4, W/4]."""
        pixels = normalize(crops, self.config.image_mean, self.config.image_std)
        trunk = list(self.backbone["body"](pixels).values())
        features, coarse = self.global_net(trunk)
        return coarse, self.refine_net(features)

    def prepare(self, config: TrainConfig, new: tuple[str, ...], on_proposals: bool) -> None:
        """What a training's settings mean for this network. Raises ConfigError for those of whole networks."""
        if config.train != "all":
            raise ConfigError(f"train = {config.train}: a network on crops learns as a whole: leave --train out")
        if on_proposals:
            raise ConfigError("--proposals: a network on crops learns from the labelled boxes")
        unlike = TrainConfig()
        for name in ("sizes", "crop", "mosaic", "sampling", "target_spread", "checkpoint_activations"):
            # What is forgotten would be computed twice, and the BatchNorms' statistics with it.
            if getattr(config, name) != getattr(unlike, name):
                raise ConfigError(f"--{name.replace('_', '-')} is nothing for a network on crops: leave it out")
        if config.compile:
            self.backbone["body"].compile(dynamic=True)

    def pad_to(self, size: tuple[int, int]) -> None:
        """Crops are all of one size."""

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Mean]:
        """The mean squared error of every level's heat, and of the RefineNet's on the hardest joints of everybody.

        Args:
            images: Crops [3, H, W] in 0..1.
            targets: keypoints [1, K, 3] in pixels of the crop, keypoint_weights [1, K].
        """
        coarse, fine = self(torch.stack(images))
        points = torch.cat([target["keypoints"] for target in targets])[..., :2]
        weights = torch.cat([target["keypoint_weights"] for target in targets])
        cells = points * (fine.shape[-1] / images[0].shape[-1])
        levels = [
            _errors(heat.float(), cells, spread) * weights
            for heat, spread in zip(coarse, self.config.spreads, strict=True)
        ]
        errors = _errors(fine.float(), cells, self.config.spreads[-1])
        hard = (errors * (weights > 0)).topk(min(self.config.hard_joints, errors.shape[1]), dim=1).indices
        some, chosen = weights.sum(), weights.gather(1, hard)
        refined = (errors.gather(1, hard) * chosen).sum() / chosen.sum().clamp(min=1e-6)
        return {
            "loss_global": mean_of(sum(level.sum() for level in levels) / some.clamp(min=1e-6), some),
            "loss_refine": mean_of(refined, chosen.sum()),
        }


HEAT_SCALE = 100.0
"""Factor on the mean squared error of a map, most of whose cells are nothing: losses of a readable size."""


def gaussians(points: Tensor, size: tuple[int, int], spread: float) -> Tensor:
    """Heat around points: [B, K, 2] x, y in cells -> [B, K, H, W], 1 on the cell that holds the point."""
    height, width = size
    columns = torch.arange(width, device=points.device) - points[..., :1].floor()
    rows = torch.arange(height, device=points.device) - points[..., 1:].floor()
    square = columns[..., None, :] ** 2 + rows[..., :, None] ** 2
    return torch.exp(-square / (2 * spread**2))


def _errors(heat: Tensor, points: Tensor, spread: float) -> Tensor:
    """[B, K]: a joint's mean squared error."""
    wanted = gaussians(points, (heat.shape[-2], heat.shape[-1]), spread)
    return HEAT_SCALE * (heat - wanted).square().mean(dim=(-2, -1))


def decode_heat(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Turns heat into points: the hottest cell, and a quarter of a cell towards the second one.

    Args:
        heat: [B, K, H, W].

    Returns:
        points: [B, K, 2] x, y in shares of the map, 0..1.
        peaks: [B, K] the heat there, in 0..1.
    """
    height, width = heat.shape[-2:]
    values, cells = heat.flatten(2).topk(2, dim=-1)
    places = torch.stack((cells % width, cells // width), dim=-1).float()
    towards = places[:, :, 1] - places[:, :, 0]
    step = 0.25 * towards / towards.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return (places[:, :, 0] + step + 0.5) / heat.new_tensor([width, height]), values[..., 0].clamp(0, 1)
