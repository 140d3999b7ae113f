"""RoIAlign as matrix products against torchvision's operator, forward and backward, and on values known by hand."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import ops

from msarcnn.roi_align import roi_align, sampling_weights


def peer(features, boxes, size, stride):
    return ops.roi_align(features, boxes, size, spatial_scale=1 / stride, sampling_ratio=2)


boxes_anywhere = st.lists(
    st.tuples(st.floats(-60, 120), st.floats(-60, 120), st.floats(0, 150), st.floats(0, 150)), min_size=0, max_size=4
)


@settings(deadline=None, max_examples=60)
@given(boxes_anywhere, boxes_anywhere, st.sampled_from([1, 2, 8, 16]), st.sampled_from([4, 8, 16]))
def test_values_and_gradients_are_torchvisions(first, second, size, stride):
    """Boxes inside, across and outside the image, thinner than a cell, and none at all."""
    boxes = [
        torch.tensor([[x, y, x + w, y + h] for x, y, w, h in rows], dtype=torch.float32).reshape(-1, 4)
        for rows in (first, second)
    ]
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(2, 3, 96 // stride, 64 // stride, generator=generator).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    pooled, expected = roi_align(ours, boxes, size, stride), peer(theirs, boxes, size, stride)
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-4)
    weights = torch.randn(pooled.shape, generator=generator)
    (pooled * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


def test_without_gradients_it_is_torchvisions_operator():
    features = torch.randn(1, 3, 16, 16)
    boxes = [torch.tensor([[3.0, 5.0, 40.0, 50.0]])]
    assert torch.equal(roi_align(features, boxes, 8, 4), peer(features, boxes, 8, 4))


def test_a_row_is_sampled_twice_a_bin():
    # Cells at 0, 4, 8 px; the bin 0..8 px is sampled at 0.5 and 1.5 cells: half of cells 0 and 1, half of 1 and 2.
    weights = sampling_weights(torch.tensor([0.0]), torch.tensor([8.0]), 1, 3, 4)
    assert weights[0, 0].tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_the_precision_is_the_features():
    features = torch.randn(1, 3, 16, 16, dtype=torch.bfloat16, requires_grad=True)
    pooled = roi_align(features, [torch.tensor([[3.0, 5.0, 40.0, 50.0]])], 8, 4)
    assert pooled.dtype == torch.bfloat16
    exact = peer(features.detach().float(), [torch.tensor([[3.0, 5.0, 40.0, 50.0]])], 8, 4)
    torch.testing.assert_close(pooled.float(), exact, rtol=0.02, atol=0.03)


def test_many_boxes_pooled_by_several_threads_are_as_by_one():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, 20, 30, generator=generator).contiguous(memory_format=torch.channels_last)
    corners = torch.rand(150, 2, 2, generator=generator).sort(dim=1).values * torch.tensor([120.0, 80.0])
    boxes = [corners[:70].flatten(1), corners[70:].flatten(1)]
    expected = torchvision.ops.roi_align(features, boxes, 4, spatial_scale=1 / 4, sampling_ratio=2)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            assert torch.equal(roi_align(features, boxes, 4, 4), expected)
