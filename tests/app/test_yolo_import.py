"""YOLO-pose in: what is read, what is odd and left out with a sentence, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from PIL import Image

from app.storage.coco_export import export_coco
from app.storage.project import Project
from app.storage.yolo_description import read_description
from app.storage.yolo_import import label_file, main, stage_yolo
from app.storage.yolo_places import YoloError
from app.storage.yolo_report import YoloReport
from msarcnn.images import ImageError
from msarcnn.skeleton import coco17

PERSON = "0 0.5 0.5 0.9 0.9 " + " ".join(f"{index / 20} 0.5 2" for index in range(17))
YAML = "path: .\ntrain: images/train\nval: images/train\nkpt_shape: [17, 3]\nnames: {0: person, 1: dog}\n"


def silent(stage: str, done: int, total: int) -> None:
    pass


def read_back(folder: Path, tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "again.poses")
    stage_yolo(folder / "dataset.yaml", tmp_path / "staging", silent)
    list(project.attach_staging(tmp_path / "staging"))
    return project


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One picture of 200 x 100 pixels without labels."""
    folder = tmp_path / "set"
    (folder / "images/train").mkdir(parents=True)
    (folder / "labels/train").mkdir(parents=True)
    Image.new("RGB", (200, 100), (90, 120, 30)).save(folder / "images/train/a.jpg")
    (folder / "dataset.yaml").write_text(YAML)
    return folder


def test_what_is_odd_is_named_and_the_rest_is_taken(dataset: Path, tmp_path: Path) -> None:
    person = "0 0.5 0.5 0.2 0.4 " + "0.5 0.5 2 " * 17
    lines = [person, "", "1 0.5 0.5 0.1 0.1 " + "0 0 0 " * 17, "0 0.5 0.5", "0 nan 0.5 0.1 0.1", "0 0.2 0.2 0.1 0.1"]
    (dataset / "labels/train/a.txt").write_text("\n".join(lines))
    (dataset / "images/train/broken.jpg").write_bytes(b"\xff\xd8nonsense")
    report = stage_yolo(dataset / "dataset.yaml", tmp_path / "staging", silent)
    assert (report.images, report.people) == (1, 2)
    assert report.warns and report.lost_people == 2
    text = report.text()
    assert "a.txt, line 4: 3 values" in text and "a.txt, line 5" in text
    assert "broken.jpg" in text and "1 left out: an object of class dog" in text


@pytest.mark.parametrize(("more", "ignored"), [("0 0.5 0.5", [[0, 0, 200, 100]]), ("1 0.2 0.2 0.1 0.1", [])])
def test_a_photo_that_lost_labels_teaches_no_background(
    dataset: Path, tmp_path: Path, more: str, ignored: list[list[float]]
) -> None:
    (dataset / "labels/train/a.txt").write_text(f"{PERSON}\n{more}\n")
    project = read_back(dataset, tmp_path)
    out = tmp_path / "out.json"

    def exported(purpose: Literal["training", "export"]) -> dict[str, Any]:
        export_coco(project.path, out, purpose=purpose)
        return json.loads(out.read_text())

    (image,) = exported("training")["images"]
    assert image.get("ignore_regions", []) == ignored
    assert len(exported("export")["annotations"]) == 1, "what only says that something was lost is no annotation"
    assert all(complete for _, _, complete in project.sources())
    project.close()


