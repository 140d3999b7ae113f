"""What a network on crops is made of: one person's crop at a time, cut out where a detector sees somebody. No torch."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from msarcnn.checked_fields import check_fields, within
from msarcnn.config import IMAGENET_MEAN, IMAGENET_STD, Channels, ConfigError, Factor, NetworkConfig, Pixels, Share

STRIDE = 32
"""Of a trunk's coarsest map: sides of a crop are multiples of it."""


@dataclass(frozen=True, slots=True)
class CropConfig(NetworkConfig):
    """CPN's configuration (msarcnn.cpn); the defaults are CPN-50's.

    Attributes:
        kind: Tells such a description from a whole network's.
        name: The preset.
        keypoints: K, the number of heatmaps.
        width, height: Of a crop, in pixels; the maps have a quarter of it.
        context: How much wider and higher than the box a crop is at least; it keeps the shape of width and height.
        channels: Of the pyramid.
        hard_joints: How many of a person's joints the RefineNet learns from, those with the largest error.
        spreads: Standard deviations in cells of the Gaussians that are learnt, of the coarsest level first; the last
            one is the RefineNet's, too.
        image_mean, image_std: Normalisation of RGB in 0..1.
        pose_score: What ranks people as poses, as in ModelConfig.
    """

    kind: Literal["cpn"] = "cpn"
    name: str = "cpn50"
    keypoints: Annotated[int, within(1, 1000)] = 17
    width: Pixels = 192
    height: Pixels = 256
    context: tuple[Factor, Factor] = (1.2, 1.3)
    channels: Channels = 256
    hard_joints: Annotated[int, within(1, 1000)] = 8
    spreads: tuple[Factor, Factor, Factor, Factor] = (2.6, 2.0, 1.7, 1.4)
    image_mean: tuple[Share, Share, Share] = IMAGENET_MEAN
    image_std: tuple[Factor, Factor, Factor] = IMAGENET_STD
    pose_score: Literal["box", "joints"] = "box"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % STRIDE or self.height % STRIDE:
            raise ConfigError(f"a crop of {self.width}x{self.height}: multiples of {STRIDE} pixels are needed")
        if self.channels % 2:
            raise ConfigError(f"channels = {self.channels}: an even number is needed")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


CROP_PRESETS = {"cpn50": CropConfig()}
"""By the name used on the command line and in checkpoints."""
