"""`python -m msarcnn benchmark`: the paper's Table 4 on this machine, with torchvision's Mask R-CNN beside it."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from msarcnn import paper_tables
from msarcnn.backbone import fold_frozen_batchnorm
from msarcnn.config import ModelConfig, NetworkConfig
from msarcnn.cpn import CPN, decode_heat
from msarcnn.crop_config import CROP_PRESETS, CropConfig
from msarcnn.crops import Frame, crops_of
from msarcnn.devices import Device
from msarcnn.fast_path import FAST_PROPOSALS, look_at_fewer, short_numbers
from msarcnn.model import MSARCNN, build_model
from msarcnn.precision import has_bf16, inference_dtypes
from msarcnn.presets import preset
from msarcnn.summary import count_parameters, multiply_adds, summarise_crops
from msarcnn.synthetic import make_scene
from msarcnn.targets import Target

REFERENCE = "torchvision keypointrcnn_resnet50_fpn"
PARTS = ("encode", "rpn", "classification", "keypoints", "decode")
TABLE_4 = ("mask_rcnn_resnet50_fpn", "mask_rcnn_plus", "cpn50", "msa_rcnn_resnet50_fpn")
"""Presets that are measured, the ratios' denominator first."""
TRAINING_IMAGES = 2


@dataclass(frozen=True)
class Spread:
    """Milliseconds: the median of several runs, and the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(*(round(one, 2) for one in (statistics.median(values), min(values), max(values))))


@dataclass
class Row:
    """What was measured of a model.

    Attributes:
        name: The preset, or REFERENCE.
        whole: An image, with so many people.
        parts: The same by part; {} for the reference, which has no seams.
        parameters: All of them.
        multiply_adds: Of an image, with ten people; None for the reference.
        training_bytes: See `training_memory`.
        paper: The paper's seconds and GB, where it has them.
    """

    name: str
    whole: Spread
    parts: dict[str, Spread] = field(default_factory=dict)
    parameters: int = 0
    multiply_adds: int | None = None
    training_bytes: int | None = None
    paper: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """Table 4: rows, ratios of time and memory to our Mask R-CNN and to the reference, and where it was measured."""

    machine: dict[str, Any]
    rows: list[Row]
    memory_is: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "training_memory": self.memory_is,
            "rows": [{**asdict(row), "ratios": self.ratios(row)} for row in self.rows],
        }

    def ratios(self, row: Row) -> dict[str, float]:
        """A row beside the others: {"time_to_reference", "time_to_mask_rcnn", "memory_to_mask_rcnn"}."""
        rows = {one.name: one for one in self.rows}
        ratios = {}
        for name, key in ((REFERENCE, "reference"), (TABLE_4[0], "mask_rcnn")):
            if name in rows:
                ratios[f"time_to_{key}"] = round(row.whole.median / rows[name].whole.median, 3)
        ours = rows.get(TABLE_4[0])
        if ours and ours.training_bytes and row.training_bytes:
            ratios["memory_to_mask_rcnn"] = round(row.training_bytes / ours.training_bytes, 3)
        return ratios

    def text(self) -> str:
        """The table for people."""
        lines = [", ".join(f"{key}: {value}" for key, value in self.machine.items())]
        for row in self.rows:
            ratios = ", ".join(f"{key.replace('_', ' ')} {value:.2f}" for key, value in self.ratios(row).items())
            lines.append(
                f"{row.name}: {row.whole.median:.0f} ms ({row.whole.least:.0f} to {row.whole.most:.0f}); {ratios}"
            )
            if row.parts:
                lines.append("    " + ", ".join(f"{name} {part.median:.0f}" for name, part in row.parts.items()))
            adds = f", {row.multiply_adds / 1e9:.1f} G multiply-adds" if row.multiply_adds else ""
            memory = f", {row.training_bytes / 1e9:.2f} GB {self.memory_is}" if row.training_bytes else ""
            lines.append(f"    {row.parameters / 1e6:.1f} M parameters{adds}{memory}")
        return "\n".join(lines)


class _Timed:
    """A model and an image, and what each of its parts takes."""

    def __init__(self, config: ModelConfig, device: Device, image: np.ndarray, people: int) -> None:
        self.network = build_model(config).eval()
        self.parameters = sum(count_parameters(self.network).values())
        fold_frozen_batchnorm(self.network.backbone)
        self.network.to(device.torch, inference_dtypes(device.torch)[0])
        if not device.is_cpu:
            self.network.to(memory_format=torch.channels_last)
        self.device = device
        self.pixels = torch.from_numpy(image).permute(2, 0, 1).to(device.torch)
        self.boxes = _people(people).to(device.torch)

    def run(self) -> dict[str, float]:
        """Milliseconds of every part, once."""
        taken, network = self.find(), self.network
        maps, taken["keypoints"] = self._clocked(lambda: network.heatmaps(self.features, [self.boxes]))
        _, taken["decode"] = self._clocked(lambda: network.decode(maps.logits, self.boxes))
        return taken

    def find(self) -> dict[str, float]:
        """Milliseconds of the parts that find people, once."""
        network, taken = self.network, {}
        self.features, taken["encode"] = self._clocked(lambda: network.encode([self.pixels]))
        proposals, taken["rpn"] = self._clocked(lambda: network.propose(self.features))
        _, taken["classification"] = self._clocked(lambda: network.detect(self.features, proposals))
        return taken

    def _clocked(self, work: Callable[[], Any]) -> tuple[Any, float]:
        return clocked(work, self.device)


class _TimedPipeline:
    """A network on crops behind a detector: two networks, the second one on as many crops as there are people."""

    def __init__(self, config: CropConfig, detector: _Timed, image: np.ndarray, people: int) -> None:
        self.network = CPN(config).eval()
        parameters = sum(value.numel() for value in self.network.parameters())
        self.parameters = detector.parameters + parameters
        self.network.to(detector.device.torch, inference_dtypes(detector.device.torch)[0])
        self.detector, self.image = detector, image
        self.frames = [Frame.around(box, config) for box in _people(people).numpy()]

    def run(self) -> dict[str, float]:
        """Milliseconds of every part, once."""
        taken, where = self.detector.find(), self.detector.device
        heat, taken["keypoints"] = clocked(self._look, where)
        _, taken["decode"] = clocked(lambda: decode_heat(heat), where)
        return taken

    def _look(self) -> Tensor:
        crops = crops_of(self.image, self.frames, self.network.config)
        weight = next(self.network.parameters())
        heat: Tensor = self.network(crops.to(weight.device, weight.dtype))[1]
        return heat.float()


def clocked(work: Callable[[], Any], device: Device) -> tuple[Any, float]:
    """What work gives, and the milliseconds until the device is done with it."""
    started = time.perf_counter()
    result = work()
    if not device.is_cpu:
        device.wait()
    return result, (time.perf_counter() - started) * 1000


def _people(count: int) -> Tensor:
    return torch.tensor([[100.0, 50.0, 250.0, 400.0]]).repeat(count, 1)


def benchmark(
    models: Sequence[str],
    device: Device,
    runs: int,
    people: int,
    reference: bool = True,
    memory: bool = True,
    configs: Mapping[str, ModelConfig] | None = None,
    fast: bool = False,
) -> Benchmark:
    """Measures models in turns, so that a busy moment of the machine hits all of them.

    Args:
        models: Presets.
        device: Where.
        runs: Turns, after one to warm up.
        people: On the image; as many are kept of every model's detections, whose weights are random.
        reference: Whether torchvision's own is measured, too.
        memory: Whether a training step is taken for its memory.
        configs: Configurations by name, instead of the presets'.
        fast: Whether ours take the fast path (msarcnn.fast_path).
    """
    torch.manual_seed(0)
    image = make_scene(0, (640, 480)).pixels
    known = configs or {}
    finds = known.get(TABLE_4[0]) or preset(TABLE_4[0])
    chosen: dict[str, NetworkConfig] = {
        name: known.get(name) or CROP_PRESETS.get(name) or preset(name) for name in models
    }
    # Before anything else is on the device.
    bytes_to_train = {
        name: _bytes_to_train(config, finds, device, people) if memory else None for name, config in chosen.items()
    }
    timed: dict[str, _Timed | _TimedPipeline] = {}
    for name, config in chosen.items():
        if isinstance(config, CropConfig):
            detector = timed.get(TABLE_4[0])
            if not isinstance(detector, _Timed):
                detector = _Timed(finds, device, image, people)
            timed[name] = _TimedPipeline(config, detector, image, people)
        elif isinstance(config, ModelConfig):
            timed[name] = _Timed(config, device, image, people)
    for one in timed.values():
        if fast:
            look_at_fewer(one.network if isinstance(one, _Timed) else one.detector.network)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in timed}
    whole: list[float] = []
    others = [_reference(people).to(device.torch)] if reference else []
    pixels = torch.from_numpy(image).permute(2, 0, 1).float().div(255).to(device.torch)
    with torch.inference_mode():
        for turn in range(runs + 1):
            for other in others:
                milliseconds = clocked(partial(other, [pixels]), device)[1]
                whole += [milliseconds] if turn else []
            for name, one in timed.items():
                with short_numbers(device.torch, fast):
                    parts = one.run()
                taken[name] += [parts] if turn else []
    rows = []
    for other in others:
        rows.append(Row(REFERENCE, Spread.of(whole), parameters=sum(one.numel() for one in other.parameters())))
    for name, one in timed.items():
        row = Row(
            name,
            Spread.of([sum(parts.values()) for parts in taken[name]]),
            {part: Spread.of([parts[part] for parts in taken[name]]) for part in PARTS},
            one.parameters,
        )
        if name in TABLE_4:
            row.paper = paper_figures(name)
        row.multiply_adds = _multiply_adds(chosen[name], finds)
        row.training_bytes = bytes_to_train[name]
        rows.append(row)
    return Benchmark(_machine(device, runs, people, fast), rows, MEMORY_IS[device.is_cpu])


def paper_figures(name: str) -> dict[str, float]:
    """The paper's seconds an image, and GB to train, of a preset of its Table 4."""
    figures = next(row.figures for row in paper_tables.TABLE_4.rows if name in row.presets)
    return {key: figures[key] for key in ("seconds", "training_gb")}


