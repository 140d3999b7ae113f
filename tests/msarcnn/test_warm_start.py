"""What a training starts with: which weights of a file arrive in which network, and that a run says so."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models import mobilenet_v2, resnet50, resnet101, resnext101_32x8d
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FrozenBatchNorm2d

from msarcnn import warm_start
from msarcnn.calibration import Calibration
from msarcnn.checked_fields import ConfigError, from_plain
from msarcnn.checkpoint import CheckpointError, CheckpointInfo, load_checkpoint, save_checkpoint
from msarcnn.command_line import main
from msarcnn.config import IMAGENET_MEAN, IMAGENET_STD, TrainConfig
from msarcnn.model import build_model
from msarcnn.prefill import unlabelled
from msarcnn.presets import preset
from msarcnn.run_folder import RunFolder
from msarcnn.skeleton import bare_skeleton
from msarcnn.synthetic import write_dataset
from msarcnn.train_command import RunSettings
from msarcnn.training import Trainer
from msarcnn.warm_start import Origin, StartRecord, backbone_transfer, origin_of, warm_transfer

NARROW = {"fpn_channels": 16, "box_head_width": 32, "keypoint_width": 16}
MASK = preset("mask_rcnn_resnet50_fpn", **NARROW)
MSA = preset("msa_rcnn_resnet50_fpn", **NARROW)


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory):
    """A baseline with numbers that no fresh network has."""
    path = tmp_path_factory.mktemp("start") / "mask.safetensors"
    torch.manual_seed(7)
    model = build_model(MASK)
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_()
    save_checkpoint(path, model, CheckpointInfo(MASK, lineage={"parent": "abc"}))
    return path


def test_another_network_takes_trunk_fpn_and_rpn_by_name(mask_file):
    source = load_checkpoint(mask_file)[0].state_dict()
    start = Origin(MSA, mask_file, warm=True).start()
    shared = [name for name in source if name.startswith(("backbone.", "rpn."))]
    assert len(shared) == 265 + 16 + 6
    for name, value in start.model.state_dict().items():
        if name in shared:
            assert torch.equal(value, source[name]), name
        elif name in source and value.shape == source[name].shape and value.std() > 0:
            assert not torch.equal(value, source[name]), f"{name} belongs to a head, which is new"
    assert start.model.config == replace(MSA, norm_eps=0.0), "the trunk's epsilon comes with it"
    assert all(norm.eps == 0 for norm in start.model.modules() if isinstance(norm, FrozenBatchNorm2d))
    assert "Loaded: 287 tensors (backbone.body 265, backbone.fpn 16, rpn.head 6)." in start.report
    assert "New, with random values: 50 tensors (roi_heads.box_roi_pool 8," in start.report
    assert "not used: 26 tensors (roi_heads.box_head 4," in start.report and str(mask_file) in start.report
    assert start.record.calibration.fitted_on == ""
    assert start.record.facts["kind"] == "warm start" and start.record.facts["parts"] == [
        "backbone.body",
        "backbone.fpn",
        "rpn.head",
    ]


def test_a_part_is_taken_whole_and_never_behind_one_that_is_new(mask_file):
    transfer = warm_transfer(mask_file, replace(MSA, fpn_channels=24))
    assert transfer.parts == ["backbone.body"]
    assert {name.split(".")[0] for name in transfer.unused} == {"backbone", "rpn", "roi_heads"}


def test_a_file_of_another_trunk_starts_nothing(mask_file):
    with pytest.raises(CheckpointError, match=r"none of its weights fits .*mobilenet_v2 \(the file's: resnet50\)"):
        warm_transfer(mask_file, preset("msa_rcnn_mobilenet_v2"))


def test_a_model_of_other_keypoints_can_start_ours(tiny_config, tmp_path):
    path = tmp_path / "hand.safetensors"
    other = replace(tiny_config, keypoints=3, name="hands")
    save_checkpoint(path, build_model(other), CheckpointInfo(other, bare_skeleton(("a", "b", "c"))))
    assert warm_transfer(path, tiny_config).parts == ["backbone.body", "backbone.fpn", "rpn.head"]


def test_without_a_model_a_file_goes_on_as_it_is(tiny_checkpoint):
    origin = origin_of(str(tiny_checkpoint), None, None)
    assert origin == Origin(load_checkpoint(tiny_checkpoint)[1].config, tiny_checkpoint)
    assert origin.start().report == "" and origin.start().record.facts["kind"] == "continued"


def varied(model):
    """Statistics as after a training; deterministic."""
    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.running_var[::8] = 1e-5  # as large as the epsilon, so that the right one shows
            module.weight.data[::8] = 3e-3
    return model.eval()


@pytest.mark.parametrize(
    ("builder", "name", "levels"),
    [
        (resnet50, "mask_rcnn_resnet50_fpn", {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}),
        (mobilenet_v2, "msa_rcnn_mobilenet_v2", {"features.3": "0", "features.6": "1", "features.13": "2"}),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_classifier_starts_the_trunk_which_sees_what_it_saw(tmp_path, builder, name, levels, suffix):
    torch.manual_seed(1)
    classifier = varied(builder(weights=None))
    path = tmp_path / f"imagenet{suffix}"
    if suffix == ".pth":
        torch.save(classifier.state_dict(), path)
    else:
        save_file(classifier.state_dict(), path)
    start = Origin(preset(name, **NARROW), backbone=path).start()
    image = torch.rand((1, 3, 64, 96), generator=torch.Generator().manual_seed(2))
    body = start.model.eval().backbone.body
    with torch.inference_mode():
        found, expected = body(image), create_feature_extractor(classifier, levels)(image)
    for level in levels.values():
        torch.testing.assert_close(found[level], expected[level], rtol=1e-3, atol=1e-4)
    config = start.model.config
    assert (config.norm_eps, config.image_mean, config.image_std) == (1e-5, IMAGENET_MEAN, IMAGENET_STD)
    assert re.search(r"In the file and not used: 2 tensors \((fc|classifier\.1) 2\)\.$", start.report)
    assert "backbone.fpn 16" in start.report.partition("New")[2]
    assert start.record.facts["kind"] == "backbone weights" and start.record.facts["parts"] == ["backbone.body"]


def weightless(builder):
    """Every entry of a classifier is one number seen in the entry's shape: a file of some kilobytes."""
    with torch.device("meta"):
        state = builder(weights=None).state_dict()
    return {name: torch.zeros(()).expand(value.shape) for name, value in state.items()}


