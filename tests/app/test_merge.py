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
from storage_builders import find_image, import_coco, make_coco, write_coco

from app.document.records import HUMAN, Box, Change, Edit, Joint, Person
from app.storage.coco_import import stage_coco
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
    added, skipped, replaced = steps[-1][3:]
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
