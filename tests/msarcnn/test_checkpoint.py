"""A model file rebuilds its network, and no model file is ever executed."""

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from msarcnn.calibration import Calibration
from msarcnn.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
)
from msarcnn.model import build_model
from msarcnn.model_files import file_hash
from msarcnn.skeleton import bare_skeleton, coco17


def test_weights_and_description_come_back(tiny_model, tmp_path):
    info = CheckpointInfo(
        tiny_model.config,
        calibration=Calibration(2.0, -1.0, 0.4, "val.json, 99 joints"),
        lineage={"parent": "abc"},
        metrics={"AP": 0.5},
        title="Mine",
    )
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, tiny_model, info)
    model, read = load_checkpoint(path)
    assert read == info
    for name, value in tiny_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_a_file_of_before_titles_and_origins_is_read(tiny_model, tmp_path):
    path = tmp_path / "old.safetensors"
    description = CheckpointInfo(tiny_model.config).to_metadata()
    del description["title"]
    description["calibration"] = json.dumps({"slope": 2.0, "intercept": 1.0, "threshold": 0.5})
    save_file(tiny_model.state_dict(), path, description)
    _, info = load_checkpoint(path)
    assert info.name == "msa_rcnn_mobilenet_v2" and info.calibration == Calibration(2.0, 1.0, 0.5)


def test_half_precision_is_half_the_size_and_close(tiny_model, tmp_path):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_checkpoint(full, tiny_model, CheckpointInfo(tiny_model.config))
    save_checkpoint(half, tiny_model, CheckpointInfo(tiny_model.config), half=True)
    assert half.stat().st_size < 0.55 * full.stat().st_size
    model, _ = load_checkpoint(half)
    for name, value in tiny_model.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_the_hash_is_of_the_content(tiny_checkpoint, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(tiny_checkpoint.read_bytes())
    assert file_hash(copy) == file_hash(tiny_checkpoint)
    assert len(file_hash(copy)) == 12


def test_a_peak_becomes_a_confidence():
    peaks = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(Calibration().confidence(peaks), peaks, atol=1e-5, rtol=0)
    assert Calibration(1.0, 1.0).confidence(torch.tensor(0.5)).item() == pytest.approx(0.731, abs=1e-3)


class Attack:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (os.system, (f"touch {self.mark}",))


def hostile_files(folder):
    mark = folder / "executed"
    (folder / "pickle.safetensors").write_bytes(pickle.dumps(Attack(mark)))
    torch.save({"weights": Attack(mark)}, folder / "zip.safetensors")
    torch.save({"weights": Attack(mark)}, folder / "legacy.safetensors", _use_new_zipfile_serialization=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Attack(mark)))
        archive.writestr("archive/constants.pkl", pickle.dumps(Attack(mark)))
    (folder / "script.safetensors").write_bytes(buffer.getvalue())
    return mark, sorted(folder.glob("*.safetensors"))


def test_no_model_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark, files = hostile_files(tmp_path)
    assert len(files) == 4
    for path in files:
        with pytest.raises(CheckpointError, match=path.name):
            load_checkpoint(path)
    assert not mark.exists()


def test_a_truncated_file_is_refused(tiny_checkpoint):
    data = tiny_checkpoint.read_bytes()
    for size in (0, 5, 100, len(data) // 2, len(data) - 1):
        tiny_checkpoint.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="not a readable safetensors file"):
            load_checkpoint(tiny_checkpoint)


def test_tensors_without_a_description_are_refused(tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="no configuration"):
        load_checkpoint(path)


def test_weights_of_another_architecture_are_refused(tiny_model, tmp_path):
    path = tmp_path / "other.safetensors"
    info = CheckpointInfo(tiny_model.config).to_metadata()
    info["config"] = json.dumps({**tiny_model.config.to_dict(), "fpn_channels": 24})
    save_file(tiny_model.state_dict(), path, info)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_checkpoint(path)
    save_file(tiny_model.state_dict(), path, {**info, "config": json.dumps({"layers": 5})})
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def other_keypoints(path, tiny_config, names):
    """A sound model of other keypoints than the program's."""
    config = replace(tiny_config, keypoints=len(names))
    save_checkpoint(path, build_model(config), CheckpointInfo(config, bare_skeleton(names)))


HAND = ("wrist", "thumb", "index")