MEMORY_IS = {
    True: f"kept for the gradients, with weights, gradients and momentum, {TRAINING_IMAGES} images",
    False: f"at most allocated in a training step, {TRAINING_IMAGES} images",
}
"""What `training_bytes` counts, on a CPU and on a GPU."""


def _multiply_adds(config: NetworkConfig, finds: ModelConfig) -> int:
    """Of an image with ten people; of a pipeline's detector the parts that find them."""
    if isinstance(config, CropConfig):
        per_person: int = summarise_crops(config)["multiply_adds"]["estimate"]
        counts = _of_whole(finds)
        return counts["encode"] + counts["detect"] + 10 * per_person
    assert isinstance(config, ModelConfig)
    return sum(_of_whole(config).values())


def _of_whole(config: ModelConfig) -> dict[str, int]:
    network = build_model(config)
    return multiply_adds(network, *network.transform.padded_size(480, 640))


def _bytes_to_train(config: NetworkConfig, finds: ModelConfig, device: Device, people: int) -> int | None:
    """Of a pipeline the sum: its networks are trained one after the other, as the paper adds them up."""
    if isinstance(config, CropConfig):
        both = [training_memory(build_model(finds), device), training_memory(CPN(config), device, people)]
        return None if None in both else sum(filter(None, both))
    assert isinstance(config, ModelConfig)
    return training_memory(build_model(config), device)


