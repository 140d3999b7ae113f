"""Import and export again: nothing lost, nothing changed but what somebody edited."""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from round_trip import add, differing, edit, exported, imported, load
from storage_builders import (
    MODEL,
    find_image,
    import_coco,
    keypoints,
    make_coco,
    make_prediction,
    make_project,
    write_coco,
)

from app.document.records import HUMAN, IMPORTED, Box, Change, Edit, ImageState, Joint, Person
from app.storage.coco_export import export_coco
from app.storage.coco_import import stage_coco
from app.storage.errors import ProjectError
from app.storage.project import Project
from msarcnn.coco import CocoError

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def project(tmp_path: Path) -> Any:
    opened = Project.create(tmp_path / "p.poses")
    yield opened
    opened.close()


# Nothing edited

numbers = st.floats(0, 300, allow_nan=False).map(lambda value: round(value, 3)) | st.integers(0, 300)
unknown = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
extras = st.dictionaries(st.text(min_size=1).map(lambda text: "x_" + text), unknown, max_size=3)
segmentations = st.one_of(
    st.just([]),
    st.lists(st.lists(numbers, min_size=6, max_size=8), max_size=2),
    st.fixed_dictionaries(
        {"size": st.just([10**9, 10**9]), "counts": st.text() | st.lists(st.integers(0, 10**12), max_size=4)}
    ),
)
ids = st.integers(-5, 2**53)


@st.composite
def coco_files(draw: st.DrawFn) -> dict[str, Any]:
    image_ids = draw(st.lists(ids, unique=True, max_size=4))
    names = st.sampled_from(["a.jpg", "b/c d.png", "ü/日本.webp", "../out.jpg", "/abs.jpg", "same.jpg"])
    images = [
        draw(extras)
        | {"file_name": draw(names), "id": key, "width": draw(st.sampled_from([0, 320, 640])), "height": 480}
        for key in image_ids
    ]
    annotations = []
    for key in draw(st.lists(ids, unique=True, max_size=6)) if image_ids else []:
        record = draw(extras) | {
            "id": key,
            "image_id": draw(st.sampled_from([*image_ids, 10**15])),
            "category_id": draw(st.sampled_from([1, 1, 1, 7])),
            "bbox": draw(st.lists(numbers, min_size=4, max_size=4)),
            "segmentation": draw(segmentations),
        }
        for name, values in {
            "iscrowd": st.integers(0, 1),
            "area": numbers,
            "num_keypoints": st.integers(0, 17),
            "keypoints": st.sampled_from([keypoints(), keypoints(300), [0] * 51, [1, 2, 3], keypoints(v=5)]),
        }.items():
            if draw(st.booleans()):
                record[name] = draw(values)
        annotations.append(record)
    categories = [draw(extras) | {"id": 1, "name": "person"}, {"id": 7, "name": "dog"}]
    content = draw(extras) | {"images": images, "annotations": annotations, "categories": categories}
    order = draw(st.permutations(list(content)))
    return {name: content[name] for name in order}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(coco_files())
def test_any_file_comes_back_as_it_was(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "p.poses")
        imported(project, content)
        back = exported(project)
        alone = exported(project, source=1)
        project.close()
    assert back == content
    assert alone == content
    assert list(back) == list(content)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["coco/annotations/person_keypoints_train.json", "coco/annotations/person_keypoints_val.json"]
)
def test_real_files_come_back_as_they_were(project: Project, name: str) -> None:
    source = SHARED / name
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    staged = project.path.with_name("staging.db")
    stage_coco(source, staged, [source.parent], lambda stage, done, total: None)
    list(project.attach_staging(staged))
    out = project.path.with_name("out.json")
    export_coco(project.path, out)
    assert load(out) == load(source)
    records = msgspec.json.decode(out.read_bytes(), type=dict[str, msgspec.Raw])
    originals = msgspec.json.decode(source.read_bytes(), type=dict[str, msgspec.Raw])
    for section in ("images", "annotations"):
        written = msgspec.json.decode(records[section], type=list[msgspec.Raw])
        assert written == msgspec.json.decode(originals[section], type=list[msgspec.Raw])


def test_an_image_list_without_annotations(project: Project) -> None:
    content = {"images": [{"id": 3, "file_name": "a.jpg"}], "info": {}}
    imported(project, content)
    assert exported(project) == content
    add(project, 1)
    back = exported(project)
    assert [c["name"] for c in back["categories"]] == ["person"]
    assert (back["annotations"][0]["category_id"], back["annotations"][0]["image_id"]) == (1, 3)


# Edited