@pytest.mark.parametrize("names", [HAND, coco17().keypoints[::-1], (*coco17().keypoints, "neck")])
def test_a_model_of_other_keypoints_is_refused_naming_its_own_and_ours(tiny_config, tmp_path, names):
    path = tmp_path / "hand.safetensors"
    other_keypoints(path, tiny_config, names)
    with pytest.raises(CheckpointError, match="keypoints") as caught:
        load_checkpoint(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text
    assert f"{len(names)} ({', '.join(names)})" in text
    assert f"17 ({', '.join(coco17().keypoints)})" in text


def test_a_model_without_keypoint_names_has_cocos_if_it_has_as_many(tiny_config, tiny_model, tmp_path):
    path = tmp_path / "old.safetensors"
    description = CheckpointInfo(tiny_model.config).to_metadata()
    del description["keypoint_names"], description["skeleton"]
    save_file(tiny_model.state_dict(), path, description)
    assert load_checkpoint(path)[1].keypoint_names == coco17().keypoints
    three = replace(tiny_config, keypoints=3)
    description["config"] = json.dumps(three.to_dict())
    save_file(build_model(three).state_dict(), path, description)
    with pytest.raises(CheckpointError, match=r"old\.safetensors: .*keypoint_names is missing"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_old_file(tiny_model, tiny_checkpoint, monkeypatch):
    before = tiny_checkpoint.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tiny_checkpoint, tiny_model, CheckpointInfo(tiny_model.config), half=True)
    assert tiny_checkpoint.read_bytes() == before
    assert [path.name for path in tiny_checkpoint.parent.iterdir()] == [tiny_checkpoint.name]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("config", {"fpn_channels": "wide"}, r"config\.fpn_channels = 'wide': expected `int`"),
        ("config", {"anchor_sizes": 5}, r"config\.anchor_sizes = 5: expected `array`"),
        ("config", [], "config is no object"),
        ("calibration", {"slope": "steep"}, r"calibration\.slope = 'steep': expected `float`"),
        ("calibration", {"slope": 1.0, "tilt": 2.0}, r"unknown fields calibration\.tilt"),
        ("calibration", {"threshold": 7}, r"calibration\.threshold = 7: expected `float` <= 1"),
        ("calibration", 3, "calibration is no object"),
        ("keypoint_names", "nose", "keypoint_names = 'nose': expected `array`"),
        ("keypoint_names", ["nose"], "keypoint_names has 1 names, but config.keypoints is 17"),
        ("keypoint_names", [1] * 17, "keypoint_names"),
        ("keypoint_names", ["a"] * 17, "keypoint_names are not those of the skeleton"),
        ("skeleton", {"name": "mine"}, "skeleton = .*: object missing required field `keypoints`"),
        ("lineage", ["a"], r"lineage = \['a'\]: expected `object`"),
        ("calibration", {"fitted_on": 3}, r"calibration\.fitted_on = 3: expected `str`"),
        ("metrics", None, "metrics = None: expected `object`"),
        ("title", 3, "title = 3: expected `str`"),
    ],
)
def test_a_wrong_field_of_the_description_is_one_sentence(tiny_model, tmp_path, key, value, message):
    path = tmp_path / "odd.safetensors"
    description = CheckpointInfo(tiny_model.config).to_metadata()
    fields = {**json.loads(description["config"]), **value} if key == "config" and isinstance(value, dict) else value
    save_file(tiny_model.state_dict(), path, {**description, key: json.dumps(fields)})
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "NaN"])
def test_a_description_that_is_no_sound_json_is_refused(tiny_model, tmp_path, text):
    path = tmp_path / "odd.safetensors"
    for key in ("config", "calibration", "lineage"):
        description = {**CheckpointInfo(tiny_model.config).to_metadata(), key: text}
        save_file(tiny_model.state_dict(), path, description)
        with pytest.raises(CheckpointError, match=r"odd\.safetensors: its description is damaged"):
            load_checkpoint(path)


def test_a_model_of_names_alone_is_one_of_a_skeleton_that_is_not_known(tiny_config, tmp_path):
    path = tmp_path / "old.safetensors"
    config = replace(tiny_config, keypoints=3)
    description = CheckpointInfo(config, bare_skeleton(HAND)).to_metadata()
    del description["skeleton"]
    save_file(build_model(config).state_dict(), path, description)
    model, info = load_checkpoint(path, skeleton=bare_skeleton(HAND))
    assert info.keypoint_names == HAND and model.config.keypoints == 3
    with pytest.raises(CheckpointError, match="instead of 17"):
        load_checkpoint(path)


def test_the_whole_skeleton_is_in_the_file(tiny_config, tmp_path):
    own = msgspec.structs.replace(coco17(), name="mine", sigmas=(0.5,) * 17)
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, build_model(tiny_config), CheckpointInfo(tiny_config, own))
    assert load_checkpoint(path)[1].skeleton == own
