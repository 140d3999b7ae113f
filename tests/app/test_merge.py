"""Labels from elsewhere beside ours: what is said before, and each of the three choices."""

import copy
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from round_trip import exported
from storage_builders import MODEL, find_image, import_coco, make_coco, make_prediction, make_project, write_coco

from app.document.records import HUMAN, Box, Change, Edit, Joint, Person
from app.storage import attach, meeting
from app.storage import merge_report as merge_report_module
from app.storage.attach import AttachProgress
from app.storage.coco_import import stage_coco
from app.storage.coco_person import read_person
from app.storage.frames import compare_frames
from app.storage.import_report import ReadReport, add_left_out
from app.storage.merge_report import MergeReport, _compared, merge_report
from app.storage.project import Project, staged_digest
from app.storage.snapshot import snapshot


def theirs() -> dict[str, Any]:
    """The same file labelled by somebody else: one person the same, one shifted, one new, an image more."""
    content = copy.deepcopy(make_coco())
    moved, _, crowd, unlabelled = content["annotations"]
    moved["bbox"][0] += 3
    content["annotations"].append({**unlabelled, "id": 50, "bbox": [500, 300, 60, 90]})
    content["images"].append({"id": 900, "file_name": "c.jpg", "width": 10, "height": 10})
    content["info"] = {"description": "theirs"}
    assert crowd["iscrowd"] == 1
    return content


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "p.poseproj")
    import_coco(project, write_coco(tmp_path / "mine.json", make_coco()), tmp_path)
    return project


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.staging"
    stage_coco(write_coco(tmp_path / "theirs.json", theirs()), path, [tmp_path], lambda *_: None)
    return path


def boxes(project: Project, name: str) -> list[Box]:
    return [person.box for person in project.load_image(find_image(project, name))[1]]


