"""The rules by which two models improve labels; numbers by hand, a person 100 px tall."""

import sys

import numpy as np
import pytest
import relabel
from relabel import CONFIRMED, DISPUTED, PROPOSED, UNSURE, Looks, Relabeller, judged_joints

from msarcnn.dataset import read_labelled_images
from msarcnn.predictor import Predictor
from msarcnn.synthetic import write_dataset

NO_TEACHER = np.zeros((0, 1, 2))


def joint(letter, label, place, confidence, teacher=NO_TEACHER):
    """One joint through the rules: its new x, source and weight. All places are on the x axis."""
    labels = np.array([[label, 0.0, 0 if letter == "-" else 2]])
    joints, sources, weights = judged_joints(
        labels, letter, np.array([[place, 0.0]]), np.array([confidence]), teacher, side=100.0
    )
    return joints[0, 0], sources, weights[0]


def looks(*places):
    return np.array([[[place, 0.0]] for place in places])


def test_a_human_joint_stays_whatever_the_models_say():
    assert joint("h", 10, 90, 0.9) == (10, "h", 1.0)
    assert joint("i", 10, 90, 0.9) == (10, "i", 1.0)


def test_a_models_joint_is_averaged_with_a_sure_one_near_by_and_loses_weight_otherwise():
    assert joint("p", 10, 16, 0.9) == (13, "p", CONFIRMED)
    assert joint("p", 10, 18, 0.9) == (10, "p", DISPUTED)
    assert joint("p", 10, 18, 0.4) == (10, "p", UNSURE)


def test_an_unknown_joint_needs_a_teachers_look_or_great_confidence():
    assert joint("-", 0, 50, 0.6, looks(90, 56)) == (53, "p", UNSURE)
    assert joint("-", 0, 50, 0.6, looks(90, 58)) == (0, "-", 0.0)
    assert joint("-", 0, 50, 0.8, looks(90, 58)) == (50, "p", PROPOSED)
    assert joint("-", 0, 50, 0.4, looks(50, 50)) == (0, "-", 0.0)


def test_the_mirror_image_gives_the_same_frame(tiny_checkpoint):
    """On a symmetric picture both looks are one, so boxes and joints lie symmetrically too."""
    pixels = np.random.default_rng(0).integers(0, 255, (96, 64, 3), dtype=np.uint8)
    both = Looks(Predictor.load(tiny_checkpoint), np.concatenate((pixels, pixels[:, ::-1]), axis=1))
    box = np.array([[34.0, 10.0, 94.0, 80.0]], dtype=np.float32)
    places, _ = both.joints(box)
    mean = places[0] + places[0][relabel.FLIP]
    assert mean[:, 0] == pytest.approx(np.full(17, 128.0), abs=0.01)


class Everyone:
    """Stands for the model's looks: two people, a part of the first, and a faint one."""

    def __init__(self, predictor, pixels):
        pass

    def people(self):
        boxes = [[0, 0, 20, 40], [60, 0, 80, 40], [2, 0, 18, 12], [110, 0, 120, 20]]
        return np.array(boxes, float), np.array([0.9, 0.8, 0.8, 0.4])

    def joints(self, boxes):
        return np.zeros((len(boxes), 17, 2)), np.zeros((len(boxes), 17))


def test_missed_people_are_added_and_unsupported_boxes_are_ignored(monkeypatch):
    monkeypatch.setattr(relabel, "Looks", Everyone)
    worker = Relabeller(None, None, people=True)
    labelled = {"bbox": [0, 0, 24, 40], "box_src": "yolox_nano", "num_keypoints": 0}
    guess = {"bbox": [200, 0, 20, 40], "box_src": "yolox_nano", "num_keypoints": 0}
    human = {"bbox": [300, 0, 20, 40], "box_src": "native", "num_keypoints": 0}
    crowd = {"bbox": [400, 0, 20, 40], "iscrowd": 1}
    people, ignored = worker.image(np.zeros((50, 500, 3), np.uint8), [labelled, guess, human, crowd])
    assert [person["bbox"] for person in people] == [
        [0, 0, 24, 40],
        [300, 0, 20, 40],
        [400, 0, 20, 40],
        [60, 0, 20, 40],
    ]
    assert people[3]["box_src"] == "msarcnn" and people[3]["bbox"] == [60, 0, 20, 40] and len(people) == 4
    assert ignored == [[200, 0, 20, 40]], "what is only perhaps somebody stays background"


def test_people_and_boxes_stay_as_they_are_unless_asked_for(monkeypatch):
    monkeypatch.setattr(relabel, "Looks", Everyone)
    labelled = [{"bbox": [0, 0, 24, 40], "box_src": "yolox_nano"}, {"bbox": [200, 0, 20, 40], "box_src": "yolox_nano"}]
    people, ignored = Relabeller(None, None).image(np.zeros((50, 500, 3), np.uint8), labelled)
    assert [person["bbox"] for person in people] == [[0, 0, 24, 40], [200, 0, 20, 40]] and ignored == []


class BlindTeacher:
    """Stands for the teacher, whose runtime the tests do without."""

    def __init__(self, path):
        pass

    def keypoints(self, pixels, box):
        return np.zeros((17, 3))

    mirrored_keypoints = keypoints


def test_the_result_is_a_coco_file_that_training_reads(monkeypatch, tiny_checkpoint, tmp_path):
    write_dataset(tmp_path, images=2, seed=1, size=(160, 120))
    source, out = tmp_path / "annotations.json", tmp_path / "new.json"
    options = ["--images", tmp_path / "images", "--teacher", "none", "--model", tiny_checkpoint, "--output", out]
    monkeypatch.setattr(relabel, "Teacher", BlindTeacher)
    monkeypatch.setattr(sys, "argv", ["relabel.py", "--annotations", str(source), *map(str, options)])
    relabel.main()
    images, notes = read_labelled_images([out], [tmp_path / "images"])
    assert notes == []
    before, _ = read_labelled_images([source], [tmp_path / "images"])
    assert [len(image.boxes) for image in images] == [len(image.boxes) for image in before]
