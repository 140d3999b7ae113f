"""MS-KpsNet and the baseline's keypoint head: RoI features in, K heatmaps of logits out (paper section 6)."""

from torch import Tensor, nn
from torch.nn import functional


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


class MSKpsNet(nn.Module):
    """Eleven 3x3 convolutions over 16x16, 8x8 and 4x4 maps, with skips back up, like an hourglass.

    Args:
        in_channels: Channels of the pooled RoI.
        width: Channels of every convolution (512 in the paper).

    The first stem convolution keeps the channels of a concatenated input (paper section 8.2: 1024 -> 1024 -> 512).
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        first = max(in_channels, width)
        self.stem = nn.Sequential(_conv(in_channels, first), _conv(first, width), _conv(width, width))
        self.down8 = _conv(width, width)
        self.down4 = nn.Sequential(_conv(width, width), _conv(width, width), _conv(width, width))
        self.skip8 = _conv(width, width)
        self.up8 = _conv(width, width)
        self.skip16 = _conv(width, width)
        self.up16 = _conv(width, width)
        self.out_channels = width
        _he_initialise(self)

    def forward(self, pooled: Tensor) -> Tensor:
        """[N, in_channels, 16, 16] -> [N, width, 16, 16]."""
        at16 = self.stem(pooled)
        at8 = self.down8(functional.max_pool2d(at16, 2))
        at4 = self.down4(functional.max_pool2d(at8, 2))
        value = self.up8(functional.interpolate(at4, scale_factor=2.0, mode="nearest") + self.skip8(at8))
        result: Tensor = self.up16(functional.interpolate(value, scale_factor=2.0, mode="nearest") + self.skip16(at16))
        return result


class HeatmapOutput(nn.Module):
    """Deconvolution, ReLU, 1x1 convolution, bilinear x2: [N, C, s, s] -> logits [N, K, 4s, 4s]."""

    def __init__(self, in_channels: int, keypoints: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(in_channels, in_channels // 2, 4, stride=2, padding=1)
        self.conv = nn.Conv2d(in_channels // 2, keypoints, 1)
        _he_initialise(self)
        nn.init.normal_(self.conv.weight, std=0.001)

    def forward(self, value: Tensor) -> Tensor:
        logits = self.conv(functional.relu(self.deconv(value)))
        return functional.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)


def _he_initialise(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
