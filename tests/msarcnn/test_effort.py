"""The simulated annotator on cases whose actions can be counted by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msarcnn.effort import Effort, Shown, corrected, corrections_needed, group_steps, joint_actions, match_people
from msarcnn.visibility import CORRECTIONS

K = 17
BOX = [100.0, 100.0, 100.0, 200.0]


def person(box=BOX, labels=None, **extra):
    """A person whose joints all stand in the middle of the box; labels is v by joint."""
    x, y, w, h = box
    v = np.full(K, 2) if labels is None else np.array(labels)
    points = np.column_stack((np.full(K, x + w / 2), np.full(K, y + h / 2), v)) * (v > 0)[:, None]
    return {"bbox": box, "area": w * h, "iscrowd": 0, "keypoints": points.ravel().tolist(), **extra}


def shown(*people, v=2):
    """A pre-fill: (box xywh, shift of all joints in pixels) a person."""
    boxes = np.array([[x, y, x + w, y + h] for (x, y, w, h), _ in people], dtype=float).reshape(-1, 4)
    points = [np.tile([x + w / 2 + shift, y + h / 2], (K, 1)) for (x, y, w, h), shift in people]
    return Shown(boxes, np.array(points, dtype=float).reshape(-1, K, 2), np.full((len(people), K), v))


def perfect(box, known):
    """A model that knows the joints of every box."""
    return np.tile((box[:2] + box[2:]) / 2, (K, 1)), np.full(K, 2)


def lost(box, known):
    """A model that puts every joint far away and trusts none."""
    return np.full((K, 2), -1000.0), np.zeros(K, dtype=int)


def effort(truth, pre_fill, estimate=perfect):
    sums = Effort()
    sums.add(truth, pre_fill, estimate)
    return sums.figures()


def counted(figures):
    return {name: count for name, count in figures["actions"].items() if count}


def test_a_perfect_pre_fill_is_accepted_by_one_key():
    figures = effort([person()], shown((BOX, 0)))
    assert counted(figures) == {"accept": 1}
    assert figures["from_nothing_per_person"] == 18
    assert figures["ratio"] == pytest.approx(1 / 18, abs=1e-4)
    assert figures["untouched"] == 1
    assert (figures["NoC85"], figures["NoC90"], figures["NoC95"]) == (0, 0, 0)


def test_nothing_shown_means_a_box_for_everyone_and_the_model_does_the_rest():
    figures = effort([person(), person([400, 100, 100, 200])], shown())
    assert counted(figures) == {"draw": 2}
    assert figures["untouched"] == 0
    assert figures["actions_per_person"] == 1


def test_without_a_model_a_drawn_person_is_placed_by_hand():
    figures = effort([person(labels=[1, 1, *[2] * 13, 0, 0])], shown(), estimate=None)
    assert counted(figures) == {"draw": 1, "move": 15, "visibility": 2}
    assert figures["NoC95"] == 15


def test_a_loose_box_is_adjusted_and_its_joints_are_estimated_again():
    loose = [100, 100, 100, 300]  # IoU 2 / 3
    assert counted(effort([person()], shown((loose, 0)))) == {"accept": 1, "adjust": 1}
    kept = counted(effort([person()], shown((loose, 0)), estimate=None))
    assert kept == {"accept": 1, "adjust": 1, "move": 17}, "joints 50 px off in a person of 20,000 px"


def test_a_wrong_person_is_deleted_but_not_inside_a_crowd():
    ghost = ([500, 100, 50, 50], 0)
    assert counted(effort([], shown(ghost))) == {"accept": 1, "delete": 1}
    crowd = {"bbox": [480, 80, 45, 200], "iscrowd": 1, "area": 1.0, "keypoints": []}
    assert counted(effort([crowd], shown(ghost))) == {"accept": 1}
    narrow = {**crowd, "bbox": [480, 80, 40, 200]}
    assert counted(effort([narrow], shown(ghost))) == {"accept": 1, "delete": 1}


def test_a_second_box_on_the_same_person_is_deleted():
    figures = effort([person()], shown((BOX, 0), ([100, 110, 100, 200], 0)))
    assert counted(figures) == {"accept": 1, "delete": 1}


def test_a_box_that_hardly_overlaps_is_deleted_and_drawn_anew():
    figures = effort([person()], shown(([160, 100, 100, 200], 0)))  # IoU 0.25
    assert counted(figures) == {"accept": 1, "delete": 1, "draw": 1}


def test_a_person_without_keypoints_is_a_box_only():
    boxed = person(labels=[0] * K)
    figures = effort([boxed], shown((BOX, 80)))
    assert counted(figures) == {"accept": 1}
    assert figures["from_nothing_per_person"] == 1
    assert figures["untouched"] == -1 and figures["NoC90"] == -1, "nobody with joints was there"
    assert counted(effort([{key: boxed[key] for key in ("bbox", "area")}], shown())) == {"draw": 1}


def test_what_a_joint_costs():
    right, wrong = 0.9, 0.1
    cases = [
        # term, v as shown, v as labelled: moves, visibility steps
        (right, 2, 2, 0, 0),
        (right, 2, 1, 0, 1),
        (right, 2, 0, 0, 1),
        (right, 0, 2, 0, 1),
        (right, 0, 1, 0, 2),
        (right, 0, 0, 0, 0),
        (right, 1, 1, 0, 0),
        (right, 1, 2, 0, 2),
        (right, 1, 0, 0, 1),
        (wrong, 2, 2, 1, 0),
        (wrong, 0, 2, 1, 0),
        (wrong, 1, 2, 1, 2),
        (wrong, 2, 1, 1, 1),
        (wrong, 0, 1, 1, 1),
        (wrong, 1, 1, 1, 0),
        (wrong, 2, 0, 0, 1),
        (wrong, 1, 0, 0, 1),
        (0.5, 2, 2, 0, 0),
    ]
    for term, v, label, moves, steps in cases:
        for places in (None, np.zeros((1, 2))):  # a box around one joint is that joint
            moved = np.array([label > 0 and term < 0.5])
            counts = joint_actions(moved, np.array([v]), np.array([[5.0, 5.0, label]]), places)
            assert (counts["move"], counts["visibility"]) == (moves, steps), (term, v, label)
            json.dumps(counts)  # plain numbers


def test_an_unknown_joint_is_a_hint_and_hints_cost_a_key():
    figures = effort([person(labels=[2] * 10 + [0] * 7)], shown((BOX, 0), v=0))
    assert counted(figures) == {"accept": 1, "visibility": 10}, "all joints lie on each other: no box parts them"
    assert figures["untouched"] == 0


def row(*v):
    """Joints beside each other, and their v."""
    return np.column_stack((np.arange(len(v)) * 10.0, np.zeros(len(v)))), np.array(v)


def test_joints_that_a_box_holds_are_put_right_together():
    for v, wanted, steps in (
        ((2, 2, 2, 2), (0, 0, 0, 0), 1),  # Del on all four
        ((2, 2, 2, 2), (0, 0, 2, 0), 2),  # one in between stays: two boxes
        ((2, 1, 2, 2), (1, 1, 1, 2), 1),  # V: the one that is occluded already may be among them
        ((0, 2, 0, 0), (1, 1, 1, 1), 2),  # the hints are furthest behind: two steps for all
        ((1, 1, 0, 0), (2, 2, 0, 0), 2),  # occluded, not labelled, visible
        ((0, 1, 0, 0), (2, 2, 0, 0), 1),  # the hint leads: what becomes of it becomes of both
        ((1, 2, 0, 0), (2, 2, 0, 0), 2),  # a box with the right one in it would take three: one joint alone takes two
        ((2, 2, 2, 2), (2, 2, 2, 2), 0),
        ((2, 2, 2, 2), (0, 0, 1, 1), 2),
    ):
        assert group_steps(*row(*v), np.array(wanted)) == steps, (v, wanted)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=9),
)
def test_boxes_around_joints_never_cost_more_than_single_joints(joints):
    places, v, wanted = (np.array(joints, dtype=int).reshape(-1, 4)[:, cut] for cut in (slice(2), 2, 3))
    steps = group_steps(places, v, wanted)
    assert (steps > 0) == bool((v != wanted).any()) and steps <= CORRECTIONS[v, wanted].sum()


def test_an_annotator_without_boxes_around_joints_counts_every_joint():
    truth = person(labels=[2] * 10 + [0] * 7)
    truth["keypoints"] = (
        np.column_stack((np.arange(17) * 5 + 110, np.full(17, 200), [2] * 10 + [0] * 7)).ravel().tolist()
    )
    pre_fill = Shown(
        np.array([[100.0, 100, 200, 300]]), np.array(truth["keypoints"]).reshape(1, 17, 3)[..., :2], np.full((1, 17), 2)
    )
    counts = []
    for groups in (True, False):
        sums = Effort(groups=groups)
        sums.add([truth], pre_fill, perfect)
        counts.append(counted(sums.figures()))
    assert counts == [{"accept": 1, "visibility": 1}, {"accept": 1, "visibility": 7}]


def test_a_model_that_knows_nothing_costs_more_than_nothing():
    figures = effort([person()], shown(), lost)
    assert counted(figures) == {"draw": 1, "move": 17}
    assert figures["ratio"] == 1


def test_corrections_start_with_the_worst_joint():
    # Four joints in a row of a person of 10,000 px, right but for 30 and 60 px: terms 1, 1, exp(-4.5), exp(-18).
    labels = np.column_stack((np.arange(4) * 100.0, np.zeros(4), [2, 2, 2, 2]))
    off = labels[:, :2] + [[0, 0], [0, 0], [0, 30], [0, 60]]
    steps = list(corrected(off, labels, 10_000.0, [0.05] * 4, None))
    near = np.exp(-4.5)
    assert [step.oks for step in steps] == pytest.approx([(2 + near + np.exp(-18)) / 4, (3 + near) / 4, 1, 1, 1])
    assert [step.moved.tolist() for step in steps[:3]] == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]
    assert [step.wrong for step in steps] == [True, True, False, False, False]
    assert corrections_needed([0.5, 0.76, 0.96, 1.0]) == (2, 2, 2)
    assert corrections_needed([0.85, 1.0]) == (0, 1, 1)


def test_joints_follow_those_that_were_moved():
    """A model that has everybody 50 px too far right, until it is told where one joint is."""
    asked = []

    def told(box, known):
        points, v = perfect(box, None)
        asked.append(None if known is None else known[:, 2] > 0)
        return points + (np.array([50, 0]) if known is None else 0), v

    figures = effort([person()], shown((BOX, 50)), told)
    assert counted(figures) == {"accept": 1, "move": 1} and figures["NoC95"] == 1
    assert [known.sum() for known in asked] == [1], "of the box that was found, with the joint that was moved"
    alone = Effort(follow=False)
    alone.add([person()], shown((BOX, 50)), told)
    assert counted(alone.figures()) == {"accept": 1, "move": 17}
    assert counted(effort([person()], shown(), told)) == {"draw": 1, "move": 1}


def test_people_are_matched_best_first():
    boxes = np.array([[0, 0, 100, 100], [10, 0, 110, 100]], dtype=float)
    near, far = {"bbox": [12, 0, 100, 100]}, {"bbox": [8, 0, 100, 100]}
    # The second box fits both; its best is `near` and `far` alike (2 px off): the first in the list gets it.
    assert match_people(boxes, [near, far]) == {0: 1, 1: 0}
    assert match_people(boxes, []) == {} and match_people(np.zeros((0, 4)), [near]) == {}


def test_sums_over_images_become_means():
    sums = Effort()
    sums.add([person()], shown((BOX, 0)), perfect)
    sums.add([person(), person([400, 100, 100, 200])], shown(), perfect)
    sums.add([], shown(), perfect)
    figures = sums.figures()
    assert (figures["images"], figures["people"]) == (3, 3)
    assert figures["actions_per_person"] == 1 and figures["actions_per_image"] == 1
    assert figures["untouched"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["ratio"] == pytest.approx(3 / 54, abs=1e-4)


def test_the_spread_of_the_ratio_is_that_of_images_drawn_anew():
    sums = Effort()
    sums.add([person()], shown((BOX, 0)), perfect)
    assert sums.figures()["ratio_spread"] == 0, "one image is always the same one"
    sums.add([person()], shown(), None)
    # 1 and 18 of 18 actions: half of the draws hold both (19/36), a quarter one of them twice (1/18 and 1).
    assert sums.by_image == [(1, 18), (18, 18)]
    assert sums.figures()["ratio_spread"] == pytest.approx((17 / 36) * 0.5**0.5, abs=0.02)
    assert Effort().figures()["ratio_spread"] == 0
