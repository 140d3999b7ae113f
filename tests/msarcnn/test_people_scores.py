"""Chances of joints and people, and what they are fitted to."""

import numpy as np
import pytest

from msarcnn.calibrating import calibrate, calibrated, fit_people, joint_outcomes, person_outcomes
from msarcnn.calibration import Calibration
from msarcnn.evaluation import ImageResult
from msarcnn.people_scores import pose_certainty, posed_people
from msarcnn.pose_model import People, Poses

JOINTS = [[x, y, 2] for y in (20, 60, 100) for x in (10, 30, 50, 70, 90)] + [[30, 130, 2], [70, 130, 2]]
"""17 labelled joints in a box of 100 x 150 pixels."""


def labelled(image, left=0.0, crowd=0):
    points = [value for x, y, v in JOINTS for value in (x + left, y, v)]
    return {
        "image_id": image, "category_id": 1, "bbox": [left, 0.0, 100.0, 150.0], "area": 15000.0, "iscrowd": crowd,
        "num_keypoints": 17, "keypoints": points,
    }  # fmt: skip


def result(image, boxes, scores, peaks, shifts=None, visibility=None):
    """People at (left, right) of boxes, whose joints are off by the shifts and have one peak each."""
    count = len(boxes)
    corners = np.array([[left, 0, right, 150] for left, right in boxes], np.float32).reshape(count, 4)
    offsets = [left + shift for (left, _), shift in zip(boxes, shifts or [0] * count, strict=True)]
    points = np.array([[[x + off, y] for x, y, _ in JOINTS] for off in offsets], float).reshape(count, 17, 2)
    confidences = np.tile(np.array(peaks, np.float32)[:, None], (1, 17))
    scores = np.array(scores, np.float32)
    return ImageResult(image, (1000, 200), corners, scores, points, confidences, scores, visibility)


def chance(logit):
    return 1 / (1 + np.exp(-logit))


def test_joints_with_high_peaks_are_more_often_right():
    truth = {"annotations": [labelled(image) for image in range(40)]}
    results = [
        result(image, [(0, 100)], [0.9], [0.3 if image % 2 else 0.05], [0 if image % 2 else 200]) for image in range(40)
    ]
    fitted = calibrate(truth, results, Calibration(), "joints")
    assert fitted.threshold == 0.5 and fitted.fitted_on == "680 joints"
    high, low = (chance(fitted.slope * np.log(p / (1 - p)) + fitted.intercept) for p in (0.3, 0.05))
    assert high > 0.9
    assert low < 0.1


def test_what_cannot_be_fitted_stays():
    unchanged = Calibration(1.5, 0.2, 0.3, "", 2.0, 1.0, -1.0)
    truth = {"annotations": [labelled(1)]}
    assert calibrate(truth, [result(1, [(0, 100)], [0.9], [0.5])], unchanged, "joints") == unchanged


def test_the_surest_box_of_a_person_is_that_person_and_one_in_a_crowd_is_not_judged():
    truth = {"annotations": [labelled(1), labelled(1, left=500, crowd=1)]}
    boxes = [(0, 100), (10, 110), (300, 400), (510, 590)]
    scores, certainty, people = person_outcomes(
        truth, [result(1, boxes, [0.7, 0.8, 0.6, 0.9], [0.1, 0.2, 0.3, 0.4])], Calibration()
    )
    np.testing.assert_allclose(scores, [0.7, 0.8, 0.6])
    np.testing.assert_allclose(certainty, [0.1, 0.2, 0.3], rtol=1e-5)
    assert people.tolist() == [False, True, False]
    logits, right = joint_outcomes(truth, [result(1, boxes[:1], [0.7], [0.5], [3])])
    assert logits == pytest.approx(np.zeros(17)) and right.all()


def test_boxes_where_nobody_is_labelled_are_nobody_and_images_without_boxes_say_nothing():
    truth = {"annotations": [labelled(1)]}
    results = [result(2, [(0, 100)], [0.7], [0.5]), result(1, [], [], []), result(3, [], [], [])]
    scores, _, people = person_outcomes(truth, results, Calibration())
    assert scores == pytest.approx([0.7]) and people.tolist() == [False]


def drawn(count, weight):
    """Boxes whose chance of being people is sigmoid(2 logit(score) + weight * certainty - 1)."""
    draw = np.random.default_rng(3)
    scores, certainty = draw.uniform(0.02, 0.98, (2, count))
    logit = np.log(scores / (1 - scores))
    return scores, certainty, draw.uniform(size=count) < chance(2 * logit + weight * certainty - 1)


def test_the_chance_of_a_person_is_found_again():
    fitted = fit_people(Calibration(), *drawn(20_000, 1.5), use_poses=True)
    assert fitted.person == pytest.approx((2, 1.5, -1), abs=0.15)
    assert (fitted.slope, fitted.intercept) == (1, 0)


def test_box_scores_keep_their_order_where_people_are_ranked_by_them():
    scores, certainty, people = drawn(2000, 1.5)
    fitted = fit_people(Calibration(), scores, certainty, people, use_poses=False)
    assert fitted.person_certainty == 0
    again = fitted.person_score(scores, certainty)
    assert (np.argsort(again, kind="stable") == np.argsort(scores, kind="stable")).all()


