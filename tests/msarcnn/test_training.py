"""The loop: exact resumption, stop, cancel, bad steps; and that it learns."""

import dataclasses
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from msarcnn import precision
from msarcnn.checkpoint import CheckpointError, CheckpointInfo, load_checkpoint
from msarcnn.config import ConfigError, TrainConfig
from msarcnn.dataset import read_labelled_images
from msarcnn.model import build_model
from msarcnn.run_folder import RunFolder, RunFolderError
from msarcnn.synthetic import write_dataset
from msarcnn.training import Trainer, TrainingError


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, images=4, seed=1, size=(160, 120))
    images, _ = read_labelled_images([folder / "annotations.json"], [folder / "images"])
    return images


def settings(**changes):
    return TrainConfig(
        **{"iterations": 6, "batch_size": 2, "sizes": (96,), "log_every": 1, "checkpoint_every": 100, **changes}
    )


def trainer(tiny_config, people, folder, config, resumed=False, evaluate=None):
    torch.manual_seed(0)
    run = RunFolder(folder)
    if resumed:
        run.reopen()
    else:
        run.create()
        run.write_config({})
    return Trainer(build_model(tiny_config), CheckpointInfo(tiny_config), people, config, run, evaluate, held_out=7)


def test_sampling_multiplies_what_the_losses_see_of_an_image(tiny_config, people, tmp_path):
    model = trainer(tiny_config, people, tmp_path, settings(sampling=2.5)).model
    assert model.rpn.fg_bg_sampler.batch_size_per_image == 320
    assert model.roi_heads.fg_bg_sampler.batch_size_per_image == 160
    assert model.roi_heads.keypoint_batch_per_image == 25
    assert model.roi_heads.keypoint_batch_per_person == 5


@pytest.mark.parametrize("fast", [True, False])
def test_a_run_says_what_it_computes_with(tiny_config, people, tmp_path, monkeypatch, fast):
    monkeypatch.setattr(precision, "has_bf16", lambda device: fast)
    run = trainer(tiny_config, people, tmp_path, settings(iterations=1, precision="bf16"))
    autocast = []
    run.model.backbone.register_forward_pre_hook(lambda *_: autocast.append(torch.is_autocast_enabled("cpu")))
    run.train()
    assert autocast == [True]
    assert events(tmp_path, "start")[0]["precision"] == "bf16"
    assert ["bf16 was asked for" in event["text"] for event in events(tmp_path, "message")] == [True] * (not fast)


def events(folder, kind=None):
    lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if kind in (None, line["event"])]


def tensors(folder):
    return load_checkpoint(folder / "checkpoints" / "best.safetensors")[0].state_dict()


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adamw", "average": 0.9},
        {"crop": 96, "mosaic": 0.7, "trunk_rate": 0.3, "target_spread": 1.5},
    ],
)
@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(tiny_config, people, tmp_path, changes, stop_at):
    config = settings(**changes)
    trainer(tiny_config, people, tmp_path / "whole", config).train()
    stopped = trainer(tiny_config, people, tmp_path / "parts", config)
    stopped.run.log = stop_after(stopped.run, stop_at)
    assert stopped.train() == "stopped"
    resumed = trainer(tiny_config, people, tmp_path / "parts", config, resumed=True)
    resumed.resume()
    assert resumed.progress.step == stop_at
    assert resumed.train() == "completed"
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def stop_after(run, step):
    """Asks the run to stop, as a watcher does, once a step's line appears in the log."""
    log = RunFolder.log.__get__(run)

    def watched(event):
        log(event)
        if event["event"] == "step" and event["step"] == step:
            run.control.write_text("stop")

    return watched


def test_the_log_tells_the_whole_story(tiny_config, people, tmp_path):
    run = trainer(tiny_config, people, tmp_path / "run", settings())
    assert run.train() == "completed"
    kinds = [event["event"] for event in events(tmp_path / "run")]
    assert kinds[0] == "start" and kinds[-1] == "end" and kinds.count("step") == 6
    step = events(tmp_path / "run", "step")[-1]
    assert step["step"] == 6 and step["eta_seconds"] == 0
    assert set(step["losses"]) == {"objectness", "rpn_box", "classifier", "box", "keypoint", "visibility"}
    assert step["loss"] == pytest.approx(sum(step["losses"].values()), abs=1e-3)
    assert events(tmp_path / "run", "end")[0]["model"] == "checkpoints/best.safetensors"