def training_memory(network: MSARCNN | CPN, device: Device, people: int = 1) -> int | None:
    """Bytes that a training step of TRAINING_IMAGES images at the test size takes, with SGD and momentum.

    A network on crops sees the crops of so many people an image.

    On an NVIDIA GPU it is the allocator's peak; None on others. A CPU has none to ask: there it is what autograd keeps
    for the backward pass, each storage once, and the weights, three times where they are trained (gradient, momentum).
    """
    if device.torch.type not in ("cpu", "cuda"):
        return None
    if not device.is_cpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device.torch)
    network.to(device.torch).train()
    config, count = network.config, TRAINING_IMAGES
    if isinstance(config, CropConfig):
        size, count = (config.height, config.width), TRAINING_IMAGES * people
    else:
        size = (config.min_size, min(round(config.min_size * 4 / 3), config.max_size))
    images = [torch.rand(3, *size, device=device.torch) for _ in range(count)]
    target = {
        "boxes": _people(1),
        "labels": torch.ones(1, dtype=torch.int64),
        "keypoints": torch.tensor([[[170.0, 200.0, 2.0]] * network.config.keypoints]),
        "keypoint_weights": torch.ones(1, network.config.keypoints),
        "visibility": torch.full((1, network.config.keypoints), 2),
        "ignore_boxes": torch.zeros(0, 4),
    }
    targets = [{key: value.to(device.torch) for key, value in target.items()} for _ in images]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not device.is_cpu:
        optimizer = torch.optim.SGD(trained, 1e-9, momentum=0.9)
        total_loss(network, images, targets).backward()
        optimizer.step()
        return int(torch.cuda.max_memory_allocated(device.torch))
    kept: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    own = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        total_loss(network, images, targets)
    activations = sum(size for pointer, size in kept.items() if pointer not in own)
    weights = sum(value.nbytes for value in network.state_dict().values())
    return activations + weights + 2 * sum(parameter.nbytes for parameter in trained)


def total_loss(network: MSARCNN | CPN, images: list[Tensor], targets: list[Target]) -> Tensor:
    """The sum of a network's losses."""
    return torch.stack([mean.value for mean in network.losses(images, targets).values()]).sum()


def _reference(people: int) -> nn.Module:
    model: nn.Module = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, box_detections_per_img=people
    ).eval()
    return model


def _machine(device: Device, runs: int, people: int, fast: bool) -> dict[str, Any]:
    short = fast and device.is_cpu and has_bf16(device.torch)
    return {
        "device": device.name or device.id,
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "system": platform.machine(),
        "torch": torch.__version__,
        "dtype": "bfloat16" if short else str(inference_dtypes(device.torch)[0]).removeprefix("torch."),
        "dtype of the reference": "float32",
        "image": "640x480",
        "people": people,
        "runs": runs,
        "proposals": f"{FAST_PROPOSALS} at most" if fast else "the presets'",
    }
