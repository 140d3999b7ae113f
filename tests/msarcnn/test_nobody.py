"""Files without anybody usable: said with the reasons, and refused before anything is computed."""

import json

import numpy as np
import pytest
from PIL import Image

from msarcnn.coco import read_coco
from msarcnn.command_line import main
from msarcnn.dataset import LabelledImage
from msarcnn.reading_notes import reading_notes
from msarcnn.skeleton import coco17
from msarcnn.split import split_by_image
from msarcnn.warm_start import Origin

NAMES = list(coco17().keypoints)
JOINTS = [value for k in range(17) for value in (20 + 2 * k, 20 + 3 * (k % 9), 2)]


def person(key, image, **changes):
    record = {"id": key, "image_id": image, "category_id": 1, "bbox": [15, 15, 45, 40], "area": 1800, "iscrowd": 0}
    return {**record, "keypoints": JOINTS, "num_keypoints": 17, **changes}


def boxed(key, image):
    return person(key, image, keypoints=[], num_keypoints=0)


@pytest.fixture
def labels(tmp_path):
    """A function that writes a file with four images and the given annotations; returns its path."""
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    for index in range(1, 5):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{index}.png")

    def write(annotations, name="labels.json", **changes):
        images = [{"id": i, "file_name": f"{i}.png", "width": 80, "height": 60} for i in range(1, 5)]
        categories = [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}, {"id": 2, "name": "dog"}]
        path = tmp_path / name
        data = {"images": images, "annotations": annotations, "categories": categories, **changes}
        path.write_text(json.dumps(data))
        return path

    return write


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def evaluate(capsys, labels, checkpoint, *more):
    images = labels.parent / "images"
    return run(capsys, "evaluate", "--annotations", labels, "--images", images, "--model", checkpoint, "--json", *more)


BROKEN = [person(key, 1, bbox=[1, 2, 3], keypoints=[]) for key in (1, 2, 3, 4)]


def test_records_are_left_out_by_reason_with_their_number_and_places(labels):
    path = labels([*BROKEN, person(5, 9), person(6, 1)])
    lost = [note.text for note in reading_notes(read_coco(path)) if note.lost]
    assert lost == [
        f"{path}: 4 left out: bbox is not four finite numbers "
        "(annotations[0], annotations[1], annotations[2], annotations[3])",
        f"{path}: 1 left out: its image 9 does not exist (annotations[4])",
    ]


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        (BROKEN, "4 left out: bbox is not four"),
        ([person(1, 1, category_id=2)], "annotations of other categories: 1 (people are 1)"),
        ([person(1, 1, iscrowd=1)], "crowds: 1"),
    ],
)
def test_evaluating_by_people_who_are_all_unusable_is_refused_with_the_reasons(
    capsys, labels, tiny_checkpoint, tmp_path, annotations, reason
):
    path = labels(annotations)
    status, out, errors = evaluate(capsys, path, tiny_checkpoint)
    assert status == 2 and out == ""
    assert f"{path}: nobody in it can be judged by" in errors and reason in errors
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{**person(1, 1), "score": 0.5}]))
    status, out, errors = run(capsys, "evaluate", "--annotations", path, "--predictions", results)
    assert status == 2 and reason in errors


def test_what_was_left_out_is_said_beside_the_figures(capsys, labels, tiny_checkpoint):
    status, out, errors = evaluate(capsys, labels([*BROKEN, person(5, 1)]), tiny_checkpoint)
    problems = json.loads(out)["problems"]
    assert status == 0 and len(problems) == 2 and "4 left out: " in problems[0]
    assert "nothing on them counts as background" in problems[1]
    assert problems[0] in errors.splitlines()


