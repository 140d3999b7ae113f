"""The commands as a script would call them."""

import json
import shutil

import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from msarcnn.checkpoint import load_checkpoint
from msarcnn.command_line import main
from msarcnn.model import MSARCNN
from msarcnn.model_library import find_model
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.synthetic import write_dataset


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, images=4, seed=1, size=(160, 120))
    (folder / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    return folder


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_summary_prints_the_papers_total(capsys):
    status, out, _ = run(capsys, "summary", "--model", "msa_rcnn_mobilenet_v2", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["total_without_rpn"] == sum(facts["parts"].values()) - facts["parts"]["rpn"]
    assert facts["multiply_adds"]["encode"] > 0
    assert "M" in run(capsys, "summary")[1]


def test_models_lists_every_preset(capsys):
    facts = json.loads(run(capsys, "models", "--json")[1])["models"]
    assert "msa_rcnn_resnet50_fpn" in {fact["name"] for fact in facts}


def test_predict_writes_a_dataset_that_pycocotools_loads(capsys, people, tiny_checkpoint, tmp_path):
    out = tmp_path / "out.json"
    status, text, errors = run(
        capsys, "predict", people / "images", "--output", out, "--model", tiny_checkpoint, "--threshold", 0, "--json"
    )
    assert status == 0
    facts = json.loads(text)
    assert facts["images"] == 4
    assert len(facts["problems"]) == 1 and "broken.jpg" in facts["problems"][0]
    assert "broken.jpg" in errors
    coco = COCO(str(out))
    assert [image["id"] for image in coco.dataset["images"]] == [2, 3, 4, 5], "ids follow the sorted names"
    assert coco.dataset["images"][0]["file_name"] == "people_0001.jpg"
    assert coco.dataset["images"][0]["width"] == 160
    for annotation in coco.dataset["annotations"]:
        assert len(annotation["keypoints"]) == 51
        assert annotation["num_keypoints"] == sum(v > 0 for v in annotation["keypoints"][2::3])
        assert 0 <= annotation["score"] <= 1


def test_predict_says_what_it_leaves_out(capsys, people, tiny_checkpoint, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.heic").write_bytes(b"x")
    command = ("predict", tmp_path / "photos", "--output", tmp_path / "out.json", "--model", tiny_checkpoint, "--json")
    status, _, errors = run(capsys, *command)
    assert status != 0 and "1 HEIC photo is not read (the first: a.heic)" in errors and "pillow-heif" in errors
    shutil.copy(people / "images/people_0001.jpg", tmp_path / "photos")
    status, text, errors = run(capsys, *command)
    assert status == 0 and json.loads(text)["images"] == 1
    assert "1 HEIC photo is not read" in errors and "1 HEIC photo is not read" in json.loads(text)["problems"][0]


def test_predict_keeps_the_ids_of_a_coco_file_and_writes_results(capsys, people, tiny_checkpoint, tmp_path):
    data = json.loads((people / "annotations.json").read_text())
    for image in data["images"]:
        image["id"] += 900
    for annotation in data["annotations"]:
        annotation["image_id"] += 900
    source, out = tmp_path / "source.json", tmp_path / "results.json"
    source.write_text(json.dumps(data))
    arguments = ["predict", "--annotations", source, "--images", people / "images", "--format", "results"]
    assert run(capsys, *arguments, "--output", out, "--model", tiny_checkpoint)[0] == 0
    results = json.loads(out.read_text())
    assert {entry["image_id"] for entry in results} <= {image["id"] for image in data["images"]}
    truth = COCO(str(source))
    if results:
        truth.loadRes(str(out))


def test_evaluate_prints_ten_and_six_figures(capsys, people, tiny_checkpoint):
    arguments = ["evaluate", "--annotations", people / "annotations.json", "--images", people / "images", "--json"]
    status, out, _ = run(capsys, *arguments, "--model", tiny_checkpoint)
    figures = json.loads(out)
    assert status == 0
    assert list(figures["keypoints"]) == ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
    assert list(figures["bbox"]) == ["AP", "AP50", "AP75", "APs", "APm", "APl"]


def test_evaluate_simulates_an_annotator(capsys, people, tiny_checkpoint, tmp_path):
    data = json.loads((people / "annotations.json").read_text())
    path = tmp_path / "perfect.json"
    path.write_text(json.dumps([{**a, "score": 0.9, "box_score": 0.9} for a in data["annotations"]]))
    arguments = ["evaluate", "--annotations", people / "annotations.json", "--effort", "--json"]
    perfect = json.loads(run(capsys, *arguments, "--predictions", path)[1])["effort"]
    assert perfect["images"] == 4 and perfect["people"] == len(data["annotations"])
    assert perfect["actions"]["accept"] == 4 and perfect["actions"]["move"] == perfect["actions"]["draw"] == 0
    assert perfect["NoC95"] == 0
    hidden = json.loads(run(capsys, *arguments, "--predictions", path, "--shown-score", 0.95)[1])["effort"]
    assert hidden["actions"]["accept"] == 0 and hidden["actions"]["draw"] == hidden["people"]
    with_model = [*arguments, "--images", people / "images", "--model", tiny_checkpoint]
    figures = json.loads(run(capsys, *with_model)[1])
    assert list(figures) == ["keypoints", "bbox", "effort", "effort_without", "problems"]
    assert list(figures["effort_without"]) == ["estimates", "following", "visibility", "groups", "all"]
    assert all(value > 0 for value in figures["effort_without"].values())
    assert list(figures["effort"]) == list(perfect)
    assert figures["effort"]["actions_per_person"] > 0
    status, out, _ = run(capsys, *(one for one in with_model if one != "--json"))
    assert status == 0 and "effort  images 4" in out and "NoC85" in out


def test_evaluate_judges_a_file_of_predictions(capsys, people, tmp_path):
    data = json.loads((people / "annotations.json").read_text())
    results = [{**a, "score": 0.9} for a in data["annotations"]]
    path = tmp_path / "perfect.json"
    path.write_text(json.dumps(results))
    arguments = ["evaluate", "--annotations", people / "annotations.json", "--json", "--predictions"]
    figures = json.loads(run(capsys, *arguments, path)[1])
    assert figures["keypoints"]["AP"] == pytest.approx(1.0)
    path.write_text(json.dumps([{"image_id": 1}]))
    status, _, errors = run(capsys, *arguments, path)
    assert status == 2 and "entry 0" in errors


def train_arguments(people, folder, checkpoint, *more):
    data = ["--annotations", people / "annotations.json", "--images", people / "images"]
    start = ["--init", checkpoint, "--batch", 2, "--sizes", 96, "--log-every", 1]
    return ["train", *data, "--output", folder, *start, *more]


def test_train_fine_tunes_a_file_and_the_result_can_be_used(capsys, people, tiny_checkpoint, tmp_path):
    folder = tmp_path / "run"
    status, out, _ = run(
        capsys, *train_arguments(people, folder, tiny_checkpoint, "--epochs", 1, "--val-fraction", 0.25)
    )
    assert status == 0 and out.strip() == "completed"
    best = folder / "checkpoints" / "best.safetensors"
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2], "3 images, 2 a step, 1 epoch"
    assert lines[0]["event"] == "start" and lines[0]["images"] == 3
    assert [line["step"] for line in lines if line["event"] == "evaluation"] == [0, 2]
    assert run(capsys, "predict", people / "images", "--output", tmp_path / "o.json", "--model", best)[0] == 0


def test_a_finished_folder_is_not_overwritten_and_resuming_needs_no_other_argument(
    capsys, people, tiny_checkpoint, tmp_path
):
    folder = tmp_path / "run"
    arguments = train_arguments(people, folder, tiny_checkpoint, "--iterations", 2)
    assert run(capsys, *arguments)[0] == 0
    status, _, errors = run(capsys, *arguments)
    assert status == 2 and "--resume" in errors
    assert run(capsys, "train", "--output", folder, "--resume")[1].strip() == "completed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nowhere", "--output", "o.json"], "no such file"),
        (["predict", "--output", "o.json"], "name images or folders"),
        (["predict", ".", "--output", "o.json", "--model", "missing.safetensors"], "Known models"),
        (["evaluate", "--annotations", "missing.json", "--images", "."], "missing.json"),
        (["train", "--output", "run"], "--annotations"),
        (["train", "--output", "run", "--resume"], "no run to continue"),
    ],
)
def test_what_the_user_can_mend_is_one_line(capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    status, out, errors = run(capsys, *arguments)
    assert status == 2
    assert message in errors
    assert "Traceback" not in errors and out == ""
    assert len(errors.strip().splitlines()) == 1


def test_a_folder_without_images_is_said(capsys, tmp_path, tiny_checkpoint):
    (tmp_path / "empty").mkdir()
    status, _, errors = run(
        capsys, "predict", tmp_path / "empty", "--output", tmp_path / "o.json", "--model", tiny_checkpoint
    )
    assert status == 2 and "no image in it" in errors


def test_relative_folders_work_from_anywhere(capsys, people, tiny_checkpoint, tmp_path, monkeypatch):
    inner = people / "inner"
    inner.mkdir(exist_ok=True)
    for place, prefix in ((people, "."), (inner, "..")):
        monkeypatch.chdir(place)
        arguments = ["--annotations", f"{prefix}/annotations.json", "--images", f"{prefix}/images"]
        status, out, errors = run(capsys, "evaluate", *arguments, "--model", tiny_checkpoint)
        assert status == 0 and "lies outside" not in errors and "contains" not in errors and "not found" not in errors
        out = tmp_path / "out.json"
        assert run(capsys, "predict", *arguments, "--output", out, "--model", tiny_checkpoint)[0] == 0
        assert len(json.loads(out.read_text())["images"]) == 4
        assert run(capsys, "predict", f"{prefix}/images", "--output", out, "--model", tiny_checkpoint)[0] == 0
        assert len(json.loads(out.read_text())["images"]) == 4


def test_an_evaluation_without_a_readable_image_is_no_zero(capsys, people, tiny_checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    arguments = ["evaluate", "--annotations", people / "annotations.json", "--images", tmp_path / "empty"]
    status, out, errors = run(capsys, *arguments, "--model", tiny_checkpoint)
    assert status == 2 and out == ""
    assert "none of the 4 images could be read" in errors and "people_0001.jpg" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop", -5], "crop = -5"),
        (["--lr", -1], "learning_rate = -1.0"),
        (["--workers", -1], "workers = -1"),
        (["--val-fraction", 1.5], "val_fraction = 1.5"),
        (["--epochs", -1], "epochs = -1.0"),
        (["--epochs", "nan"], "epochs = nan"),
        (["--epochs", 0], "epochs = 0.0"),
        (["--epochs", 1e300], "epochs = 1e+300"),
    ],
)
def test_a_wrong_setting_ends_before_a_run_begins(capsys, people, tiny_checkpoint, tmp_path, arguments, message):
    status, out, errors = run(capsys, *train_arguments(people, tmp_path / "run", tiny_checkpoint, *arguments))
    assert status == 2 and out == "" and message in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored["train"].update(crop=-5), "train.crop = -5"),
        (lambda stored: stored["train"].update(colour=1), "unknown fields train.colour"),
        (lambda stored: stored["model"].update(fpn_channels=None), "model.fpn_channels = None"),
        (lambda stored: stored.update(val_fraction="half"), "val_fraction = 'half'"),
        (lambda stored: stored.update(annotations="labels.json"), "annotations = 'labels.json': expected `array`"),
        (lambda stored: stored.update(images=[1]), "images = [1]: expected `str`"),
        (lambda stored: stored.update(train=None), "train = None"),
        (lambda stored: stored.update(device=0), "device = 0: expected `str`"),
        (lambda stored: stored.pop("device"), "device is missing"),
        (lambda stored: stored.update(speed=1), "unknown fields speed"),
    ],
)
def test_a_wrong_field_of_a_run_folder_is_one_sentence(capsys, people, tiny_checkpoint, tmp_path, change, message):
    folder = tmp_path / "run"
    assert run(capsys, *train_arguments(people, folder, tiny_checkpoint, "--iterations", 1))[0] == 0
    config = folder / "config.json"
    stored = json.loads(config.read_text())
    change(stored)
    config.write_text(json.dumps(stored))
    status, out, errors = run(capsys, "train", "--output", folder, "--resume")
    assert status == 2 and out == ""
    assert message in errors and str(config) in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_a_run_folder_without_settings_is_one_sentence(capsys, tmp_path, text):
    (tmp_path / "config.json").write_bytes(text)
    status, _, errors = run(capsys, "train", "--output", tmp_path, "--resume")
    assert status == 2 and str(tmp_path / "config.json") in errors
    assert len(errors.strip().splitlines()) == 1


