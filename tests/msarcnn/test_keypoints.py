"""Targets, loss and decoding on values computed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msarcnn.keypoints import (
    decode_keypoints,
    expected_terms,
    heatmap_probabilities,
    keypoint_loss,
    keypoints_in_cells,
    labelled_cells,
)

S = 64


def cells_of(points, roi, weights=None):
    keypoints = torch.tensor([points], dtype=torch.float32)
    weights = torch.ones(1, len(points)) if weights is None else weights
    placed, kept = keypoints_in_cells(keypoints, weights, torch.tensor([roi], dtype=torch.float32), S)
    return labelled_cells(placed, S)[0].tolist(), kept[0].tolist()


def test_a_point_labels_the_cell_that_holds_it():
    # A box of 128 x 64 pixels: a cell is 2 x 1 pixels.
    cells, weights = cells_of([(10, 20, 2), (13.9, 20.9, 1), (14, 21, 2)], (10, 20, 138, 84))
    assert cells == [0, 1, 1 * S + 2]
    assert weights == [1, 1, 1]


def test_the_far_edges_belong_to_the_last_cell_and_outside_has_no_loss():
    cells, weights = cells_of([(138, 84, 2), (138.1, 50, 2), (50, 19.9, 2)], (10, 20, 138, 84))
    assert cells[0] == S * S - 1
    assert weights == [1, 0, 0]


def test_unlabelled_points_and_empty_boxes_have_no_loss():
    assert cells_of([(50, 50, 0)], (10, 20, 138, 84))[1] == [0]
    assert cells_of([(10, 20, 2)], (10, 20, 10, 20))[1] == [0]


def test_weights_travel():
    assert cells_of([(50, 50, 2)], (0, 0, 64, 64), torch.tensor([[0.5]]))[1] == [0.5]


def test_the_loss_of_even_maps_is_the_logarithm_of_the_number_of_cells():
    logits = torch.zeros(2, 3, S, S)
    loss = keypoint_loss(logits, torch.zeros(2, 3, 2), torch.ones(2, 3))
    assert loss.item() == pytest.approx(math.log(S * S), rel=1e-6)


def test_the_loss_is_averaged_over_labelled_keypoints_only():
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 0, 0, 0] = math.log(3)  # p = 3 / 6 for the labelled cell
    points = torch.tensor([[[0.5, 0.5], [1.5, 1.5]]])
    assert keypoint_loss(logits, points, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(math.log(2))
    both = keypoint_loss(logits, points, torch.tensor([[1.0, 3.0]])).item()
    assert both == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)


def test_nothing_labelled_gives_no_gradient():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    keypoint_loss(logits, torch.zeros(1, 2, 2), torch.zeros(1, 2)).backward()
    assert logits.grad is not None and logits.grad.abs().sum() == 0


def test_a_spread_target_is_a_gaussian_on_the_cell_centres():
    logits = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x, y, spread = 1.2, 2.9, 0.8
    wanted = torch.tensor(
        [[math.exp(-((c + 0.5 - x) ** 2 + (r + 0.5 - y) ** 2) / (2 * spread**2)) for c in range(4)] for r in range(4)]
    )
    wanted /= wanted.sum()
    by_hand = -(wanted * logits[0, 0].flatten().log_softmax(0).view(4, 4)).sum()
    loss = keypoint_loss(logits, torch.tensor([[[x, y]]]), torch.ones(1, 1), spread)
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_a_narrow_spread_is_the_single_cell():
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    points = torch.randint(0, 8, (2, 3, 2), generator=torch.Generator().manual_seed(2)) + 0.5
    weights = torch.rand(2, 3, generator=torch.Generator().manual_seed(3))
    narrow = keypoint_loss(logits, points, weights, spread=0.05)
    torch.testing.assert_close(narrow, keypoint_loss(logits, points, weights))


def test_top_two_cells_are_averaged_by_their_probabilities():
    logits = torch.full((1, 1, 4, 4), -50.0)
    logits[0, 0, 1, 2] = math.log(3.0)
    logits[0, 0, 1, 3] = math.log(1.0)
    points, peaks = decode_keypoints(logits, torch.tensor([[100.0, 200.0, 140.0, 220.0]]))
    # Cells are 10 x 5 pixels; centres at column 2.5 and 3.5, weights 3/4 and 1/4, row 1.5.
    assert points[0, 0].tolist() == pytest.approx([100 + 2.75 * 10, 200 + 1.5 * 5], rel=1e-5)
    assert peaks[0, 0].item() == pytest.approx(0.75, rel=1e-5)


def test_argmax_resizes_to_the_box_first():
    logits = torch.zeros(1, 1, 4, 4)
    logits[0, 0, 2, 1] = 10.0
    points, _ = decode_keypoints(logits, torch.tensor([[0.0, 0.0, 8.0, 8.0]]), method="argmax")
    # The peak covers pixels 2..3 in x and 4..5 in y: the answer is the centre of one of them.
    assert points[0, 0, 0].item() in (2.5, 3.5)
    assert points[0, 0, 1].item() in (4.5, 5.5)


SQUARE = torch.tensor([[0.0, 0.0, 8.0, 8.0]])


def spots(*cells):
    """Logits [1, 1, 8, 8] of a map with these probabilities by (row, column)."""
    logits = torch.full((1, 1, 8, 8), -60.0)
    for row, column, probability in cells:
        logits[0, 0, row, column] = math.log(probability)
    return logits


def test_where_the_map_is_sure_the_expected_oks_is_one():
    points, terms = decode_keypoints(spots((2, 5, 1.0)), SQUARE * 10, "expected_oks", (0.1,))
    assert points[0, 0].tolist() == pytest.approx([55.0, 25.0], abs=1e-2)
    assert terms[0, 0].item() == pytest.approx(1.0, abs=1e-4)


def test_two_cells_near_each_other_are_best_answered_between_them():
    """Kernel width 2 * 0.1 * sqrt(0.5 * 64) = 1.131 cells: to cells a half away exp(-0.5 * (0.5 / 1.131)^2) = 0.907."""
    points, terms = decode_keypoints(spots((3, 3, 0.5), (3, 4, 0.5)), SQUARE, "expected_oks", (0.1,))
    assert points[0, 0].tolist() == pytest.approx([4.0, 3.5], abs=1e-2)
    assert terms[0, 0].item() == pytest.approx(0.907, abs=1e-3)


def test_of_two_places_far_apart_the_one_with_more_around_it_is_taken():
    """The single best cell is at the left, three cells with more of the probability are at the right."""
    logits = spots((1, 0, 0.4), (6, 6, 0.2), (6, 7, 0.2), (5, 6, 0.2))
    assert decode_keypoints(logits, SQUARE, "argmax")[0][0, 0, 0] < 1
    points, terms = decode_keypoints(logits, SQUARE, "expected_oks", (0.1,))
    assert 6.4 < points[0, 0, 0] < 7 and 5.9 < points[0, 0, 1] < 6.5
    assert 0.45 < terms[0, 0] < 0.6


def test_the_joint_of_an_upright_person_may_be_off_by_the_same_pixels_both_ways():
    """In a box of 8 x 16 px a cell is 1 x 2 px: a cell to the side is nearer than one below."""
    tall = torch.tensor([[0.0, 0.0, 8.0, 16.0]])
    _, beside = decode_keypoints(spots((3, 3, 0.5), (3, 4, 0.5)), tall, "expected_oks", (0.1,))
    _, below = decode_keypoints(spots((3, 3, 0.5), (4, 3, 0.5)), tall, "expected_oks", (0.1,))
    # Width 2 * 0.1 * sqrt(0.5 * 128) = 1.6 px, half a pixel and a whole one away.
    assert beside[0, 0].item() == pytest.approx(math.exp(-0.5 * (0.5 / 1.6) ** 2), abs=1e-3)
    assert below[0, 0].item() == pytest.approx(math.exp(-0.5 * (1 / 1.6) ** 2), abs=1e-3)


@given(st.integers(0, 10_000), st.floats(20, 400), st.floats(20, 400), st.floats(0.025, 0.11))
def test_no_other_place_has_a_higher_expected_oks(seed, width, height, sigma):
    logits = 3 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    points, terms = decode_keypoints(
        logits, torch.tensor([[5.0, 9.0, 5 + width, 9 + height]]), "expected_oks", (sigma,)
    )
    centres = torch.arange(8) + 0.5
    probabilities = logits.flatten().softmax(0).view(8, 8).double()

    def expected(x, y):
        far = ((centres * width / 8 - x) ** 2)[None] + ((centres * height / 8 - y) ** 2)[:, None]
        return (probabilities * torch.exp(-far / (2 * (2 * sigma) ** 2 * 0.5 * width * height))).sum().item()

    x, y = points[0, 0, 0].item() - 5, points[0, 0, 1].item() - 9
    assert terms[0, 0].item() == pytest.approx(expected(x, y), abs=1e-4)
    grid = [expected(width * i / 32, height * j / 32) for i in range(33) for j in range(33)]
    assert terms[0, 0].item() >= max(grid) - 0.02


def test_the_expected_oks_is_the_same_under_autocast():
    """In bfloat16 the sums over cells would be off by pixels."""
    logits = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    boxes = torch.tensor([[0.0, 0.0, 300.0, 500.0], [10.0, 20.0, 90.0, 60.0]])
    sigmas = (0.05, 0.08, 0.1)
    points, terms = decode_keypoints(logits, boxes, "expected_oks", sigmas)
    with torch.autocast("cpu", torch.bfloat16):
        again, same = decode_keypoints(logits, boxes, "expected_oks", sigmas)
    torch.testing.assert_close(again, points, atol=1e-3, rtol=0)
    torch.testing.assert_close(same, terms, atol=1e-5, rtol=0)


def test_maps_are_probabilities():
    maps = heatmap_probabilities(torch.randn(2, 3, 8, 8))
    torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(2, 3))


def test_a_box_without_an_area_gives_numbers():
    flat = torch.tensor([[5.0, 5.0, 5.0, 9.0]])
    points, terms = decode_keypoints(torch.zeros(1, 1, S, S), flat, "expected_oks", (0.1,))
    assert points.isfinite().all() and terms.isfinite().all()
    assert expected_terms(torch.zeros(1, 1, S, S), flat, torch.zeros(1, 1, 2), (0.1,)).isfinite().all()


@pytest.mark.parametrize("method", ["top2", "argmax", "expected_oks"])
def test_no_people_decode_to_no_points(method):
    points, peaks = decode_keypoints(torch.zeros(0, 17, S, S), torch.zeros(0, 4), method, (0.1,) * 17)
    assert points.shape == (0, 17, 2)
    assert peaks.shape == (0, 17)


@given(
    st.floats(0, 0.999),
    st.floats(0, 0.999),
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.floats(1, 800),
    st.floats(1, 800),
)
def test_a_point_comes_back_within_a_cell(u, v, left, top, width, height):
    roi = torch.tensor([[left, top, left + width, top + height]])
    x, y = left + u * width, top + v * height
    placed, weights = keypoints_in_cells(torch.tensor([[[x, y, 2.0]]]), torch.ones(1, 1), roi, S)
    cells = labelled_cells(placed, S)
    if weights[0, 0] == 0:  # rounding of float32 put the point on the other side of the border
        return
    logits = torch.full((1, 1, S * S), -30.0)
    logits[0, 0, cells[0, 0]] = 30.0
    points, _ = decode_keypoints(logits.view(1, 1, S, S), roi)
    assert abs(points[0, 0, 0].item() - x) <= 0.5 * width / S + 1e-2
    assert abs(points[0, 0, 1].item() - y) <= 0.5 * height / S + 1e-2