def test_moving_one_joint_changes_nothing_else(project: Project) -> None:
    imported(project, make_coco())
    edit(project, "a one.jpg", lambda person: person.with_joint(3, Joint(99.5, 98.25, 1, HUMAN)))
    out = exported(project)
    before, after = make_coco()["annotations"][0], out["annotations"][0]
    assert differing(before, after) == {"keypoints", "keypoint_sources"}
    assert after["keypoints"][9:12] == [99.5, 98.25, 1]
    assert after["keypoints"][:9] + after["keypoints"][12:] == before["keypoints"][:9] + before["keypoints"][12:]
    assert after["keypoint_sources"] == "iiih" + "i" * 13
    assert out["annotations"][1:] == make_coco()["annotations"][1:]
    text = project.path.with_name("out.json").read_text()
    assert "[10, 10.0, 100, 150.5]" in text  # the box's numbers as they were written, 10.0 beside 10


def test_each_field_follows_its_own_edit(project: Project) -> None:
    imported(project, make_coco())
    edit(project, "a one.jpg", lambda person: person.with_box(Box(10, 10, 50, 150.5)))
    edit(
        project,
        "b/two.jpg",
        lambda person: Person(person.key, person.box, person.joints, False, person.area, person.raw),
    )
    after = {record["id"]: record for record in exported(project)["annotations"]}
    before = {record["id"]: record for record in make_coco()["annotations"]}
    assert differing(before[5], after[5]) == {"bbox", "area"}
    assert after[5]["area"] == pytest.approx(9999.25 / 2)
    assert differing(before[6], after[6]) == {"iscrowd"}


def test_deleting_and_undoing(project: Project) -> None:
    imported(project, make_coco())
    key = find_image(project, "a one.jpg")
    deletion = Edit(key, "delete", (Change(project.load_image(key)[1][0], None),))
    project.apply(deletion)
    assert [record["id"] for record in exported(project)["annotations"]] == [901, 6, 4]
    project.apply(deletion.inverse())
    assert exported(project) == make_coco()


def test_new_people_and_images_come_after_the_largest_ids(project: Project) -> None:
    imported(project, make_coco())
    project.add_images(1, ["new.jpg"])
    image = find_image(project, "new.jpg")
    project.update_image_size(image, 640, 480)
    project.store_predictions(image, MODEL, [make_prediction(0)], 640, 480)  # must not get into the labels
    add(project, image)
    out = exported(project)
    assert out["images"][-1] == {"id": 701, "file_name": "new.jpg", "width": 640, "height": 480}
    assert out["annotations"][:4] == make_coco()["annotations"]
    own = out["annotations"][4]
    assert len(out["annotations"]) == 5
    assert (own["id"], own["image_id"], own["category_id"], own["iscrowd"]) == (902, 701, 9, 0)
    assert (own["bbox"], own["area"], own["segmentation"]) == ([600.5, 1, 10, 20.5], 205.0, [])
    assert own["keypoints"][:9] == [1, 2, 2, 3, 4, 1, 0, 0, 0]
    assert (own["num_keypoints"], own["keypoint_sources"]) == (16, "hp-" + "p" * 14)
    assert len(exported(project, source=1)["images"]) == 2


def test_our_own_export_comes_back_with_its_origins(project: Project, tmp_path: Path) -> None:
    project.add_images(project.add_root(tmp_path), ["a.jpg"])
    project.update_image_size(1, 640, 480)
    add(project, 1)
    content = exported(project)
    second = Project.create(tmp_path / "second.poses")
    imported(second, content)
    _, (person,), _ = second.load_image(1)
    assert [joint.origin for joint in person.joints[:3]] == [HUMAN, "model", IMPORTED]
    assert person.joints[1].from_model
    assert exported(second) == content
    _, progress = import_coco(project, tmp_path / "source.json", tmp_path)
    assert (progress.people_added, progress.people_skipped) == (0, 1)
    second.close()


def test_opening_our_own_export_again_adds_nothing(project: Project, tmp_path: Path) -> None:
    """Whether it was noted as our own, or was not and has been changed since."""
    content = make_coco(
        images=[*make_coco()["images"], {"id": 55, "file_name": ""}],
        annotations=[*make_coco()["annotations"], make_coco()["annotations"][0] | {"id": 77, "image_id": 12345}],
    )
    source = write_coco(tmp_path / "source.json", content)
    import_coco(project, source, tmp_path)
    edit(project, "b/two.jpg", lambda person: person.with_box(Box(1, 2, 30, 40)))
    for changes in ({}, {"info": {"description": "changed by another program"}}, {}):
        export_coco(project.path, source)
        first = load(source)
        import_coco(project, write_coco(source, first | changes), tmp_path)
        assert exported(project) == first
    result = export_coco(project.path, source)
    project.remember_export(result.digest)
    edit(project, "a one.jpg", lambda person: person.with_box(Box(200, 100, 30, 40)))
    moved = exported(project)
    _, progress = import_coco(project, source, tmp_path)  # its person would lie where nobody is any more
    assert (progress.images_added, progress.people_added, progress.done) == (0, 0, progress.total)
    assert exported(project) == moved