@pytest.mark.parametrize("builder", [resnet101, resnext101_32x8d])
def test_the_larger_trunks_are_known_and_told_apart(tmp_path, builder):
    path = tmp_path / "large.pth"
    torch.save(weightless(builder), path)
    config = replace(MASK, backbone=builder.__name__)
    taken = backbone_transfer(path, config)
    assert len(taken.weights) == 520 and taken.config.norm_eps == 1e-5
    for other in {"resnet50", "resnet101", "resnext101_32x8d", "mobilenet_v2"} - {builder.__name__}:
        with pytest.raises(CheckpointError, match=f"not torchvision's weights of a {other}") as caught:
            backbone_transfer(path, replace(MASK, backbone=other))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folded_trunk_of_ours_is_taken_as_before(tiny_config, tmp_path):
    """`features` alone, whose BatchNorms were folded before: no epsilon, and the network's own input."""
    trunk = mobilenet_v2(weights=None, norm_layer=lambda channels: FrozenBatchNorm2d(channels, eps=0.0)).features
    path = tmp_path / "features.safetensors"
    save_file({f"features.{name}": value for name, value in trunk.state_dict().items()}, path)
    start = Origin(tiny_config, backbone=path).start()
    assert start.model.config == tiny_config
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            start.model.backbone.body(image)["3"], trunk.eval()[:18](image), rtol=1e-3, atol=1e-4
        )


