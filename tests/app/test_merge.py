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

from app.document.records import Box
from app.storage.coco_import import stage_coco
from app.storage.merge_report import MergeReport, merge_report
from app.storage.project import Project


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


def test_a_crowd_replaces_nobody(project: Project, tmp_path: Path) -> None:
    content = theirs()
    content["annotations"] = [{**content["annotations"][0], "iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0}]
    path = tmp_path / "crowd.staging"
    stage_coco(write_coco(tmp_path / "crowd.json", content), path, [tmp_path], lambda *_: None)
    assert merge_report(project.path, path).overlapping == 0
    list(project.attach_staging(path, overlaps="theirs"))
    assert boxes(project, "a one.jpg") == [MINE, THEIRS]