def test_images_that_are_left_out_of_a_prediction_are_said(capsys, labels, tiny_checkpoint, tmp_path):
    images = [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": ".."}]
    path, out = labels([], images=images), tmp_path / "out.json"
    data = ["--annotations", path, "--images", tmp_path / "images", "--output", out, "--model", tiny_checkpoint]
    status, facts, errors = run(capsys, "predict", *data, "--json")
    facts = json.loads(facts)
    assert status == 0 and facts["images"] == 1
    assert len(facts["problems"]) == 1 and "images[1]" in facts["problems"][0]
    assert facts["problems"][0] in errors


def test_figures_about_nobody_are_explained(capsys, labels, tiny_checkpoint):
    empty = json.loads(evaluate(capsys, labels([]), tiny_checkpoint)[1])
    assert empty["keypoints"]["AP"] == -1 and "nobody is labelled in it" in empty["problems"][0]
    boxes = json.loads(evaluate(capsys, labels([boxed(1, 1)]), tiny_checkpoint)[1])
    assert boxes["keypoints"]["AP"] == -1 and boxes["bbox"]["AP"] >= 0
    assert "nobody in it has labelled keypoints" in boxes["problems"][0]


def train(capsys, labels, checkpoint, *more):
    folder = labels.parent / "run"
    data = ["--annotations", labels, "--images", labels.parent / "images", "--output", folder, "--init", checkpoint]
    status, out, errors = run(
        capsys, "train", *data, "--iterations", 1, "--batch", 1, "--sizes", 64, "--workers", 0, *more
    )
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return status, out, errors, events


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test when a network is built."""

    def build(*arguments):
        raise AssertionError("a model was made for nothing")

    monkeypatch.setattr(Origin, "start", build)


@pytest.mark.parametrize(
    ("annotations", "more", "reason"),
    [
        (BROKEN, [], "4 left out: bbox is not four"),
        ([], [], "nobody is labelled"),
        ([person(1, 1, category_id=2)], [], "annotations of other categories: 1"),
        ([person(1, 1, iscrowd=1)], [], "crowds: 1"),
        ([boxed(1, 1)], ["--select", "keypoints"], "those with labelled keypoints were wanted"),
        ([], ["--val-fraction", 0.5], "nobody is labelled"),
    ],
)
def test_training_on_nobody_is_refused_before_anything_is_computed(
    capsys, labels, tiny_checkpoint, no_training, annotations, more, reason
):
    path = labels(annotations)
    status, out, errors, events = train(capsys, path, tiny_checkpoint, *more)
    assert status == 2 and out == ""
    assert f"nobody to learn from in {path}" in errors and reason in errors
    assert events[-1]["event"] == "end" and events[-1]["status"] == "failed" and reason in events[-1]["message"]


def test_people_who_are_all_labelled_on_another_photo_are_not_called_unlabelled(
    capsys, labels, tiny_checkpoint, no_training
):
    images = [{"id": 1, "file_name": "1.png", "width": 70, "height": 70}]
    status, _, errors, _ = train(capsys, labels([person(1, 1)], images=images), tiny_checkpoint)
    assert status == 2 and "its labels are for 70 x 70 pixels, the photo has 80 x 60" in errors.splitlines()[-1]


def test_a_held_out_part_that_measures_nothing_is_refused(capsys, labels, tiny_checkpoint, no_training):
    path, other = labels([person(1, 1), boxed(2, 2)]), labels([boxed(1, 1)], "val.json")
    held_out = ["--val-annotations", other, "--val-images", other.parent / "images"]
    status, _, errors, _ = train(capsys, path, tiny_checkpoint, *held_out)
    assert status == 2 and "the 4 held-out images have nobody with labelled keypoints to judge by" in errors


def test_one_image_with_keypoints_cannot_be_trained_on_and_held_out(capsys, labels, tiny_checkpoint, no_training):
    status, _, errors, _ = train(capsys, labels([person(1, 3)]), tiny_checkpoint, "--val-fraction", 0.5)
    assert status == 2 and "the 2 held-out images have nobody with labelled keypoints to judge by" in errors


@pytest.mark.parametrize("seed", range(4))
def test_boxes_alone_can_be_trained_and_are_what_is_judged(capsys, labels, tiny_checkpoint, seed):
    path = labels([boxed(1, 1), boxed(2, 2)])
    status, out, _, events = train(capsys, path, tiny_checkpoint, "--val-fraction", 0.5, "--seed", seed)
    assert status == 0 and out.strip() == "completed"
    assert events[-1]["message"].startswith("Box AP ")


def test_people_left_out_of_a_training_are_a_warning_on_stderr_and_in_the_log(capsys, labels, tiny_checkpoint):
    status, _, errors, events = train(capsys, labels([*BROKEN, person(5, 1)]), tiny_checkpoint)
    warnings = [event["text"] for event in events if event["event"] == "message" and event["level"] == "warning"]
    assert status == 0 and len(warnings) == 1 and "4 left out: " in warnings[0]
    assert warnings[0] in errors


def image(key, joints, people=1):
    weights = np.full((people, 17), float(joints), np.float32)
    boxes = np.tile(np.array([[0, 0, 9, 9]], np.float32), (people, 1))
    joints = np.zeros((people, 17, 3), np.float32)
    return LabelledImage(key, None, "", boxes, joints, weights, np.ones(people, np.float32), weights > 0, boxes[:0])


@pytest.mark.parametrize("seed", range(8))
def test_both_parts_of_a_split_get_somebody_with_keypoints_where_there_are_two(seed):
    images = [image(key, joints=key in (3, 7)) for key in range(20)]
    training, held_out = split_by_image(images, 0.1, seed)
    assert len(held_out) == 2 and len(training) == 18
    assert {one.image_id for one in training + held_out} == set(range(20))
    assert sum(one.has_keypoints for one in training) == sum(one.has_keypoints for one in held_out) == 1
    single = [image(key, joints=key == 3) for key in range(20)]
    assert any(one.has_keypoints for one in split_by_image(single, 0.9, seed)[0]), "it is trained on"
    boxes = [image(key, joints=False, people=int(key in (3, 7))) for key in range(20)]
    training, held_out = split_by_image(boxes, 0.1, seed)
    assert sum(len(one.boxes) for one in training) == sum(len(one.boxes) for one in held_out) == 1


def test_a_split_that_tells_enough_is_as_it_was():
    images = [image(key, joints=True) for key in range(20)]
    drawn = np.random.default_rng(5).permutation(20)[:4].tolist()
    assert sorted(drawn) == [one.image_id for one in split_by_image(images, 0.2, 5)[1]]
