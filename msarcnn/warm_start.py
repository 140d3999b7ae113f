"""Where the weights come from that a training starts with, and what became of a file's.

A file continues as the network that it is, or it starts another one: then the trunk, the FPN and the RPN are taken
over by name, and the heads are new. A network that differs in its test size, its looks at boxes or the visibility head
alone keeps all the rest. Weights of an image classifier start the trunk alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from msarcnn.backbone import mobilenet_body_state, resnet_body_state
from msarcnn.calibration import Calibration
from msarcnn.checked_fields import check_fields, from_plain
from msarcnn.checkpoint import CheckpointInfo, built, load_checkpoint, read_checkpoint, read_tensors
from msarcnn.checkpoint_error import CheckpointError
from msarcnn.config import IMAGENET_MEAN, IMAGENET_STD, ConfigError, ModelConfig
from msarcnn.cpn import CPN
from msarcnn.model import MSARCNN, build_model
from msarcnn.model_files import file_hash, is_torch_file
from msarcnn.model_library import backbone_weights as imagenet_weights
from msarcnn.model_library import find_model
from msarcnn.presets import DEFAULT_MODEL, preset
from msarcnn.published_models import BACKBONE_WEIGHTS
from msarcnn.seen_images import seen_images
from msarcnn.torch_files import read_torch_file
from msarcnn.torchvision_weights import BATCHNORM_EPS
from msarcnn.weight_names import misfits, modules_of, shapes_of

TRUNK = "backbone.body."
PARTS = (TRUNK, "backbone.fpn.", "rpn.")
"""What another network can take over, in the order of the data: a part's weights mean nothing on other inputs."""


@dataclass(frozen=True)
class Transfer:
    """Weights on their way from a file into a network.

    Attributes:
        path: The file.
        name: What its model is called.
        config: The network that they are for, which takes over how the trunk sees pixels and its BatchNorms' epsilon.
        weights: What is taken over, by the network's names.
        unused: What the file has besides, by its own names.
        calibration: The file's, where the keypoint head is taken over, too.
        seen: Numbers of COCO's images that the weights have learnt from.
    """

    path: Path
    name: str
    config: ModelConfig
    weights: Mapping[str, Tensor]
    unused: tuple[str, ...]
    calibration: Calibration = field(default_factory=Calibration)
    seen: tuple[int, ...] = ()

    def into(self, model: MSARCNN) -> str:
        """Puts the weights into their network; returns a report for people: what is loaded, new and left."""
        model.load_state_dict({name: value.float() for name, value in self.weights.items()}, strict=False)
        return (
            f"{self.config.name} starts from {self.path} ({self.name}). Loaded: {_counted(self.weights)}. "
            f"New, with random values: {_counted(self.new)}. In the file and not used: {_counted(self.unused)}."
        )

    @property
    def parts(self) -> list[str]:
        return list(modules_of(self.weights))

    @property
    def new(self) -> list[str]:
        """What the network has besides, by its names."""
        return [name for name in shapes_of(self.config) if name not in self.weights]


@dataclass(frozen=True)
class StartRecord:
    """What a run has to know of its start until its end, also when the file that it started from is gone.

    Attributes:
        parent: Hash of the model file, if there was one.
        calibration: The model's.
        facts: For the lineage (plain data).
        new: Parts of the backbone that came from no file, such as "backbone.fpn".
        seen: Numbers of COCO's images that the first weights have learnt from (msarcnn.seen_images).
    """

    parent: str | None = None
    calibration: Calibration = field(default_factory=Calibration)
    facts: dict[str, Any] = field(default_factory=dict)
    new: tuple[str, ...] = ()
    seen: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Start:
    """A network before its first step; report is a text for people, empty when a file is just gone on with."""

    model: MSARCNN | CPN
    record: StartRecord = field(default_factory=StartRecord)
    report: str = ""

    def report_on_heads(self) -> str:
        """For a run of the heads alone: what has to learn with them, because nobody has taught it; "" for nothing."""
        new = [
            name for name in self.model.state_dict() if name.startswith(tuple(f"{part}." for part in self.record.new))
        ]
        return f"Trained with the heads, because no file has brought it: {_counted(new)}." if new else ""


