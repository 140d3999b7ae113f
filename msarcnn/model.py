"""MSA R-CNN, put together from its parts (Moon, Chang, Lee; CVPRW 2019, figure 2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

from msarcnn.backbone import LEVELS, Backbone, build_backbone
from msarcnn.config import ConfigError, ModelConfig, TrainConfig
from msarcnn.image_transform import ImageTransform
from msarcnn.keypoint_head import HeatmapOutput, MSKpsNet
from msarcnn.keypoints import decode_keypoints
from msarcnn.ms_roi_align import MSRoIAlign
from msarcnn.pose_model import Checkpoint, Heatmaps, go_on
from msarcnn.roi_align import LevelRoIAlign
from msarcnn.roi_heads import PoseRoIHeads
from msarcnn.rpn import Anchors, PersonRPN
from msarcnn.sampling import Mean
from msarcnn.skeleton import bare_sigmas, coco17
from msarcnn.targets import Target
from msarcnn.visibility_head import VisibilityHead

BOXES_PER_PASS = (256, 32)
"""Boxes given to the keypoint head at a time, on a GPU and on a CPU."""


_P5_STRIDE = 32
"""Pixels of the resized image a cell."""


@dataclass(frozen=True)
class Features:
    """Encoded images.

    Attributes:
        maps: P2..P6 [B, C, h, w] by level; the images are padded into one frame.
        sizes: B sizes (height, width) in pixels of the resized images, before padding.
        original_sizes: B sizes (height, width) of the images as given.
    """

    maps: dict[str, Tensor]
    sizes: list[tuple[int, int]]
    original_sizes: list[tuple[int, int]]

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width) of the first image as given."""
        return self.original_sizes[0]

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.maps.values())

    @property
    def device(self) -> torch.device:
        return self.maps[LEVELS[0]].device

    def summaries(self) -> Tensor:
        """[B, C], float32: what is seen on an image as a whole, P5's mean without the padding, of length 1."""
        means = [
            one[:, : ceil(height / _P5_STRIDE), : ceil(width / _P5_STRIDE)].mean(dim=(1, 2))
            for one, (height, width) in zip(self.maps[LEVELS[-1]].float(), self.sizes, strict=True)
        ]
        return functional.normalize(torch.stack(means), dim=1)

    def split(self) -> "list[Features]":
        """Every image by itself; the maps are views."""
        return [
            Features({level: value[index : index + 1] for level, value in self.maps.items()}, [size], [original])
            for index, (size, original) in enumerate(zip(self.sizes, self.original_sizes, strict=True))
        ]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Features":
        """A copy elsewhere."""
        return replace(self, maps={level: value.to(device, dtype) for level, value in self.maps.items()})


