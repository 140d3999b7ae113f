"""The scripts that make and judge the bundled model, on drawn people and with a network that knows nothing."""

import json
import sys
from pathlib import Path

import analyse
import draw_examples
import pytest
import torch
import train_bundled
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from msarcnn.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from msarcnn.command_line import build_parser
from msarcnn.synthetic import write_dataset
from msarcnn.train_command import settings_from_arguments


@pytest.fixture
def labelled(tmp_path):
    write_dataset(tmp_path, images=3, seed=1, size=(160, 120))
    return ["--annotations", tmp_path / "annotations.json", "--images", tmp_path / "images"]


def run(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


def test_the_analysis_puts_one_thing_right_at_a_time(monkeypatch, capsys, labelled, tiny_checkpoint):
    run(monkeypatch, analyse, *labelled, "--model", tiny_checkpoint)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("as it is")
    assert next(line for line in lines if line.startswith("all true boxes given")).endswith("box AP 1.000")
    assert any(line.startswith("joints right in true boxes, wrists") for line in lines)


def test_images_drawn_anew_tell_what_is_chance(monkeypatch, capsys, labelled, tiny_checkpoint):
    run(monkeypatch, analyse, *labelled, "--model", tiny_checkpoint, "--resample", 3, "--against", tiny_checkpoint)
    alone, other, difference = capsys.readouterr().out.splitlines()[-3:]
    assert alone.split(":")[1] == other.split(":")[1]
    assert difference.endswith("keypoint AP +0.000 ± 0.000   box AP +0.000 ± 0.000")


def test_an_image_drawn_twice_counts_twice():
    truth = {
        "images": [{"id": 7, "width": 10, "height": 10}, {"id": 9, "width": 10, "height": 10}],
        "annotations": [{"id": 1, "image_id": 7, "bbox": [0, 0, 1, 1]}],
    }
    drawn, results = analyse.drawn_anew(truth, [[{"image_id": 7, "score": 0.5}, {"image_id": 9, "score": 0.1}]], [7, 7])
    assert [image["id"] for image in drawn["images"]] == [1, 2]
    assert [(person["id"], person["image_id"]) for person in drawn["annotations"]] == [(1, 1), (2, 2)]
    assert results == [[{"image_id": 1, "score": 0.5}, {"image_id": 2, "score": 0.5}]]


def test_examples_are_drawn_without_the_photos(monkeypatch, labelled, tiny_checkpoint, tmp_path):
    out = tmp_path / "examples.png"
    run(monkeypatch, draw_examples, *labelled, "--model", tiny_checkpoint, "--output", out, "--count", 3)
    width, height = draw_examples.PANEL
    with Image.open(out) as sheet:
        assert sheet.size == (2 * width, 2 * height)


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(train_bundled, "call", lambda *command: made.append([str(part) for part in command]))
    return made


def stage_log(work, stage, *events):
    folder = work / f"stage{stage}"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def stage_model(model, work, stage, value):
    """A stage's result whose weights all have one value."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    path = work / f"stage{stage}" / "checkpoints" / "best.safetensors"
    save_checkpoint(path, model, CheckpointInfo(model.config, lineage={"stage": stage}))


def test_the_recipe_trains_stage_by_stage_and_goes_on_where_it_was(monkeypatch, calls, tmp_path, tiny_model):
    stages = [((), 5), ((1,), 6), ((1, 2), 7)]
    monkeypatch.setattr(
        train_bundled, "STAGES", [train_bundled.Stage(start, ("--iterations", n)) for start, n in stages]
    )
    work = tmp_path / "work"
    first = stage_log(work, 1, {"event": "step", "step": 1}, {"event": "message", "text": "left out"})
    (first / "config.json").touch()  # begun, and broken off before the first checkpoint
    stage_log(work, 2, {"event": "evaluation", "step": 0})
    stage_log(work, 3)
    stage_model(tiny_model, work, 1, 1.0)
    stage_model(tiny_model, work, 2, 4.0)
    run(monkeypatch, train_bundled, "--data", "data", "--weights", "weights", "--work", work)
    assert calls[0] == ["-m", "msarcnn", "train", "--output", str(first), "--resume"]
    second, third = (call for call in calls if "--init" in call)
    assert second[second.index("--init") + 1] == str(first / "checkpoints" / "best.safetensors")
    mean, info = load_checkpoint(work / "mean_1_2.safetensors")
    assert third[third.index("--init") + 1] == str(work / "mean_1_2.safetensors")
    assert all(bool((parameter == 2.5).all()) for parameter in mean.parameters())
    assert info.lineage == {"stage": 2}
    assert calls[-2][2] == "halve" and calls[-1][2] == "evaluate" and "--effort" in calls[-1]
    for call in (second, third):
        assert call.index("--val-annotations") == [part.endswith("val.json") for part in call].index(True) - 1
    events = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert events[0] == {"stage": 1, "event": "step", "step": 1} and events[1]["stage"] == 2


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_recipe_starts_from_the_backbone_and_fits_the_machine(monkeypatch, calls, tmp_path, device):
    monkeypatch.setattr(train_bundled, "STAGES", train_bundled.STAGES[:1])
    stage_log(tmp_path, 1)
    where = ["--data", "data", "--weights", "weights", "--work", tmp_path, "--device", device]
    run(monkeypatch, train_bundled, *where)
    assert calls[0][calls[0].index("--backbone-weights") + 1] == str(Path("weights/mobilenet_v2_pose.safetensors"))
    assert ("--precision" in calls[0]) == (device == "cuda")
    assert ("--device" in calls[0]) == (device == "cuda")


def test_every_stage_of_the_recipe_is_a_command_that_exists(monkeypatch, calls, tmp_path, tiny_model):
    for stage in range(1, len(train_bundled.STAGES) + 1):
        stage_log(tmp_path, stage)
        stage_model(tiny_model, tmp_path, stage, 1.0)
    trunk = {f"features.{name}": value for name, value in mobilenet_v2(weights=None).features.state_dict().items()}
    save_file(trunk, tmp_path / "mobilenet_v2_pose.safetensors")
    run(monkeypatch, train_bundled, "--data", "data", "--weights", tmp_path, "--work", tmp_path)
    parser = build_parser()
    trainings = [parser.parse_args(call[2:]) for call in calls][: len(train_bundled.STAGES)]
    configs = [settings_from_arguments(training).train_config for training in trainings]
    assert [(config.iterations, config.crop) for config in configs] == [(3300, 384), (1400, 384), (1855, 512)]