def test_cancelling_offers_nothing(tiny_config, people, tmp_path):
    run = trainer(tiny_config, people, tmp_path / "run", settings())
    run.run.control.write_text("cancel")
    assert run.train() == "cancelled"
    assert events(tmp_path / "run", "end")[0]["model"] is None
    assert not (tmp_path / "run" / "checkpoints" / "best.safetensors").exists()


def test_the_best_is_kept_and_the_last_is_not(tiny_config, people, tmp_path):
    aps = iter([0.1, 0.5, 0.3, 0.2])

    def evaluate(model):
        assert not model.training
        return {"keypoints": {"AP": next(aps)}, "bbox": {"AP": 0.0}}, CheckpointInfo(tiny_config)

    run = trainer(tiny_config, people, tmp_path / "run", settings(evaluate_every=2), evaluate=evaluate)
    run.train()
    _, info = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.safetensors")
    assert info.metrics["keypoints"]["AP"] == 0.5
    assert info.lineage["step"] == 2
    assert [event["step"] for event in events(tmp_path / "run", "evaluation")] == [0, 2, 4, 6]
    end = events(tmp_path / "run", "end")[0]
    assert end["message"] == "Keypoint AP 0.100 before, 0.500 after, on 7 held-out images."
    assert end["worse"] is False


def test_a_run_that_made_the_model_worse_says_so(tiny_config, people, tmp_path):
    aps = iter([0.9, 0.2])

    def evaluate(model):
        return {"keypoints": {"AP": next(aps)}, "bbox": {"AP": 0.0}}, CheckpointInfo(tiny_config)

    trainer(tiny_config, people, tmp_path / "run", settings(), evaluate=evaluate).train()
    end = events(tmp_path / "run", "end")[0]
    assert end["worse"] is True
    assert "0.900 before, 0.200 after" in end["message"] and "not better" in end["message"]


