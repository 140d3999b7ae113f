"""Whoever judges a model on photos that it has learnt from is told."""

import json

import pytest

from msarcnn.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from msarcnn.command_line import main
from msarcnn.model import build_model
from msarcnn.model_files import file_hash
from msarcnn.presets import preset
from msarcnn.seen_images import SEEN, coco_numbers, judged_on_seen, seen_images
from msarcnn.synthetic import write_dataset

NARROW = preset("msa_rcnn_mobilenet_v2", fpn_channels=16, box_head_width=32, keypoint_width=16, visibility_width=8)


def test_an_image_is_known_by_cocos_name_for_it():
    names = [
        "000000000139.jpg",
        "val2017/000000000785.webp",
        "COCO_val2014_000000000042.jpg",
        "139.jpg",
        "IMG_0001.jpg",
    ]
    assert coco_numbers(names) == {139, 785, 42}


@pytest.mark.parametrize(
    ("lineage", "seen"),
    [({}, set()), ({SEEN: [1, 2]}, {1, 2}), ({"parent_lineage": {SEEN: [3]}}, {3}), ({SEEN: "damaged"}, set())],
)
def test_what_a_lineage_says(lineage, seen):
    assert seen_images(lineage) == seen


def test_the_sentence():
    names = ["000000000001.jpg", "000000000002.jpg", "other.jpg"]
    assert judged_on_seen({SEEN: [2, 9]}, "abc", names).startswith(
        "the model was trained on 1 of these 2 COCO images (000000000002):"
    )
    assert judged_on_seen({SEEN: [9]}, "abc", names) == ""
    assert "this very file" in judged_on_seen({"data": ["abc"]}, "abc", [])
    assert judged_on_seen({"data": ["abc"], "metrics": "of the parent"}, "abc", []) == "", "it was calibrated only"


@pytest.fixture
def drawn(tmp_path):
    """Four drawn photos, three of them called as COCO calls its own."""
    folder = tmp_path / "data"
    write_dataset(folder, images=4, seed=0)
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    for number, image in enumerate(content["images"][:3], 1):
        name = f"{number:012d}.png"
        (folder / "images" / image["file_name"]).rename(folder / "images" / name)
        image["file_name"] = name
    path.write_text(json.dumps(content))
    return folder


def test_a_run_remembers_its_photos_and_its_parents_and_the_evaluation_says_so(tmp_path, drawn, capsys):
    parent, run = tmp_path / "parent.safetensors", tmp_path / "run"
    save_checkpoint(parent, build_model(NARROW), CheckpointInfo(NARROW, lineage={SEEN: [77]}))
    data = ["--annotations", str(drawn / "annotations.json"), "--images", str(drawn / "images")]
    quick = ["--iterations", "1", "--batch", "1", "--sizes", "64", "--val-fraction", "0"]
    assert main(["train", *data, "--init", str(parent), "--output", str(run), *quick]) == 0
    model = run / "checkpoints" / "best.safetensors"
    lineage = load_checkpoint(model)[1].lineage
    assert lineage[SEEN] == [1, 2, 3, 77]
    assert main(["evaluate", *data, "--model", str(model)]) == 0
    assert "trained on this very file" in capsys.readouterr().err
    content = json.loads((drawn / "annotations.json").read_text())
    other = drawn / "other.json"
    other.write_text(json.dumps({**content, "info": {}}))
    assert file_hash(other) != file_hash(drawn / "annotations.json")
    assert main(["evaluate", "--annotations", str(other), *data[2:], "--model", str(model)]) == 0
    assert "trained on 3 of these 3 COCO images" in capsys.readouterr().err