def test_what_starts_no_trunk_is_refused(mask_file, tmp_path):
    with pytest.raises(CheckpointError, match=r"mask\.safetensors: a whole model.*--init"):
        backbone_transfer(mask_file, MASK)
    with pytest.raises(CheckpointError, match=r"nothing\.pth: no such file"):
        backbone_transfer(tmp_path / "nothing.pth", MASK)
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    for config in (MASK, preset("msa_rcnn_mobilenet_v2")):
        with pytest.raises(CheckpointError, match=r"other\.safetensors: not torchvision's weights of a"):
            backbone_transfer(path, config)
    with pytest.raises(ConfigError, match="both say where the trunk comes from"):
        origin_of("some.pth", None, "imagenet")


def test_imagenet_is_the_model_librarys_file(monkeypatch, tmp_path):
    path = tmp_path / "resnet50-12345678.pth"
    torch.save(weightless(resnet50), path)
    monkeypatch.setattr(warm_start, "imagenet_weights", {"resnet50": path}.__getitem__)
    origin = origin_of(None, "msa_rcnn_resnet50_fpn", "imagenet")
    assert origin == Origin(preset("msa_rcnn_resnet50_fpn"), backbone=path)
    assert origin_of(None, "msa_rcnn_resnet50_fpn", "imagenet-resnet50") == origin, "by its name in the library"
    with pytest.raises(
        CheckpointError, match=r"imagenet-resnet50: not for the trunk of msa_rcnn_mobilenet_v2.*imagenet`"
    ):
        origin_of(None, "msa_rcnn_mobilenet_v2", "imagenet-resnet50")
    with pytest.raises(
        CheckpointError, match=r"imagenet-resnet50: weights of a backbone.*`--backbone-weights imagenet`"
    ):
        origin_of("imagenet-resnet50", None, None)


