"""Predictions as COCO results, out and in: matching, other skeletons, what other tools write."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from storage_builders import (
    MODEL,
    find_image,
    import_coco,
    make_coco,
    make_prediction,
    make_project,
    with_visibility,
    write_coco,
)

from app.commands.predictions import proposal
from app.document.records import ImageState, PredictionStatus
from app.storage.errors import ProjectError
from app.storage.project import Project
from app.storage.results_export import export_results
from app.storage.results_import import ResultsError, ResultsReport, stage_results
from app.storage.visibility import Acceptance
from msarcnn.skeleton import coco17


def result(image: Any, score: float = 0.8, **fields: Any) -> dict[str, Any]:
    keypoints = [value for index in range(17) for value in (100.0 + index, 50.0 + 2 * index, index / 16)]
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": keypoints,
        "score": score,
        "bbox": [90, 40, 50, 60],
    } | fields


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Images a one.jpg (id 42) and b/two.jpg (id 700) of a COCO file."""
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", make_coco()), tmp_path)
    return project


def take(project: Project, tmp_path: Path, content: Any) -> ResultsReport:
    file = tmp_path / "other model.json"
    file.write_text(json.dumps(content))
    report = stage_results(file, project.path, tmp_path / "staged")
    list(project.attach_results(tmp_path / "staged", batch=1))
    return report


def test_people_of_another_model_become_predictions(project: Project, tmp_path: Path) -> None:
    report = take(project, tmp_path, [result(42), result(700, 0.6), result(700, 0.9, bbox=None), result(5)])
    assert (report.people, report.images, report.unmatched, report.name) == (3, 2, 1, "other model")
    one, two = find_image(project, "a one.jpg"), find_image(project, "b/two.jpg")
    record, people, (found,) = project.load_image(one)
    assert len(people) == 1, "labels are untouched"
    assert (record.model, record.predictions, record.state) == (report.model, 1, ImageState.IN_PROGRESS)
    assert (found.box.x, found.box.w, found.score, found.status) == (90, 50, 0.8, PredictionStatus.OPEN)
    assert (found.joints[16].x, found.joints[16].confidence) == (116.0, 1.0)
    boxed, derived = project.predictions(two)
    # Joints with a confidence from (101, 52) to (116, 82): a room of 3 on every side.
    assert (derived.box.x, derived.box.y, derived.box.w, derived.box.h) == (98, 49, 21, 36) and boxed.box.w == 50
    assert project.taus()[report.model] == 0.3
    project.close()


