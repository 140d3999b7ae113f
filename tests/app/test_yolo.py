"""YOLO-pose out: hand-computed lines, what is left out, and a round trip."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from storage_builders import import_coco, make_coco, make_joints, write_coco

from app.document.document import FIRST_OWN_PERSON_KEY
from app.document.records import HUMAN, Box, Change, Edit, ImageState, Joint, Person
from app.storage.new_folder import FolderTakenError
from app.storage.project import Project
from app.storage.yolo_export import Photos, export_yolo
from app.storage.yolo_import import stage_yolo

WIDTH, HEIGHT = 200, 100


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

    monkeypatch.setattr("app.storage.yolo_export.write_photo", full)
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


def read_back(folder: Path, tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "again.poses")
    stage_yolo(folder / "dataset.yaml", tmp_path / "staging", silent)
    list(project.attach_staging(tmp_path / "staging"))
    return project


def test_folders_called_images_keep_their_labels(tmp_path: Path) -> None:
    names = ["images/a.jpg", "images_/a.jpg", "b/images"]
    for name in names:
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photos" / name, "JPEG")
    project = Project.create(tmp_path / "p.poses")
    project.add_images(project.add_root(tmp_path / "photos"), names)
    for image in (1, 2):
        person = Person(project.next_person_key, Box(10.0 * image, 10, 50, 50), make_joints())
        project.apply(Edit(image, "draw", (Change(None, person),)))
    export_yolo(project.path, tmp_path / "out", only="all", val_fraction=0.0)
    folder = tmp_path / "out/images/train"
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == ["b/images.jpg", "images_/a.jpg", "images_/a_jpg.jpg"]
    again = read_back(tmp_path / "out", tmp_path)
    boxes = {row.path: [person.box.x for person in again.load_image(row.key)[1]] for row in again.image_rows()}
    assert boxes == {"images_/a.jpg": [10.0], "images_/a_jpg.jpg": [20.0], "b/images.jpg": []}
    again.close()
    project.close()


def one_labelled_image(tmp_path: Path) -> Project:
    """root/a.jpg, which the COCO file says is 64 x 48."""
    content = make_coco(
        images=[{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        annotations=[{"id": 1, "image_id": 1, "category_id": 9, "bbox": [8, 4, 32, 10], "area": 9, "iscrowd": 0}],
    )
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path / "root")
    return project


def test_labels_of_another_shape_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    project, exif = one_labelled_image(tmp_path), Image.Exif()
    Image.new("RGB", (48, 64)).save(tmp_path / "root/a.jpg")  # width and height are exchanged
    result = export_yolo(project.path, tmp_path / "turned")
    assert result.images == 0 and "a.jpg: its labels are for 64 x 48 pixels" in result.skipped[0]
    assert list((tmp_path / "turned").rglob("a.*")) == []
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (48, 64)).save(tmp_path / "root/a.jpg", exif=exif)  # upright, it fits the labels
    assert export_yolo(project.path, tmp_path / "fits").images == 1
    project.close()


@pytest.mark.parametrize("photos", ["link", "copy"])
def test_a_link_is_followed_within_its_folder_only(tmp_path: Path, photos: Photos) -> None:
    (tmp_path / "root/sub").mkdir(parents=True)
    for name in ("outside.jpg", "root/sub/inside.jpg"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    project, link = one_labelled_image(tmp_path), tmp_path / "root/a.jpg"
    link.symlink_to("../outside.jpg")
    result = export_yolo(project.path, tmp_path / "none", photos=photos)
    assert (result.images, result.people) == (0, 0) and "lies outside the image folder" in result.skipped[0]
    assert list((tmp_path / "none").rglob("a.*")) == []
    link.unlink()
    link.symlink_to("sub/inside.jpg")
    assert export_yolo(project.path, tmp_path / "out", val_fraction=0.0, photos=photos).images == 1
    assert Image.open(tmp_path / "out/images/train/a.jpg").size == (64, 48)
    project.close()


def test_the_folder_may_be_a_link_to_an_empty_one(project: Project, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")
    export_yolo(project.path, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real/dataset.yaml").is_file()
    for taken in ("link", "loop"):
        with pytest.raises(FolderTakenError, match=taken):
            export_yolo(project.path, tmp_path / taken)
