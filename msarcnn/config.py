"""What a model is made of, and how one is trained: frozen dataclasses, and nothing heavy (no torch)."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from msarcnn.checked_fields import ConfigError, check_fields, from_plain, within

__all__ = [
    "ConfigError",
    "FineTuning",
    "ModelConfig",
    "NetworkConfig",
    "TrainConfig",
    "fine_tuning_defaults",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


Count = Annotated[int, within(1, 1_000_000)]
Channels = Annotated[int, within(1, 16_384)]
Pixels = Annotated[int, within(1, 65_536)]
Steps = Annotated[int, within(1, 1_000_000_000)]
Share = Annotated[float, within(0, 1)]
Decay = Annotated[float, within(0, 1, below=True)]
Factor = Annotated[float, within(0, 1000, above=True)]

Decoding = Literal["top2", "argmax", "expected_oks"]
BackboneName = Literal["resnet50", "resnet101", "resnext101_32x8d", "resnext101_64x4d", "mobilenet_v2", "convnext_tiny"]


class NetworkConfig:
    """What the descriptions of all networks have: a whole one's (ModelConfig) and one's on crops (CropConfig)."""

    __slots__ = ()
    name: str
    keypoints: int
    pose_score: Literal["box", "joints"]

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ModelConfig(NetworkConfig):
    """Every choice that shapes the network, so that a checkpoint can rebuild it from its metadata.

    Attributes:
        name: Preset the configuration started from.
        backbone: torchvision backbone below the FPN.
        backbone_width: Factor on the channels of mobilenet_v2 (its width_mult); the ResNets have only 1.
        norm_eps: epsilon of the frozen BatchNorm (0 for torchvision's COCO_V1 weights).
        fpn_channels: Channels of P2..P6.
        pooling: "ms_roi_align" aggregates every level for every box (paper section 5); "roi_align" picks
            one level a box as in FPN; "roi_align_p2" takes P2 only for the keypoints (paper, Table 1).
        aggregation: How MS-RoIAlign joins the levels (paper, Table 2).
        box_head_width: Width of the two fully connected layers.
        keypoint_head: "ms_kpsnet" (paper section 6) or "convs" (eight convolutions, the Mask R-CNN baseline).
        keypoint_width: Channels of the keypoint head's convolutions.
        keypoint_output: "deconv_conv" (deconvolution, ReLU, 1x1 convolution) or "deconv" straight to K maps.
        visibility_width: Hidden units a joint of the visibility head, an extra of ours; 0: there is none (paper).
        decoding: "top2" averages the two most probable cells (paper); "argmax" is the baseline's; "expected_oks", an
            extra of ours, looks for the place with the highest expected OKS.
        keypoints: K, the number of heatmaps.
        min_size, max_size: Test size in pixels: shortest side, and limit of the longest.
        image_mean, image_std: Normalisation of RGB in 0..1.
        anchor_sizes: Anchor side in pixels on P2..P6.
        rpn_pre_nms_train, rpn_post_nms_train, rpn_pre_nms_test, rpn_post_nms_test: Proposals a level
            before NMS, and an image after it.
        rpn_batch_per_image, box_batch_per_image: Sampled anchors and RoIs an image.
        keypoint_batch_per_image: Bound on the positive RoIs an image that train the keypoint head.
        keypoint_batch_per_person: The same for the RoIs of one person: overlapping ones teach little that is new.
        box_score_threshold, box_nms, detections_per_image: Post-processing of the boxes.
        second_look: Whether found boxes are looked at once more (msarcnn.second_look), an extra of ours.
        test_scales: Factors on the test size in which `predict` and `evaluate` look at an image, mirrored as well
            (msarcnn.augmented); none: one look.
        pose_score: What ranks the people found when keypoints are judged: "box" is the box score (paper), "joints"
            multiplies it with how certain the pose is (msarcnn.people_scores).
    """

    name: str = "msa_rcnn_resnet50_fpn"
    backbone: BackboneName = "resnet50"
    backbone_width: Factor = 1.0
    norm_eps: Share = 1e-5
    fpn_channels: Channels = 256
    pooling: Literal["ms_roi_align", "roi_align", "roi_align_p2"] = "ms_roi_align"
    aggregation: Literal["sum", "concat"] = "sum"
    box_head_width: Channels = 1024
    keypoint_head: Literal["ms_kpsnet", "convs"] = "ms_kpsnet"
    keypoint_width: Channels = 512
    keypoint_output: Literal["deconv_conv", "deconv"] = "deconv_conv"
    visibility_width: Annotated[int, within(0, 16_384)] = 0
    decoding: Decoding = "top2"
    keypoints: Annotated[int, within(1, 1000)] = 17
    min_size: Pixels = 800
    max_size: Pixels = 1333
    image_mean: tuple[Share, Share, Share] = IMAGENET_MEAN
    image_std: tuple[Factor, Factor, Factor] = IMAGENET_STD
    anchor_sizes: tuple[Pixels, Pixels, Pixels, Pixels, Pixels] = (32, 64, 128, 256, 512)
    rpn_pre_nms_train: Count = 2000
    rpn_post_nms_train: Count = 2000
    rpn_pre_nms_test: Count = 1000
    rpn_post_nms_test: Count = 1000
    rpn_batch_per_image: Count = 256
    box_batch_per_image: Count = 512
    keypoint_batch_per_image: Count = 128
    keypoint_batch_per_person: Count = 128
    box_score_threshold: Share = 0.05
    box_nms: Share = 0.5
    detections_per_image: Count = 100
    second_look: bool = False
    test_scales: tuple[Annotated[float, within(0.1, 4)], ...] = ()
    pose_score: Literal["box", "joints"] = "box"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.keypoint_head == "ms_kpsnet" and self.pooling == "roi_align":
            raise ConfigError("ms_kpsnet needs 16x16 RoIs: choose pooling roi_align_p2 or ms_roi_align")
        if self.backbone_width != 1 and self.backbone != "mobilenet_v2":
            raise ConfigError(f"backbone_width = {self.backbone_width}: {self.backbone} has the width 1 only")

    @property
    def heatmap_size(self) -> int:
        """S, the side of a heatmap in cells: four times the keypoint RoI's."""
        return 64 if self.keypoint_head == "ms_kpsnet" else 56

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ModelConfig":
        """Rebuilds a configuration; raises ConfigError on an unknown field or value."""
        return from_plain(cls, data)


DEVICE_HELP = "auto (default: a GPU if there is one that works), cpu, cuda, cuda:N or mps"
"""What a device may be asked for as (msarcnn.devices)."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training run's settings (paper section 7). Defaults are the fine-tuning ones.

    Attributes:
        iterations: Optimizer steps.
        batch_size: B, images a step.
        learning_rate: 0 means the linear rule: 0.02 * B / 16 for SGD, 0.0008 * B / 16 for AdamW.
        trunk_rate: Factor on the learning rate of the backbone below the FPN, whose weights come trained.
        optimizer, momentum, weight_decay: SGD with momentum is the paper's.
        schedule: "step" divides the rate by ten twice, "cosine" lets it fall to zero.
        step_at: Shares of the iterations at which "step" divides (Mask R-CNN's 60k and 80k of 90k).
        warmup: Steps of linear warm-up from a third; never more than a fifth of the run.
        train: "all" (stem and C2 stay frozen), or "heads": RPN and both heads, the backbone and FPN kept; parts of
            these that come from no file, with random values, learn with the heads. "rpn": the RPN and what is below it
            alone, whose proposals another network is trained on (paper section 7). "visibility": that head alone.
        sizes: Shortest side in pixels, drawn anew for each image; the longest is bounded by the model's max_size
            in the same proportion. Empty means the model's test size and 20 % around it.
        crop: Side of a square window in pixels cut from the resized image (0: whole images).
        mosaic: Share of the samples that are put together from four or nine images, in a square of `crop` pixels:
            more people, and smaller ones, for the same cost.
        jitter: Range of a factor on the drawn size; (1, 1) is none.
        rotation: Degrees by which a person's crop is turned at most, either way; for networks on crops only.
        color: Strength of brightness, contrast and saturation changes, 0..1.
        flip: Whether half of the images are mirrored, left and right joints swapped.
        select: "keypoints" takes images with a labelled keypoint (paper); "all" takes box-only people and
            images with nobody as well.
        target_spread: Standard deviation in heatmap cells of the keypoint targets; 0 is the paper's single cell. With
            labels that are off by a cell or two, the neighbouring cells are no error.
        sampling: Factor on the model's numbers of anchors and RoIs that are drawn from an image for the losses: the
            light model's are kept low for a CPU.
        pseudo_weight: Loss weight of keypoints whose source letter is "p" (a model's, not a person's).
        gradient_clip: Bound of the gradient's norm.
        accumulate: In how many parts a batch goes through the network, one after the other, for memory that does not
            hold all of it: the step is that of the mean of the parts' losses.
        checkpoint_activations: Forgets what lies within the backbone's stages and the keypoint head, and computes it
            anew for the gradient: more time, for less memory.
        compile: Compiles the backbone (torch.compile), where a compiler is at hand.
        average: Decay of an exponential moving average of the weights, which is what is evaluated and saved; 0: none.
        precision: "auto" computes under bfloat16 autocast where the hardware has it, else in single precision;
            "bf16" and "fp32" insist (msarcnn.precision).
        seed: Augmentation and sampling depend on (seed, step, image) only.
        evaluate_every, checkpoint_every, log_every: In steps; evaluation also happens before and after.
        workers: Processes that load images (0: the training process itself).
    """

    iterations: Steps = 200
    batch_size: Annotated[int, within(1, 65_536)] = 2
    learning_rate: Annotated[float, within(0, 100)] = 0.0
    trunk_rate: Annotated[float, within(0, 1000)] = 1.0
    optimizer: Literal["sgd", "adamw"] = "adamw"
    momentum: Decay = 0.9
    weight_decay: Share = 1e-4
    schedule: Literal["step", "cosine"] = "cosine"
    step_at: tuple[Share, Share] = (2 / 3, 8 / 9)
    warmup: Annotated[int, within(0, 1_000_000_000)] = 500
    train: Literal["all", "heads", "rpn", "visibility"] = "all"
    sizes: tuple[Pixels, ...] = ()
    crop: Annotated[int, within(0, 65_536)] = 0
    mosaic: Share = 0.0
    jitter: tuple[Factor, Factor] = (1.0, 1.0)
    rotation: Annotated[float, within(0, 180)] = 0.0
    color: Share = 0.2
    flip: bool = True
    select: Literal["keypoints", "all"] = "all"
    target_spread: Annotated[float, within(0, 64)] = 0.0
    sampling: Factor = 1.0
    pseudo_weight: Annotated[float, within(0, 1000)] = 1.0
    gradient_clip: Annotated[float, within(0, 1_000_000_000, above=True)] = 10.0
    accumulate: Annotated[int, within(1, 65_536)] = 1
    checkpoint_activations: bool = False
    compile: bool = False
    average: Decay = 0.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: Annotated[int, within(0, 2**63 - 1)] = 0
    evaluate_every: Steps = 100
    checkpoint_every: Steps = 50
    log_every: Steps = 5
    workers: Annotated[int, within(0, 1024)] = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.mosaic > 0 and not self.crop:
            raise ConfigError(f"mosaic = {self.mosaic}: needs crop, the side of the square that images are put into")
        if self.accumulate > self.batch_size:
            raise ConfigError(f"accumulate = {self.accumulate}: a batch of {self.batch_size} has no so many parts")
        if self.jitter[0] > self.jitter[1]:
            raise ConfigError(f"jitter = {self.jitter}: the smaller factor first is needed")

    @property
    def base_learning_rate(self) -> float:
        """The learning rate after warm-up: as given, or by the linear rule."""
        if self.learning_rate > 0:
            return self.learning_rate
        return (0.02 if self.optimizer == "sgd" else 0.0008) * self.batch_size / 16

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rate = self.base_learning_rate
        warmup = min(self.warmup, self.iterations // 5)
        if step < warmup:
            rate *= 1 / 3 + 2 / 3 * step / warmup
        if self.schedule == "cosine":
            return rate * 0.5 * (1 + math.cos(math.pi * step / self.iterations))
        done = step / self.iterations
        return rate * 0.1 ** sum(done >= place for place in self.step_at)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrainConfig":
        """Rebuilds settings; raises ConfigError on an unknown field or a wrong value."""
        # Runs of before could only say whether or not: they go on as they began.
        if isinstance(data, dict) and "mixed_precision" in data:
            data = {**data, "precision": "bf16" if data["mixed_precision"] else "fp32"}
            del data["mixed_precision"]
        return from_plain(cls, data)


@dataclass(frozen=True, slots=True)
class FineTuning:
    """The settings that depend on how much is labelled: what to train, and for how many passes over the images."""

    train: Literal["all", "heads"]
    epochs: int


def fine_tuning_defaults(images: int, people: int) -> FineTuning:
    """What to choose for a number of labelled images and people (docs/benchmarks.md, "Fine-tuning on few images")."""
    # Few images need more passes for the same number of steps.
    epochs = min(max(round(1500 / max(images, 1)), 5), 30)
    return FineTuning("all" if people >= 500 else "heads", epochs)


def training_steps(images: int, epochs: float, batch_size: int) -> int:
    """Steps of so many passes over the images, at least one: a batch may begin in one pass and end in the next."""
    return max(round(epochs * images / batch_size), 1)


def held_out_count(images: int, fraction: float) -> int:
    """How many images a share of them holds out: one at least and all but one at most; none for a share of 0."""
    return min(max(round(images * fraction), 1), max(images - 1, 0)) if fraction > 0 else 0