def test_names_are_matched_before_ids(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poses")
    take(project, tmp_path, [result(999, file_name="000001.jpg")])
    assert [row.predictions for row in project.image_rows()] == [0, 1, 0]
    dataset = {
        "images": [{"id": 5, "file_name": "some/folder/000002.jpg"}, {"id": 6, "file_name": "000002.jpg"}],
        "categories": [{"id": 3, "name": "person"}, {"id": 4, "name": "dog"}],
        "annotations": [
            result(6, category_id=3, num_keypoints=17, area=3000, iscrowd=0, id=1),
            result(6, category_id=4, id=2),
        ],
    }
    report = take(project, tmp_path, dataset)
    assert (report.people, report.unmatched) == (1, 0)
    assert [row.predictions for row in project.image_rows()] == [0, 1, 1]
    assert project.image(3).state is ImageState.PREDICTED
    project.close()


def test_flags_and_high_scores_are_understood(project: Project, tmp_path: Path) -> None:
    flags = [value for index in range(17) for value in (float(index), 5.0, 2 * (index % 2))]
    take(project, tmp_path, [result(42, 12.0, keypoints=flags), result(700, 3.0, keypoints=[])])
    (found,) = project.predictions(find_image(project, "a one.jpg"))
    assert found.score == 1.0 and [joint.confidence for joint in found.joints[:3]] == [0.0, 1.0, 0.0]
    (other,) = project.predictions(find_image(project, "b/two.jpg"))
    assert other.score == 0.25 and other.joints[0].confidence == 0.0
    project.close()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([result(42, keypoints=[0.0] * 42)], "14 keypoints instead of 17"),
        ([result(1)], "none of its 1 detections"),
        ([], "nobody is in it"),
        ([{"image_id": 42, "category_id": 1, "bbox": [0, 0, 5, 5]}], "no scores, so they are labels"),
        ({"info": {}}, "no list of COCO results"),
        ("text", "no list of COCO results"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    project: Project, tmp_path: Path, content: Any, reason: str
) -> None:
    with pytest.raises(ResultsError, match=reason) as raised:
        take(project, tmp_path, content)
    assert "other model.json" in str(raised.value)
    project.close()


def test_one_bad_entry_does_not_cost_the_others(project: Project, tmp_path: Path) -> None:
    bad = [result(42, bbox=[1, 2, 0, 5]), result(42, bbox=None, keypoints=[0.0] * 51), result(42)]
    report = take(project, tmp_path, bad)
    assert report.people == 1
    assert [problem.split(": ")[0] for problem in report.problems] == [f"other model.json, entry {n}" for n in (0, 1)]
    project.close()


def test_an_unfinished_file_is_not_taken_over(project: Project, tmp_path: Path) -> None:
    (tmp_path / "staged").write_bytes(b"")
    with pytest.raises(ProjectError, match="unfinished"):
        list(project.attach_results(tmp_path / "staged"))
    project.close()


def test_out_and_in_again(project: Project, tmp_path: Path) -> None:
    two = find_image(project, "b/two.jpg")
    found = [make_prediction(0, 10.0, 0.9), make_prediction(0, 200.0, 0.4)]
    project.store_predictions(two, MODEL, found, 640, 480)
    before = project.predictions(two)
    done = export_results(project.path, tmp_path / "results.json")
    assert done["people"] == 2
    records = json.loads((tmp_path / "results.json").read_text())
    assert [(record["image_id"], record["score"]) for record in records] == [(700, 0.9), (700, 0.4)]
    report = stage_results(tmp_path / "results.json", project.path, tmp_path / "staged")
    list(project.attach_results(tmp_path / "staged"))
    again = [one for one in project.predictions(two) if one.model == report.model]
    assert [(one.box, one.score, one.joints) for one in again] == [(one.box, one.score, one.joints) for one in before]
    project.close()


def test_visibility_goes_out_and_in_again_in_the_files_order(tmp_path: Path) -> None:
    names = list(reversed(coco17().keypoints))
    content = make_coco()
    content["categories"][0]["keypoints"] = names
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path)
    one = find_image(project, "a one.jpg")
    project.store_predictions(one, MODEL, [with_visibility(make_prediction(0))], 640, 480)
    export_results(project.path, tmp_path / "r.json")
    (record,) = json.loads((tmp_path / "r.json").read_text())
    likely = [index % 3 for index in range(17)]
    assert record["keypoint_visibility"] == likely[::-1]
    report = take(project, tmp_path, [record, {**record, "keypoint_visibility": [3] * 17}])
    (again,) = [found for found in project.predictions(one) if found.model == report.model]
    assert [proposed.v for proposed in proposal(again, Acceptance(0.5)).person.joints] == likely
    assert report.problems[0].endswith("its keypoint_visibility is not 17 numbers 0, 1 or 2")
    project.close()


def test_visibility_of_joints_without_places_says_nothing(project: Project, tmp_path: Path) -> None:
    take(project, tmp_path, [result(42, keypoints=None, keypoint_visibility=[2] * 17)])
    (found,) = project.predictions(find_image(project, "a one.jpg"))
    assert all(joint.v == 0 for joint in proposal(found, Acceptance(0.5)).person.joints)
    project.close()


def two_roots(tmp_path: Path) -> Project:
    """An image a.jpg in each of two folders, with a person at 0 and one at 300."""
    project = Project.create(tmp_path / "two.poses")
    for index, name in enumerate(("one", "other")):
        (tmp_path / name).mkdir()
        project.add_images(project.add_root(tmp_path / name), ["a.jpg"])
        project.store_predictions(index + 1, MODEL, [make_prediction(0, 300.0 * index)], 640, 480)
    return project


def test_the_same_name_in_two_folders(tmp_path: Path) -> None:
    project = two_roots(tmp_path)
    export_results(project.path, tmp_path / "r.json")
    records = json.loads((tmp_path / "r.json").read_text())
    assert [(one["image_id"], one["image_root"], one["bbox"][0]) for one in records] == [(1, 0, 0), (2, 1, 300)]
    report = take(project, tmp_path, records)
    for image, x in ((1, 0.0), (2, 300.0)):
        (found,) = [one for one in project.predictions(image) if one.model == report.model]
        assert found.box.x == x
    with pytest.raises(ResultsError, match="none of its 1 detections"):
        take(project, tmp_path, [result(1, file_name="a.jpg")])  # nothing says which one is meant
    project.close()


