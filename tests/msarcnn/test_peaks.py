"""Places that stand out in a map, counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msarcnn.peaks import FAINTEST, MOST, peaks


def test_two_places_the_more_probable_one_first_with_what_lies_around_them():
    maps = np.zeros((16, 20))
    maps[4, 5], maps[4, 6] = 0.3, 0.1
    maps[12, 15] = 0.5
    maps[12, 17] = 0.1  # two cells off: part of it, and no place of its own
    first, second = peaks(maps)
    assert (first.x, first.y, first.probability) == pytest.approx((15.5 / 20, 12.5 / 16, 0.6))
    assert (second.x, second.y, second.probability) == pytest.approx((5.75 / 20, 4.5 / 16, 0.4))


def test_what_is_next_to_nothing_is_no_place_and_nine_are_enough():
    faint = np.zeros((8, 8))
    faint[1, 1], faint[6, 6] = 1, FAINTEST / 2
    assert len(peaks(faint)) == 1
    many = np.zeros((40, 40))
    many[::8, ::8] = 1 / 25
    assert len(peaks(many)) == MOST


def test_of_two_places_close_by_the_less_probable_one_is_none():
    maps = np.zeros((48, 48))
    maps[20, 20], maps[20, 24], maps[20, 30] = 0.5, 0.3, 0.2  # four cells are a twelfth of the map
    assert [one.probability for one in peaks(maps)] == pytest.approx([0.5, 0.2])


def test_a_flat_map_has_one_place_and_an_empty_one_none():
    assert len(peaks(np.full((4, 4), 1 / 16))) == 1
    assert peaks(np.zeros((4, 4))) == peaks(np.full((4, 4), np.nan)) == []


def test_a_place_in_the_corner_is_inside():
    maps = np.zeros((8, 8), np.float16)
    maps[7, 0] = 1
    (only,) = peaks(maps)
    assert (only.x, only.y, only.probability) == pytest.approx((0.5 / 8, 7.5 / 8, 1))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_most_probable_cell_always_belongs_to_a_place(seed):
    maps = np.random.default_rng(seed).random((12, 9)) ** 8
    found = peaks(maps)
    row, column = divmod(int(maps.argmax()), 9)
    assert any(abs(one.x * 9 - column - 0.5) < 1 and abs(one.y * 12 - row - 0.5) < 1 for one in found)
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