def test_a_surer_pose_never_speaks_against_a_person():
    assert fit_people(Calibration(), *drawn(5000, -1.5), use_poses=True).person_certainty == 0


@pytest.mark.parametrize("far", [0.5, 1e-3])
def test_few_boxes_that_the_pose_tells_apart_without_fault_make_no_endless_weight(far):
    people = np.arange(40) < 20
    scores, certainty = np.full(40, 0.5), np.where(people, 0.2 + far, 0.2)
    fitted = fit_people(Calibration(), scores, certainty, people, use_poses=True)
    assert abs(fitted.person_certainty) < 100 and abs(fitted.person_intercept) < 100
    again = fitted.person_score(scores, certainty)
    assert (again[people] > again[~people].max()).all() and (again < 1).all() and (again > 0).all()


def test_what_stands_for_people_stays_where_only_joints_can_be_fitted_and_of_another_models_boxes():
    truth = {"annotations": [labelled(image) for image in range(40)]}
    results = [
        result(image, [(0, 100)], [0.9], [0.3 if image % 2 else 0.05], [0 if image % 2 else 200]) for image in range(40)
    ]
    before = Calibration().with_person(2.0, 1.0, -1.0)
    for pose_score in ("joints", None):
        fitted = calibrate(truth, results, before, pose_score)
        assert fitted.person == before.person and fitted.slope != before.slope


@pytest.mark.parametrize("people", [np.zeros(100, bool), np.ones(100, bool), np.arange(100) < 19])
def test_too_few_people_or_too_few_others_fit_nothing(people):
    scores = np.linspace(0.1, 0.9, 100)
    assert fit_people(Calibration(), scores, scores, people, use_poses=True) == Calibration()


def test_scores_that_say_the_opposite_fit_nothing():
    scores = np.linspace(0.1, 0.9, 100)
    assert fit_people(Calibration(), scores, scores, scores < 0.5, use_poses=False) == Calibration()


def test_a_joint_that_nobody_would_label_does_not_count_for_the_pose():
    confidences = np.array([[0.9, 0.1]])
    assert pose_certainty(confidences, None) == pytest.approx([0.5])
    half = np.array([[[0.0, 0, 1.0], [1.0, 0, 0]]])
    assert pose_certainty(confidences, half) == pytest.approx([0.9], abs=1e-5)
    unsure = np.array([[[0.0, 0.5, 0.5], [0.5, 0.5, 0]]])
    assert pose_certainty(confidences, unsure) == pytest.approx([(0.9 + 0.5 * 0.1) / 1.5])
    nobody = np.array([[[1.0, 0, 0], [1.0, 0, 0]]])
    assert pose_certainty(confidences, nobody) == pytest.approx([0.5])


def test_people_come_in_the_order_of_their_chance():
    people = People(np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.float32), np.array([0.7, 0.6], np.float32))
    joints = np.array([[[0.5, 0.5]], [[2.5, 2.5]]], np.float32)
    poses = Poses(joints, np.array([[0.1], [0.9]], np.float32), np.array([[[0, 0, 1.0]], [[0.2, 0.8, 0]]]))
    found = posed_people(people, poses, Calibration(person_slope=1, person_certainty=4, person_intercept=-2), "joints")
    first, second = chance(np.log(0.6 / 0.4) + 4 * 0.9 - 2), chance(np.log(0.7 / 0.3) + 4 * 0.1 - 2)
    assert found.scores == pytest.approx([first, second], rel=1e-5) and first > second
    assert found.ranks == pytest.approx([first * 0.9, second * 0.1], rel=1e-5)
    assert found.boxes[:, 0].tolist() == [2, 0] and found.keypoints[:, 0, 0].tolist() == [2.5, 0.5]
    assert found.confidences[:, 0] == pytest.approx([0.9, 0.1]) and found.visibility[0, 0, 1] == 0.8
    as_boxes = posed_people(people, poses, Calibration(), "box")
    assert (as_boxes.scores == people.scores).all()
    assert (as_boxes.ranks == as_boxes.scores).all()


def test_a_result_is_what_the_model_would_have_said_with_the_calibration():
    visibility = np.tile(np.array([0.2, 0.3, 0.5]), (2, 17, 1))
    raw = result(1, [(0, 100), (300, 400)], [0.7, 0.6], [0.2, 0.9], visibility=visibility)
    fitted = Calibration(2.0, 0.5, 0.5, "", 1.5, 3.0, -2.0)
    again = calibrated(raw, fitted, "joints")
    confidences = chance(2 * np.log([0.9 / 0.1, 0.2 / 0.8]) + 0.5)
    assert again.confidences[:, 0] == pytest.approx(confidences, rel=1e-4)
    scores = chance(1.5 * np.log([0.6 / 0.4, 0.7 / 0.3]) + 3 * confidences - 2)
    assert again.scores == pytest.approx(scores, rel=1e-4)
    assert again.pose_scores == pytest.approx(scores * confidences, rel=1e-4)
    assert again.boxes[:, 0].tolist() == [300, 0]
