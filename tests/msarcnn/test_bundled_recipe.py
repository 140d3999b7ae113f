"""The scripts that make and judge the bundled model, on drawn people and with a network that knows nothing."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import analyse
import draw_examples
import pytest
import train_bundled
from bundled_data import prepare
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from msarcnn.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from msarcnn.coco import read_coco
from msarcnn.command_line import build_parser
from msarcnn.model import build_model
from msarcnn.presets import DEFAULT_MODEL, preset
from msarcnn.seen_images import SEEN
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


def write_json(path, images, annotations=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": list(annotations), "categories": [PERSON]}))


PERSON = {"id": 1, "name": "person"}


def entry(key, name, **fields):
    return {"id": key, "file_name": name, "width": 40, "height": 30} | fields


def person(key, image):
    return {"id": key, "image_id": image, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}


@pytest.fixture
def data(tmp_path):
    """The data folder in small: ids and names meet in several files, as in the real ones."""
    folder = tmp_path / "data"
    labels = "annotations/person_keypoints_{}.json"
    write_json(folder / "coco" / labels.format("train"), [entry(9, "000000000009.jpg")], [person(1, 9)])
    write_json(folder / "coco" / labels.format("val"), [entry(5, "000000000005.jpg")], [person(7, 5)])
    more = [entry(1, "a_1.webp", coco_id=30, people_complete=True), entry(2, "b_2.webp", people_complete=False)]
    write_json(folder / "coco_more" / labels.format("train"), more, [person(1, 1), person(2, 2)])
    write_json(folder / "coco_more" / labels.format("val"), [entry(5, "a_5.webp", coco_id=31)], [person(7, 5)])
    found = [{**person(key, 1), "box_src": source} for key, source in enumerate(("native", "yolox_nano"), 1)]
    write_json(folder / "persons" / "persons_train.json", [entry(1, "p.jpg")], found)
    write_json(folder / "boxes" / "boxes_train.json", [entry(1, "q.jpg")], [person(1, 1)])
    nobody = [entry(key, f"n_{key}.jpg", source="ab"[key % 2], hard=key % 10 == 0) for key in range(1, 251)]
    write_json(folder / "nobody" / "nobody.json", nobody)
    return folder


def images_of(path):
    return json.loads(path.read_text())["images"]


def test_photos_to_judge_by_are_never_trained_on(data, tmp_path):
    prepared = prepare(data, tmp_path / "work")
    trained = [path for path, _ in (*prepared.human, *prepared.other)]
    assert not any("val" in path.name for path in trained)
    (kept,) = [path for path in trained if path.name == "nobody.json"]
    held_out = {image["file_name"] for image in images_of(prepared.nobody[0])}
    assert len(held_out) == 100 and len(images_of(kept)) == 150
    assert not held_out & {image["file_name"] for image in images_of(kept)}
    assert prepared.nobody == prepare(data, tmp_path / "work").nobody, "the same ones every time"


def test_a_photo_with_unlabelled_people_teaches_no_background(data, tmp_path):
    complete, incomplete = images_of(prepare(data, tmp_path / "work").human[1][0])
    assert incomplete["ignore_regions"] == [[0, 0, 40, 30]] and "ignore_regions" not in complete


def test_a_detectors_boxes_teach_their_places_less_than_a_persons(data, tmp_path):
    (path,) = [path for path, _ in prepare(data, tmp_path / "work").other if path.name == "persons.json"]
    assert [one.bbox_weight for one in read_coco(path).people] == [1, 0.3]


def test_both_validation_sets_become_one_file_that_is_sound(data, tmp_path):
    path, folder = prepare(data, tmp_path / "work").validation
    read = read_coco(path, roots=[folder])
    assert [image.file_name for image in read.images] == [
        "coco/images/000000000005.jpg",
        "coco_more/images/a_5.webp",
    ]
    assert [(one.id, one.image_id) for one in read.people] == [(1, 1), (2, 2)] and not read.quarantined


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(train_bundled, "call", lambda *command: made.append([str(part) for part in command]))
    return made


def stage_log(model, work, stage, *events):
    """What a stage leaves behind; returns its folder."""
    folder = work / f"stage{stage}"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    info = CheckpointInfo(replace(model.config, name=DEFAULT_MODEL), lineage={"stage": stage, SEEN: [9]})
    save_checkpoint(folder / "checkpoints" / "best.safetensors", model, info)
    return folder


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """Where the recipe ships to, for once."""
    path = tmp_path / "shipped" / f"{DEFAULT_MODEL}.safetensors"
    path.parent.mkdir()
    monkeypatch.setattr(train_bundled, "BUNDLED", path)
    return path


def test_the_recipe_trains_stage_by_stage_and_goes_on_where_it_was(
    monkeypatch, calls, tmp_path, data, tiny_model, shipped
):
    monkeypatch.setattr(train_bundled, "STAGES", [train_bundled.Stage(n, ("--iterations", n)) for n in (1, 2, 3)])
    work = tmp_path / "work"
    first = stage_log(tiny_model, work, 1, {"event": "step", "step": 1}, {"event": "message", "text": "left out"})
    (first / "config.json").touch()  # begun, and broken off before the first checkpoint
    stage_log(tiny_model, work, 2, {"event": "evaluation", "step": 0})
    where = ["--data", data, "--weights", "weights", "--work", work]
    run(monkeypatch, train_bundled, *where, "--stages", 2)
    assert calls[0] == ["-m", "msarcnn", "train", "--output", str(first), "--resume"]
    assert calls[1][calls[1].index("--init") + 1] == str(first / "checkpoints" / "best.safetensors")
    human = [index for index, part in enumerate(calls[1]) if part.endswith("coco_more.json")]
    assert len(human) == 2, "true labels twice in the second stage"
    assert [call[2] for call in calls[2:]] == ["evaluate"] * 3
    info = load_checkpoint(shipped)[1]
    assert info.lineage == {"stage": 2, SEEN: [9, 30]}
    events = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert events == [
        {"stage": 1, "event": "step", "step": 1},
        {"stage": 2, "event": "evaluation", "step": 0},
    ]


def test_the_recipe_goes_on_from_the_bundled_weights(monkeypatch, calls, tmp_path, data, tiny_model, shipped):
    stage_log(tiny_model, tmp_path, 2, {"event": "step", "step": 1})
    run(
        monkeypatch, train_bundled, "--data", data, "--weights", "none", "--work", tmp_path, "--first", 2, "--stages", 2
    )
    assert [call[2] for call in calls] == ["train", *["evaluate"] * 3]
    assert calls[0][calls[0].index("--init") + 1] == str(shipped)
    assert (tmp_path / "log.jsonl").read_text() == '{"stage": 2, "event": "step", "step": 1}\n'
    info = load_checkpoint(shipped)[1]
    assert info.config.second_look and info.config.min_size == preset(DEFAULT_MODEL).min_size


def test_a_first_stage_behind_the_last_one_is_refused(monkeypatch, calls, tmp_path, data, shipped):
    with pytest.raises(SystemExit):
        run(
            monkeypatch,
            train_bundled,
            "--data",
            data,
            "--weights",
            "w",
            "--work",
            tmp_path,
            "--first",
            2,
            "--stages",
            1,
        )
    assert not calls and not shipped.exists()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_recipe_starts_from_the_backbone_and_fits_the_machine(
    monkeypatch, calls, tmp_path, data, tiny_model, shipped, device
):
    stage_log(tiny_model, tmp_path, 1)
    where = ["--data", data, "--weights", "weights", "--work", tmp_path, "--device", device, "--stages", 1]
    run(monkeypatch, train_bundled, *where)
    assert calls[0][calls[0].index("--backbone-weights") + 1] == str(Path("weights") / train_bundled.BACKBONE)
    assert ("--precision" in calls[0]) == (device == "cuda")
    assert ("--device" in calls[0]) == (device == "cuda")


def test_every_stage_of_the_recipe_is_a_command_that_exists(monkeypatch, calls, tmp_path, data, shipped):
    config = preset(DEFAULT_MODEL)
    model = build_model(config)
    for stage in range(1, len(train_bundled.STAGES) + 1):
        stage_log(model, tmp_path, stage)
    trunk = mobilenet_v2(weights=None, width_mult=config.backbone_width).features.state_dict()
    save_file({f"features.{name}": value for name, value in trunk.items()}, tmp_path / train_bundled.BACKBONE)
    run(monkeypatch, train_bundled, "--data", data, "--weights", tmp_path, "--work", tmp_path)
    parser = build_parser()
    trainings = [parser.parse_args(call[2:]) for call in calls][: len(train_bundled.STAGES)]
    configs = [settings_from_arguments(training).train_config for training in trainings]
    assert [one.crop for one in configs] == [512, 512, 544, 544, 544]
    assert all(one.trunk_rate == 0.3 for one in configs)
