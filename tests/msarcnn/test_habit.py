"""A project's habit of marking joints, learnt from its labels."""

import sys

import habit_study
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msarcnn.habit import learn_habit, with_habit
from msarcnn.visibility import probable_v

K = 4


def said(people, p=(0.2, 0.2, 0.6)):
    """A model that says the same of every joint."""
    return np.tile(p, (people, K, 1))


def shown(habit, p=(0.2, 0.2, 0.6)):
    return probable_v(np.zeros(K), with_habit(np.tile(p, (K, 1)), habit), 0.5).tolist()


def test_without_labels_there_is_no_habit():
    assert learn_habit(said(0), np.zeros((0, K))).tolist() == [[0, 0, 0]] * K


def test_labels_as_the_model_expects_them_change_nothing():
    v = np.tile([[0], [1], [2], [2], [2]], (10, K))  # shares 0.2, 0.2, 0.6
    assert learn_habit(said(50), v) == pytest.approx(np.zeros((K, 3)), abs=1e-6)


def test_a_joint_that_is_always_left_out_becomes_a_hint_and_the_others_stay():
    v = np.tile([[2, 2, 0, 2], [2, 0, 0, 1], [2, 2, 0, 0], [1, 2, 0, 2], [0, 1, 0, 2]], (4, 1))
    assert shown(learn_habit(said(20), v)) == [2, 2, 0, 2]


def test_what_all_joints_have_in_common_is_learnt_from_all_of_them():
    nobody_is_occluded = np.tile([[0], [2], [2]], (1, K))
    habit = learn_habit(said(3), nobody_is_occluded)
    assert (habit[:, 1] < -0.5).all(), "no joint alone has been seen more than three times"


def test_shares_become_those_of_the_labels_where_there_are_many():
    rng = np.random.default_rng(0)
    p = rng.dirichlet((1, 1, 1), size=(3000, K))
    factors = np.array([1.0, 4.0, 0.5])
    wanted = p * factors / (p * factors).sum(-1, keepdims=True)
    v = (rng.random((3000, K, 1)) > wanted.cumsum(-1)).sum(-1)
    assert learn_habit(p, v) == pytest.approx(np.tile(np.log(factors), (K, 1)), abs=0.25)


def test_a_model_that_was_certain_can_be_wrong():
    habit = learn_habit(np.tile([0.0, 0.0, 1.0], (40, K, 1)), np.zeros((40, K)))
    assert np.isfinite(habit).all()
    assert np.isfinite(with_habit(np.array([[0.0, 0.0, 1.0]] * K), habit)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=K, max_size=K), min_size=1, max_size=12),
    st.tuples(*[st.floats(0.001, 1)] * 3),
)
def test_the_labels_are_never_less_probable_with_it(labels, weights):
    v = np.array(labels, dtype=int)
    p = said(len(v), np.array(weights) / sum(weights))
    after = with_habit(p, learn_habit(p, v))
    log_odds = [np.log(np.take_along_axis(one, v[..., None], axis=-1)).sum() for one in (p, after)]
    assert log_odds[1] >= log_odds[0] - 1e-6


def test_the_study_counts_what_a_learnt_habit_saves(capsys, monkeypatch):
    """Images of one person whom a model sees wholly, where eyes and ears may be left out."""
    sure = np.tile([0.1, 0.1, 0.8], (1, 17, 1))
    places = np.column_stack((np.arange(17) * 10.0, np.zeros(17)))[None]
    found = [(sure, places, np.ones((1, 17), dtype=bool), np.full((1, 17), 2))] * 60
    monkeypatch.setattr(habit_study, "found_people", lambda *_: found)
    monkeypatch.setattr(sys, "argv", ["habit_study", "--annotations", "a", "--images", "b", "--seeds", "2"])
    habit_study.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("60 people on 60 images")
    as_labelled, faces = (next(row for row in rows if row.startswith(f"| {name}")) for name in ("as in", "eyes and"))
    assert set(as_labelled.split("|")[2:-1]) == {" 0.00 ± 0.00, 0.00 ± 0.00 "}
    nobody_cares = next(row for row in rows if row.startswith("| 0%"))
    assert nobody_cares == "| 0% | 0.00 ± 0.00 | 0.00 ± 0.00 |"
    before, *_, after = faces.split("|")[2:-1]
    assert (before, after) == (" 4.00 ± 0.00, 1.00 ± 0.00 ", " 0.00 ± 0.00, 0.00 ± 0.00 ")
    monkeypatch.setattr(habit_study, "found_people", lambda *_: found[:40])
    with pytest.raises(SystemExit, match="more than 40"):
        habit_study.main()


def test_who_corrects_nothing_teaches_nothing():
    """Everybody is shown as visible; half of the joints are occluded, and nobody says so."""
    doubtful = np.tile([0.05, 0.4, 0.55], (1, 17, 1))
    labels = np.tile([[1, 2] * 8 + [1]], (1, 1))
    places = np.column_stack((np.arange(17) * 10.0, np.zeros(17)))[None]
    found = [(doubtful, places, np.ones((1, 17), dtype=bool), labels)] * 40
    without, learnt = habit_study.with_care(found, 0.0, 0)
    assert without == learnt == 9
    without, learnt = habit_study.with_care(found, 1.0, 0)
    assert (without, learnt) == (9, 0)
