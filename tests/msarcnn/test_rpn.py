"""The RPN's losses where anchors were drawn are those of the whole maps."""

import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from msarcnn.sampling import rpn_sampler


def made(seed, batch=2, channels=16):
    """Maps of five levels, and people at the edges and in the middle."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(24, 40), (12, 20), (6, 10), (3, 5), (2, 3)]
    maps = {
        str(level): torch.randn(batch, channels, *size, generator=generator, requires_grad=True)
        for level, size in enumerate(sizes)
    }
    boxes = [torch.tensor([[0.0, 0, 30, 60], [120, 50, 160, 96]]), torch.tensor([[40.0, 20, 90, 95]])]
    targets = [
        {"boxes": box, "ignore_boxes": torch.zeros(0, 4), "labels": torch.ones(len(box), dtype=torch.int64)}
        for box in boxes
    ]
    return ImageList(torch.zeros(batch, 3, 96, 160), [(96, 160)] * batch), maps, targets


def torchvisions(rpn, images, maps, targets):
    """Its own losses, of what our sampler draws."""
    sampler, rpn.fg_bg_sampler = rpn.fg_bg_sampler, lambda labels: rpn_sampler(128, 0.5).drawn(labels, targets)
    try:
        return RegionProposalNetwork.forward(rpn, images, maps, targets)
    finally:
        rpn.fg_bg_sampler = sampler


def ours(rpn, images, maps, targets):
    proposals, losses = rpn(images, maps, targets)
    return proposals, {name: mean.value for name, mean in losses.items()}


@pytest.mark.parametrize("seed", range(4))
def test_losses_proposals_and_gradients_are_torchvisions(tiny_model, seed):
    rpn = tiny_model.rpn.train()
    outcomes = []
    for way in (torchvisions, ours):
        images, maps, targets = made(seed)
        torch.manual_seed(seed)
        rpn.zero_grad()
        proposals, losses = way(rpn, images, maps, targets)
        sum(losses.values()).backward()
        gradients = [parameter.grad.clone() for parameter in rpn.parameters()]
        outcomes.append((proposals, losses, gradients + [value.grad for value in maps.values()]))
    (theirs, their_losses, their_gradients), (found, losses, gradients) = outcomes
    assert set(losses) == set(their_losses) and all(value > 0 for value in losses.values())
    for one, other in zip(found, theirs, strict=True):
        assert torch.equal(one, other)
    for name, value in losses.items():
        torch.testing.assert_close(value, their_losses[name])
    for one, other in zip(gradients, their_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_where_everything_is_ignored_there_is_nothing_to_learn(tiny_model):
    images, maps, targets = made(0)
    everywhere = torch.tensor([[-1000.0, -1000, 2000, 2000]])
    targets = [{**target, "boxes": torch.zeros(0, 4), "ignore_boxes": everywhere} for target in targets]
    _, losses = tiny_model.rpn.train()(images, maps, targets)
    assert [(mean.value.item(), mean.terms.item()) for mean in losses.values()] == [(0, 0), (0, 0)]
    sum(mean.value for mean in losses.values()).backward()
    every_part = [*tiny_model.rpn.parameters(), *maps.values()]
    assert all(bool((one.grad == 0).all()) for one in every_part), "or other processes would wait for them"


def test_gradients_are_the_same_every_time(tiny_model):
    """Neighbourhoods overlap; what is added up where they do must not depend on which thread is the first."""
    channels = tiny_model.rpn.head.conv[0][0].in_channels
    level = torch.randn(1, channels, 4, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    images, places = torch.zeros(512, dtype=torch.int64), torch.arange(512) % 8  # all of them around one corner
    weight = torch.logspace(-6, 6, 512)[torch.randperm(512, generator=torch.Generator().manual_seed(2))]
    gradients = []
    for _ in range(50):
        logits, deltas = tiny_model.rpn._head_on(level, images, places)
        gradients += torch.autograd.grad(((logits + deltas.sum(dim=1)) * weight).sum(), [level])
    assert all(torch.equal(one, gradients[0]) for one in gradients)
