"""A second look at the boxes that the classification head finds: an extra on top of the paper, off in its presets.

The head has learnt to put boxes right that are somewhat off. What it has put right is such a box again, and is looked
at once more (iterative localization of Gidaris and Komodakis, 2015); and the boxes that it gave for the same person
from other proposals have a vote (box voting, the same). The mean of both is better than each of them.
"""

import torch
from torch import Tensor
from torchvision.ops import box_iou, nms, remove_small_boxes

WORTH_A_LOOK = 0.02
"""Score from which on a box takes part."""
SAME_PLACE = 0.6
"""IoU above which, of two boxes, only the better one is looked at again."""
SAME_PERSON = 0.65
"""IoU from which on another box votes on where this one is."""


def survivors(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whom to look at again.

    Args:
        boxes: What the head made of every proposal, [R, 4] xyxy.
        scores: [R].

    Returns:
        Boxes [N, 4], their scores [N], falling, and where all boxes for the same person are on average, weighted by
        score, [N, 4].
    """
    possible = torch.where(scores > WORTH_A_LOOK)[0]
    possible = possible[remove_small_boxes(boxes[possible], min_size=1e-2)]
    boxes, scores = boxes[possible], scores[possible]
    kept = nms(boxes, scores, SAME_PLACE)
    votes = (box_iou(boxes[kept], boxes) >= SAME_PERSON) * scores
    # No matrix product: under autocast that would be in bfloat16, which moves a box by pixels.
    total = (votes[..., None] * boxes).sum(dim=1)
    return boxes[kept], scores[kept], total / votes.sum(dim=1, keepdim=True)


def settled(
    boxes: tuple[Tensor, Tensor], scores: tuple[Tensor, Tensor], least: float, overlap: float, most: int
) -> tuple[Tensor, Tensor]:
    """People: the mean of two opinions, over a score, after NMS.

    Args:
        boxes: [N, 4] xyxy each.
        scores: [N] each.
        least: Score that a person has more than.
        overlap: IoU above which two are one.
        most: Bound on the number.

    Returns:
        boxes [M, 4] and scores [M], falling.
    """
    box, score = (boxes[0] + boxes[1]) / 2, (scores[0] + scores[1]) / 2
    rows = torch.where(score > least)[0]
    rows = rows[remove_small_boxes(box[rows], min_size=1e-2)]
    rows = rows[nms(box[rows], score[rows], overlap)][:most]
    return box[rows], score[rows]
