"""Labels from elsewhere beside ours: what is said before, and each of the three choices."""

import copy
import json
import subprocess
import sys
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
