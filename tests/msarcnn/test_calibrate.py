"""Confidences fitted to somebody's labels, in a model file with the same weights."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from msarcnn import calibrate_command
from msarcnn.calibrate_command import Reliability, reliability
from msarcnn.calibration import Calibration
from msarcnn.checkpoint import read_checkpoint
from msarcnn.command_line import main
from msarcnn.evaluation import ImageResult
from msarcnn.model_files import file_hash
from msarcnn.model_library import find_model
from msarcnn.predictor import Predictor
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.synthetic import write_dataset


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, images=4, seed=1, size=(320, 240))
    return folder


def calibrate(capsys, people, model, output, *more, labels=None):
    data = ["--annotations", labels or people / "annotations.json", "--images", people / "images"]
    status = main([str(one) for one in ("calibrate", "--model", model, *data, "--output", output, *more)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_bundled_model_gets_confidences_that_fit_the_labels(capsys, people, tmp_path):
    parent, output = find_model(None), tmp_path / "fitted.safetensors"
    status, out, _ = calibrate(capsys, people, DEFAULT_MODEL, output, "--json")
    facts = json.loads(out)
    assert status == 0 and facts["joints"] >= 50 and 0 < facts["right"] < 1
    assert facts["after"]["brier"] <= facts["before"]["brier"]
    before, after = load_file(parent), load_file(output)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    info, old = read_checkpoint(output)[1], read_checkpoint(parent)[1]
    fitted = info.calibration
    assert facts["calibration"] == vars(fitted) and fitted.threshold == 0.5
    assert fitted.origin == f"fitted on annotations.json, {facts['joints']} joints"
    assert info.config == old.config and info.metrics == old.metrics
    assert info.lineage["parent"] == file_hash(parent) and info.lineage["parent_lineage"] == old.lineage
    assert info.lineage["data"] == [file_hash(people / "annotations.json")]
    image, box = np.full((240, 320, 3), 120, np.uint8), [[20, 20, 120, 200]]
    poses = [one.estimate(one.encode([image])[0], box) for one in (Predictor.load(parent), Predictor.load(output))]
    np.testing.assert_array_equal(poses[0].keypoints, poses[1].keypoints)
    logits = np.log(poses[0].confidences / (1 - poses[0].confidences)) - old.calibration.intercept
    expected = 1 / (1 + np.exp(-(fitted.slope * logits / old.calibration.slope + fitted.intercept)))
    np.testing.assert_allclose(poses[1].confidences, expected, atol=1e-3)


def test_what_it_says_is_for_people_unless_asked_otherwise(capsys, people, tmp_path):
    status, out, err = calibrate(capsys, people, DEFAULT_MODEL, tmp_path / "fitted.safetensors")
    assert status == 0 and "tau 0.50, fitted on" in out and out.count("Brier score") == 2
    assert str(tmp_path / "fitted.safetensors") in out and "4/4 images" in err


def test_too_few_joints_write_nothing(capsys, people, tmp_path):
    truth = json.loads((people / "annotations.json").read_text())
    truth["annotations"] = truth["annotations"][:1]
    output, labels = tmp_path / "fitted.safetensors", tmp_path / "one.json"
    labels.write_text(json.dumps(truth))
    status, out, err = calibrate(capsys, people, DEFAULT_MODEL, output, labels=labels)
    assert status == 2 and out == "" and not output.exists()
    assert "one.json: 17 joints of people whom the model finds can be compared, and 50 are needed: label more" in err


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("nowhere/fitted.safetensors", "its folder does not exist"),
        (".", "a folder: name a file in it"),
        ("tiny.safetensors", r"the model itself, which stays as it is"),
        ("closed/fitted.safetensors", "its folder cannot be written to"),
    ],
)
def test_an_output_that_cannot_be_written_is_said_before_the_work(
    capsys, people, tiny_checkpoint, tmp_path, monkeypatch, output, message
):
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(calibrate_command.os, "access", lambda path, _: path.name != "closed")
    status, _, err = calibrate(capsys, people, tiny_checkpoint, tmp_path / output)
    assert status == 2 and f"{tmp_path / output}: {message}" in err and "images, " not in err


def test_what_was_fitted_is_shown_also_when_it_cannot_be_written(capsys, people, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(calibrate_command, "write_checkpoint", full)
    status, out, err = calibrate(capsys, people, DEFAULT_MODEL, tmp_path / "fitted.safetensors")
    assert status == 2 and "Brier score" in out and "->" not in out and "No space left" in err


def answers(monkeypatch, people, right, confidences):
    """A model that finds everybody, and places the joints that `right` [n, 17] says where they are, the others off."""
    truth = json.loads((people / "annotations.json").read_text())

    def found(predictor, images, failed):
        for image in images:
            rows = [row for row, person in enumerate(truth["annotations"]) if person["image_id"] == image.image_id]
            points = np.array([truth["annotations"][row]["keypoints"] for row in rows], float).reshape(-1, 17, 3)
            off = np.where(right[rows], 0.0, 1e4)[..., None]
            boxes, scores = image.boxes, np.ones(len(rows))
            yield ImageResult(
                image.image_id, (320, 240), boxes, scores, points[..., :2] + off, confidences[rows], scores
            )

    monkeypatch.setattr(calibrate_command, "predict_images", found)


def test_a_file_of_torchvisions_becomes_one_of_ours(capsys, people, tmp_path, monkeypatch):
    path, output = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    with torch.device("meta"):
        state = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save({name: torch.zeros(()).expand(value.shape) for name, value in state.items()}, path)
    people_found = len(json.loads((people / "annotations.json").read_text())["annotations"])
    draw = np.random.default_rng(0)
    confidences = draw.uniform(0.05, 0.95, (people_found, 17))
    right = draw.uniform(size=confidences.shape) < confidences
    answers(monkeypatch, people, right, confidences)
    assert calibrate(capsys, people, path, output)[0] == 0
    state, info = read_checkpoint(output)
    assert info.name == "theirs" and info.config.name == "mask_rcnn_resnet50_fpn" and info.config.norm_eps == 1e-5
    assert info.calibration.threshold == 0.5 and info.calibration.slope > 0
    assert not any("num_batches_tracked" in name for name in state)
    assert Predictor.load(output).tau == 0.5


@pytest.mark.parametrize(
    ("share", "message"),
    [(1.0, "are right: choose photos with both kinds"), (0.0, "are wrong"), (0.5, "are more often wrong")],
)
def test_outcomes_that_fit_nothing_are_said(capsys, people, tiny_checkpoint, tmp_path, monkeypatch, share, message):
    output, labels = tmp_path / "fitted.safetensors", tmp_path / "whole.json"
    truth = json.loads((people / "annotations.json").read_text())
    for person in truth["annotations"]:
        person["keypoints"][2::3] = [2] * 17
    labels.write_text(json.dumps(truth))
    right = np.random.default_rng(0).uniform(size=(len(truth["annotations"]), 17)) < share
    answers(monkeypatch, people, right, np.where(right, 0.001, 0.999))
    status, _, err = calibrate(capsys, people, tiny_checkpoint, output, labels=labels)
    assert status == 2 and message in err and "nothing was written" in err and not output.exists()


def test_reliability_is_what_can_be_computed_by_hand():
    right = np.array([True, False, False, False])
    assert reliability(np.full(4, 0.5), right) == Reliability(brier=0.25, ece=0.25)
    assert reliability(right.astype(float), right) == Reliability(0.0, 0.0)
    assert reliability(1 - right, right) == Reliability(1.0, 1.0)


def test_where_the_numbers_of_a_calibration_come_from_is_said():
    assert "default" in Calibration().origin
    assert Calibration(2.0, 1.0, 0.5).origin == "fitted", "a file of before the origin was noted"
    assert Calibration(2.0, 1.0, 0.5, "val.json, 99 joints").origin == "fitted on val.json, 99 joints"
