"""The scripts that make and judge the bundled model, on drawn people and with a network that knows nothing."""

import json
import sys

import analyse
import draw_examples
import pytest
import train_bundled
from PIL import Image

from msarcnn.synthetic import write_dataset


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


def test_the_recipe_trains_stage_by_stage_and_goes_on_where_it_was(monkeypatch, calls, tmp_path):
    monkeypatch.setattr(train_bundled, "STAGES", [*train_bundled.STAGES, ("--iterations", 5)])
    work = tmp_path / "work"
    first = stage_log(work, 1, {"event": "step", "step": 1}, {"event": "message", "text": "left out"})
    (first / "checkpoints" / "resume.safetensors").touch()
    for stage in range(2, len(train_bundled.STAGES) + 1):
        stage_log(work, stage, {"event": "evaluation", "step": 0})
    run(monkeypatch, train_bundled, "--data", "data", "--weights", "weights", "--work", work)
    assert calls[0] == ["-m", "msarcnn", "train", "--output", str(first), "--resume"]
    best = str(first / "checkpoints" / "best.safetensors")
    later = [call for call in calls if "--init" in call]
    assert later[0][later[0].index("--init") + 1] == best
    assert calls[-2][2] == "halve" and calls[-1][2] == "evaluate" and "--effort" in calls[-1]
    for call in later:
        assert call.index("--val-annotations") == [part.endswith("val.json") for part in call].index(True) - 1
    events = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert events[0] == {"stage": 1, "event": "step", "step": 1} and events[1]["stage"] == 2


def test_a_later_stage_can_start_from_the_committed_weights(monkeypatch, calls, tmp_path):
    monkeypatch.setattr(train_bundled, "STAGES", [*train_bundled.STAGES, ("--iterations", 5)])
    last = len(train_bundled.STAGES)
    stage_log(tmp_path, last)
    where = ["--data", "data", "--weights", "weights", "--work", tmp_path, "--from-stage", last]
    run(monkeypatch, train_bundled, *where)
    training = next(call for call in calls if call[2] == "train")
    assert training[training.index("--init") + 1] == str(train_bundled.BUNDLED)