def test_halving_takes_names_as_every_command(capsys, tmp_path):
    status, _, _ = run(capsys, "halve", DEFAULT_MODEL, tmp_path / "half.safetensors")
    assert status == 0 and load_checkpoint(tmp_path / "half.safetensors")[1] == load_checkpoint(find_model(None))[1]
    assert run(capsys, "halve", "imagenet-resnet50", tmp_path / "none.safetensors")[0] == 2


def test_a_training_without_memory_says_what_helps_and_keeps_its_checkpoint(
    capsys, monkeypatch, people, tiny_checkpoint, tmp_path
):
    real, folder = MSARCNN.losses, tmp_path / "run"

    def short(self, images, targets):
        if (folder / "checkpoints" / "resume.safetensors").exists():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore words")
        return real(self, images, targets)

    monkeypatch.setattr(MSARCNN, "losses", short)
    arguments = train_arguments(people, folder, tiny_checkpoint, "--iterations", 4, "--checkpoint-every", 1)
    status, _, errors = run(capsys, *arguments)
    assert status == 2 and len(errors.strip().splitlines()) == 1
    assert "out of memory (CUDA out of memory. Tried to allocate 2 GiB): begin anew with a lower --batch" in errors
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert last["status"] == "failed" and "--accumulate 2" in last["message"]
    monkeypatch.setattr(MSARCNN, "losses", real)
    assert run(capsys, "train", "--output", folder, "--resume")[0] == 0
