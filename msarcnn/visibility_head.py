"""Visibility, an extra of ours: P(v = 0, 1, 2) of every joint, on top of what the keypoint head has found.

The paper's heads stay as they are: no gradient flows back into them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from msarcnn.visibility import STATES

_PLACE = 2
_EDGES = 4
_CERTAINTY = 2


class VisibilityHead(nn.Module):
    """Looks at a joint where its heatmap says that it is, at the whole person, and at how certain all joints are.

    Args:
        channels: C, of the keypoint head's features.
        keypoints: K.
        width: Hidden units a joint.
    """

    def __init__(self, channels: int, keypoints: int, width: int) -> None:
        super().__init__()
        self.at_joint = nn.Linear(channels + _PLACE, width)
        self.of_person = nn.Linear(channels + _EDGES + _CERTAINTY * keypoints, width)
        self.of_joint = nn.Parameter(torch.zeros(keypoints, width))
        self.weight = nn.Parameter(torch.zeros(keypoints, width, STATES))
        self.bias = nn.Parameter(torch.zeros(keypoints, STATES))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, features: Tensor, logits: Tensor, edges: Tensor) -> Tensor:
        """Logits of v = 0, 1, 2.

        Args:
            features: [N, C, s, s], the keypoint head's.
            logits: [N, K, S, S] heatmaps, S a multiple of s.
            edges: [N, 4] distances of the boxes' sides to the photo's, see `edge_distances`.

        Returns:
            [N, K, 3].
        """
        features, logits = features.detach(), logits.detach().float()
        size, cells = features.shape[-1], logits.shape[-1]
        log_probabilities = logits.flatten(2).log_softmax(dim=-1)
        probabilities = log_probabilities.exp().unflatten(2, (cells, cells))
        attention = functional.avg_pool2d(probabilities, cells // size) * (cells // size) ** 2
        at_joint = attention.flatten(2).to(features.dtype) @ features.flatten(2).transpose(1, 2)
        centres = (torch.arange(cells, device=logits.device) + 0.5) / cells * 2 - 1
        place = torch.stack((probabilities.sum(dim=2) @ centres, probabilities.sum(dim=3) @ centres), dim=-1)
        certainty = torch.cat((log_probabilities.amax(dim=-1), logits.flatten(2).amax(dim=-1)), dim=1) / 5
        person = torch.cat((features.mean(dim=(2, 3)), edges.to(features), certainty.to(features)), dim=1)
        hidden = self.at_joint(torch.cat((at_joint, place.to(at_joint)), dim=-1)) + self.of_person(person)[:, None]
        hidden = functional.relu(hidden + self.of_joint)
        return torch.einsum("nkw,kwv->nkv", hidden, self.weight.to(hidden)) + self.bias


def edge_distances(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """How far a box's sides are from the photo's, in the box's own sides and at most 1: a person cut off has 0.

    boxes [N, 4] xyxy in an image of (height, width) `size` -> [N, 4], left, top, right, bottom.
    """
    far = boxes.new_tensor([size[1], size[0]])
    distances = torch.cat((boxes[:, :2], far - boxes[:, 2:]), dim=1)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6).repeat(1, 2)
    return (distances / sides).clamp(0, 1)


def visibility_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the joints whose v is known.

    Args:
        logits: [N, K, 3].
        labels: [N, K] int64, 0, 1 or 2; -1: unknown.

    Returns:
        Scalar; 0, with a gradient of 0, when nothing is known.
    """
    if not bool((labels >= 0).any()):
        return logits.sum() * 0.0
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)
