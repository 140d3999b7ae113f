"""Which image is labelled next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msarcnn.image_order import expected_actions, farthest_first

K = 17


def test_expected_actions_by_hand():
    sure = np.ones((1, K))
    visible = np.tile([0.0, 0.0, 1.0], (1, K, 1))
    assert expected_actions(np.array([1.0]), sure, visible) == 0
    # A quarter of a deletion, and three quarters of: two joints of 17 that are half right.
    half = sure.copy()
    half[0, :2] = 0.5
    assert expected_actions(np.array([0.75]), half, visible) == pytest.approx(0.25 + 0.75 * 1)
    # Not shown: with 0.4 somebody has to be drawn, and then corrected as often.
    assert expected_actions(np.array([0.4]), half, visible) == pytest.approx(0.4 + 0.4 * 1)
    # v = 0, 1, 2 with 0.5, 0.1, 0.4 is shown as 2, and takes 0.6 steps; it is labelled, and then right, by half.
    doubtful = np.tile([0.5, 0.1, 0.4], (1, K, 1))
    assert expected_actions(np.array([1.0]), np.full((1, K), 0.5), doubtful) == pytest.approx(K * (0.25 + 0.6))
    assert expected_actions(np.array([1.0]), np.full((1, K), 0.8)) == pytest.approx(K * (0.16 + 0.2))
    assert expected_actions(np.zeros(0), np.zeros((0, K)), np.zeros((0, K, 3))) == 0


def test_the_first_is_in_the_middle_and_the_next_far_from_it():
    line = np.array([[0.0], [4.0], [5.0], [11.0]])
    assert farthest_first(line, np.zeros(4, dtype=bool)).tolist() == [2, 3, 0, 1]


def test_what_is_labelled_already_counts_and_comes_last():
    line = np.array([[0.0], [4.0], [5.0], [11.0]])
    assert farthest_first(line, np.array([False, False, False, True])).tolist() == [0, 2, 1, 3]
    assert farthest_first(line, np.ones(4, dtype=bool)).tolist() == [0, 1, 2, 3]
    assert farthest_first(np.zeros((0, 3)), np.zeros(0, dtype=bool)).tolist() == []


def test_after_so_many_the_others_follow_by_their_distance():
    line = np.array([[0.0], [4.0], [5.0], [11.0], [10.5]])
    assert farthest_first(line, np.zeros(5, dtype=bool), most=2).tolist()[:2] == [2, 3]
    assert farthest_first(line, np.zeros(5, dtype=bool), most=2).tolist()[2:] == [0, 1, 4]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=20), st.integers(0, 25))
def test_every_image_comes_once(points, most):
    vectors = np.array(points, dtype=float).reshape(-1, 3)
    order = farthest_first(vectors[:, :2], vectors[:, 2] > 0, most)
    assert sorted(order.tolist()) == list(range(len(points)))
    done = (vectors[:, 2] > 0)[order]
    assert not (done[:-1] & ~done[1:]).any(), "what is done is at the end"
