"""Pictures of what a model sees, for a whole set of photos."""

import json

import numpy as np
import pytest
from PIL import Image

from msarcnn.command_line import main
from msarcnn.heatmap_pictures import Pictures
from msarcnn.skeleton import coco17
from msarcnn.synthetic import write_dataset


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heatmaps")
    write_dataset(folder, images=2, seed=2, size=(320, 240))
    return folder


def run(capsys, *arguments):
    status = main(["heatmaps", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_every_labelled_person_gets_a_picture(capsys, drawn, tiny_checkpoint, tmp_path):
    truth = json.loads((drawn / "annotations.json").read_text())
    labels = ["--annotations", drawn / "annotations.json", "--images", drawn / "images"]
    status, out, err = run(capsys, *labels, "--output", tmp_path / "out", "--model", tiny_checkpoint, "--json")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert status == 0 and json.loads(out)["pictures"] == len(written) == len(truth["annotations"])
    first = truth["images"][0]["file_name"].rsplit(".", 1)[0]
    assert f"{first}_1.png" in written and "2/2 images" in err
    with Image.open(tmp_path / "out" / written[0]) as picture:
        assert picture.width >= 6 * 96 and picture.height > 3 * 18


def test_people_are_found_where_nobody_is_labelled_and_joints_can_be_chosen(capsys, drawn, tiny_checkpoint, tmp_path):
    more = ["--model", tiny_checkpoint, "--joints", "left_wrist", "nose", "--threshold", 0, "--colors", "viridis"]
    status, out, _ = run(capsys, drawn / "images", "--output", tmp_path / "out", *more, "--linear")
    written = list((tmp_path / "out").rglob("*.png"))
    assert status == 0 and f"{len(written)} pictures ->" in out and written
    with Image.open(written[0]) as picture:
        assert picture.width < 2 * 161 + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say where the photos are"),
        (["photos", "--annotations", "a.json", "--images", "b"], "say where the photos are"),
        (["--annotations", "a.json"], "say where the photos are"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(capsys, tmp_path, arguments, message):
    status, _, err = run(capsys, *arguments, "--output", tmp_path / "out")
    assert status == 2 and message in err and not (tmp_path / "out").exists()


def test_an_unknown_joint_is_named_with_those_there_are(capsys, drawn, tiny_checkpoint, tmp_path):
    more = ["--model", tiny_checkpoint, "--joints", "tail"]
    status, _, err = run(capsys, drawn / "images", "--output", tmp_path / "out", *more)
    assert status == 2 and "--joints tail: the model has nose, left_eye" in err


def test_a_damaged_photo_is_named_and_the_others_are_done(capsys, drawn, tiny_checkpoint, tmp_path):
    (tmp_path / "photos").mkdir()
    for path in (drawn / "images").iterdir():
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes())
    first = min((tmp_path / "photos").iterdir())
    Image.open(first).save(first.with_suffix(".bmp"))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    more = ["--model", tiny_checkpoint, "--threshold", 0, "--json"]
    status, out, err = run(capsys, tmp_path / "photos", "--output", tmp_path / "out", *more)
    written = [path.name for path in (tmp_path / "out").rglob("*.png")]
    assert status == 0 and "broken.jpg" in err and json.loads(out)["pictures"] == len(written) > 0
    assert any(name.startswith(f"{first.name}_") for name in written), "two photos that differ in the suffix only"


def test_the_map_lies_over_the_part_of_the_photo_that_its_box_spans():
    """A box that reaches beyond the photo at the left: black there, the photo at the right, the peak where it is."""
    pixels = np.full((100, 100, 3), 200, np.uint8)
    maps, names = np.zeros((17, 8, 8)), coco17().keypoints
    maps[3, 6, 6] = 1.0
    drawing = Pictures("inferno", False, (3,), names)
    answers, labels = np.full((17, 2), 0.0), np.zeros((17, 3))
    labels[3] = 25, 25, 2
    picture = drawing.of(pixels, np.array([-50.0, 0.0, 50.0, 100.0]), maps, answers, labels).astype(int)
    assert picture.shape == (160 + 18, 160, 3)
    assert picture[20, 20].max() == 0 and picture[20, 120].tolist() == [110, 110, 110]
    peak = picture[130, 130]
    assert peak[0] > 150 and peak[0] > peak[2] + 30, "yellow over grey"
    ring = picture[40 - 4, 120]
    assert ring[1] > ring[0] + 30, "the label's ring is green"
