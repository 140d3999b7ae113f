"""COCO results: of people only, with what is there judged and nothing made up."""

import json

import numpy as np
import pytest

from msarcnn.coco import read_coco
from msarcnn.command_line import main
from msarcnn.dataset import DataError
from msarcnn.evaluate_command import evaluate_predictions
from msarcnn.results import for_file, read_results
from msarcnn.skeleton import coco17

NAMES = list(coco17().keypoints)
PERSON, DOG = 7, 3
ORDER = [16, *range(16)]
"""The file has its last joint, right_ankle, first."""


def joints(left, top):
    return [value for k in range(17) for value in (left + 10 + 20 * (k % 5), top + 10 + 50 * (k // 5), 2)]


def triples(values, order):
    return [value for place in order for value in values[3 * place : 3 * place + 3]]


PEOPLE = [((50, 100), 1), ((400, 100), 1), ((50, 50), 2)]
"""Corner and image of three people of 100 x 200 pixels."""


def annotations(order=range(17)):
    return [
        {
            "id": key, "image_id": image, "category_id": PERSON, "bbox": [*corner, 100, 200], "area": 20000,
            "iscrowd": 0, "keypoints": triples(joints(*corner), order), "num_keypoints": 17,
        }
        for key, (corner, image) in enumerate(PEOPLE, start=1)
    ]  # fmt: skip


def results(*leave_out, order=range(17)):
    wanted = ("image_id", "category_id", "bbox", "keypoints", "score")
    entries = [{**a, "score": 0.9 - 0.1 * a["id"]} for a in annotations(order)]
    return [{name: entry[name] for name in wanted if name not in leave_out} for entry in entries]


@pytest.fixture
def write(tmp_path):
    def written(content, name="results.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return written


@pytest.fixture
def truth(write):
    return lambda order=range(17), **changes: write(
        {
            "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in (1, 2)],
            "annotations": annotations(order),
            "categories": [
                {"id": DOG, "name": "dog"},
                {"id": PERSON, "name": "person", "keypoints": [NAMES[k] for k in order], "skeleton": []},
            ],
            **changes,
        },
        "labels.json",
    )


def test_keypoints_without_boxes_are_judged_as_keypoints_and_no_box_is_made_up(truth, write):
    path = write(results("bbox"))
    judged = evaluate_predictions(truth(), path)
    assert list(judged.figures) == ["keypoints"] and judged.figures["keypoints"]["AP"] == pytest.approx(1.0)
    assert judged.problems == [f"{path}: 3 of 3 have no bbox: no box figures"]
    with_effort = evaluate_predictions(truth(), path, shown_score=0.5)
    assert list(with_effort.figures) == ["keypoints"]
    assert "no effort figures" in with_effort.problems[1]


def test_one_result_without_a_box_is_enough_for_no_box_figures(truth, write):
    judged = evaluate_predictions(truth(), write([*results()[:2], *results("bbox")[2:]]))
    assert list(judged.figures) == ["keypoints"] and "1 of 3 have no bbox" in judged.problems[0]


def test_boxes_without_keypoints_are_judged_as_boxes(truth, write):
    judged = evaluate_predictions(truth(), write(results("keypoints")))
    assert list(judged.figures) == ["bbox"] and judged.figures["bbox"]["AP"] == pytest.approx(1.0)
    assert "3 of 3 have no keypoints: no keypoint figures" in judged.problems[0]


def test_results_of_other_categories_are_left_out_and_counted(truth, write):
    """A dog with the best score beside every person: precision 1 / 2 at its best when it counted as a person."""
    dogs = [{**entry, "category_id": DOG, "score": 0.99, "bbox": [300, 300, 50, 50]} for entry in results()]
    path = write([*dogs, *results()])
    judged = evaluate_predictions(truth(), path)
    assert judged.figures["bbox"]["AP"] == judged.figures["keypoints"]["AP"] == pytest.approx(1.0)
    assert judged.problems == [
        f"{path}: results left out: 3 of 6, of other categories than 7 (person) in {path.parent / 'labels.json'}"
    ]


def test_results_of_nobody_are_refused_and_an_empty_list_found_nothing(truth, write):
    dogs = [{**entry, "category_id": 1} for entry in results()]
    with pytest.raises(
        DataError, match=r"results left out: 3 of 3, of other categories than 7 .*nothing is left to judge"
    ):
        evaluate_predictions(truth(), write(dogs))
    judged = evaluate_predictions(truth(), write([]))
    assert judged.figures["keypoints"]["AP"] == judged.figures["bbox"]["AP"] == 0


def test_a_byte_order_mark_is_no_fault(truth, write):
    data = read_coco(truth())
    assert len(read_results(write("\ufeff" + json.dumps(results())), data).entries) == len(PEOPLE)


def test_results_of_an_image_that_is_left_out_are_left_out(truth, write):
    images = [{"id": 1, "file_name": "1.jpg", "width": 640, "height": 480}, {"id": 2, "file_name": ".."}]
    judged = evaluate_predictions(truth(images=images), write(results()))
    assert judged.figures["keypoints"]["AP"] == pytest.approx(1.0)
    assert any("results left out: 1 of 3, of images that are left out themselves" in one for one in judged.problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "not COCO results"),
        ("{}", "not COCO results"),
        ("[" * 5000, "not COCO results"),
        ([{"image_id": 1}], "entry 0 needs image_id and score"),
        ([1], "in entry 0"),
        ([{**results()[0], "bbox": 5}], "in entry 0 bbox"),
        ([{**results()[0], "image_id": "1"}], "in entry 0 image_id"),
        ([results("bbox", "keypoints")[0]], "entry 0 needs bbox"),
        ([results()[0], {**results()[0], "bbox": [1, 2, 3]}], "entry 1 has 3 numbers in bbox instead of 4"),
        ([{**results()[0], "keypoints": [1.0] * 50}], "entry 0 has 50 numbers in keypoints instead of 51"),
        ([{**results()[0], "keypoint_scores": [1.0]}], "entry 0 has 1 numbers in keypoint_scores instead of 17"),
        ([{**results()[0], "bbox": [1, 2, -3, 4]}], "entry 0 has a bbox of negative width"),
        ([{**results()[0], "image_id": 99}], "entry 0 is of image 99, which is not in the annotations"),
        ([results("bbox")[0], results("keypoints")[1]], "judge those with boxes and those with keypoints"),
    ],
)
def test_what_is_no_result_is_refused_by_place(truth, write, content, message):
    path = write(content)
    with pytest.raises(DataError, match=message) as caught:
        evaluate_predictions(truth(), path)
    assert str(path) in str(caught.value)


def test_joints_are_in_the_order_of_the_files_category(truth, write):
    labels = truth(ORDER)
    scores = np.linspace(0, 1, 17).round(2).tolist()
    ordered = [{**entry, "keypoint_scores": scores} for entry in results(order=ORDER)]
    read = read_results(write(ordered), read_coco(labels))
    assert read.entries[0]["keypoints"] == joints(*PEOPLE[0][0])
    assert read.entries[0]["keypoint_scores"] == [*scores[1:], scores[0]]
    named = [{**entry, "keypoint_names": NAMES} for entry in results()]
    assert read_results(write(named), read_coco(labels)).entries[0]["keypoints"] == joints(*PEOPLE[0][0])
    assert evaluate_predictions(labels, write(ordered)).figures["keypoints"]["AP"] == pytest.approx(1.0)


def test_our_own_results_are_of_the_files_category_in_its_order(truth, write):
    data = read_coco(truth(ORDER))
    scores = np.linspace(0, 1, 17).round(2).tolist()
    ours = {**results()[0], "category_id": 1, "keypoint_scores": scores}
    entry = for_file(ours, data.person, data.images[0])
    assert entry["category_id"] == PERSON and entry["keypoint_names"] == [NAMES[k] for k in ORDER]
    assert entry["keypoints"] == triples(joints(*PEOPLE[0][0]), ORDER)
    assert entry["keypoint_scores"] == [scores[k] for k in ORDER]
    again = read_results(write([entry]), data).entries[0]
    assert again["keypoints"] == ours["keypoints"] and again["keypoint_scores"] == scores
    assert for_file(ours, None, data.images[0]) == ours and "image_size" not in entry


def test_our_own_results_are_in_the_pixels_of_the_file(truth, write, tmp_path):
    from PIL import Image

    for key in (1, 2):
        Image.new("RGB", (1280, 960)).save(tmp_path / f"{key}.jpg")
    labels = truth()
    stated, measured = read_coco(labels), read_coco(labels, roots=[tmp_path])
    person = measured.people[0]
    assert person.bbox == tuple(2 * side for side in stated.people[0].bbox), "in the photo's pixels"
    ours = {**results()[0], "bbox": list(person.bbox), "keypoints": person.keypoints.ravel().tolist()}
    entry = for_file(ours, measured.person, measured.images[0])
    assert entry["bbox"] == list(stated.people[0].bbox) and entry["image_size"] == [640, 480]
    # One of three people: a precision of 1 at 34 of COCO's 101 recalls.
    judged = evaluate_predictions(labels, write([entry]))
    assert judged.figures["keypoints"]["AP"] == pytest.approx(34 / 101, abs=1e-4)


def test_predicted_results_can_be_judged_by_the_file_they_were_made_for(truth, tmp_path, tiny_checkpoint, capsys):
    from PIL import Image

    labels, out = truth(ORDER), tmp_path / "out.json"
    for key in (1, 2):
        noise = np.random.default_rng(key).integers(0, 255, (480, 640, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{key}.jpg")
    data = ["--annotations", str(labels)]
    more = ["--images", str(tmp_path), "--format", "results", "--threshold", "0"]
    assert main(["predict", *data, *more, "--output", str(out), "--model", str(tiny_checkpoint)]) == 0
    assert {entry["category_id"] for entry in json.loads(out.read_text())} <= {PERSON}
    capsys.readouterr()
    assert main(["evaluate", *data, "--predictions", str(out), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert judged["keypoints"]["AP"] >= 0
    assert not any("left out" in problem for problem in judged["problems"])