def msarcnn(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "msarcnn", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def events(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_file_of_torchvisions_starts_our_network(tmp_path):
    """The real command on a real file of torchvision's keypointrcnn_resnet50_fpn, at its real size."""
    write_dataset(tmp_path, images=2, seed=1, size=(160, 120))
    torch.manual_seed(0)
    theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save(theirs, tmp_path / "people.pth")
    data = ("--annotations", "annotations.json", "--images", "images")
    recipe = (
        "--iterations",
        2,
        "--batch",
        1,
        "--sizes",
        64,
        "--sampling",
        0.05,
        "--train",
        "heads",
        "--optimizer",
        "sgd",
    )
    done = msarcnn(
        tmp_path,
        *("train", "--init", "people.pth", "--model", "msa_rcnn_resnet50_fpn", *data, *recipe, "--output", "run"),
    )
    log = events(tmp_path / "run")
    assert log[0]["event"] == "message" and "Loaded: 287 tensors (backbone.body 265," in log[0]["text"]
    assert log[0]["text"] in done.stderr and log[-1]["status"] == "completed"
    settings = json.loads((tmp_path / "run/config.json").read_text())
    assert settings["warm_start"] and settings["init"] == str(tmp_path / "people.pth")
    best = tmp_path / "run/checkpoints/best.safetensors"
    trained = load_file(best)
    assert torch.equal(trained["backbone.body.layer4.2.conv3.weight"], theirs["backbone.body.layer4.2.conv3.weight"])
    assert "roi_heads.keypoint_head.down8.0.weight" in trained
    info = CheckpointInfo.from_metadata(best, _metadata(best))
    assert info.config == preset("msa_rcnn_resnet50_fpn", norm_eps=1e-5)
    assert info.lineage["start"]["file"] == "people.pth" and info.lineage["parent"] == info.lineage["start"]["hash"]


def _metadata(path):
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(size))["__metadata__"]


def test_a_warm_run_goes_on_bitwise(capsys, tiny_config, tmp_path, monkeypatch):
    write_dataset(tmp_path, images=3, seed=1, size=(160, 120))
    source = tmp_path / "other.safetensors"
    torch.manual_seed(5)
    other = replace(preset("msa_rcnn_mobilenet_v2"), name="other")
    save_checkpoint(source, build_model(other), CheckpointInfo(other), half=True)
    start = ["train", "--init", source, "--model", "msa_rcnn_mobilenet_v2", "--iterations", 4, "--batch", 1]
    start += ["--annotations", tmp_path / "annotations.json", "--images", tmp_path / "images", "--sizes", 64]

    def train(folder, *arguments):
        assert main([str(argument) for argument in (*arguments, "--output", tmp_path / folder)]) == 0
        return capsys.readouterr()

    report = train("whole", *start).err
    wishes = iter(["run", "run"])
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "command", lambda run: next(wishes, "stop"))
        assert train("parts", *start).out.strip() == "stopped"
    assert events(tmp_path / "parts")[0]["text"] == report.strip()
    source.unlink()
    assert train("parts", "train", "--resume").err == "", "what a run started from is said once, and not needed again"
    whole, parts = (load_file(tmp_path / f"{run}/checkpoints/best.safetensors") for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    infos = [_metadata(tmp_path / f"{run}/checkpoints/best.safetensors") for run in ("whole", "parts")]
    assert infos[0] == infos[1] and len(json.loads(infos[0]["lineage"])["parent"]) == 12
    config = tmp_path / "parts/config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({name: value for name, value in settings.items() if name != "start"}))
    assert main(["train", "--resume", "--output", str(tmp_path / "parts")]) == 2
    assert f"{source}: the file that this run started from is gone. Put it back" in capsys.readouterr().err


def test_with_the_heads_learns_what_no_file_has_taught(mask_file, tmp_path):
    start = Origin(replace(MSA, fpn_channels=24), mask_file, warm=True).start()
    assert start.record.new == ("backbone.fpn",)
    assert (
        start.report_on_heads()
        == "Trained with the heads, because no file has brought it: 16 tensors (backbone.fpn 16)."
    )
    run, heads = RunFolder(tmp_path / "run"), TrainConfig(train="heads")
    info = CheckpointInfo(start.model.config)
    nobody = [unlabelled(1, tmp_path, "photo.png")]
    trained = Trainer(start.model, info, nobody, heads, run, new=start.record.new).parameters
    assert {name for name in trained if "backbone." in name} == {n for n in start.model.state_dict() if ".fpn." in n}
    trained = Trainer(start.model, info, nobody, heads, run).parameters
    assert trained and not [name for name in trained if name.startswith("backbone.")]


def test_a_record_of_a_start_is_read_as_it_was_written(tiny_checkpoint):
    start = origin_of(str(tiny_checkpoint), None, None).start()
    record = replace(start.record, calibration=Calibration(2.0, -1.0, 0.4, "labels"), new=("backbone.fpn",))
    assert from_plain(StartRecord, json.loads(json.dumps(asdict(record)))) == record
    assert start.record.new == () and len(start.record.parent) == 12
    with pytest.raises(ConfigError, match=r"start\.parent"):
        from_plain(StartRecord, {"parent": 3}, "start.")


def test_settings_of_before_warm_starts_are_read(tiny_checkpoint, tmp_path):
    settings = {
        "annotations": ["a.json"],
        "images": ["photos"],
        "val_annotations": None,
        "val_images": None,
        "val_fraction": 0.2,
        "init": str(tiny_checkpoint),
        "backbone_weights": None,
        "model": load_checkpoint(tiny_checkpoint)[1].config.to_dict(),
        "train": {},
        "device": "cpu",
    }
    origin = from_plain(RunSettings, settings).origin
    assert origin.init == tiny_checkpoint and not origin.warm and origin.start().record.facts["kind"] == "continued"


def test_a_file_from_before_visibility_gains_the_head_and_keeps_the_rest(tmp_path):
    older, preset_of_today = preset("msa_rcnn_mobilenet_v2", visibility_width=0), preset("msa_rcnn_mobilenet_v2")
    path, calibration = tmp_path / "older.safetensors", Calibration(1.5, 0.5, 0.4, "joints")
    save_checkpoint(path, build_model(older), CheckpointInfo(older, calibration=calibration))
    assert origin_of(str(path), None, None).config == older
    origin = origin_of(str(path), "msa_rcnn_mobilenet_v2", None)
    assert origin.config == preset_of_today
    start, before = origin.start(), load_checkpoint(path)[0].state_dict()
    after = start.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name.split(".")[1] for name in after.keys() - before.keys()} == {"visibility_head"}
    assert start.record.calibration == calibration
    assert "New, with random values: 7 tensors (roi_heads.visibility_head 7)" in start.report
    newer = tmp_path / "newer.safetensors"
    save_checkpoint(newer, start.model, CheckpointInfo(origin.config))
    assert origin_of(str(newer), "msa_rcnn_mobilenet_v2", None) == Origin(origin.config, newer)