class Clock:
    """A clock that only moves when told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_the_time_left_counts_steps_and_neither_pauses_nor_evaluations(tiny_config, people, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("msarcnn.training.time", clock)

    def evaluate(model):
        clock.now += 500
        return {"keypoints": {"AP": 0.5}, "bbox": {"AP": 0.5}}, CheckpointInfo(tiny_config)

    run = trainer(tiny_config, people, tmp_path / "run", settings(evaluate_every=2), evaluate=evaluate)
    step = run._step

    def slow_step(batch, number):
        clock.now += 3
        return step(batch, number)

    wishes = iter(["run", "run", "run", *["pause"] * 50, "run", "run", "run"])
    monkeypatch.setattr(run, "_step", slow_step)
    monkeypatch.setattr(run.run, "command", lambda: next(wishes))
    assert run.train() == "completed"
    lines = events(tmp_path / "run", "step")
    assert [line["seconds_per_step"] for line in lines] == [3.0] * 6
    assert [line["eta_seconds"] for line in lines] == [15.0, 12.0, 9.0, 6.0, 3.0, 0.0]


def test_an_unreadable_batch_leaves_out_its_step_alone(tiny_config, people, tmp_path):
    """Steps 2 and 4 of 6 have nothing to learn from; the evaluations and the saved states after them happen."""
    calls = []

    def evaluate(model):
        calls.append(run.progress.step)
        return {"keypoints": {"AP": 0.5}, "bbox": {"AP": 0.5}}, CheckpointInfo(tiny_config)

    config = settings(evaluate_every=2, checkpoint_every=4)
    run = trainer(tiny_config, people, tmp_path / "run", config, evaluate=evaluate)
    readable = run._readable
    run._readable = lambda batch: [] if run.progress.step in (1, 3) else readable(batch)
    assert run.train() == "completed"
    assert calls == [0, 2, 4, 6]
    assert [line["step"] for line in events(tmp_path / "run", "step")] == [1, 3, 5, 6]
    saved = [line["step"] for line in events(tmp_path / "run", "checkpoint") if not line["best"]]
    assert saved == [4, 6]


def test_a_step_without_a_finite_loss_is_left_out_and_many_end_the_run(tiny_config, people, tmp_path):
    run = trainer(tiny_config, people, tmp_path / "run", settings(iterations=20))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.model.roi_heads.keypoint_predictor.conv.bias.data.fill_(math.nan)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run.train()
    assert len(events(tmp_path / "run", "message")) == 5
    after = run.model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items() if not k.endswith("keypoint_predictor.conv.bias"))


def test_heads_only_leaves_the_backbone_alone(tiny_config, people, tmp_path):
    run = trainer(tiny_config, people, tmp_path / "run", settings(train="heads", iterations=2))
    before = {name: value.clone() for name, value in run.model.backbone.state_dict().items()}
    run.train()
    assert all(torch.equal(value, before[name]) for name, value in run.model.backbone.state_dict().items())


def test_evaluating_in_between_changes_nothing(tiny_config, people, tmp_path):
    def evaluate(model):
        return {"keypoints": {"AP": 1.0}, "bbox": {"AP": 1.0}}, CheckpointInfo(tiny_config)

    config = settings(average=0.9, iterations=4)
    trainer(tiny_config, people, tmp_path / "plain", config).train()
    judged = settings(average=0.9, iterations=4, evaluate_every=1)
    trainer(tiny_config, people, tmp_path / "judged", judged, evaluate=evaluate).train()
    plain, other = tensors(tmp_path / "plain"), tensors(tmp_path / "judged")
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_a_damaged_state_is_refused(tiny_config, people, tmp_path):
    run = trainer(tiny_config, people, tmp_path / "run", settings(iterations=1))
    run.train()
    path = run.run.resume_checkpoint
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"resume\.safetensors"):
        trainer(tiny_config, people, tmp_path / "run", settings(), resumed=True).resume()


def state_on_disk(run, **changes):
    """The saved state with parts of its description, or tensors, replaced."""
    with safe_open(run.resume_checkpoint, framework="pt") as file:
        saved, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    progress = {**json.loads(metadata["progress"]), **changes.pop("progress", {})}
    save_file(saved | changes, run.resume_checkpoint, {"progress": json.dumps(progress)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"progress": {"step": -1}}, r"progress\.step = -1: expected `int`"),
        ({"progress": {"best": "good"}}, r"progress\.best = 'good': expected `float \| null`"),
        ({"progress": {"before": {"keypoints": 1}}}, r"progress\.before"),
        ({"progress": {"colour": 1}}, r"unknown fields progress\.colour"),
        ({"stray": torch.zeros(1)}, "unknown tensor stray"),
        ({"optimizer.exp_avg.stray": torch.zeros(1)}, "does not move 'stray'"),
        ({"average.stray": torch.zeros(1)}, "averaged weights"),
        ({"model.rpn.head.cls_logits.bias": torch.zeros(7)}, "size mismatch"),
    ],
)
def test_a_state_of_something_else_is_refused_in_a_sentence(tiny_config, people, tmp_path, changes, message):
    run = trainer(tiny_config, people, tmp_path / "run", settings(iterations=1))
    run.train()
    state_on_disk(run.run, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        trainer(tiny_config, people, tmp_path / "run", settings(), resumed=True).resume()
    assert "resume.safetensors" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_what_the_optimizer_remembers_is_resumed_on_the_device_of_the_parameters(
    tiny_config, people, tmp_path, optimizer
):
    """PyTorch's device without memory stands for a GPU: a fused AdamW wants its step count there, too."""
    config = settings(iterations=1, optimizer=optimizer)
    trainer(tiny_config, people, tmp_path / "run", config).train()
    run = RunFolder(tmp_path / "run")
    elsewhere = build_model(tiny_config).to("meta")
    resumed = Trainer(elsewhere, CheckpointInfo(tiny_config), people, config, run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing can be copied to it
        resumed.resume()
    kinds = {"adamw": {"step", "exp_avg", "exp_avg_sq"}, "sgd": {"momentum_buffer"}}[optimizer]
    for parameter, state in resumed.optimizer.state.items():
        assert set(state) == kinds
        assert {value.device for value in state.values()} == {parameter.device} == {torch.device("meta")}
    assert resumed.optimizer.state


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_is_resumed_on_a_gpu(tiny_config, people, tmp_path, cuda, optimizer):
    config = settings(optimizer=optimizer, average=0.9)

    def on_gpu(resumed=False):
        made = trainer(tiny_config, people, tmp_path / "run", config, resumed=resumed)
        return Trainer(made.model.to(cuda), made.info, people, config, made.run, held_out=7)

    stopped = on_gpu()
    stopped.run.log = stop_after(stopped.run, 3)
    assert stopped.train() == "stopped"
    resumed = on_gpu(resumed=True)
    resumed.resume()
    kept = [value for state in resumed.optimizer.state.values() for value in state.values()]
    assert kept and all(value.device.type == "cuda" for value in kept)
    assert resumed.train() == "completed"
    assert [event["step"] for event in events(tmp_path / "run", "step")] == [1, 2, 3, 4, 5, 6]


def test_a_run_folder_is_not_overwritten_and_an_empty_one_not_resumed(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create()
    run.write_config({"a": 1})
    with pytest.raises(RunFolderError, match="--resume"):
        RunFolder(tmp_path / "run").create()
    with pytest.raises(RunFolderError, match="no run to continue"):
        RunFolder(tmp_path / "empty").reopen()
    assert run.reopen() == {"a": 1}


def test_unknown_wishes_mean_go_on(tmp_path):
    run = RunFolder(tmp_path)
    assert run.command() == "run"
    run.control.write_text("dance")
    assert run.command() == "run"
    run.control.write_text("pause\n")
    assert run.command() == "pause"


def test_no_image_is_refused(tiny_config, tmp_path):
    with pytest.raises(TrainingError, match="label at least one"):
        trainer(tiny_config, [], tmp_path / "run", settings())


def test_damaged_images_are_left_out_and_named_once(tiny_config, people, tmp_path):
    broken = dataclasses.replace(people[0], file_name="missing.jpg")
    run = trainer(tiny_config, [people[1], broken], tmp_path / "run", settings(batch_size=1))
    assert run.train() == "completed"
    warnings = [event["text"] for event in events(tmp_path / "run", "message")]
    assert len(warnings) == 1 and "missing.jpg" in warnings[0]
    with pytest.raises(TrainingError, match="none of the images"):
        trainer(tiny_config, [broken], tmp_path / "other", settings(batch_size=1)).train()


def test_the_visibility_head_learns_alone(tiny_config, people, tmp_path):
    known = [replace(image, visibility_known=np.ones(image.keypoints.shape[:2], bool)) for image in people]
    run = trainer(tiny_config, known, tmp_path / "run", settings(train="visibility", learning_rate=0.01, warmup=0))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    assert run.train() == "completed"
    moved = {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("roi_heads.visibility_head.") for name in moved)
    with pytest.raises(ConfigError, match="no visibility head to train: choose --model"):
        trainer(replace(tiny_config, visibility_width=0), known, tmp_path / "other", settings(train="visibility"))


def test_a_run_judges_as_evaluate_does_whatever_its_last_batch_was(tiny_config, people, tmp_path):
    padded = []

    def evaluate(model):
        padded.append(model.encode([torch.rand(3, 60, 80)]).maps["0"].shape[-2:])
        return {"keypoints": {"AP": 0.0}, "bbox": {"AP": 0.0}}, CheckpointInfo(tiny_config)

    trainer(tiny_config, people, tmp_path, settings(iterations=1, sizes=(192,)), evaluate=evaluate).train()
    assert len(padded) == 2 and padded[0] == padded[1]


def weights_after(tiny_config, people, folder, **changes):
    run = trainer(tiny_config, people, folder, settings(iterations=3, optimizer="sgd", precision="fp32", **changes))
    run.train()
    return run.model.state_dict(), [step["loss"] for step in events(folder, "step")]


def test_what_is_computed_once_more_is_what_was_forgotten(tiny_config, people, tmp_path):
    plain, losses = weights_after(tiny_config, people, tmp_path / "plain")
    again, other_losses = weights_after(tiny_config, people, tmp_path / "again", checkpoint_activations=True)
    assert losses == other_losses
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value, msg=lambda text, name=name: f"{name}: {text}")


def test_a_batch_in_parts_has_the_mean_of_their_losses(tiny_config, people, tmp_path):
    run = trainer(tiny_config, people, tmp_path, settings(batch_size=4, accumulate=2, precision="fp32"))
    batch = [run._batches().dataset[0, index % len(people)] for index in range(4)]
    seen = []

    def watched(part, original=run._means):
        means = original(part)
        seen.append(float(sum(mean.value for mean in means.values()).detach()))
        return means

    run._means = watched
    losses = run._step(batch, 0)
    assert len(seen) == 2 and sum(losses.values()) == pytest.approx(sum(seen) / 2, rel=1e-5)
    with pytest.raises(ConfigError, match="no so many parts"):
        settings(batch_size=2, accumulate=3)


def test_the_backbone_is_compiled_when_that_is_asked_for(tiny_config, people, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: compiled.append((type(module).__name__, how)))
    trainer(tiny_config, people, tmp_path / "plain", settings())
    assert compiled == []
    trainer(tiny_config, people, tmp_path / "compiled", settings(compile=True))
    assert compiled == [("Backbone", {"dynamic": True})]
