"""The table of what a project holds, counted by hand."""

import csv
from pathlib import Path

import pytest
from storage_builders import import_coco, keypoints, make_coco, write_coco

from app.storage.errors import ProjectError
from app.storage.project import Project
from app.storage.statistics_export import export_statistics, main


@pytest.fixture
def project_file(tmp_path: Path) -> Path:
    """Two images: one with a posed person; one with a crowd, and a person who has only a box."""
    project = Project.create(tmp_path / "p.poses")
    content = make_coco()
    content["annotations"][0]["keypoints"] = [*keypoints()[:6], *keypoints(v=1)[6:9], *[0] * 42]
    content["annotations"][0]["num_keypoints"] = 3
    import_coco(project, write_coco(tmp_path / "a.json", content), tmp_path)
    project.close()
    return project.path


def table(path: Path) -> dict[tuple[str, str], int]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["what", "name", "count"]
    return {(what, name): int(count) for what, name, count in rows}


def test_everything_is_counted(project_file: Path, tmp_path: Path) -> None:
    result = export_statistics(project_file, tmp_path / "s.csv")
    found = table(tmp_path / "s.csv")
    assert (result["images"], result["people"]) == (2, 2)
    assert found["images", "all"] == 2 and found["images", "in progress"] == 2
    assert (found["people", "all"], found["people", "with joints"], found["people", "crowd regions"]) == (2, 1, 1)
    # Areas 9999.25 and 5400 px; 96² is 9216.
    assert [found["people by size", size] for size in ("small", "medium", "large")] == [0, 1, 1]
    assert [found["images by people", count] for count in ("0", "1", "10 and more")] == [0, 2, 0]
    states = [found[f"joints {state}", "left_eye"] for state in ("visible", "occluded", "not labelled")]
    assert states == [1, 0, 1]
    assert found["joints occluded", "right_eye"] == 1 and found["joints not labelled", "nose"] == 1
    assert [found["labelled joints by", origin] for origin in ("hand", "import", "model")] == [0, 3, 0]


def test_only_the_chosen_images_count(project_file: Path, tmp_path: Path) -> None:
    assert export_statistics(project_file, tmp_path / "s.csv", only="finished")["images"] == 0
    assert table(tmp_path / "s.csv")["people", "all"] == 0


def test_what_is_no_project_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.poses").write_text("no project")
    with pytest.raises(ProjectError):
        export_statistics(tmp_path / "no.poses", tmp_path / "s.csv")
    assert main([str(tmp_path / "no.poses"), str(tmp_path / "s.csv")]) == 1
    assert '"error"' in capfd.readouterr().out and not (tmp_path / "s.csv").exists()