@dataclass(frozen=True)
class Origin:
    """Where a network's first weights come from.

    Attributes:
        config: The network.
        init: A model file: gone on with, or, where `warm`, what the network takes its trunk, FPN and RPN from.
        backbone: An image classifier's file for the trunk alone; nothing is read without init and backbone.
    """

    config: ModelConfig
    init: Path | None = None
    backbone: Path | None = None
    warm: bool = False

    def start(self) -> Start:
        """Builds the network; what is random draws from torch's generator. Raises CheckpointError."""
        if self.init and self.warm:
            return _started(warm_transfer(self.init, self.config), "warm start")
        if self.init:
            model, info = load_checkpoint(self.init)
            facts = {"kind": "continued", "file": self.init.name, "model": info.name}
            return Start(model, StartRecord(file_hash(self.init), info.calibration, facts, seen=_seen(info)))
        if self.backbone:
            return _started(backbone_transfer(self.backbone, self.config), "backbone weights")
        return Start(
            build_model(self.config), StartRecord(facts={"kind": "random"}, new=_backbone_parts(shapes_of(self.config)))
        )

    def start_again(self, record: dict[str, Any] | None) -> Start:
        """Builds the network for a state of a checkpoint: nothing is read of the files, which may be gone by now.

        Args:
            record: The `StartRecord` of the run's start as plain data; None in runs of before there were any, whose
                files are read once more.

        Raises CheckpointError, ConfigError.
        """
        if record is not None:
            return Start(build_model(self.config), from_plain(StartRecord, record, "start."))
        for path in filter(None, (self.init, self.backbone)):
            if not path.is_file():
                reason = "the file that this run started from is gone"
                raise CheckpointError(path, reason, "Put it back: runs of older versions need it to go on")
        # The whole backbone was frozen in those runs, new or not.
        start = self.start()
        return replace(start, record=replace(start.record, new=()))


def origin_of(init: str | None, model: str | None, backbone_weights: str | None) -> Origin:
    """What a command line says about the first weights; the files are read, so that what does not fit is said at once.

    Args:
        init: Name or file of a model.
        model: Name of a preset. None, or the one that `init` has: the file is gone on with, as it is, but for the
            preset's test size, looks at boxes and decoding, and a visibility head where only the preset has one.
        backbone_weights: "imagenet", or a file.

    Raises:
        CheckpointError, ConfigError: a file or a name cannot be used, or two say where the trunk comes from.
    """
    if init and backbone_weights:
        raise ConfigError("--init and --backbone-weights both say where the trunk comes from: give one of them")
    if init:
        path = find_model(init)
        state, info = read_checkpoint(path)
        wanted = preset(model) if model else info.whole
        if wanted.name == info.whole.name:
            built(path, state, info)
            wanted = _like(info.whole, wanted, info.whole.visibility_width or wanted.visibility_width)
            if wanted == info.whole:
                return Origin(wanted, path)
        return Origin(_transfer(path, state, info, wanted).config, path, warm=True)
    config = preset(model or DEFAULT_MODEL)
    if not backbone_weights:
        return Origin(config)
    path = _backbone_file(backbone_weights, config)
    return Origin(backbone_transfer(path, config).config, backbone=path)


def _backbone_file(given: str, config: ModelConfig) -> Path:
    """The file that --backbone-weights means: `imagenet` and the library's own names are files of the library."""
    if given in ("imagenet", BACKBONE_WEIGHTS.get(config.backbone)):
        return imagenet_weights(config.backbone)
    if given in BACKBONE_WEIGHTS.values():
        reason = f"not for the trunk of {config.name}, which is {config.backbone}"
        raise CheckpointError(given, reason, "Write `--backbone-weights imagenet`, or choose another --model")
    return Path(given)


def warm_transfer(path: Path, config: ModelConfig) -> Transfer:
    """What another network takes over from a model file, of ours or of torchvision's.

    Raises:
        CheckpointError: the file cannot be used, or none of its weights fits; says why.
    """
    return _transfer(path, *read_checkpoint(path), config)


def _transfer(path: Path, state: Mapping[str, Tensor], info: CheckpointInfo, config: ModelConfig) -> Transfer:
    source = info.whole
    config = replace(config, norm_eps=source.norm_eps, image_mean=source.image_mean, image_std=source.image_std)
    shapes = shapes_of(config)
    if _like(source, config, config.visibility_width) == config:
        kept = {name: value for name, value in state.items() if shapes.get(name) == value.shape}
        unused = tuple(name for name in state if name not in kept)
        calibration = info.calibration if config.decoding == source.decoding else Calibration()
        return Transfer(path, info.name, config, kept, unused, calibration, _seen(info))
    weights: dict[str, Tensor] = {}
    for part in PARTS:
        entries = {name: value for name, value in state.items() if name.startswith(part)}
        if misfits(entries, {name: shape for name, shape in shapes.items() if name.startswith(part)}):
            break
        weights |= entries
    if not weights:
        raise CheckpointError(
            path,
            f"none of its weights fits {config.name}, whose trunk is {config.backbone} (the file's: {source.backbone})",
            "Choose a model file with that trunk, or leave --init out",
        )
    unused = tuple(name for name in state if name not in weights)
    return Transfer(path, info.name, config, weights, unused, seen=_seen(info))