def test_the_report_says_what_would_meet(project: Project, staging: Path) -> None:
    assert merge_report(project.path, staging) == MergeReport(3, 1, 4, 2, 1, ["a one.jpg"])
    done = subprocess.run(
        [sys.executable, "-P", "-m", "app.storage.merge_report", str(project.path), str(staging)],
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["overlapping"] == 1


MINE, THEIRS = Box(10, 10, 100, 150.5), Box(13, 10, 100, 150.5)


@pytest.mark.parametrize(
    ("choice", "expected", "counts"),
    [("mine", [MINE], (1, 3, 0)), ("theirs", [THEIRS], (2, 2, 1)), ("both", [MINE, THEIRS], (2, 2, 0))],
)
def test_the_choice_decides_about_overlapping_people(
    project: Project, staging: Path, choice: Any, expected: list[Box], counts: tuple[int, int, int]
) -> None:
    steps = list(project.attach_staging(staging, batch=2, overlaps=choice))
    assert boxes(project, "a one.jpg") == expected
    assert len(boxes(project, "b/two.jpg")) == 3, "the new one has come, the others are the same"
    added, skipped, replaced = steps[-1][3:6]
    assert (added, skipped, replaced) == counts
    assert [row.people for row in project.image_rows()] == [3, len(expected), 0]


def test_a_missing_project_is_named(tmp_path: Path, staging: Path) -> None:
    command = [sys.executable, "-P", "-m", "app.storage.merge_report", str(tmp_path / "no.poseproj"), str(staging)]
    failed = subprocess.run(command, capture_output=True)
    assert failed.returncode == 1 and "no.poseproj" in json.loads(failed.stdout)["error"]


def test_labels_that_give_way_stay_in_the_log(project: Project, staging: Path) -> None:
    list(project.attach_staging(staging, overlaps="theirs"))
    image = find_image(project, "a one.jpg")
    with closing(sqlite3.connect(project.path)) as connection:
        ((text, before),) = connection.execute("SELECT text, before FROM operation WHERE image_id = ?", (image,))
    assert text.startswith("Brought in: ")
    (person,) = json.loads(before)["people"].values()
    assert person[0] == [10, 10, 100, 150.5]


def changed(person: Person, project: Project, image: int, after: Person | None) -> None:
    project.apply(Edit(image, "work", (Change(person, after),)))


def test_what_was_edited_here_and_not_in_the_file_does_not_give_way(project: Project, staging: Path) -> None:
    """Somebody takes the file's corrections: the work on what the file says as before is no part of that."""
    two = find_image(project, "b/two.jpg")
    (mine,) = [person for person in project.load_image(two)[1] if not person.is_crowd]
    edited = mine.with_box(Box(403, 52, 60, 90)).with_joint(2, Joint(410, 60, 2, HUMAN))
    changed(mine, project, two, edited)
    report = merge_report(project.path, staging)
    assert (report.people, report.same, report.overlapping, report.paths) == (4, 2, 1, ["a one.jpg"])
    list(project.attach_staging(staging, overlaps="theirs"))
    assert edited in project.load_image(two)[1]
    assert boxes(project, "a one.jpg") == [THEIRS]
    far = edited.with_box(Box(10, 300, 60, 90))
    changed(edited, project, two, far)
    again = copy.deepcopy(theirs()) | {"info": {"description": "written anew"}}
    path = staging.with_name("again.staging")
    stage_coco(write_coco(path.with_suffix(".json"), again), path, [path.parent], lambda *_: None)
    assert merge_report(project.path, path).people == merge_report(project.path, path).same
    project.close()


@pytest.mark.parametrize("choice", ["mine", "theirs", "both"])
def test_who_was_deleted_here_does_not_come_back_corrected(project: Project, staging: Path, choice: Any) -> None:
    one = find_image(project, "a one.jpg")
    (mine,) = project.load_image(one)[1]
    changed(mine, project, one, None)
    assert (merge_report(project.path, staging).same, merge_report(project.path, staging).overlapping) == (3, 0)
    list(project.attach_staging(staging, overlaps=choice))
    assert boxes(project, "a one.jpg") == []
    project.close()


def test_a_deleted_duplicate_hides_no_correction(project: Project, staging: Path) -> None:
    one = find_image(project, "a one.jpg")
    (mine,) = project.load_image(one)[1]
    twin = Person(project.next_person_key, Box(11, 11, 100, 150), mine.joints)
    project.apply(Edit(one, "draw", (Change(None, twin),)))
    changed(mine, project, one, None)
    assert merge_report(project.path, staging).overlapping == 1
    project.close()


def test_a_report_on_many_images_takes_no_longer_for_each(tmp_path: Path) -> None:
    def steps(images: int) -> int:
        folder = tmp_path / str(images)
        folder.mkdir()
        record = make_coco()["annotations"][0]
        content = make_coco(
            images=[{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(images)],
            annotations=[{**record, "id": i, "image_id": i} for i in range(images)],
        )
        project = Project.create(folder / "p.poseproj")
        source = write_coco(folder / "a.json", content)
        import_coco(project, source, folder, batch=1000)
        project.close()
        content["annotations"] = [{**one, "bbox": [300, 200, 90, 90]} for one in content["annotations"]]
        stage_coco(write_coco(source, content), folder / "b.staging", [folder], lambda *_: None)
        count = 0

        def tick() -> None:
            nonlocal count
            count += 1

        with snapshot(project.path, folder / "b.staging") as connection:
            connection.execute("ATTACH ? AS staging", (str(folder / "b.staging"),))
            connection.set_progress_handler(tick, 100)
            report = _compared(connection)
        assert (report.people, report.same, report.overlapping, report.gone) == (images, 0, 0, images)
        return count

    assert steps(400) < 3 * steps(200)


def test_a_crowd_replaces_nobody(project: Project, tmp_path: Path) -> None:
    content = theirs()
    content["annotations"] = [{**content["annotations"][0], "iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0}]
    path = tmp_path / "crowd.staging"
    stage_coco(write_coco(tmp_path / "crowd.json", content), path, [tmp_path], lambda *_: None)
    assert merge_report(project.path, path).overlapping == 0
    list(project.attach_staging(path, overlaps="theirs"))
    assert boxes(project, "a one.jpg") == [MINE, THEIRS]


def staged(folder: Path, name: str, **changes: Any) -> Path:
    """A prepared file of one's own making, with people of those boxes on one image."""
    path = folder / f"{name}.staging"
    stage_coco(write_coco(folder / f"{name}.json", make_coco(**changes)), path, [folder], lambda *_: None)
    return path


def people_at(*boxes: list[float], image: int = 42) -> list[dict[str, Any]]:
    return [
        {"id": 10 + at, "image_id": image, "category_id": 9, "bbox": box, "area": 1, "iscrowd": 0}
        for at, box in enumerate(boxes)
    ]


@pytest.fixture
def one_label(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "one.poseproj")
    list(project.attach_staging(staged(tmp_path, "a", annotations=people_at([100, 100, 100, 100]))))
    return project


@pytest.mark.parametrize("batch", [1, 2000])
@pytest.mark.parametrize(
    ("choice", "lefts", "counts"),
    [("mine", [100], (0, 2, 0)), ("theirs", [90, 112], (2, 0, 1)), ("both", [90, 100, 112], (2, 0, 0))],
)
def test_two_people_of_a_file_on_one_label(
    one_label: Project, tmp_path: Path, batch: int, choice: Any, lefts: list[int], counts: tuple[int, int, int]
) -> None:
    path = staged(tmp_path, "b", annotations=people_at([90, 100, 100, 100], [112, 100, 100, 100]))
    report = merge_report(one_label.path, path)
    assert (report.same, report.overlapping) == (0, 2)
    steps = list(one_label.attach_staging(path, batch=batch, overlaps=choice))
    assert steps[-1][3:6] == counts
    assert sorted(box.x for box in boxes(one_label, "a one.jpg")) == lefts
    one_label.close()


@pytest.mark.parametrize("lefts", [(100, 112), (112, 100)])
def test_a_label_that_the_file_has_as_well_gives_way_to_nobody(
    one_label: Project, tmp_path: Path, lefts: tuple[int, int]
) -> None:
    path = staged(tmp_path, "b", annotations=people_at(*([left, 100, 100, 100] for left in lefts)))
    assert (merge_report(one_label.path, path).same, merge_report(one_label.path, path).overlapping) == (1, 1)
    steps = list(one_label.attach_staging(path, batch=1, overlaps="theirs"))
    assert steps[-1][3:6] == (1, 1, 0)
    assert sorted(box.x for box in boxes(one_label, "a one.jpg")) == [100, 112]
    one_label.close()


def test_a_merge_that_was_broken_off_loses_nobody(one_label: Project, tmp_path: Path) -> None:
    (elsewhere,) = people_at([0, 0, 9, 9], image=700)
    both = people_at([90, 100, 100, 100], [112, 100, 100, 100])
    path = staged(tmp_path, "b", annotations=[*both, {**elsewhere, "id": 99}])
    steps = one_label.attach_staging(path, batch=1, overlaps="theirs")
    for state in steps:
        if state.people_added:
            break
    steps.close()  # type: ignore[attr-defined]
    report = merge_report(one_label.path, path)
    assert (report.people, report.same, report.overlapping) == (3, 2, 0)
    assert list(one_label.attach_staging(path, batch=1, overlaps="theirs"))[-1][3:6] == (1, 0, 0)
    assert sorted(box.x for box in boxes(one_label, "a one.jpg")) == [90, 112]
    assert [row.people for row in one_label.image_rows()] == [1, 2]
    one_label.close()


def test_labels_are_read_once_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.create(tmp_path / "p.poseproj")
    for name, shift in (("a", 0.0), ("b", 0.5)):
        path = staged(tmp_path, name, annotations=people_at(*([at + shift, 10, 60, 90] for at in range(100))))
        if name == "a":
            list(project.attach_staging(path))
    read: list[int] = []

    def counting(*arguments: Any) -> Person:
        read.append(1)
        return read_person(*arguments)

    for module in (attach, meeting, merge_report_module):
        monkeypatch.setattr(module, "read_person", counting)
    merge_report(project.path, path)
    list(project.attach_staging(path, batch=10, overlaps="both"))
    assert len(read) <= 600, "ours and theirs; in the report, for those who are gone, and in the merge"
    project.close()


# Photos that are measured in another frame


SIDEWAYS = "s.jpg"
UPRIGHT, STORED = (400, 600), (600, 400)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", STORED, "teal").save(tmp_path / SIDEWAYS, exif=exif)
    return tmp_path


def sideways(folder: Path, name: str, size: tuple[int, int], people: bool = True) -> Path:
    """Labels of the sideways photo that fit this size alone, and a dog."""
    box = [size[0] - 150, size[1] - 350, 140, 340] if size[1] > 400 else [450, 50, 140, 300]
    image = {"id": 42, "file_name": SIDEWAYS, "width": size[0], "height": size[1]}
    dog = {"id": 90, "image_id": 42, "category_id": 18, "bbox": box, "area": 25, "iscrowd": 0, "by": name}
    return staged(folder, name, images=[image], annotations=[*people_at(box), dog] if people else [])


def attach_all(project: Project, path: Path) -> AttachProgress:
    return list(project.attach_staging(path, overlaps="both"))[-1]


@pytest.mark.parametrize("viewed", [False, True])
def test_a_photo_without_labels_takes_the_frame_of_those_that_come(folder: Path, viewed: bool) -> None:
    project = Project.create(folder / "p.poseproj")
    project.add_images(project.add_root(folder), [SIDEWAYS])
    image = find_image(project, SIDEWAYS)
    if viewed:
        project.update_image_size(image, *UPRIGHT)
    path = sideways(folder, "stored", STORED)
    assert merge_report(project.path, path).left_out == 0
    assert attach_all(project, path).people_added == 1
    record, (person,), _ = project.load_image(image)
    assert (record.width, record.height) == STORED and person.box.x == 450
    project.close()


def test_an_import_without_people_is_followed_by_one_in_another_frame(folder: Path) -> None:
    """The photo is listed once, with the size that the labels fit."""
    project = Project.create(folder / "p.poseproj")
    attach_all(project, sideways(folder, "upright", UPRIGHT, people=False))
    assert attach_all(project, sideways(folder, "stored", STORED)).people_added == 1
    (image,) = exported(project)["images"]
    assert (image["width"], image["height"]) == STORED
    (image,) = exported(project, source=1)["images"]
    assert (image["width"], image["height"]) == UPRIGHT
    project.close()


@pytest.mark.parametrize("sizes", [(UPRIGHT, STORED), (STORED, UPRIGHT)])
def test_people_of_another_frame_are_left_out_counted_and_kept_for_export(folder: Path, sizes: Any) -> None:
    project = Project.create(folder / "p.poseproj")
    attach_all(project, sideways(folder, "first", sizes[0]))
    for name in ("second", "again"):
        path = sideways(folder, name, sizes[1])
        report = merge_report(project.path, path)
        assert (report.people, report.same, report.overlapping, report.left_out) == (1, 0, 0, 1)
        steps = project.attach_staging(path, batch=1)
        state = next(steps)
        assert merge_report(project.path, path).left_out == 1, "also when only a part of it is here"
        *_, state = steps
        assert (state.people_added, state.people_left_out, state.left_out_on) == (0, 1, (SIDEWAYS,))
    record, people, _ = project.load_image(find_image(project, SIDEWAYS))
    assert (record.width, record.height) == sizes[0] and len(people) == 1
    content = exported(project)
    assert [(one["width"], one["height"]) for one in content["images"]] == [*sizes]
    ids = [one["id"] for one in content["images"]]
    assert [(one["image_id"], one["bbox"]) for one in content["annotations"] if one["category_id"] == 9] == [
        (ids[0], content["annotations"][0]["bbox"]), (ids[1], content["annotations"][2]["bbox"])
    ]  # fmt: skip
    assert [one["image_id"] for one in content["annotations"] if one["category_id"] == 18] == [ids[0], ids[1], ids[1]]
    training = exported(project, purpose="training")
    assert len(training["images"]) == len(training["annotations"]) == 1
    assert exported(project, source=2) == json.loads((folder / "second.json").read_text())
    project.close()


def test_many_photos_of_a_folder_take_no_longer_for_each(tmp_path: Path) -> None:
    def steps(images: int) -> int:
        folder = tmp_path / str(images)
        folder.mkdir()
        names = [f"{index}.jpg" for index in range(images)]
        project = make_project(folder / "p.poseproj", 0)
        project.add_images(project.add_root(folder), names)
        project.close()
        records = [{"id": key, "file_name": name, "width": 64, "height": 48} for key, name in enumerate(names)]
        path = staged(folder, "a", images=records, annotations=[])
        count = 0

        def tick() -> None:
            nonlocal count
            count += 1

        with snapshot(project.path, path) as connection:
            connection.execute("ATTACH ? AS staging", (str(path),))
            connection.set_progress_handler(tick, 100)
            assert len(compare_frames(connection, 1, 0, images).taken) == images
        return count

    assert steps(400) < 3 * steps(200)


def test_predictions_keep_their_frame(folder: Path) -> None:
    project = Project.create(folder / "p.poseproj")
    project.add_images(project.add_root(folder), [SIDEWAYS])
    image = find_image(project, SIDEWAYS)
    project.store_predictions(image, MODEL, [make_prediction(0)], *UPRIGHT)
    state = attach_all(project, sideways(folder, "stored", STORED))
    assert (state.people_added, state.people_left_out) == (0, 1)
    written = exported(project)["images"]
    assert [(one["width"], one["height"]) for one in written] == [STORED, UPRIGHT]
    report = ReadReport("stored.json", people=1)
    add_left_out(report, state)
    assert report.warns and (report.people, report.lost_people) == (0, 1)
    assert "1 left out: people: its photo has labels here" in report.text() and SIDEWAYS in report.text()
    project.close()


def test_a_file_that_was_left_is_known_and_comes_all_the_same(project: Project, tmp_path: Path) -> None:
    source, staging = write_coco(tmp_path / "theirs.json", theirs()), tmp_path / "staging.db"
    stage_coco(source, staging, [tmp_path], lambda stage, done, total: None)
    digest = staged_digest(staging)
    assert not project.knows_content(source) and not project.was_left(digest)
    for _ in range(2):
        project.remember_left(digest)
    assert project.knows_content(source) and project.was_left(digest)
    assert import_coco(project, source, tmp_path)[1].people_added == 1


def test_the_folder_that_labels_were_imported_with_is_known(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "mine.json"
    assert project.source_root(source) == tmp_path
    assert project.source_root(tmp_path / "theirs.json") is None
    project.relocate_root(1, tmp_path / "moved")
    assert project.source_root(source) == tmp_path / "moved"
    import_coco(project, write_coco(source, theirs()), tmp_path / "another")
    assert project.source_root(source) == tmp_path / "another", "the newest import counts"
