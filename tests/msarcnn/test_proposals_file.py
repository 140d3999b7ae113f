"""An RPN trained by itself, its proposals in a file, an R-CNN trained and judged on them (paper section 7)."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from msarcnn.augmentation import augment, mosaic
from msarcnn.checkpoint import CheckpointInfo, load_checkpoint
from msarcnn.coco import read_coco
from msarcnn.command_line import main
from msarcnn.config import TrainConfig
from msarcnn.dataset import DataError, labelled_images
from msarcnn.predictor import Predictor
from msarcnn.proposals import read_proposals, recall, write_proposals
from msarcnn.skeleton import coco17
from msarcnn.synthetic import write_dataset

FLIP = torch.tensor(coco17().flip_permutation)


@pytest.fixture
def data(tmp_path):
    write_dataset(tmp_path, images=3, seed=1, size=(160, 120))
    return ["--annotations", tmp_path / "annotations.json", "--images", tmp_path / "images"]


@pytest.fixture
def images(data):
    return labelled_images(read_coco(data[1]), [data[3]])


def run(*arguments):
    return main([str(argument) for argument in arguments])


def proposals_of(tiny_checkpoint, data, tmp_path, *more):
    path = tmp_path / "proposals.safetensors"
    assert run("proposals", *data, "--model", tiny_checkpoint, "--output", path, *more) == 0
    return path


def test_what_is_written_is_what_the_rpn_proposes(tiny_checkpoint, data, images, tmp_path):
    read = read_proposals(proposals_of(tiny_checkpoint, data, tmp_path))
    predictor = Predictor.load(tiny_checkpoint)
    assert read.model == predictor.hash and len(read.boxes) == 3
    for image in images:
        (features,) = predictor.encode([image.load()])
        np.testing.assert_array_equal(read.boxes[image.file_name], predictor.propose(features))
        assert read.sizes[image.file_name] == (160, 120)
    few = read_proposals(proposals_of(tiny_checkpoint, data, tmp_path, "--count", 7))
    for name, boxes in few.boxes.items():
        assert 0 < len(boxes) <= 7
        np.testing.assert_array_equal(boxes[0], read.boxes[name][0])


def test_judged_on_its_own_proposals_a_model_finds_the_same(tiny_checkpoint, data, tmp_path, capsys):
    path = proposals_of(tiny_checkpoint, data, tmp_path)
    capsys.readouterr()
    figures = []
    for extra in ([], ["--proposals", path], ["--proposals", path, "--effort"]):
        assert run("evaluate", *data, "--model", tiny_checkpoint, "--json", *extra) == 0
        figures.append(json.loads(capsys.readouterr().out))
    assert figures[0]["bbox"] == figures[1]["bbox"] == figures[2]["bbox"]
    assert figures[0]["keypoints"] == figures[1]["keypoints"] and "effort" in figures[2]


def test_the_rpn_alone_learns_and_the_heads_stay(tiny_checkpoint, data, tmp_path):
    quick = ["--iterations", 2, "--batch", 1, "--sizes", 96, "--warmup", 0, "--lr", 0.01]
    held_out = ["--val-annotations", data[1], "--val-images", data[3]]
    where = ["--init", tiny_checkpoint, "--output", tmp_path / "run"]
    assert run("train", *data, *where, *quick, *held_out, "--train", "rpn", "--log-every", 1) == 0
    before, after = (
        load_checkpoint(path)[0].state_dict()
        for path in (tiny_checkpoint, tmp_path / "run" / "checkpoints" / "best.safetensors")
    )
    moved = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"rpn", "backbone"}
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert [set(step["losses"]) for step in steps] == [{"objectness", "rpn_box"}] * 2
    judged = [event["proposals"] for event in events if event["event"] == "evaluation"]
    assert judged and all(0 <= figures["AR100"] <= figures["AR1000"] <= 1 for figures in judged)
    assert events[-1]["message"].startswith("AR of 100 proposals")


def test_the_heads_learn_on_a_files_proposals_and_the_rpn_stays(tiny_checkpoint, data, tmp_path):
    path = proposals_of(tiny_checkpoint, data, tmp_path)
    quick = ["--iterations", 2, "--batch", 1, "--sizes", 96, "--warmup", 0, "--lr", 0.01, "--val-fraction", 0]
    where = ["--init", tiny_checkpoint, "--output", tmp_path / "run", "--proposals", path]
    assert run("train", *data, *where, *quick, "--log-every", 1) == 0
    before, after = (
        load_checkpoint(file)[0].state_dict()
        for file in (tiny_checkpoint, tmp_path / "run" / "checkpoints" / "best.safetensors")
    )
    moved = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"roi_heads", "backbone"}
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = next(event["losses"] for event in events if event["event"] == "step")
    assert set(losses) == {"classifier", "box", "keypoint", "visibility"}


def test_held_out_images_of_a_run_on_proposals_need_theirs_and_are_judged_on_them(
    tiny_checkpoint, data, tmp_path, capsys
):
    path = proposals_of(tiny_checkpoint, data, tmp_path, "--count", 5)
    quick = ["--iterations", 1, "--batch", 1, "--sizes", 96, "--proposals", path]
    held_out = ["--val-annotations", data[1], "--val-images", data[3]]
    start = ["train", *data, "--init", tiny_checkpoint, *quick, *held_out]
    assert run(*start, "--output", tmp_path / "refused") != 0
    assert "--proposals without --val-proposals" in capsys.readouterr().err
    assert run(*start, "--output", tmp_path / "run", "--val-proposals", path) == 0
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    judged = next(event for event in events if event["event"] == "evaluation")
    capsys.readouterr()
    assert run("evaluate", *data, "--model", tiny_checkpoint, "--json", "--proposals", path) == 0
    assert judged["bbox"] == json.loads(capsys.readouterr().out)["bbox"]


def test_proposals_move_with_the_people(images):
    generator = torch.Generator().manual_seed(3)
    config = TrainConfig(crop=96, jitter=(0.7, 1.4), flip=True, mosaic=1.0, color=0.0)
    with_boxes = [replace(image, proposals=image.boxes.copy()) for image in images] * 2
    parts = [(torch.from_numpy(image.load()).permute(2, 0, 1), image.target()) for image in with_boxes]
    for _ in range(5):
        for pixels, target in parts:
            _, moved = augment(pixels, target, config, (96,), 2.0, FLIP, generator)
            for box in moved["boxes"]:
                assert ((moved["proposals"] - box).abs() < 1e-3).all(dim=1).any()
        _, moved = mosaic(parts[:4], config, FLIP, generator)
        for box in moved["boxes"]:
            assert ((moved["proposals"] - box).abs() < 1e-3).all(dim=1).any()


def test_a_file_of_other_images_or_sizes_is_refused(images, tmp_path):
    path = tmp_path / "p.safetensors"
    boxes = np.float32([[1, 2, 30, 40]])
    write_proposals(path, "abc", [(images[0], (160, 120), boxes), (images[1], (80, 60), boxes)])
    read = read_proposals(path)
    np.testing.assert_array_equal(read.given_to(images[:1])[0].proposals, boxes)
    with pytest.raises(DataError, match=r"proposals of other images: it has none of people_0003\.jpg: make them"):
        read.given_to([images[2]])
    with pytest.raises(DataError, match=r"people_0002\.jpg had \(80, 60\) pixels .* labelled for \(160, 120\)"):
        read.given_to(images[:2])


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: None, "no such file: make it with"),
        (lambda path: path.write_bytes(b"x" * 100), "a damaged file of proposals"),
        (lambda path: save_file({"a": np.zeros(3)}, path), "no file of proposals"),
    ],
)
def test_a_file_that_is_none(tmp_path, write, text):
    path = tmp_path / "p.safetensors"
    write(path)
    with pytest.raises(DataError, match=text):
        read_proposals(path)


def test_a_photo_that_cannot_be_read_has_none_and_stops_nobody(tiny_checkpoint, data, images, tmp_path, capsys):
    (data[3] / images[1].file_name).write_bytes(b"no picture")
    path = proposals_of(tiny_checkpoint, data, tmp_path)
    assert images[1].file_name in capsys.readouterr().err
    given = read_proposals(path).given_to(images)
    assert [len(image.proposals) > 0 for image in given] == [True, False, True]


def test_an_rpn_that_is_trained_takes_no_proposals(tiny_checkpoint, data, tmp_path, capsys):
    path = proposals_of(tiny_checkpoint, data, tmp_path)
    arguments = ["--init", tiny_checkpoint, "--output", tmp_path / "run", "--proposals", path, "--train", "rpn"]
    assert run("train", *data, *arguments) != 0
    assert "--proposals are for the heads" in capsys.readouterr().err


def test_recall_by_hand():
    people = [[[0, 0, 10, 10], [50, 50, 10, 10]], []]
    first = np.float32([[200, 200, 210, 210], [0, 0, 10, 8], [50, 50, 60, 60]])
    proposals = [first, np.zeros((0, 4), np.float32)]
    assert recall(people, proposals, 1) == 0
    # IoU 0.8 is covered at 0.5, 0.55, ... 0.8: seven of ten; the other person by nobody, then wholly.
    assert recall(people, proposals, 2) == pytest.approx(0.35)
    assert recall(people, proposals, 3) == pytest.approx(0.85)
    assert recall([[]], [first], 3) == -1


def test_the_count_is_a_wish_for_once(tiny_model, photo):
    predictor = Predictor.of(tiny_model, CheckpointInfo(tiny_model.config))
    (features,) = predictor.encode([photo])
    all_of_them = predictor.propose(features)
    assert len(predictor.propose(features, 3)) <= 3
    np.testing.assert_array_equal(predictor.propose(features), all_of_them)