def test_an_id_chooses_among_images_of_a_name(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p.poses")
    for index, name in enumerate(("one", "other")):
        (tmp_path / name).mkdir()
        images = [{"id": 10 + index, "file_name": "a.jpg", "width": 640, "height": 480}]
        content = make_coco(images=images, annotations=[])
        import_coco(project, write_coco(tmp_path / f"{name}.json", content), tmp_path / name)
    report = take(project, tmp_path, [result(11, file_name="a.jpg"), result(99, file_name="a.jpg")])
    assert (report.people, report.unmatched) == (1, 1)
    assert [row.predictions for row in project.image_rows()] == [0, 1]
    project.close()


def test_results_fit_the_coco_export(tmp_path: Path) -> None:
    names = list(coco17().keypoints)[::-1]
    content = make_coco()
    content["categories"][0]["keypoints"] = names
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path)
    one = find_image(project, "a one.jpg")
    project.store_predictions(one, MODEL, [make_prediction(0)], 640, 480)
    export_results(project.path, tmp_path / "r.json")
    (record,) = json.loads((tmp_path / "r.json").read_text())
    assert (record["category_id"], record["keypoint_names"]) == (9, names)
    assert record["keypoints"][:3] == [16.0, 32.0, 0.8], "the right ankle is the file's first joint"
    report = take(project, tmp_path, [record])
    (again,) = [found for found in project.predictions(one) if found.model == report.model]
    assert again.joints == make_prediction(0).joints
    project.close()


def test_ids_are_those_of_all_images_whatever_is_chosen(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poses")
    project.store_predictions(3, MODEL, [make_prediction(0)], 64, 48)
    done = export_results(project.path, tmp_path / "r.json", only="listed", listed=[2, 3])
    (record,) = json.loads((tmp_path / "r.json").read_text())
    assert (done["images"], done["people"]) == (2, 1)
    assert (record["image_id"], record["file_name"], record["category_id"]) == (3, "000002.jpg", 1)
    assert "image_root" not in record and "keypoint_names" not in record
    project.close()


def test_scores_beside_the_keypoints_are_the_confidences(project: Project, tmp_path: Path) -> None:
    flat = [value for index in range(17) for value in (float(index), 5.0, 1.0)]
    scores = [index / 20 for index in range(17)]
    good = result(42, 0.1, keypoints=flat, keypoint_scores=scores, box_score=0.7)
    bad = [{**good, "keypoint_scores": wrong} for wrong in (scores[:5], [*scores[:16], 1.5], [*scores[:16], -0.1])]
    report = take(project, tmp_path, [good, *bad])
    (found,) = project.predictions(find_image(project, "a one.jpg"))
    assert found.score == 0.7 and [joint.confidence for joint in found.joints] == scores
    assert [problem.split(": ")[1] for problem in report.problems] == [
        "its keypoint_scores are not 17 numbers from 0 to 1"
    ] * 3
    project.close()


def test_people_are_those_of_a_category_called_person(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poses")
    names = list(coco17().keypoints)[::-1]
    content: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "000000.jpg"}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "Person", "keypoints": names}],
        "annotations": [result(1, category_id=1), result(1, category_id=2)],
    }
    report = take(project, tmp_path, content)
    (found,) = project.predictions(1)
    assert report.people == 1 and (found.joints[0].x, found.joints[16].x) == (116.0, 100.0), "in the category's order"
    content["categories"] = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    with pytest.raises(ResultsError, match=r"none of its categories \(dog, cat\) is called person"):
        take(project, tmp_path, content)
    content["categories"] = [{"id": 1, "name": "uakari", "supercategory": "animal", "keypoints": names}]
    with pytest.raises(ResultsError, match=r"\(uakari\) is called person"):
        take(project, tmp_path, content)
    content["categories"] = []
    assert take(project, tmp_path, content).people == 2
    project.close()


SIZED = {"id": 42, "file_name": "a.jpg", "width": 320, "height": 240}
"""The photo is 640 x 480."""