def test_an_incomplete_import_is_told_and_never_replaces_its_source(project: Project, tmp_path: Path) -> None:
    source = write_coco(tmp_path / "source.json", make_coco())
    staging = tmp_path / "staging.db"
    stage_coco(source, staging, [tmp_path], lambda *_: None)
    steps = project.attach_staging(staging, batch=1)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    result = export_coco(project.path, tmp_path / "out.json")
    assert len(result.incomplete) == 1 and "source.json" in result.incomplete[0]
    with pytest.raises(ProjectError, match="only a part"):
        export_coco(project.path, source)
    assert load(source) == make_coco()
    list(project.attach_staging(staging))
    assert export_coco(project.path, source).incomplete == []


def test_what_was_imported_without_a_label_is_not_the_models_to_fill(project: Project) -> None:
    content = make_coco()
    content["annotations"][0]["keypoints"][3:6] = [0, 0, 0]
    imported(project, content)
    image = find_image(project, "a one.jpg")
    joints = project.load_image(image)[1][0].joints
    assert joints[1] == Joint(0, 0, 0, IMPORTED) and not joints[1].from_model and not joints[1].placed
    nobody_looked = find_image(project, "b/two.jpg")
    for person in project.load_image(nobody_looked)[1]:
        assert all(joint == Joint() for joint in person.joints)


def test_a_joint_that_a_person_placed_counts_in_training(project: Project) -> None:
    content = make_coco()
    content["annotations"][0]["keypoint_weights"] = [0, 0, 0.5, *[0] * 14]
    imported(project, content)
    edit(project, "a one.jpg", lambda person: person.with_joint(1, Joint(9, 9, 2, HUMAN)))
    edit(project, "a one.jpg", lambda person: person.with_joint(3, Joint(9, 9, 2, MODEL)))
    assert exported(project)["annotations"][0]["keypoint_weights"] == [0, 1, 0.5, *[0] * 14]


def test_a_box_that_a_person_put_right_counts_in_training(project: Project) -> None:
    content = make_coco()
    for annotation in content["annotations"][:2]:
        annotation["bbox_weight"] = 0.3
    imported(project, content)
    edit(project, "a one.jpg", lambda person: replace(person, box=Box(1, 2, 30, 40)))
    first, second = exported(project)["annotations"][:2]
    assert first["bbox_weight"] == 1 and first["bbox"] == [1, 2, 30, 40]
    assert second["bbox_weight"] == 0.3


def test_filters(project: Project) -> None:
    imported(project, make_coco())
    project.add_images(1, ["empty.jpg", "not seen.jpg"])
    empty = find_image(project, "empty.jpg")
    project.update_image_size(empty, 64, 48)
    project.apply(Edit(empty, "nobody", state=Change(ImageState.UNSEEN, ImageState.DONE_EMPTY)))
    edit(project, "a one.jpg", lambda person: person, ImageState.DONE)
    assert [i["file_name"] for i in exported(project, only="finished")["images"]] == ["a one.jpg", "empty.jpg"]
    assert [a["id"] for a in exported(project, only="finished")["annotations"]] == [5]
    assert len(exported(project, only="labelled")["images"]) == 2
    assert len(exported(project)["images"]) == 4


def test_training_export(project: Project, tmp_path: Path) -> None:
    bad = make_coco()["annotations"][0] | {"id": 77, "bbox": [1, 2, 3], "keypoints": []}
    imported(project, make_coco(annotations=[*make_coco()["annotations"], bad]))
    other = project.add_root(tmp_path / "second root")
    project.add_images(other, ["x.jpg", "unlabelled.jpg", "damaged.jpg"])
    first, damaged = find_image(project, "x.jpg", other), find_image(project, "damaged.jpg", other)
    project.update_image_size(first, 64, 48)
    add(project, first)
    add(project, damaged, 1)
    out = tmp_path / "train.json"
    result = export_coco(project.path, out, purpose="training")
    content = load(out)
    assert [(i["file_name"], i["image_root"]) for i in content["images"]] == [
        ("b/two.jpg", 0),
        ("a one.jpg", 0),
        ("x.jpg", 1),
    ]
    assert result.roots == [str(tmp_path), str(tmp_path / "second root")] == load(tmp_path / "train.roots.json")
    assert [a["id"] for a in content["annotations"] if a["category_id"] == 9] == [5, 6, 4, 902]
    assert len(result.skipped) == 1 and "damaged.jpg" in result.skipped[0]
    assert len(COCO(out).getAnnIds()) == 4 and [one["name"] for one in content["categories"]] == ["person"]