def test_two_numbers_a_joint_are_visible_where_they_are_not_zero(dataset: Path, tmp_path: Path) -> None:
    (dataset / "dataset.yaml").write_text(YAML.replace("[17, 3]", "[17, 2]"))
    (dataset / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.4 0.25 0.5 " + "0 0 " * 16)
    stage_yolo(dataset / "dataset.yaml", tmp_path / "staging", silent)
    project = Project.create(tmp_path / "p.poses")
    list(project.attach_staging(tmp_path / "staging"))
    (person,) = project.load_image(1)[1]
    assert (person.joints[0].x, person.joints[0].y, person.joints[0].v) == (50, 50, 2) and person.labelled_joints == 1
    project.close()


def test_a_line_with_impossible_numbers_costs_no_other(dataset: Path, tmp_path: Path) -> None:
    bad = ["inf 0.5 0.5 0.1 0.1", "0 inf 0.5 0.1 0.1", "0 1e308 0.5 0.1 0.1", "0 0.5 0.5 -1e9 0.1", "0 a 0.5 0.1 0.1"]
    (dataset / "labels/train/a.txt").write_text("\n".join([*bad, PERSON.replace(" 2", " inf"), PERSON]))
    report = stage_yolo(dataset / "dataset.yaml", tmp_path / "staging", silent)
    assert (report.people, report.quarantined, report.lost_people) == (1, 0, 6)
    places = [place for line in report.lines for place in line.places]
    assert sorted(place.split(":")[0] for place in places) == [
        f"labels/train/a.txt, line {number}" for number in range(1, 7)
    ]


def test_keypoint_names_in_another_order(dataset: Path, tmp_path: Path) -> None:
    names = list(coco17().keypoints)[::-1]
    (dataset / "labels/train/a.txt").write_text(PERSON)
    noses = []
    for stated in ({0: names}, names, {"0": names}, {1: names}, [f"joint {n}" for n in range(17)], "odd", [[1], [2]]):
        (dataset / "dataset.yaml").write_text(f"{YAML}kpt_names: {json.dumps(stated)}\n")
        project = read_back(dataset, tmp_path)
        noses.append(project.load_image(1)[1][0].joints[0].x)
        project.close()
        project.path.unlink()
    assert noses == [160.0, 160.0, 160.0, 0.0, 0.0, 0.0, 0.0], "the nose is the last of the reversed names"


def test_a_pipe_is_not_waited_for(dataset: Path, tmp_path: Path) -> None:
    os.mkfifo(dataset / "labels/train/a.txt")
    report = stage_yolo(dataset / "dataset.yaml", tmp_path / "staging", silent)
    assert report.images == 1 and report.warns
    assert report.lines[0].text == "a label file is no regular file" and "a.txt" in report.lines[0].places[0]
    os.mkfifo(dataset / "pipe.yaml")
    with pytest.raises(YoloError, match=r"pipe\.yaml: this is no regular file"):
        read_description(dataset / "pipe.yaml", YoloReport(), coco17())


def test_what_a_description_may_hold(dataset: Path) -> None:
    text = YAML.replace("{0:", "{'0':") + "made: 2020-13-45\ntest:\npath: null\n"
    (dataset / "dataset.yaml").write_text(text)
    found = read_description(dataset / "dataset.yaml", YoloReport(), coco17())
    assert (list(found.orders), found.dimensions, found.photos.folders) == ([0], 3, [dataset / "images/train"])


def test_which_folders_a_description_may_name(dataset: Path, tmp_path: Path) -> None:
    description = tmp_path / "other/dataset.yaml"
    description.parent.mkdir()

    def folders(path: str, train: str) -> list[Path]:
        description.write_text(f"path: {path}\ntrain: {train}\nkpt_shape: [17, 3]\nnames: [person]\n")
        return read_description(description, YoloReport(), coco17()).photos.folders

    assert folders(f"{dataset}", "images/train") == [dataset / "images/train"]
    assert folders(f"{dataset}", f"{dataset}/images") == [dataset / "images"]
    for path, train in ((".", "../set/images"), (".", str(dataset)), ("../set", "../set/images"), ("a", "../../set")):
        with pytest.raises(YoloError, match=r"dataset\.yaml: its folder .*set.* leads out of the data set's folder"):
            folders(path, train)
    with pytest.raises(YoloError, match=r"dataset\.yaml: its folder images \(train\) .* path leads out of there"):
        folders("../set", "images")
    (tmp_path / "other/set/images").mkdir(parents=True)
    for path, train in ((".", "../set/images"), ("../set", "set/images"), ("set", "images")):
        assert folders(path, train) == [tmp_path / "other/set/images"]


def test_a_folder_that_cannot_be_listed_is_named(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path) -> None:
        raise ImageError(folder, "cannot be listed", "choose a folder that you may read")

    monkeypatch.setattr("app.storage.yolo_places.scan_folder", refuse)
    assert main([str(dataset / "dataset.yaml"), str(tmp_path / "staging")]) == 1
    assert "images/train: cannot be listed" in json.loads(capfd.readouterr().out)["error"]


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 5000, "nested too deeply"),
        (BOMB + YAML.replace("{0: person, 1: dog}", "*a11"), "names that can be read"),
        (BOMB + YAML.replace("[17, 3]", "*a11"), "kpt_shape is"),
        (BOMB + YAML.replace("images/train", "*a11"), "train is neither"),
        (BOMB + YAML.replace("path: .", "path: *a11"), "path is no folder"),
        ('x: "\\UFFFFFFFF"', "no YAML"),
        (YAML.replace("[17, 3]", "[21, 3]"), "21 keypoints"),
        (YAML.replace("kpt_shape: [17, 3]\n", ""), "no kpt_shape"),
        (YAML.replace("[17, 3]", "seventeen"), "kpt_shape is"),
        (YAML.replace("person", "cat"), "called person"),
        (YAML.replace("images/train", "elsewhere"), "is not there"),
        (YAML.replace("train: images/train\nval: images/train\n", ""), "no folder of images"),
        ("[1, 2", "no YAML at line"),
        ("just text", "describes no data set"),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused_with_the_reason(dataset: Path, text: str, reason: str) -> None:
    (dataset / "dataset.yaml").write_text(text)
    with pytest.raises(YoloError, match=reason) as raised:
        read_description(dataset / "dataset.yaml", YoloReport(), coco17())
    assert "dataset.yaml" in str(raised.value)


def test_the_child_says_why(dataset: Path, tmp_path: Path) -> None:
    (dataset / "dataset.yaml").write_text(YAML.replace("[17, 3]", "[5, 3]"))
    command = [
        sys.executable,
        "-P",
        "-m",
        "app.storage.yolo_import",
        str(dataset / "dataset.yaml"),
        str(tmp_path / "s"),
    ]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 1 and "5 keypoints" in msgspec.json.decode(done.stdout)["error"]
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
        ("/images/d/images/a.b.png", "/images/d/labels/a.b.txt"),
        ("/d/train/a.jpg", "/d/train/a.txt"),
    ],
)
def test_where_labels_are(image: str, labels: str) -> None:
    assert label_file(Path(image)) == Path(labels)