def _like(config: ModelConfig, wanted: ModelConfig, visibility_width: int) -> ModelConfig:
    """A network with what may be another's while its weights stay: how it looks at a photo and reads its heatmaps,
    and the extra head."""
    looks = {name: getattr(wanted, name) for name in ("min_size", "max_size", "second_look", "decoding")}
    return replace(config, **looks, visibility_width=visibility_width)


def backbone_transfer(path: Path, config: ModelConfig) -> Transfer:
    """What a network takes over from an image classifier of torchvision's.

    Args:
        path: .pth or safetensors with the names of torchvision's ResNets or MobileNetV2; the classifier may be missing.
        config: The network; its input becomes what ImageNet's weights were trained with. A safetensors file of a
            MobileNetV2's `features` alone is a trunk of ours: for the network's own input, and without an epsilon.

    Raises:
        CheckpointError: the file cannot be used, or is not of the network's trunk.
    """
    weights = read_torch_file(path) if is_torch_file(path) else read_tensors(path)[0]
    if any(name.startswith(TRUNK) for name in weights):
        raise CheckpointError(path, "a whole model, not the weights of a classifier", "Give it to `train` as --init")
    folded = not is_torch_file(path) and not any(name.startswith("classifier.") for name in weights)
    if config.backbone != "mobilenet_v2" or not folded:
        config = replace(config, norm_eps=BATCHNORM_EPS, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD)
    if config.backbone == "mobilenet_v2":
        taken = _mobilenet_trunk(path, weights, 0.0 if folded else BATCHNORM_EPS, config.backbone_width)
        unused = tuple(name for name in weights if not name.startswith("features."))
    else:
        taken = resnet_body_state(weights)
        unused = tuple(name for name in weights if name.startswith("fc."))
    trunk = {name: shape for name, shape in shapes_of(config).items() if name.startswith(TRUNK)}
    wrong = misfits(taken, trunk)
    if wrong:
        raise _no_trunk(path, config.backbone, f"{wrong[0].removeprefix(TRUNK)}; {len(wrong)} such")
    return Transfer(path, f"{config.backbone} for images", config, taken, unused)


def _mobilenet_trunk(path: Path, weights: Mapping[str, Tensor], eps: float, width: float) -> dict[str, Tensor]:
    try:
        features = {name: value for name, value in weights.items() if name.startswith("features.")}
        return mobilenet_body_state(features, eps, width)
    except RuntimeError as error:
        raise _no_trunk(path, "mobilenet_v2", "its `features` are others") from error


def _no_trunk(path: Path, backbone: str, reason: str) -> CheckpointError:
    return CheckpointError(
        path, f"not torchvision's weights of a {backbone} ({reason})", "Choose those, or another --model"
    )


def _started(transfer: Transfer, kind: str) -> Start:
    model = build_model(transfer.config)
    report = transfer.into(model)
    digest = file_hash(transfer.path)
    facts = {
        "kind": kind,
        "file": transfer.path.name,
        "hash": digest,
        "model": transfer.name,
        "parts": transfer.parts,
    }
    parent = digest if kind == "warm start" else None
    record = StartRecord(parent, transfer.calibration, facts, _backbone_parts(transfer.new), transfer.seen)
    return Start(model, record, report)


def _seen(info: CheckpointInfo) -> tuple[int, ...]:
    return tuple(sorted(seen_images(info.lineage)))


def _backbone_parts(names: Iterable[str]) -> tuple[str, ...]:
    """Parts of the backbone among a network's names; each is taken from a file whole, or not at all."""
    return tuple(part for part in modules_of(names) if part.startswith("backbone."))


def _counted(names: Iterable[str]) -> str:
    parts = modules_of(names)
    total = sum(parts.values())
    return f"{total} tensors ({', '.join(f'{part} {count}' for part, count in parts.items())})" if total else "nothing"
