"""Where the weights come from that a training of a network on crops starts with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from msarcnn.checked_fields import from_plain
from msarcnn.checkpoint import built_crop_network, read_checkpoint, read_tensors
from msarcnn.checkpoint_error import CheckpointError, first_line
from msarcnn.config import ConfigError
from msarcnn.cpn import CPN
from msarcnn.crop_config import CROP_PRESETS, CropConfig
from msarcnn.model_files import file_hash, is_torch_file
from msarcnn.model_library import backbone_weights as imagenet_weights
from msarcnn.model_library import find_model
from msarcnn.published_models import BACKBONE_WEIGHTS
from msarcnn.seen_images import seen_images
from msarcnn.torch_files import read_torch_file
from msarcnn.warm_start import Origin, Start, StartRecord, origin_of

TRUNK = "resnet50"


@dataclass(frozen=True)
class CropOrigin:
    """Where a network's first weights come from.

    Attributes:
        config: The network.
        init: A model file that is gone on with.
        backbone: An image classifier's file for the trunk alone; nothing is read without init and backbone.
    """

    config: CropConfig
    init: Path | None = None
    backbone: Path | None = None
    warm: bool = False

    def start(self) -> Start:
        """Builds the network; what is random draws from torch's generator. Raises CheckpointError."""
        if self.init:
            state, info = read_checkpoint(self.init)
            facts = {"kind": "continued", "file": self.init.name, "model": info.name}
            seen = tuple(sorted(seen_images(info.lineage)))
            record = StartRecord(file_hash(self.init), info.calibration, facts, seen=seen)
            return Start(built_crop_network(self.init, state, info), record)
        network = CPN(self.config)
        if not self.backbone:
            return Start(network, StartRecord(facts={"kind": "random"}))
        _load_trunk(network, self.backbone)
        facts = {"kind": "backbone weights", "file": self.backbone.name, "hash": file_hash(self.backbone)}
        return Start(network, StartRecord(facts=facts), f"{self.config.name}: the trunk starts from {self.backbone}.")

    def start_again(self, record: dict[str, Any] | None) -> Start:
        """Builds the network for a state of a checkpoint: nothing is read of the files. Raises ConfigError."""
        return Start(CPN(self.config), from_plain(StartRecord, record or {}, "start."))


def any_origin_of(init: str | None, model: str | None, backbone_weights: str | None) -> Origin | CropOrigin:
    """What a command line says about the first weights, of any network; see `msarcnn.warm_start.origin_of`.

    Raises CheckpointError, ConfigError.
    """
    path = find_model(init) if init else None
    given = read_checkpoint(path)[1].config if path else None
    if model not in CROP_PRESETS and not isinstance(given, CropConfig):
        return origin_of(init, model, backbone_weights)
    if path:
        if not isinstance(given, CropConfig) or (model and model != given.name):
            raise ConfigError(f"--init {init} and --model {model} are different networks: leave one of them out")
        if backbone_weights:
            raise ConfigError("--init and --backbone-weights both say where the trunk comes from: give one of them")
        built_crop_network(path, *read_checkpoint(path))
        return CropOrigin(given, path)
    config = CROP_PRESETS[str(model)]
    if not backbone_weights:
        return CropOrigin(config)
    named = backbone_weights in ("imagenet", BACKBONE_WEIGHTS[TRUNK])
    backbone = imagenet_weights(TRUNK) if named else Path(backbone_weights)
    _load_trunk(CPN(config), backbone)
    return CropOrigin(config, backbone=backbone)


def _load_trunk(network: CPN, path: Path) -> None:
    """Puts a classifier's weights into the trunk. Raises CheckpointError."""
    weights: Mapping[str, Tensor] = read_torch_file(path) if is_torch_file(path) else read_tensors(path)[0]
    try:
        body = network.backbone["body"]
        known = body.state_dict().keys()
        body.load_state_dict({name: value for name, value in weights.items() if name in known})
    except RuntimeError as error:
        reason = f"not torchvision's weights of a {TRUNK} ({first_line(error)})"
        raise CheckpointError(path, reason, "Choose those, or leave --backbone-weights out") from error
