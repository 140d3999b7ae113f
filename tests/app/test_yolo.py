"""YOLO-pose out and in: hand-computed lines, a round trip, and what is refused."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from storage_builders import make_joints

from app.document.document import FIRST_OWN_PERSON_KEY
from app.document.records import HUMAN, Box, Change, Edit, ImageState, Joint, Person
from app.storage.new_folder import FolderTakenError
from app.storage.project import Project
from app.storage.yolo_export import export_yolo
from app.storage.yolo_import import YoloError, label_file, read_description, stage_yolo

WIDTH, HEIGHT = 200, 100
YAML = "path: .\ntrain: images/train\nval: images/train\nkpt_shape: [17, 3]\nnames: {0: person, 1: dog}\n"


def silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "sub/b.jpg", "c.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 30)).save(folder / name)
    return folder


@pytest.fixture
def project(photos: Path, tmp_path: Path) -> Project:
    """Two people, one of them partly outside, and a crowd on a.jpg; nobody on c.jpg, which is done."""
    project = Project.create(tmp_path / "p.poses")
    project.add_images(project.add_root(photos), ["a.jpg", "a.png", "sub/b.jpg", "c.jpg"])
    joints = (Joint(50, 25, 2, HUMAN), Joint(210, 5, 2, HUMAN), Joint(60, 50, 1, HUMAN), *(Joint(),) * 14)
    people = [
        Person(FIRST_OWN_PERSON_KEY, Box(20, 10, 100, 80), joints),
        Person(FIRST_OWN_PERSON_KEY + 1, Box(-20, 60, 60, 80), make_joints(v=0)),
        Person(FIRST_OWN_PERSON_KEY + 2, Box(0, 0, 200, 100), (Joint(),) * 17, is_crowd=True),
        Person(FIRST_OWN_PERSON_KEY + 3, Box(300, 0, 20, 10), make_joints()),
    ]
    project.apply(Edit(1, "draw", tuple(Change(None, person) for person in people)))
    project.apply(Edit(4, "nobody", state=Change(ImageState.UNSEEN, ImageState.DONE_EMPTY)))
    return project


def test_lines_are_in_shares_of_the_image(project: Project, tmp_path: Path) -> None:
    result = export_yolo(project.path, tmp_path / "out", val_fraction=0.0)
    assert (result.images, result.val, result.people, result.crowds, result.outside) == (1, 0, 2, 1, 1 + 17)
    first, second = (tmp_path / "out/labels/train/a.txt").read_text().splitlines()
    box, joints = ["0", "0.350000", "0.500000", "0.500000", "0.800000"], first.split()[5:14]
    assert first.split()[:5] == box
    assert joints == ["0.250000", "0.250000", "2", "0", "0", "0", "0.300000", "0.500000", "1"]
    assert first.split()[14:] == ["0"] * 42
    # From -20 to 40 of 200, from 60 to 140 of 100: cut at the border.
    assert second.split()[:5] == ["0", "0.100000", "0.800000", "0.200000", "0.400000"]
    photo = tmp_path / "out/images/train/a.jpg"
    assert photo.samefile(tmp_path / "photos/a.jpg") and photo.read_bytes() == (tmp_path / "photos/a.jpg").read_bytes()


def test_names_that_differ_in_their_suffix_do_not_share_labels(project: Project, tmp_path: Path) -> None:
    result = export_yolo(project.path, tmp_path / "out", only="all", val_fraction=0.0, photos="copy")
    assert result.images == 4
    names = sorted(
        p.relative_to(tmp_path / "out/images/train").as_posix() for p in (tmp_path / "out/images").rglob("*.*")
    )
    assert names == ["a.jpg", "a_png.png", "c.jpg", "sub/b.jpg"]
    assert not (tmp_path / "out/images/train/a.jpg").samefile(tmp_path / "photos/a.jpg")
    assert (tmp_path / "out/labels/train/a_png.txt").read_text() == ""
    finished = export_yolo(project.path, tmp_path / "finished", only="finished")
    assert finished.images == 1


def test_the_split_is_by_name_and_seed(project: Project, tmp_path: Path) -> None:
    sides = []
    for seed in range(12):
        export_yolo(project.path, tmp_path / f"out{seed}", only="all", val_fraction=0.5, seed=seed)
        sides.append(frozenset(p.name for p in (tmp_path / f"out{seed}/images/val").rglob("*.*")))
    assert len(set(sides)) > 3 and 12 <= sum(map(len, sides)) <= 36
    again = export_yolo(project.path, tmp_path / "again", only="all", val_fraction=0.5, seed=3)
    assert again.val == len(sides[3])


def test_nothing_is_overwritten_and_nothing_is_left_after_an_error(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine.txt").write_text("mine")
    with pytest.raises(FolderTakenError, match="empty folder"):
        export_yolo(project.path, tmp_path / "taken")
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.storage.yolo_export._Writer._place", full)
    with pytest.raises(OSError, match="No space"):
        export_yolo(project.path, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_out_and_in_again(project: Project, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "app.storage.yolo_export", str(project.path), str(tmp_path / "out"),
               "--only", "finished"]  # fmt: skip
    export_yolo(project.path, tmp_path / "out", only="all", val_fraction=0.0)
    refused = subprocess.run(command, capture_output=True)
    assert refused.returncode == 1 and b"something in it" in refused.stdout
    other = Project.create(tmp_path / "other.poses")
    report = stage_yolo(tmp_path / "out/dataset.yaml", tmp_path / "staging", silent)
    assert (report.images, report.people, report.quarantined, report.notes) == (4, 2, 0, [])
    list(other.attach_staging(tmp_path / "staging"))
    key = next(row.key for row in other.image_rows() if row.path == "a.jpg")
    first, second = other.load_image(key)[1]
    assert first.box == Box(20, 10, 100, 80) and second.box == Box(0, 60, 40, 40)
    assert [(joint.x, joint.y, joint.v) for joint in first.joints[:4]] == [
        (50, 25, 2),
        (0, 0, 0),
        (60, 50, 1),
        (0, 0, 0),
    ]
    assert second.labelled_joints == 0
    other.close()


@pytest.fixture
def dataset(photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "images/train").mkdir(parents=True)
    (folder / "labels/train").mkdir(parents=True)
    (photos / "a.jpg").rename(folder / "images/train/a.jpg")
    (folder / "dataset.yaml").write_text(YAML)
    return folder


def test_what_is_odd_is_named_and_the_rest_is_taken(dataset: Path, tmp_path: Path) -> None:
    person = "0 0.5 0.5 0.2 0.4 " + "0.5 0.5 2 " * 17
    lines = [person, "", "1 0.5 0.5 0.1 0.1 " + "0 0 0 " * 17, "0 0.5 0.5", "0 nan 0.5 0.1 0.1", "0 0.2 0.2 0.1 0.1"]
    (dataset / "labels/train/a.txt").write_text("\n".join(lines))
    (dataset / "images/train/broken.jpg").write_bytes(b"\xff\xd8nonsense")
    report = stage_yolo(dataset / "dataset.yaml", tmp_path / "staging", silent)
    assert (report.images, report.people) == (1, 2)
    text = "\n".join(report.notes)
    assert "a.txt, line 4: 3 values" in text and "a.txt, line 5" in text
    assert "broken.jpg" in text and "1 objects of other classes" in text


def test_two_numbers_a_joint_are_visible_where_they_are_not_zero(dataset: Path, tmp_path: Path) -> None:
    (dataset / "dataset.yaml").write_text(YAML.replace("[17, 3]", "[17, 2]"))
    (dataset / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.4 0.25 0.5 " + "0 0 " * 16)
    stage_yolo(dataset / "dataset.yaml", tmp_path / "staging", silent)
    project = Project.create(tmp_path / "p.poses")
    list(project.attach_staging(tmp_path / "staging"))
    (person,) = project.load_image(1)[1]
    assert (person.joints[0].x, person.joints[0].y, person.joints[0].v) == (50, 50, 2) and person.labelled_joints == 1
    project.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
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
        read_description(dataset / "dataset.yaml")
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
