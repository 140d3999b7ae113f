"""Region proposals (paper section 4): torchvision's RPN, whose sampling honours ignored regions, at less cost."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers

from msarcnn.sampling import Mean, mean_of, no_loss, rpn_sampler
from msarcnn.targets import Target, covered_by


class Anchors(AnchorGenerator):
    """torchvision's, in single precision whatever the features are in.

    bfloat16 holds eight bits: a coordinate of 600 pixels would be off by up to two, and so would all that is learnt
    from the anchor, or found by it.
    """

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """An anchor tensor [A, 4] xyxy an image."""
        sizes = [value.new_empty(value.shape[-2:], dtype=torch.float32) for value in feature_maps]
        anchors: list[Tensor] = super().forward(image_list, sizes)
        return anchors


class PersonRPN(RegionProposalNetwork):
    """torchvision's RPN, in which an anchor inside an ignored region is never a negative example.

    The losses look at some hundred of ten thousands of anchors. In training the maps are therefore read without a
    gradient, for the proposals, and the head once more where anchors were drawn: the same losses and gradients as
    torchvision's, without going backward through everything that has no part in them.

    Behind its head everything is in single precision.
    """

    def __init__(self, anchors: Anchors, head: RPNHead, **settings: object) -> None:
        super().__init__(anchors, head, **settings)
        head.register_forward_hook(_in_single_precision)
        sampler: BalancedPositiveNegativeSampler = vars(self)["fg_bg_sampler"]
        self.fg_bg_sampler = rpn_sampler(sampler.batch_size_per_image, sampler.positive_fraction)

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[Target] | None = None
    ) -> tuple[list[Tensor], dict[str, Mean]]:
        """Proposals [N, 4] xyxy an image, and in training {"loss_objectness", "loss_rpn_box_reg"}."""
        if not self.training:
            return super().forward(images, features)[0], {}
        assert targets is not None
        maps = list(features.values())
        with torch.no_grad():
            objectness, deltas = self.head(maps)
            anchors = self.anchor_generator(images, maps)
            counts = [level[0].numel() for level in objectness]
            scores, boxes = concat_box_prediction_layers(objectness, deltas)
            boxes = self.box_coder.decode(boxes, anchors).view(len(anchors), -1, 4)
            found, _ = self.filter_proposals(boxes, scores, images.image_sizes, counts)
            labels, matched = self.assign_targets_to_anchors(anchors, targets)
            wanted = self.box_coder.encode(matched, anchors)
            drawn = self.fg_bg_sampler.drawn(labels, targets)
        objectness_loss, box_loss = self._losses(maps, counts, drawn, labels, wanted)
        return found, {"loss_objectness": objectness_loss, "loss_rpn_box_reg": box_loss}

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[Target]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            label[(label == 0) & covered_by(anchor, target["ignore_boxes"])] = -1
        return labels, boxes

    def _losses(
        self,
        maps: list[Tensor],
        counts: Sequence[int],
        masks: tuple[list[Tensor], list[Tensor]],
        labels: list[Tensor],
        wanted: Sequence[Tensor],
    ) -> tuple[Mean, Mean]:
        """Objectness and box loss of the anchors that were drawn, positive and negative ones."""
        positive, negative = (torch.where(torch.cat(some))[0] for some in masks)
        drawn = torch.cat((positive, negative))
        if not len(drawn):
            # Everything is ignored: nothing to learn, but the mean over nothing would be no number.
            nothing = no_loss(self.head, maps)
            return mean_of(nothing, 0), mean_of(nothing, 0)
        logits, deltas = self._head_at(maps, counts, drawn)
        objectness = functional.binary_cross_entropy_with_logits(logits, torch.cat(labels)[drawn])
        boxes = functional.smooth_l1_loss(
            deltas[: len(positive)], torch.cat(list(wanted))[positive], beta=1 / 9, reduction="sum"
        )
        return mean_of(objectness, len(drawn)), mean_of(boxes / len(drawn), len(drawn))

    def _head_at(self, maps: list[Tensor], counts: Sequence[int], drawn: Tensor) -> tuple[Tensor, Tensor]:
        """The head's logits [n] and deltas [n, 4] of some anchors, numbered through images, levels, rows, columns."""
        images, places = drawn // sum(counts), drawn % sum(counts)
        rows, logits, deltas, first = [], [], [], 0
        for level, count in zip(maps, counts, strict=True):
            chosen = torch.where((places >= first) & (places < first + count))[0]
            some_logits, some_deltas = self._head_on(level, images[chosen], places[chosen] - first)
            rows.append(chosen)
            logits.append(some_logits)
            deltas.append(some_deltas)
            first += count
        back = torch.cat(rows).argsort()
        return torch.cat(logits)[back].float(), torch.cat(deltas)[back].float()

    def _head_on(self, level: Tensor, images: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """The same on one level [B, C, h, w]: the 3x3 neighbourhood of every place goes through the head."""
        height, width = level.shape[-2:]
        kinds = self.head.cls_logits.out_channels
        cells, kind = places // kinds, places % kinds
        steps = torch.arange(-1, 2, device=level.device)
        y = (cells // width)[:, None, None] + steps[:, None]
        x = (cells % width)[:, None, None] + steps
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        cell = (images[:, None, None] * height + y.clamp(0, height - 1)) * width + x.clamp(0, width - 1)
        # Neighbourhoods overlap, and the gradient of indexing adds up on several threads in no order; this one does.
        around = functional.embedding(cell, level.permute(0, 2, 3, 1).flatten(0, 2))
        convolution, logits, deltas = self.head.conv[0][0], self.head.cls_logits, self.head.bbox_pred
        weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)
        hidden = functional.linear((around * inside[..., None]).flatten(1), weight, convolution.bias).relu()
        which = torch.arange(len(places), device=level.device)
        return (
            functional.linear(hidden, logits.weight.flatten(1), logits.bias)[which, kind],
            functional.linear(hidden, deltas.weight.flatten(1), deltas.bias).view(-1, kinds, 4)[which, kind],
        )


def _in_single_precision(
    head: nn.Module, inputs: object, outputs: tuple[list[Tensor], list[Tensor]]
) -> tuple[list[Tensor], list[Tensor]]:
    objectness, deltas = outputs
    return [value.float() for value in objectness], [value.float() for value in deltas]
