"""Names beside joints and scores over boxes: none hides another, the most important one is always there."""

from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF

from app.canvas.items.plates import around_box, beside_point, free_places
from app.document.records import Box

numbers = st.floats(0, 400)


def test_a_name_goes_right_then_left_then_below_then_above_then_nowhere() -> None:
    places = free_places([beside_point(100, 100, (50, 10), 2.0)] * 5, 1000)
    assert places == [
        QRectF(124, 72, 100, 20),
        QRectF(-24, 72, 100, 20),
        QRectF(50, 124, 100, 20),
        QRectF(50, 48, 100, 20),
        None,
    ]


def test_a_score_goes_over_a_box_and_else_under_it() -> None:
    places = free_places([around_box(Box(100, 50, 200, 80), (30, 12), 0.5)] * 5, 1000)
    assert places == [
        QRectF(100, 42.5, 15, 6),
        QRectF(285, 42.5, 15, 6),
        QRectF(100, 131.5, 15, 6),
        QRectF(285, 131.5, 15, 6),
        None,
    ]


def test_nothing_is_written_beyond_the_photo() -> None:
    (place,) = free_places([beside_point(100, 100, (50, 10), 1.0)], 150)
    assert place == QRectF(38, 86, 50, 10)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=17), st.floats(0.1, 4))
def test_no_name_hides_another(points: list[tuple[float, float]], unit: float) -> None:
    places = free_places([beside_point(x, y, (40.0, 15.0), unit) for x, y in points], float("inf"))
    assert places[0] is not None
    written = [place for place in places if place is not None]
    for index, place in enumerate(written):
        assert not any(place.intersects(other) for other in written[:index])