class MSARCNN(nn.Module):
    """The network: image -> backbone -> RPN -> classification head -> refined boxes -> MS-KpsNet -> keypoints.

    In training mode it returns losses, otherwise one result an image. Coordinates are pixels of the image as given,
    (0, 0) the top-left corner of the top-left pixel.

    Attributes:
        proposes_only: The RPN and what is below it learn alone (paper section 7), a setting of the training.
        sigmas: OKS constants of the K joints, for "expected_oks" decoding.
    """

    def __init__(
        self,
        config: ModelConfig,
        transform: ImageTransform,
        backbone: Backbone,
        rpn: PersonRPN,
        roi_heads: PoseRoIHeads,
        sigmas: Sequence[float],
    ) -> None:
        super().__init__()
        self.config = config
        self.sigmas = tuple(sigmas)
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.proposes_only = False

    def forward(
        self, images: list[Tensor], targets: list[Target] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """The paper's figure 2, left to right.

        Args:
            images: [3, H, W] each, floats in 0..1; for inference uint8 as well.
            targets: What to learn; needed in training mode.

        Returns:
            Losses by name (training: the heads see the same proposals, the RPN's or the targets'), or an image each
            {boxes [N, 4], scores [N], keypoints [N, K, 2], peaks [N, K], and visibility [N, K, 3] where that is told
            apart} (inference: the keypoint head sees the boxes that were refined).
        """
        if not self.training:
            return self.find(self.encode(images))
        assert targets is not None, "training needs targets"
        return {name: mean.value for name, mean in self.losses(images, targets).items()}

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Mean]:
        """The losses of `forward`, each with the number of terms that it is the mean of."""
        batch, targets = self.transform(images, targets)
        features = self.backbone(batch.tensors)
        losses: dict[str, Mean] = {}
        if all("proposals" in target for target in targets):
            proposals = [target["proposals"] for target in targets]
        else:
            proposals, losses = self.rpn(batch, features, targets)
        if self.proposes_only:
            return losses
        return losses | self.roi_heads.losses(features, proposals, batch.image_sizes, targets)

    def encode(
        self, images: list[Tensor], checkpoint: Checkpoint = go_on, size: tuple[int, int] | None = None
    ) -> Features:
        """Backbone and FPN (paper section 4), in the network's own precision.

        Args:
            images: [3, H, W] on its device.
            checkpoint: Called between the stages.
            size: (shortest side, limit of the longest) in pixels, where it is not the test size.
        """
        batch = self.transform.batch(images, size)
        pixels = batch.tensors.to(next(self.parameters()).dtype).contiguous(memory_format=torch.channels_last)
        maps = self.backbone(pixels, checkpoint)
        return Features(maps, batch.image_sizes, [(image.shape[-2], image.shape[-1]) for image in images])

    def find(
        self, features: Features, checkpoint: Checkpoint = go_on, proposals: list[Tensor] | None = None
    ) -> list[dict[str, Tensor]]:
        """People and their joints on encoded images: `forward` without the encoding; proposals as in `detect`."""
        boxes, scores = self.detect(features, proposals)
        checkpoint()
        maps, counts = self.heatmaps(features, boxes), [len(box) for box in boxes]
        checkpoint()
        results = []
        for box, score, logits in zip(boxes, scores, maps.logits.split(counts), strict=True):
            points, peaks = self.decode(logits, box)
            results.append({"boxes": box, "scores": score, "keypoints": points, "peaks": peaks})
        if maps.visibility is not None:
            for result, some in zip(results, maps.visibility.softmax(dim=-1).split(counts), strict=True):
                result["visibility"] = some
        return results

    def decode(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Joints from heatmaps [N, K, S, S] that span boxes [N, 4]: see `decode_keypoints`."""
        return decode_keypoints(logits, boxes, self.config.decoding, self.sigmas)

    def propose(self, features: Features, count: int | None = None) -> list[Tensor]:
        """Where somebody may be: B tensors [N, 4] xyxy, the most probable first.

        count: How many an image at most, after NMS and, of every level, before it; None: as the configuration says.
        """
        limits = self.rpn._pre_nms_top_n, self.rpn._post_nms_top_n
        before = [dict(limit) for limit in limits]
        try:
            for limit in limits if count else ():
                limit["testing"] = count
            found = self.rpn(ImageList(_frame(features), features.sizes), features.maps)[0]
        finally:
            self.rpn._pre_nms_top_n, self.rpn._post_nms_top_n = before
        originals = zip(found, features.sizes, features.original_sizes, strict=True)
        return [resize_boxes(*one) for one in originals]

    def detect(self, features: Features, proposals: list[Tensor] | None = None) -> tuple[list[Tensor], list[Tensor]]:
        """RPN, MS-RoIAlign(0) and the classification head: who is there.

        Args:
            features: B images.
            proposals: B tensors [M, 4] xyxy to look at instead of the RPN's.

        Returns:
            B tensors each: boxes [N, 4] xyxy and scores [N], falling. Only boxes of positive size.
        """
        sizes, originals = features.sizes, features.original_sizes
        if proposals is None:
            proposals = self.rpn(ImageList(_frame(features), sizes), features.maps)[0]
        else:
            proposals = [resize_boxes(*one) for one in zip(proposals, originals, sizes, strict=True)]
        boxes, scores = self.roi_heads.detect(features.maps, proposals, sizes)
        boxes = [resize_boxes(*one) for one in zip(boxes, sizes, originals, strict=True)]
        sound = [(box[:, 2:] > box[:, :2]).all(dim=1) for box in boxes]
        return [box[rows] for box, rows in zip(boxes, sound, strict=True)], [
            score[rows] for score, rows in zip(scores, sound, strict=True)
        ]

    def heatmaps(self, features: Features, boxes: list[Tensor]) -> Heatmaps:
        """MS-RoIAlign(1) and MS-KpsNet (paper sections 5 and 6) on any boxes.

        B tensors [N_i, 4] xyxy in pixels of the images -> maps of all of them, in single precision.
        They are taken some at a time, which bounds the memory that a crowd needs.
        """
        sizes = features.sizes
        resized = [resize_boxes(*one) for one in zip(boxes, features.original_sizes, sizes, strict=True)]
        at_a_time = BOXES_PER_PASS[features.device.type == "cpu"]
        passes = []
        for chosen in _in_passes([len(box) for box in boxes], at_a_time):
            some = [box[start:end] for box, (start, end) in zip(resized, chosen, strict=True)]
            passes.append(self.roi_heads.heatmaps(features.maps, some, sizes))
        visibility = [maps.visibility.float() for maps in passes if maps.visibility is not None]
        logits = torch.cat([maps.logits.float() for maps in passes])
        return Heatmaps(logits, torch.cat(visibility) if visibility else None)

    def prepare(self, config: TrainConfig, new: tuple[str, ...], on_proposals: bool) -> None:
        """What a training's settings mean for this network: who learns, and from how much.

        Args:
            config: The settings.
            new: Parts of the backbone with random values, such as "backbone.fpn": they learn with the heads.
            on_proposals: Whether the heads look at proposals from a file.

        Raises:
            ConfigError: it has not got what is to be trained.
        """
        self.roi_heads.target_spread = config.target_spread
        self.set_sampling(config.sampling)
        self.proposes_only = config.train == "rpn"
        self.backbone.forgets = self.roi_heads.forgets = config.checkpoint_activations
        if config.compile:
            self.backbone.compile(dynamic=True)
        if config.rotation:
            raise ConfigError("--rotation turns the crops of a network on crops: leave it out")
        if config.train == "rpn":
            self.roi_heads.requires_grad_(False)
        if config.train == "visibility":
            head = self.roi_heads.visibility_head
            if head is None:
                name = self.config.name
                raise ConfigError(f"{name} has no visibility head to train: choose --model, a preset that has one")
            self.requires_grad_(False)
            head.requires_grad_(True)
        if on_proposals:
            self.rpn.requires_grad_(False)
        if config.train == "heads":
            taught = tuple(f"{part}." for part in new)
            for name, parameter in self.named_parameters():
                if name.startswith("backbone.") and not name.startswith(taught):
                    parameter.requires_grad_(False)

    def pad_to(self, size: tuple[int, int]) -> None:
        """Batches are at least so large (height, width) in training: padding decides what anchors there are."""
        self.transform.least = size

    def set_sampling(self, factor: float) -> None:
        """Sets how many anchors and RoIs of an image the losses see, as a factor on the configuration's numbers."""

        def scaled(number: int) -> int:
            return max(round(number * factor), 1)

        config, heads = self.config, self.roi_heads
        self.rpn.fg_bg_sampler.batch_size_per_image = scaled(config.rpn_batch_per_image)
        heads.fg_bg_sampler.batch_size_per_image = scaled(config.box_batch_per_image)
        heads.keypoint_batch_per_image = scaled(config.keypoint_batch_per_image)
        heads.keypoint_batch_per_person = scaled(config.keypoint_batch_per_person)


def _frame(features: Features) -> Tensor:
    """Stands for the padded images, of which torchvision's RPN asks only the size: [B, 3, H, W] without content."""
    finest = features.maps[LEVELS[0]]
    return finest.new_empty(1).expand(finest.shape[0], 3, finest.shape[-2] * 4, finest.shape[-1] * 4)


def _in_passes(counts: list[int], most: int) -> Iterator[list[tuple[int, int]]]:
    """Which rows of each of several lists to take at a time, in order, at most so many; one pass if there are none."""
    total = sum(counts)
    for first in range(0, max(total, 1), most):
        rows, offset = [], 0
        for count in counts:
            rows.append((min(max(first - offset, 0), count), min(max(first + most - offset, 0), count)))
            offset += count
        yield rows


def resize_boxes(boxes: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    """Scales xyxy boxes from an image of (height, width) `size` to one of `new_size`."""
    ratio_y, ratio_x = new_size[0] / size[0], new_size[1] / size[1]
    return boxes * boxes.new_tensor([ratio_x, ratio_y, ratio_x, ratio_y])


def build_model(config: ModelConfig, sigmas: Sequence[float] | None = None) -> MSARCNN:
    """Builds a network with random weights; the only place that reads the configuration.

    sigmas: K OKS constants, of the joints' skeleton; COCO's where it may be that.
    """
    if sigmas is None:
        known = coco17().sigmas
        sigmas = known if config.keypoints == len(known) else bare_sigmas(config.keypoints)
    backbone = build_backbone(config)
    transform = ImageTransform(config)
    anchors = Anchors(tuple((size,) for size in config.anchor_sizes), ((0.5, 1.0, 2.0),) * len(config.anchor_sizes))
    rpn = PersonRPN(
        anchors,
        RPNHead(config.fpn_channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=config.rpn_batch_per_image,
        positive_fraction=0.5,
        pre_nms_top_n={"training": config.rpn_pre_nms_train, "testing": config.rpn_pre_nms_test},
        post_nms_top_n={"training": config.rpn_post_nms_train, "testing": config.rpn_post_nms_test},
        nms_thresh=0.7,
    )
    return MSARCNN(config, transform, backbone, rpn, _build_roi_heads(config), sigmas)


def _build_roi_heads(config: ModelConfig) -> PoseRoIHeads:
    channels = config.fpn_channels
    box_pool, keypoint_pool = _build_poolers(config)
    box_channels = getattr(box_pool, "out_channels", channels)
    keypoint_channels = getattr(keypoint_pool, "out_channels", channels)
    box_cells = 64 if isinstance(box_pool, MSRoIAlign) else 49
    head: nn.Module
    if config.keypoint_head == "ms_kpsnet":
        head = MSKpsNet(keypoint_channels, config.keypoint_width)
    else:
        head = KeypointRCNNHeads(keypoint_channels, (config.keypoint_width,) * 8)
    output: nn.Module
    if config.keypoint_output == "deconv_conv":
        output = HeatmapOutput(config.keypoint_width, config.keypoints)
    else:
        output = KeypointRCNNPredictor(config.keypoint_width, config.keypoints)
    return PoseRoIHeads(
        box_pool,
        TwoMLPHead(box_channels * box_cells, config.box_head_width),
        FastRCNNPredictor(config.box_head_width, num_classes=2),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=config.box_batch_per_image,
        positive_fraction=0.25,
        bbox_reg_weights=(10.0, 10.0, 5.0, 5.0),
        score_thresh=config.box_score_threshold,
        nms_thresh=config.box_nms,
        detections_per_img=config.detections_per_image,
        keypoint_roi_pool=keypoint_pool,
        keypoint_head=head,
        keypoint_predictor=output,
        keypoint_batch_per_image=config.keypoint_batch_per_image,
        keypoint_batch_per_person=config.keypoint_batch_per_person,
        heatmap_size=config.heatmap_size,
        visibility_head=(
            VisibilityHead(config.keypoint_width, config.keypoints, config.visibility_width)
            if config.visibility_width
            else None
        ),
        second_look=config.second_look,
    )


def _build_poolers(config: ModelConfig) -> tuple[nn.Module, nn.Module]:
    """The two poolers: 8x8 and 16x16 by MS-RoIAlign, or 7x7 and 14x14 (16x16 before MS-KpsNet) by RoIAlign."""
    if config.pooling == "ms_roi_align":
        return (
            MSRoIAlign(0, config.fpn_channels, config.aggregation),
            MSRoIAlign(1, config.fpn_channels, config.aggregation),
        )
    levels = list(LEVELS) if config.pooling == "roi_align" else [LEVELS[0]]
    size = 16 if config.keypoint_head == "ms_kpsnet" else 14
    return LevelRoIAlign(list(LEVELS), 7, 2), LevelRoIAlign(levels, size, 2)
