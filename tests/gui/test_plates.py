"""Names beside joints and scores over boxes: none hides another, the most important one is always there."""

from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QApplication

from app.canvas.items.plates import around_box, beside_point, free_places
from app.canvas.items.scores_item import Score, ScoresItem
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
    places = free_places([around_box(Box(100, 50, 200, 80), (30, 12), 0.5, 1000.0)] * 5, 1000)
    assert places == [
        QRectF(100, 42.5, 15, 6),
        QRectF(285, 42.5, 15, 6),
        QRectF(100, 131.5, 15, 6),
        QRectF(285, 131.5, 15, 6),
        None,
    ]


def test_a_long_text_at_the_border_moves_into_the_photo() -> None:
    assert around_box(Box(280, 50, 30, 80), (100, 12), 1.0, 300.0)[0] == QRectF(200, 35, 100, 12)


def test_scores_do_not_hide_each_other_and_the_selected_one_is_always_there(qapp: QApplication) -> None:
    item = ScoresItem()
    crowd = [Score(Box(10 + step, 20, 50, 90), 0.5 + step / 100, step == 0, 1.0) for step in range(9)]
    item.set_scores(crowd, 1.0, 400.0)
    assert 2 <= len(item.places) <= 4, "the selected one with its hint, and what has room around it"
    assert item.boundingRect().contains(item.places[0])
    widths = [place.width() for place in item.places]
    assert widths[0] == max(widths), "the selected one comes first: it has the hint"
    item.set_scores(crowd, 0.01, 400.0)
    assert len(item.places) == 9, "near enough there is room for all"


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
