"""MS-RoIAlign: every box is pooled from every pyramid level (paper section 5)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from msarcnn.backbone import LEVELS
from msarcnn.roi_align import roi_align


class MSRoIAlign(nn.Module):
    """MS-RoIAlign(n): RoIAlign of side 2^(n+3) on P2 down to 2^n on P5, a 3x3 convolution a level, then aggregation.

    Args:
        n: 0 for classification (8x8 out), 1 for keypoints (16x16 out).
        channels: Channels of the pyramid.
        aggregation: "sum" of the levels, or "concat" along channels (paper, Table 2).
    """

    def __init__(self, n: int, channels: int, aggregation: Literal["sum", "concat"] = "sum") -> None:
        super().__init__()
        self.sizes = tuple(2 ** (n + 3 - index) for index in range(len(LEVELS)))
        self.aggregation = aggregation
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in LEVELS)
        self.out_channels = channels if aggregation == "sum" else channels * len(LEVELS)
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)

    @property
    def output_size(self) -> int:
        """Side of the pooled map in cells."""
        return self.sizes[0]

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pools boxes.

        Args:
            features: P2..P5 (keys "0".."3"), each [B, C, h, w].
            boxes: B tensors [N_i, 4], xyxy in pixels of the resized image.
            image_shapes: (height, width) of the resized images, before padding; unused, since the strides are
                known. It is there to take MultiScaleRoIAlign's place.

        Returns:
            [sum N_i, C or 4C, 2^(n+3), 2^(n+3)].
        """
        del image_shapes
        return self.aggregated(self.by_level(features, boxes))

    def by_level(self, features: dict[str, Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """What each level gives of boxes: 4 tensors [sum N_i, C, 2^(n+3), 2^(n+3)]; see `forward`."""
        pooled = []
        for index, (level, size, conv) in enumerate(zip(LEVELS, self.sizes, self.convs, strict=True)):
            rois = roi_align(features[level], boxes, size, 2 ** (index + 2))
            value = functional.relu(conv(rois))
            pooled.append(functional.interpolate(value, size=self.sizes[0], mode="nearest"))
        return pooled

    def aggregated(self, pooled: list[Tensor]) -> Tensor:
        """The levels in one: their sum, or one after the other along the channels."""
        if self.aggregation == "concat":
            return torch.cat(pooled, dim=1)
        return sum(pooled[1:], start=pooled[0])
