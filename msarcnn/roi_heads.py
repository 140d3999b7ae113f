"""The heads: torchvision's, with sampling that honours ignored regions and per-joint weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import clip_boxes_to_image

from msarcnn.backbone import recomputed
from msarcnn.keypoints import keypoint_loss, keypoints_in_cells
from msarcnn.pose_model import Heatmaps
from msarcnn.sampling import Mean, head_sampler, keypoint_dice, mean_of, no_loss
from msarcnn.second_look import settled, survivors
from msarcnn.targets import Target, covered_by
from msarcnn.visibility_head import edge_distances, visibility_loss


class PoseRoIHeads(RoIHeads):
    """Classification head and keypoint head over the same proposals.

    Training feeds both heads the sampled proposals in parallel; inference is sequential: the keypoint head
    sees only the refined boxes (paper section 7). The three questions are methods of their own, so that
    the keypoint head can be asked about any box of an image that was encoded before.

    Args:
        keypoint_batch_per_image, keypoint_batch_per_person: Bounds on the RoIs that train the keypoint head.
        heatmap_size: S, cells a side.
        visibility_head: Tells v = 0, 1, 2 of the joints apart, or None.
        second_look: Whether found boxes are looked at once more (msarcnn.second_look).

    Attributes:
        target_spread: Standard deviation of the keypoint targets in cells, a setting of the training; 0: one cell.
        forgets: In training the keypoint head's inner values are computed once more for the gradient instead of kept.
    """

    def __init__(
        self,
        *args: object,
        keypoint_batch_per_image: int,
        keypoint_batch_per_person: int,
        heatmap_size: int,
        visibility_head: nn.Module | None = None,
        second_look: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        sampler: BalancedPositiveNegativeSampler = vars(self)["fg_bg_sampler"]
        self.fg_bg_sampler = head_sampler(sampler.batch_size_per_image, sampler.positive_fraction)
        self.keypoint_batch_per_image = keypoint_batch_per_image
        self.keypoint_batch_per_person = keypoint_batch_per_person
        self.heatmap_size = heatmap_size
        self.visibility_head = visibility_head
        self.second_look = second_look
        self.target_spread = 0.0
        self.forgets = False

    def select_training_samples(
        self, proposals: list[Tensor], targets: list[Target] | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """As torchvision's, but a negative inside an ignored region is left out.

        Returns:
            A tensor an image each: proposals [R, 4], matched indices [R], labels [R], regression targets [R, 4].
        """
        assert targets is not None
        proposals = self.add_gt_proposals(proposals, [target["boxes"] for target in targets])
        matched, labels = self.assign_targets_to_proposals(
            proposals, [target["boxes"] for target in targets], [target["labels"] for target in targets]
        )
        for label, boxes, target in zip(labels, proposals, targets, strict=True):
            label[(label == 0) & covered_by(boxes, target["ignore_boxes"])] = -1
        ground_truth = []
        for index, masks in enumerate(zip(*self.fg_bg_sampler.drawn(labels, targets), strict=True)):
            chosen = torch.where(masks[0] | masks[1])[0]
            proposals[index] = proposals[index][chosen]
            labels[index] = labels[index][chosen]
            matched[index] = matched[index][chosen]
            boxes = targets[index]["boxes"]
            ground_truth.append(boxes[matched[index]] if len(boxes) else proposals[index].clone())
        return proposals, matched, labels, list(self.box_coder.encode(ground_truth, proposals))

    def losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target],
    ) -> dict[str, Mean]:
        """{"loss_classifier", "loss_box_reg", "loss_keypoint"}, and "loss_visibility" where that is learnt."""
        boxes, matched, labels, regression = self.select_training_samples(proposals, targets)
        if sum(map(len, boxes)) == 0:
            nothing = self._zero(self, features)
            names = ["classifier", "box_reg", "keypoint", *(["visibility"] if self.visibility_head else [])]
            return {f"loss_{name}": mean_of(nothing, 0) for name in names}
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, boxes, image_shapes)))
        weights = [_box_weights(target, match) for target, match in zip(targets, matched, strict=True)]
        classifier, box = box_losses(
            logits.float(), deltas.float(), torch.cat(labels), torch.cat(regression), torch.cat(weights)
        )
        return {
            "loss_classifier": mean_of(classifier, len(logits)),
            "loss_box_reg": mean_of(box, len(logits)),
            **self._keypoint_losses(features, boxes, matched, labels, image_shapes, targets),
        }

    def _keypoint_losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        matched: list[Tensor],
        labels: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target],
    ) -> dict[str, Mean]:
        """A proposal trains the heads only if it is positive and holds a labelled keypoint."""
        boxes, points, weights, visibility = [], [], [], []
        for box, match, label, target in zip(proposals, matched, labels, targets, strict=True):
            positive = torch.where(label > 0)[0]
            rois, people = box[positive], match[positive]
            point, weight = keypoints_in_cells(
                target["keypoints"][people], target["keypoint_weights"][people], rois, self.heatmap_size
            )
            useful = torch.where(weight.sum(dim=1) > 0)[0]
            useful = useful[self._chosen(people[useful], keypoint_dice(target))]
            boxes.append(rois[useful])
            points.append(point[useful])
            weights.append(weight[useful])
            if self.visibility_head:
                visibility.append(target["visibility"][people[useful]])
        if sum(map(len, boxes)) == 0:
            keypoint_modules = nn.ModuleList((self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor))
            losses = {"loss_keypoint": mean_of(self._zero(keypoint_modules, features), 0)}
            if self.visibility_head:
                losses["loss_visibility"] = mean_of(self._zero(self.visibility_head, features), 0)
            return losses
        maps = self.heatmaps(features, boxes, image_shapes)
        weight = torch.cat(weights)
        points_loss = keypoint_loss(maps.logits.float(), torch.cat(points), weight, self.target_spread)
        losses = {"loss_keypoint": mean_of(points_loss, weight.sum())}
        if maps.visibility is not None:
            labels_of_v = torch.cat(visibility)
            value = visibility_loss(maps.visibility.float(), labels_of_v)
            losses["loss_visibility"] = mean_of(value, (labels_of_v >= 0).sum())
        return losses

    def _chosen(self, people: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws RoIs within the bounds, everyone's first one before anyone's second: [R] person index -> [n] rows."""
        order = torch.randperm(len(people), generator=generator, device=people.device)
        shuffled = people[order]
        turn = (shuffled[:, None] == shuffled[None, :]).tril(-1).sum(dim=1)
        order = order[turn.argsort(stable=True)][: int((turn < self.keypoint_batch_per_person).sum())]
        return order[: self.keypoint_batch_per_image]

    @staticmethod
    def _zero(module: nn.Module, features: dict[str, Tensor]) -> Tensor:
        """A loss of 0 in which every parameter takes part, below as well: optimizer state and ranks stay in line."""
        return no_loss(module, features.values())

    def detect(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Refines proposals into people.

        Returns:
            A tensor an image each: boxes [N, 4] xyxy in pixels of the resized image, and scores [N], falling.

        Raises:
            RuntimeError: in half precision the numbers are too large; nobody would be found.
        """
        logits, deltas = self._classified(features, proposals, image_shapes)
        if not self.second_look:
            boxes, scores, _ = self.postprocess_detections(logits, deltas, proposals, image_shapes)
            return boxes, scores
        first = [survivors(*one) for one in self._people(logits, deltas, proposals, image_shapes)]
        seen = [boxes for boxes, _, _ in first]
        again = self._people(*self._classified(features, seen, image_shapes), seen, image_shapes)
        limits = self.score_thresh, self.nms_thresh, self.detections_per_img
        people = [
            settled((voted, boxes), (before, after), *limits)
            for (_, before, voted), (boxes, after) in zip(first, again, strict=True)
        ]
        return [boxes for boxes, _ in people], [scores for _, scores in people]

    def _classified(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, boxes, image_shapes)))
        if logits.dtype == torch.float16 and not bool(logits.isfinite().all()):
            raise RuntimeError("its numbers are too large for half precision")
        return logits.float(), deltas.float()

    def _people(
        self, logits: Tensor, deltas: Tensor, proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[tuple[Tensor, Tensor]]:
        """What became of every proposal: a pair an image, boxes [R, 4] within it and scores [R]."""
        counts = [len(boxes) for boxes in proposals]
        boxes = self.box_coder.decode(deltas, proposals).reshape(*logits.shape, 4)[:, -1].split(counts)
        scores = logits.softmax(dim=-1)[:, -1].split(counts)
        inside = [clip_boxes_to_image(*one) for one in zip(boxes, image_shapes, strict=True)]
        return list(zip(inside, scores, strict=True))

    def heatmaps(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Heatmaps:
        """The keypoint head, and the visibility head if there is one, on any boxes (xyxy, resized image)."""
        pooled = self.keypoint_roi_pool(features, boxes, image_shapes)
        forgets = self.forgets and torch.is_grad_enabled()
        value = recomputed(self.keypoint_head, pooled) if forgets else self.keypoint_head(pooled)
        logits = self.keypoint_predictor(value)
        if self.visibility_head is None:
            return Heatmaps(logits)
        edges = torch.cat([edge_distances(*one) for one in zip(boxes, image_shapes, strict=True)])
        return Heatmaps(logits, self.visibility_head(value, logits, edges))


def box_losses(
    logits: Tensor, deltas: Tensor, labels: Tensor, regression: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Of the classification head: torchvision's `fastrcnn_loss` with a weight for every box's place.

    Args:
        logits: [R, 2].
        deltas: [R, 8] as predicted, [..., 4:] a person's.
        labels: [R] int64, 1 for a person.
        regression: [R, 4], what the deltas should be.
        weights: [R].

    Returns:
        Classification and regression loss, both means over all R.
    """
    positive = torch.where(labels > 0)[0]
    off = F.smooth_l1_loss(deltas[positive, 4:], regression[positive], beta=1 / 9, reduction="none").sum(dim=1)
    return F.cross_entropy(logits, labels), (off * weights[positive]).sum() / len(labels)


def _box_weights(target: Target, matched: Tensor) -> Tensor:
    """[R] for the boxes that RoIs belong to; background on an image of nobody belongs to none."""
    weights = target.get("box_weights", torch.ones(len(target["boxes"]), device=matched.device))
    return weights[matched] if len(weights) else torch.ones(len(matched), device=matched.device)
