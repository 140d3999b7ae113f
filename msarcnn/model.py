"""MSA R-CNN, put together from its parts (Moon, Chang, Lee; CVPRW 2019, figure 2)."""

from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from msarcnn.backbone import LEVELS, Backbone, build_backbone
from msarcnn.config import ModelConfig
from msarcnn.image_transform import ImageTransform
from msarcnn.keypoint_head import HeatmapOutput, MSKpsNet
from msarcnn.keypoints import decode_keypoints
from msarcnn.ms_roi_align import MSRoIAlign
from msarcnn.roi_heads import PersonRPN, PoseRoIHeads, Target


class MSARCNN(nn.Module):
    """The network: image -> backbone -> RPN -> classification head -> refined boxes -> MS-KpsNet -> keypoints.

    In training mode it returns losses, otherwise one result an image. Images are [3, H, W] floats in 0..1;
    coordinates are pixels of the image as given, (0, 0) the top-left corner of the top-left pixel.
    """

    def __init__(
        self,
        config: ModelConfig,
        transform: ImageTransform,
        backbone: Backbone,
        rpn: PersonRPN,
        roi_heads: PoseRoIHeads,
    ) -> None:
        super().__init__()
        self.config = config
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def forward(
        self, images: list[Tensor], targets: list[Target] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses by name (training), or an image each {boxes [N, 4], scores [N], keypoints [N, K, 2], peaks [N, K]}."""
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        batch, targets = self.transform(images, targets)
        features = self.backbone(batch.tensors)
        proposals, losses = self.rpn(batch, features, targets)
        if self.training:
            assert targets is not None, "training needs targets"
            return losses | self.roi_heads.losses(features, proposals, batch.image_sizes, targets)
        boxes, scores = self.roi_heads.detect(features, proposals, batch.image_sizes)
        logits = self.roi_heads.heatmap_logits(features, boxes, batch.image_sizes)
        results = []
        maps = logits.split([len(box) for box in boxes])
        for box, score, heatmaps, size, original in zip(boxes, scores, maps, batch.image_sizes, sizes, strict=True):
            box = resize_boxes(box, size, original)
            points, peaks = decode_keypoints(heatmaps.float(), box, self.config.decoding)
            results.append({"boxes": box, "scores": score, "keypoints": points, "peaks": peaks})
        return results

    def set_sampling(self, factor: float) -> None:
        """Sets how many anchors and RoIs of an image the losses see, as a factor on the configuration's numbers."""

        def scaled(number: int) -> int:
            return max(round(number * factor), 1)

        config, heads = self.config, self.roi_heads
        self.rpn.fg_bg_sampler.batch_size_per_image = scaled(config.rpn_batch_per_image)
        heads.fg_bg_sampler.batch_size_per_image = scaled(config.box_batch_per_image)
        heads.keypoint_batch_per_image = scaled(config.keypoint_batch_per_image)
        heads.keypoint_batch_per_person = scaled(config.keypoint_batch_per_person)

    def propose(self, batch: ImageList, features: dict[str, Tensor]) -> list[Tensor]:
        """The RPN alone (inference): proposals [N, 4] xyxy in pixels of the resized image, an image each."""
        proposals: list[Tensor] = self.rpn(batch, features)[0]
        return proposals


def resize_boxes(boxes: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    """Scales xyxy boxes from an image of (height, width) `size` to one of `new_size`."""
    ratio_y, ratio_x = new_size[0] / size[0], new_size[1] / size[1]
    return boxes * boxes.new_tensor([ratio_x, ratio_y, ratio_x, ratio_y])


def build_model(config: ModelConfig) -> MSARCNN:
    """Builds a network with random weights; the only place that reads the configuration."""
    backbone = build_backbone(config)
    transform = ImageTransform(config)
    anchors = AnchorGenerator(
        tuple((size,) for size in config.anchor_sizes), ((0.5, 1.0, 2.0),) * len(config.anchor_sizes)
    )
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
    return MSARCNN(config, transform, backbone, rpn, _build_roi_heads(config))


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
    return MultiScaleRoIAlign(list(LEVELS), 7, 2), MultiScaleRoIAlign(levels, size, 2)