@pytest.fixture
def halved(tmp_path: Path) -> Project:
    """A project of labels that were made for a copy of half the size."""
    Image.new("RGB", (640, 480)).save(tmp_path / "a.jpg")
    label = result(42, id=1, iscrowd=0, area=2000, num_keypoints=17, bbox=[45, 20, 25, 30])
    label["keypoints"] = [value for index in range(17) for value in (50.0 + index / 2, 25.0 + index, 2)]
    person = {"id": 1, "name": "person", "keypoints": list(coco17().keypoints)}
    content = {"images": [SIZED], "annotations": [label], "categories": [person]}
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path)
    return project


def test_our_own_results_come_back_where_they_were(halved: Project, tmp_path: Path) -> None:
    halved.store_predictions(1, MODEL, [make_prediction(0, 100.0)], 640, 480)
    (before,) = halved.predictions(1)
    export_results(halved.path, tmp_path / "r.json")
    (record,) = json.loads((tmp_path / "r.json").read_text())
    assert record["bbox"][0] == before.box.x / 2 and record["image_size"] == [320, 240]
    report = take(halved, tmp_path, [record])
    (again,) = [found for found in halved.predictions(1) if found.model == report.model]
    assert (again.box, again.joints[5].x) == (before.box, before.joints[5].x) and not report.problems
    halved.close()


@pytest.mark.parametrize(("right", "factor"), [(300, 2), (500, 1)])
def test_ids_of_a_file_about_copies_mean_its_pixels_unless_somebody_is_beyond_them(
    halved: Project, tmp_path: Path, right: int, factor: int
) -> None:
    report = take(halved, tmp_path, [result(42, bbox=[right - 50, 40, 50, 60])])
    (found,) = halved.predictions(1)
    assert (found.box.x, found.box.w, found.joints[0].x) == (factor * (right - 50), factor * 50, factor * 100)
    assert bool(report.problems) is (factor == 2), "what was assumed is said"
    halved.close()


def test_the_imported_file_says_which_category_is_people_and_how_their_joints_stand(tmp_path: Path) -> None:
    names = list(coco17().keypoints)[::-1]
    content = make_coco()
    content["categories"] = [{"id": 1, "name": "car"}, {"id": 2, "name": "person", "keypoints": names}]
    for label in content["annotations"]:
        label["category_id"] = 2
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path)
    one = find_image(project, "a one.jpg")
    report = take(project, tmp_path, [result(42, category_id=1, keypoints=[]), result(42, category_id=2)])
    (found,) = project.predictions(one)
    assert (report.people, report.others) == (1, 1)
    assert (found.joints[0].x, found.joints[16].x) == (116.0, 100.0), "the file's last joint is the nose"
    take(project, tmp_path, [result(42, category_id=1, file_name="a one.jpg")])
    assert project.predictions(one)[-1].joints[0].x == 100.0, "who names the photo knows nothing of the file"
    project.close()


def test_ids_written_as_text_and_names_in_place_of_ids_are_understood(tmp_path: Path) -> None:
    content = make_coco()
    content["images"][0] |= {"id": str(content["images"][0]["id"]), "width": "640"}
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path)
    assert take(project, tmp_path, [result(int(content["images"][0]["id"])), result("a one.jpg")]).images == 2
    assert project.image(1).width == 640
    project.close()


def test_deep_nesting_is_refused(project: Project, tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text('[{"x": ' + "[" * 5000 + "]" * 5000 + "}]")
    with pytest.raises(ResultsError, match=r"deep\.json: it is nested too deeply"):
        stage_results(deep, project.path, tmp_path / "staged")
    project.close()


def test_the_children_speak_json(project: Project, tmp_path: Path) -> None:
    project.close()
    (tmp_path / "r.json").write_text(json.dumps([result(42)]))
    command = [sys.executable, "-P", "-m", "app.storage.results_import", str(tmp_path / "r.json"), str(project.path)]
    done = subprocess.run([*command, str(tmp_path / "staged")], capture_output=True, check=True)
    assert json.loads(done.stdout)["people"] == 1
    command = [sys.executable, "-P", "-m", "app.storage.results_export", str(project.path), str(tmp_path / "no/r.json")]
    failed = subprocess.run(command, capture_output=True)
    assert failed.returncode == 1 and "cannot be written" in json.loads(failed.stdout)["error"]