def test_a_file_gains_its_presets_way_of_looking_and_keeps_every_weight(tmp_path):
    today = preset("msa_rcnn_mobilenet_v2")
    older = replace(today, min_size=480, max_size=640, second_look=False, norm_eps=0.0)
    path = tmp_path / "older.safetensors"
    save_checkpoint(path, build_model(older), CheckpointInfo(older, calibration=Calibration(1.5, 0.5, 0.4, "joints")))
    assert origin_of(str(path), None, None) == Origin(older, path), "unless a preset is named, nothing changes"
    wanted = replace(today, min_size=544, max_size=736)
    origin = Origin(warm_transfer(path, wanted).config, path, warm=True)
    assert origin.config == replace(wanted, norm_eps=0.0)
    start, before = origin.start(), load_checkpoint(path)[0].state_dict()
    assert before.keys() == start.model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in start.model.state_dict().items())
    assert (
        start.record.calibration == Calibration(1.5, 0.5, 0.4, "joints")
        and "New, with random values: nothing" in start.report
    )
    assert origin_of(str(path), "msa_rcnn_mobilenet_v2", None).config == replace(today, norm_eps=0.0)


def test_a_wide_trunk_starts_from_a_wide_classifier_only(tmp_path):
    config = preset("msa_rcnn_mobilenet_v2_175")
    wide = mobilenet_v2(weights=None, width_mult=1.75).features[:18].state_dict()
    path = tmp_path / "wide.safetensors"
    save_file({f"features.{name}": value for name, value in wide.items()}, path)
    start = Origin(config, backbone=path).start()
    first = start.model.state_dict()["backbone.body.0.0.weight"]
    scale = wide["0.1.weight"] / wide["0.1.running_var"].sqrt()
    torch.testing.assert_close(first, wide["0.0.weight"] * scale[:, None, None, None])
    with pytest.raises(CheckpointError, match="not torchvision's weights of a mobilenet_v2"):
        origin_of(None, "msa_rcnn_mobilenet_v2", str(path))


def test_only_a_mobilenet_has_widths():
    with pytest.raises(ConfigError, match="resnet50 has the width 1 only"):
        preset("msa_rcnn_resnet50_fpn", backbone_width=1.75)


@pytest.mark.parametrize(("decoding", "kept"), [("top2", False), ("expected_oks", True)])
def test_confidences_are_fitted_anew_where_heatmaps_are_read_in_another_way(tmp_path, decoding, kept):
    today = preset("msa_rcnn_mobilenet_v2")
    older, fitted = replace(today, decoding=decoding, second_look=False), Calibration(1.5, 0.5, 0.4, "joints")
    path = tmp_path / "older.safetensors"
    save_checkpoint(path, build_model(older), CheckpointInfo(older, calibration=fitted))
    alone = origin_of(str(path), None, None)
    assert alone.config.decoding == decoding and alone.start().record.calibration == fitted
    origin = origin_of(str(path), today.name, None)
    assert origin.config == today
    assert origin.start().record.calibration == (fitted if kept else Calibration())
