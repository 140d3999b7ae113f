"""Several processes train what one alone would have trained."""

import json
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from msarcnn.config import TrainConfig
from msarcnn.dataset import StepSampler
from msarcnn.ranks import Ranks
from msarcnn.synthetic import write_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Photos of three sizes: a rank alone would pad them otherwise than all of them together."""
    folder = tmp_path_factory.mktemp("ranks")
    contents = []
    for number, size in enumerate(((160, 120), (120, 160), (200, 110))):
        write_dataset(folder / str(number), images=2, seed=number, size=size)
        contents.append(json.loads((folder / str(number) / "annotations.json").read_text()))
    merged = {"images": [], "annotations": [], "categories": contents[0]["categories"]}
    for number, content in enumerate(contents):
        for image in content["images"]:
            entry = {**image, "id": image["id"] + 10 * number, "file_name": f"{number}/images/{image['file_name']}"}
            merged["images"].append(entry)
        for person in content["annotations"]:
            ids = {"id": person["id"] + 100 * number, "image_id": person["image_id"] + 10 * number}
            merged["annotations"].append({**person, **ids})
    (folder / "labels.json").write_text(json.dumps(merged))
    return ["--annotations", folder / "labels.json", "--images", folder]


def train(processes, *arguments, module=("-m", "msarcnn")):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    many = ["-m", "torch.distributed.run", "--nproc-per-node", processes, "--master-port", port]
    command = [sys.executable, *(many if processes > 1 else []), *module, "train", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)


QUICK = ["--batch", 4, "--sizes", 96, "--lr", 0.003, "--warmup", 0, "--log-every", 1, "--precision", "fp32"]
# AdamW moves a weight by its rate even where the gradient is little but rounding.
QUICK += ["--optimizer", "sgd", "--device", "cpu", "--color", 0.1, "--checkpoint-every", 4]


def steps(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == "step"]


def check_alike(one, other):
    assert [step["step"] for step in one] == [step["step"] for step in other]
    for mine, theirs in zip(one, other, strict=True):
        for name, value in mine["losses"].items():
            assert value == pytest.approx(theirs["losses"][name], abs=1e-4), (mine["step"], name)


@pytest.fixture
def decided(tiny_model, tmp_path):
    """A network that prefers one proposal to another by more than the last digit, in which sums differ.

    Of a few proposals: among the thousands of pairs of 2,000 some overlap by the very threshold within that digit.
    """
    with torch.no_grad():
        tiny_model.rpn.head.cls_logits.weight.mul_(100)
    path = tmp_path / "decided.safetensors"
    few = replace(tiny_model.config, rpn_pre_nms_train=40, rpn_post_nms_train=40)
    save_checkpoint(path, tiny_model, CheckpointInfo(few))
    return path


def test_two_processes_learn_what_one_learns_also_after_a_resume_with_the_other_number(data, tmp_path, decided):
    held_out = ["--val-annotations", data[1], "--val-images", data[3], "--evaluate-every", 5]
    start = [*data, *QUICK, *held_out, "--init", decided, "--average", 0.9]
    alone, together = tmp_path / "alone", tmp_path / "together"
    for processes, folder in ((1, alone), (2, together)):
        done = train(processes, *start, "--iterations", 12, "--output", folder)
        assert done.returncode == 0, done.stderr
    check_alike(steps(alone), steps(together))
    assert len(steps(together)) == 12
    one, two = (load_checkpoint(folder / "checkpoints" / "best.safetensors") for folder in (alone, together))
    for kind, figures in one[1].metrics.items():
        assert figures == pytest.approx(two[1].metrics[kind], abs=0.01)
    for name, value in one[0].state_dict().items():
        torch.testing.assert_close(value, two[0].state_dict()[name], atol=1e-4, rtol=1e-3)
    for processes, folder in ((2, alone), (1, together)):
        settings = json.loads((folder / "config.json").read_text())
        settings["train"]["iterations"] = 20
        (folder / "config.json").write_text(json.dumps(settings))
        done = train(processes, "--output", folder, "--resume")
        assert done.returncode == 0, done.stderr
    check_alike(steps(alone), steps(together))
    assert [step["step"] for step in steps(alone)] == list(range(1, 21))


def test_an_image_that_cannot_be_read_is_left_out_by_all_and_said_once(data, tmp_path, tiny_checkpoint):
    """A batch of two: at some steps one of two processes has nothing to learn from."""
    content = json.loads(data[1].read_text())
    damaged = {**content["images"][0], "id": 99, "file_name": "damaged.jpg"}
    person = {**content["annotations"][0], "id": 999, "image_id": 99}
    (data[3] / "damaged.jpg").write_bytes(b"no picture")
    labels = tmp_path / "labels.json"
    content = {**content, "images": [*content["images"][:2], damaged], "annotations": [*content["annotations"], person]}
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in (1, 2, 99)]
    labels.write_text(json.dumps(content))
    where = ["--annotations", labels, "--images", data[3], "--init", tiny_checkpoint]
    for number, extra in enumerate(([], ["--train", "rpn"])):
        folder = tmp_path / f"run{number}"
        done = train(2, *where, *QUICK, "--batch", 2, "--iterations", 6, "--output", folder, *extra)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert sum("damaged.jpg" in line.get("text", "") for line in lines) == 1
        assert len(steps(folder)) == 6


TROUBLED = """
import os, sys

from msarcnn import training
from msarcnn.command_line import main

real, calls = training._Losses.forward, []


def forward(self, images, targets):
    calls.append(1)
    found = real(self, images, targets)
    if os.environ["RANK"] == "1" and len(calls) == 3:
        name = next(iter(found))
        found[name] = found[name]._replace(value=found[name].value * float("nan"))
    if os.environ["RANK"] == "1" and len(calls) == 7:
        os._exit(9)
    return found


training._Losses.forward = forward
sys.exit(main(sys.argv[1:]))
"""


def test_one_process_without_a_number_costs_a_step_and_one_that_dies_ends_the_run(data, tmp_path, tiny_checkpoint):
    script, folder = tmp_path / "troubled.py", tmp_path / "run"
    script.write_text(TROUBLED)
    start = [*data, *QUICK, "--init", tiny_checkpoint, "--iterations", 12, "--output", folder]
    done = train(2, *start, module=[script])
    assert done.returncode != 0, "none of them waits for the one that is gone"
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    (warning,) = [line["text"] for line in lines if line.get("level") == "warning"]
    assert warning == "step 3: the loss is not a number; the step was left out"
    assert [step["step"] for step in steps(folder)] == [1, 2, 4, 5, 6]
    (end,) = [line for line in lines if line["event"] == "end"]
    assert end["status"] == "failed" and "--resume" in end["message"]
    done = train(1, "--output", folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert [step["step"] for step in steps(folder)][5:] == list(range(5, 13)), "from the last checkpoint, after 4"


def test_more_processes_than_images_in_a_batch_are_refused(data, tmp_path, tiny_checkpoint):
    done = train(2, *data, *QUICK, "--batch", 1, "--init", tiny_checkpoint, "--output", tmp_path / "run")
    assert done.returncode != 0
    assert "2 processes cannot share a batch of 1: choose a larger --batch, or start fewer" in done.stderr


def test_ranks_share_a_batch_between_them():
    config = TrainConfig(iterations=3, batch_size=5)
    whole = list(StepSampler(7, config))
    parts = [list(StepSampler(7, config, ranks=Ranks(rank, 2))) for rank in (0, 1)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert sorted(first + second) == sorted(batch) and len(first) == 3
