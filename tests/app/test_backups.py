"""Snapshots: complete, openable, bounded; a failed one harms nothing."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.storage import backups
from app.storage.backups import back_up, backups_of
from app.storage.errors import ProjectError
from app.storage.project import Project

NOW = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "street.poseproj")
    project.add_images(project.add_root(tmp_path), ["a.jpg", "b.jpg"])
    return project


def test_a_snapshot_is_a_project_of_its_own(project: Project) -> None:
    path = back_up(project, NOW)
    project.add_images(1, ["c.jpg"])
    assert path.parent.name == "street.poseproj.backups"
    copy = Project.open(path)
    assert [row.path for row in copy.image_rows()] == ["a.jpg", "b.jpg"]
    copy.add_images(1, ["d.jpg"])
    copy.close()
    assert project.image_count() == 3
    project.close()


def test_the_newest_are_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "KEPT", 3)
    renamed = back_up(project, NOW).rename(project.path.with_name("street.poseproj.backups") / "0 before.poseproj")
    made = [back_up(project, NOW + timedelta(seconds=number)) for number in range(5)]
    assert backups_of(project.path) == made[:1:-1]
    assert sorted(renamed.parent.iterdir()) == [renamed, *made[2:]], "what somebody has named stays; nothing else does"
    project.close()


def test_a_snapshot_that_cannot_be_written_says_so_and_removes_no_older_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "KEPT", 1)
    first = back_up(project, NOW)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Project, "copy_into", full)
    with pytest.raises(ProjectError, match=r"No space left.*Free some space"):
        back_up(project, NOW + timedelta(seconds=1))
    assert list(first.parent.iterdir()) == [first]
    project.close()
