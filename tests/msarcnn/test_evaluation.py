"""AP by pycocotools on cases whose figures are known."""

import json

import numpy as np
import pytest

from msarcnn.calibrating import joint_outcomes
from msarcnn.coco import read_coco
from msarcnn.dataset import ground_truth
from msarcnn.effort import Effort, Shown
from msarcnn.evaluate_command import evaluate_predictions
from msarcnn.evaluation import (
    BOX_FIGURES,
    KEYPOINT_FIGURES,
    ImageResult,
    evaluate_results,
    to_coco_results,
)
from msarcnn.skeleton import coco17


def truth(people, images=4):
    rng = np.random.default_rng(0)
    annotations = []
    for key in range(people):
        x, y = rng.uniform(0, 100, 2)
        points = np.column_stack((rng.uniform(x, x + 100, 17), rng.uniform(y, y + 150, 17), np.full(17, 2)))
        annotations.append(
            {
                "id": key + 1,
                "image_id": key % images + 1,
                "category_id": 1,
                "bbox": [x, y, 100.0, 150.0],
                "area": 15000.0,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": points.ravel().tolist(),
            }
        )
    return {
        "images": [{"id": i + 1, "width": 300, "height": 300} for i in range(images)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }


def result_of(annotation, shift=0.0, score=0.9, confidence=0.9):
    x, y, w, h = annotation["bbox"]
    points = np.array(annotation["keypoints"]).reshape(1, 17, 3)[..., :2] + shift
    return ImageResult(
        annotation["image_id"],
        (300, 300),
        np.array([[x, y, x + w, y + h]]),
        np.array([score]),
        points,
        np.full((1, 17), confidence),
        np.array([score * confidence]),
    )


def test_perfect_predictions_have_an_ap_of_one():
    ground = truth(4)
    figures = evaluate_results(ground, to_coco_results(result_of(a) for a in ground["annotations"]))
    assert tuple(figures["keypoints"]) == KEYPOINT_FIGURES
    assert tuple(figures["bbox"]) == BOX_FIGURES
    assert figures["keypoints"]["AP"] == pytest.approx(1.0)
    assert figures["bbox"]["AP"] == pytest.approx(1.0)
    assert figures["bbox"]["APs"] == -1, "nobody is small here"


def test_half_of_the_people_found_is_half_of_the_ap():
    ground = truth(4)
    figures = evaluate_results(ground, to_coco_results(result_of(a) for a in ground["annotations"][:2]))
    assert figures["keypoints"]["AP"] == pytest.approx(0.5, abs=0.01)
    assert figures["keypoints"]["AR"] == pytest.approx(0.5)


def test_joints_far_away_are_worth_nothing_though_the_box_is_right():
    ground = truth(4)
    figures = evaluate_results(ground, to_coco_results(result_of(a, shift=200) for a in ground["annotations"]))
    assert figures["keypoints"]["AP"] == 0
    assert figures["bbox"]["AP"] == pytest.approx(1.0)


def test_nothing_found_is_zero():
    assert evaluate_results(truth(4), [])["keypoints"]["AP"] == 0
    assert evaluate_results(truth(0), [])["bbox"]["AP"] == -1


def test_results_keep_all_coordinates():
    entry = to_coco_results([result_of(truth(1)["annotations"][0])])[0]
    assert len(entry["keypoints"]) == 51 and len(entry["keypoint_scores"]) == 17
    assert entry["keypoints"][2::3] == [1] * 17
    assert entry["bbox"][2:] == [100, 150]


def test_keypoints_are_ranked_by_the_pose_score_and_boxes_by_their_own():
    """A wrong pose with a sure box first, a right one after it: AP 0.5 as ranked by boxes, 1 as ranked by poses."""
    ground = truth(1)
    person = ground["annotations"][0]
    right = to_coco_results([result_of(person, score=0.5)])[0]
    wrong = to_coco_results([result_of(person, shift=300, score=0.9, confidence=0.1)])[0]
    assert right["score"] == pytest.approx(0.45) and right["box_score"] == 0.5
    assert evaluate_results(ground, [right, wrong])["keypoints"]["AP"] == pytest.approx(1.0)
    by_boxes = [{**entry, "score": entry["box_score"]} for entry in (right, wrong)]
    assert evaluate_results(ground, by_boxes)["keypoints"]["AP"] == pytest.approx(0.5)


def test_results_in_another_order_of_joints_are_sorted_by_their_names(tmp_path):
    ground = truth(2)
    ground["images"] = [
        {**image, "file_name": f"{image['id']}.jpg", "width": 640, "height": 480} for image in ground["images"]
    ]
    (tmp_path / "truth.json").write_text(json.dumps(ground))
    names = list(coco17().keypoints)[::-1]
    results = to_coco_results(result_of(a) for a in ground["annotations"])
    for entry in results:
        triples = [entry["keypoints"][start : start + 3] for start in range(0, 51, 3)]
        entry |= {"keypoints": [value for triple in triples[::-1] for value in triple], "keypoint_names": names}
    (tmp_path / "results.json").write_text(json.dumps(results))
    judged = evaluate_predictions(tmp_path / "truth.json", tmp_path / "results.json")
    assert judged.figures["keypoints"]["AP"] == pytest.approx(1.0)


def labelled_person(key, left, top):
    """A person of 100 x 200 pixels, whose joints stand in a grid inside the box."""
    spots = [[left + 10 + 20 * (k % 5), top + 10 + 50 * (k // 5), 2] for k in range(17)]
    return {
        "id": key, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [left, top, 100, 200], "area": 20000,
        "num_keypoints": 17, "keypoints": [value for spot in spots for value in spot],
    }  # fmt: skip


def file_with(folder, annotations, regions=()):
    """A COCO file with one image of 1000 x 400 pixels."""
    image = {"id": 1, "file_name": "1.jpg", "width": 1000, "height": 400, "ignore_regions": list(regions)}
    categories = [{"id": 1, "name": "person", "keypoints": list(coco17().keypoints), "skeleton": []}]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": [image], "annotations": annotations, "categories": categories}))
    return path


# Two people are found, the one at the right with the better score; only the one at the left is labelled.
LEFT, RIGHT = labelled_person(1, 50, 100), labelled_person(2, 800, 100)
FOUND = [{**LEFT, "score": 0.8}, {**RIGHT, "score": 0.9}]
CROWD = {"id": 9, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [790, 90, 120, 220], "area": 26400}


@pytest.mark.parametrize(
    ("more", "regions", "ap"),
    [
        ([], [], 0.5),  # the better result is nobody: precision 1 / 2 at every recall
        ([], [[790, 90, 120, 220]], 1.0),  # nothing is known about it
        ([CROWD], [], 1.0),  # a crowd says the same
        ([], [[500, 90, 120, 220]], 0.5),  # a region elsewhere excuses nothing
    ],
)
def test_a_person_found_in_an_ignored_region_is_neither_right_nor_wrong(tmp_path, more, regions, ap):
    truth = ground_truth(read_coco(file_with(tmp_path, [LEFT, *more], regions)))
    figures = evaluate_results(truth, FOUND)
    assert figures["bbox"]["AP"] == pytest.approx(ap)
    assert figures["bbox"]["AP50"] == pytest.approx(ap)
    assert figures["keypoints"]["AP"] == pytest.approx(ap)


def test_an_ignored_region_excuses_what_pycocotools_measures_for_a_crowd(tmp_path):
    """Boxes by the share that is covered; joints by their distance to the region with its size added on every side."""
    half = [800, 100, 65, 200]  # covers 65 % of the box: four of the ten thresholds, 0.50 to 0.65
    figures = evaluate_results(ground_truth(read_coco(file_with(tmp_path, [LEFT], [half]))), FOUND)
    assert figures["bbox"]["AP50"] == pytest.approx(1.0) and figures["bbox"]["AP75"] == pytest.approx(0.5)
    assert figures["bbox"]["AP"] == pytest.approx(0.4 * 1.0 + 0.6 * 0.5)
    assert figures["keypoints"]["AP"] == pytest.approx(1.0), "joints up to 65 px beside the region are in its bounds"
    far = [500, 100, 90, 200]  # with its width added it ends at 680, 120 px before the first joint
    figures = evaluate_results(ground_truth(read_coco(file_with(tmp_path, [LEFT], [far]))), FOUND)
    assert figures["keypoints"]["AP50"] == pytest.approx(0.5)


def test_a_labelled_person_in_an_ignored_region_still_counts(tmp_path):
    everything = [[0, 0, 1000, 400]]
    truth = ground_truth(read_coco(file_with(tmp_path, [LEFT, RIGHT], everything)))
    figures = evaluate_results(truth, FOUND[:1])
    assert figures["keypoints"]["AR"] == pytest.approx(0.5) and figures["bbox"]["AP50"] == pytest.approx(0.5, abs=0.01)
    figures = evaluate_results(truth, FOUND)
    assert figures["keypoints"]["AP"] == pytest.approx(1.0) and figures["bbox"]["AP"] == pytest.approx(1.0)


def test_the_annotator_deletes_nobody_in_an_ignored_region_and_confidences_are_not_fitted_on_it(tmp_path):
    truth = ground_truth(read_coco(file_with(tmp_path, [LEFT], [[790, 90, 120, 220]])))
    boxes = np.array([[50, 100, 150, 300], [800, 100, 900, 300]], dtype=float)
    joints = np.array([entry["keypoints"] for entry in (LEFT, RIGHT)], dtype=float).reshape(2, 17, 3)[..., :2]
    effort = Effort()
    effort.add(truth["annotations"], Shown(boxes, joints, np.full((2, 17), 2)), None)
    assert {name: count for name, count in effort.actions.items() if count} == {"accept": 1}
    assert effort.people == 1
    scores, confidences = np.array([0.8, 0.9]), np.tile(np.linspace(0.1, 0.9, 17), (2, 1))
    results = [ImageResult(1, (1000, 400), boxes, scores, joints, confidences, scores) for _ in range(10)]
    without = ground_truth(read_coco(file_with(tmp_path, [LEFT])))
    (logits, right), (same, alike) = (joint_outcomes(some, results) for some in (truth, without))
    assert len(logits) == 10 * 17 and (logits == same).all() and (right == alike).all()


def test_nothing_found_of_people_without_keypoints_says_nothing_about_keypoints(tmp_path):
    boxed = {key: value for key, value in LEFT.items() if key not in ("keypoints", "num_keypoints")}
    figures = evaluate_results(ground_truth(read_coco(file_with(tmp_path, [boxed]))), [])
    assert figures["bbox"]["AP"] == 0 and figures["keypoints"]["AP"] == -1