def test_several_sources_are_combined_with_a_map(project: Project, tmp_path: Path) -> None:
    imported(project, make_coco())
    other = make_coco(
        categories=[{"id": 18, "name": "person"}, {"id": 9, "name": "cat"}], licenses=[{"id": 3, "name": "paid"}]
    )
    other["images"][0]["file_name"] = "third.jpg"  # the second image is the same as in the first file
    for record in other["annotations"]:
        record["category_id"] = {9: 18, 18: 9}[record["category_id"]]
    source = write_coco(tmp_path / "other.json", other)
    _, progress = import_coco(project, source, tmp_path)
    assert progress.people_skipped == 1
    out = tmp_path / "all.json"
    result = export_coco(project.path, out)
    content = load(out)
    assert result.ids == str(tmp_path / "all.ids.json")
    assert [(i["id"], i["file_name"]) for i in content["images"]] == [
        (700, "b/two.jpg"),
        (42, "a one.jpg"),
        (701, "third.jpg"),
    ]
    assert content["images"][2]["license"] == 4
    assert [(c["id"], c["name"]) for c in content["categories"]] == [(9, "person"), (18, "dog"), (19, "cat")]
    assert len({a["id"] for a in content["annotations"]}) == len(content["annotations"]) == 7
    added = content["annotations"][4:]
    assert [(a["category_id"], a["image_id"]) for a in added] == [(19, 701), (9, 701), (9, 701)]
    renumbered = load(tmp_path / "all.ids.json")["sources"][1]
    assert renumbered["images"] == [{"old": 700, "new": 701}, {"old": 42, "new": 42}]
    assert exported(project, source=1) == make_coco()
    COCO(out)


def test_detection_only_gets_a_skeleton_once_joints_are_labelled(project: Project) -> None:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "person", "color": "red"}],
    }
    imported(project, content)
    assert exported(project) == content
    edit(project, "a.jpg", lambda person: person.with_joint(0, Joint(2, 3, 2, IMPORTED)))
    out = exported(project)
    assert differing(content["categories"][0], out["categories"][0]) == {"keypoints", "skeleton"}
    assert differing(annotation, out["annotations"][0]) == {"keypoints", "num_keypoints", "keypoint_sources"}
    assert min(min(edge) for edge in out["categories"][0]["skeleton"]) == 1


# As child processes, and what goes wrong


def run(module: str, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    command = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_children_speak_json_lines(project: Project, tmp_path: Path) -> None:
    source = write_coco(tmp_path / "s.json", make_coco())
    code, lines = run("app.storage.coco_import", source, tmp_path / "st.db", "--images", tmp_path)
    assert code == 0 and lines[-1]["event"] == "result" and lines[-1]["report"]["people"] == 3
    assert lines[-2] == {"event": "progress", "stage": "preparing", "done": 6, "total": 6}
    list(project.attach_staging(tmp_path / "st.db"))
    code, lines = run("app.storage.coco_export", project.path, tmp_path / "o.json")
    assert code == 0 and lines[-1]["roots"] == [str(tmp_path)]
    assert load(tmp_path / "o.json") == make_coco()


def test_errors_are_sentences_and_leave_files_alone(project: Project, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": NaN}]}')
    code, lines = run("app.storage.coco_import", broken, tmp_path / "st.db")
    assert code == 1 and "broken.json" in lines[-1]["error"]
    assert not (tmp_path / "st.db").exists()
    code, lines = run("app.storage.coco_export", project.path, tmp_path / "no folder" / "o.json")
    assert code == 1 and "no folder" in lines[-1]["error"]
    code, lines = run("app.storage.coco_export", project.path, tmp_path / "o.json", "--source", "5")
    assert code == 1 and "no import number 5" in lines[-1]["error"]
    assert not list(tmp_path.glob(".*"))
    content = make_coco(images=[record | {"image_root": 3} for record in make_coco()["images"]])
    with pytest.raises(CocoError, match="4 image folders"):
        stage_coco(write_coco(tmp_path / "r.json", content), tmp_path / "st.db", [tmp_path], lambda *_: None)


def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "p.poses")
    out = tmp_path / "out.json"
    out.write_text("old")

    def fail(*_: object) -> str:
        raise OSError(28, "No space left on device")

    add(project, 1)
    monkeypatch.setattr("app.storage.coco_writer.new_annotation", fail)
    with pytest.raises(OSError, match="No space"):
        export_coco(project.path, out)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".*"))
    project.close()
