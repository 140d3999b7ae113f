"""What is exported after an edit into files of other tools: their order, their pixels, records that agree."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from round_trip import add, edit, exported, imported
from storage_builders import find_image, import_coco, keypoints, make_coco, write_coco

from app.document.records import HUMAN, Box, Change, Edit, Joint
from app.storage.coco_export import export_coco
from app.storage.coco_import import stage_coco
from app.storage.project import Project
from msarcnn.coco import Reading, read_coco
from msarcnn.skeleton import coco17

NAMES = list(coco17().keypoints)
ONE = "a one.jpg"


@pytest.fixture
def project(tmp_path: Path) -> Any:
    opened = Project.create(tmp_path / "p.poses")
    yield opened
    opened.close()


def coco(joints: list[str] | None = None, name: str = "person", **person: Any) -> dict[str, Any]:
    """One person on one image of 320 x 240, joints 10, 11, ... to the right, all visible."""
    category = {"id": 9, "name": name, **({"keypoints": joints} if joints else {})}
    labels = {
        "id": 5, "image_id": 42, "category_id": 9, "bbox": [10, 10, 100, 150], "area": 15000, "iscrowd": 0,
        "keypoints": keypoints(), "num_keypoints": 17, **person,
    }  # fmt: skip
    image = {"id": 42, "file_name": ONE, "width": 320, "height": 240}
    return {"images": [image], "annotations": [labels], "categories": [category]}


def move_nose(project: Project) -> None:
    edit(project, ONE, lambda one: replace(one, joints=(Joint(1.0, 2.0, 1, HUMAN), *one.joints[1:])))


def triples(annotation: dict[str, Any]) -> list[list[float]]:
    values = annotation["keypoints"]
    return [values[at : at + 3] for at in range(0, len(values), 3)]


def test_somebody_drawn_into_a_file_of_another_spelling_has_its_order(project: Project) -> None:
    right_first = ["nose"] + [
        f"{part}{side}" for part in ("Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
        for side in ("Right", "Left")
    ]  # fmt: skip
    content = coco(right_first)
    imported(project, content)
    image = find_image(project, ONE)
    (person,) = project.load_image(image)[1]
    assert [joint.x for joint in person.joints[:3]] == [10, 12, 11]
    assert exported(project) == content
    # The skeleton's second joint, the left eye at 3, 4, is the file's third.
    add(project, image)
    assert triples(exported(project)["annotations"][1])[:3] == [[1, 2, 2], [0, 0, 0], [3, 4, 1]]


def test_joints_that_only_the_file_has_are_kept_and_counted(project: Project) -> None:
    crowdpose = ["head", *NAMES[5:], "neck"]
    labels = [*keypoints()[:39], 7, 8, 0]
    content = coco(crowdpose, keypoints=labels, num_keypoints=13)
    imported(project, content)
    image = find_image(project, ONE)
    (person,) = project.load_image(image)[1]
    assert [joint.v for joint in person.joints] == [0] * 5 + [2] * 12 and person.joints[5].x == 11
    assert exported(project) == content
    edit(project, ONE, lambda one: replace(one, joints=(*one.joints[:16], Joint(1.0, 2.0, 1, HUMAN))))
    add(project, image)
    edited, new = exported(project)["annotations"]
    assert triples(edited) == [*triples(content["annotations"][0])[:12], [1, 2, 1], [7, 8, 0]]
    assert edited["num_keypoints"] == 13 and edited["keypoint_sources"] == "i" * 12 + "h-"
    assert len(new["keypoints"]) == 42 and new["keypoint_sources"][0] == new["keypoint_sources"][-1] == "-"


def test_an_edited_record_agrees_with_itself(project: Project) -> None:
    # The left eye lies far outside, the right eye has no place, the left ear an impossible visibility.
    labels = [10, 10, 2, 9000, 9000, 2, None, 3, 2, 13, 16, 3, *keypoints()[12:]]
    content = coco(NAMES, keypoints=labels, num_keypoints=17, bbox=[110, 160, -100, -150])
    imported(project, content)
    assert exported(project) == content
    move_nose(project)
    (written,) = exported(project)["annotations"]
    assert triples(written)[:5] == [[1, 2, 1], [0, 0, 0], [0, 0, 0], [13, 16, 2], [14, 18, 2]]
    assert written["num_keypoints"] == 15 == sum(v > 0 for v in written["keypoints"][2::3])
    assert written["keypoint_sources"] == "h--" + "i" * 14
    assert written["bbox"] == [10, 10, 100, 150]


def test_labels_of_a_larger_copy_come_back_in_its_pixels(project: Project, tmp_path: Path) -> None:
    Image.new("RGB", (160, 120), "teal").save(tmp_path / ONE)
    content = coco(NAMES, keypoints=[*keypoints()[:48], 310, 230, 2])
    imported(project, content)
    image = find_image(project, ONE)
    record, (person,), _ = project.load_image(image)
    assert (record.width, record.height) == (160, 120)
    assert person.box == Box(5, 5, 50, 75) and (person.joints[16].x, person.joints[16].y) == (155, 115)
    assert exported(project) == content

    move_nose(project)
    add(project, image)
    edited, new = exported(project)["annotations"]
    assert triples(edited) == [[2, 4, 1], *triples(content["annotations"][0])[1:]]
    assert (edited["bbox"], edited["area"]) == ([10, 10, 100, 150], 15000)
    assert new["bbox"] == [1201, 2, 20, 41] and new["area"] == 820 and triples(new)[0] == [2, 4, 2]
    out = tmp_path / "train.json"
    export_coco(project.path, out, purpose="training")
    again = read_coco(out, roots=[tmp_path]).people[0]
    assert again.bbox == (5, 5, 50, 75) and again.keypoints[0].tolist() == [1, 2, 1]


def test_a_training_file_asks_nothing_that_was_answered(project: Project, tmp_path: Path) -> None:
    content = coco([f"kp{index}" for index in range(17)], name="target")
    content["categories"].append({"id": 10, "name": "woman"})
    content["annotations"].append({**content["annotations"][0], "id": 6, "category_id": 10, "keypoints": []})
    source, staging = write_coco(tmp_path / "source.json", content), tmp_path / "staging"
    said = Reading(people=("target",), coco_order=True)
    stage_coco(source, staging, [tmp_path], lambda *_: None, said)
    list(project.attach_staging(staging, 5))
    assert exported(project) == content
    out = tmp_path / "train.json"
    export_coco(project.path, out, purpose="training")
    dataset = read_coco(out)
    assert [one.id for one in dataset.people] == [5] and dataset.people[0].num_keypoints == 17
    assert not dataset.others and not any(note.warns for note in dataset.notes)


def test_ids_written_as_text_come_back_as_they_were(project: Project) -> None:
    content = json.loads(json.dumps(coco(NAMES, id="5", image_id="42", iscrowd="0")))
    content["images"][0]["id"] = "42"
    content["images"].append({"id": "no number", "file_name": "b.jpg"})
    content["annotations"].append({"id": None, "image_id": "no number", "category_id": 9})
    imported(project, content)
    assert exported(project) == content
    add(project, find_image(project, ONE))
    assert exported(project)["annotations"][-1]["image_id"] == 42


def test_two_categories_of_people_keep_their_own_orders(project: Project) -> None:
    content = make_coco()
    woman = {"id": 30, "name": "woman", "keypoints": NAMES[::-1]}
    labels = {**content["annotations"][0], "id": 77, "image_id": 700, "category_id": 30}
    content["categories"].append(woman)
    content["annotations"].append(labels)
    imported(project, content)
    people = project.load_image(find_image(project, "b/two.jpg"))[1]
    assert people[-1].joints[16].x == 10
    assert exported(project) == content
    moved = replace(people[-1], joints=(*people[-1].joints[:16], Joint(1.0, 2.0, 1, HUMAN)))
    project.apply(Edit(find_image(project, "b/two.jpg"), "edit", (Change(people[-1], moved),)))
    assert triples(exported(project)["annotations"][-1])[:2] == [[1, 2, 1], [11, 12, 2]]


def attached(project: Project, folder: Path, name: str, content: dict[str, Any]) -> None:
    import_coco(project, write_coco(folder / f"{name}.json", content), folder)


def of_half_size(number: int) -> dict[str, Any]:
    """Somebody measured on a copy of 160 x 120 pixels, with an outline and a mask."""
    content = coco(NAMES, id=number, bbox=[100, 10, 25, 50], area=1250, keypoints=keypoints(100))
    content["images"][0] |= {"id": number, "width": "160", "height": 120.0}
    content["annotations"][0] |= {"image_id": number, "segmentation": [[100, 10, 125, 60, 100, 60]]}
    content["categories"].append({"id": 2, "name": "dog"})
    dog = {"id": number + 1, "image_id": number, "category_id": 2, "bbox": ["8", 8, 4, None], "area": 16, "iscrowd": 0}
    content["annotations"].append(dog | {"segmentation": {"size": [120, 160], "counts": [0, 1]}})
    return content


@pytest.mark.parametrize("purpose", ["export", "training"])
def test_a_second_file_measured_on_a_copy_is_written_in_the_pixels_of_the_first(
    project: Project, tmp_path: Path, purpose: Any
) -> None:
    Image.new("RGB", (320, 240), "teal").save(tmp_path / ONE)
    attached(project, tmp_path, "a", coco(NAMES))
    attached(project, tmp_path, "b", of_half_size(80))
    content = exported(project, purpose=purpose)
    assert [(one["width"], one["height"]) for one in content["images"]] == [(320, 240)]
    first, second, *dogs = content["annotations"]
    assert first == coco(NAMES)["annotations"][0], "byte for byte"
    assert (second["bbox"], second["area"], second["segmentation"]) == (
        [200, 20, 50, 100], 5000, [[200, 20, 250, 120, 200, 120]]
    )  # fmt: skip
    assert triples(second)[1] == [202, 204, 2] and second["image_id"] == 42
    if purpose == "export":
        assert [dog["bbox"] for dog in dogs] == [[16, 16, 8, None]]
        assert dogs[0]["segmentation"] == {"size": [120, 160], "counts": [0, 1]}
        assert exported(project, source=2)["annotations"] == of_half_size(80)["annotations"]
    image = find_image(project, ONE)
    (_, shown), record = project.load_image(image)[1], project.load_image(image)[0]
    project.apply(Edit(image, "edit", (Change(shown, shown.with_box(Box(210, 20, 50, 100))),)))
    assert record.width == 320 and shown.box == Box(200, 20, 50, 100)
    assert exported(project, purpose=purpose)["annotations"][1]["bbox"] == [210, 20, 50, 100]
    assert exported(project, source=2)["annotations"][0]["bbox"] == [105, 10, 25, 50]


def test_a_first_file_measured_on_a_copy_keeps_its_pixels(project: Project, tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "teal").save(tmp_path / ONE)
    attached(project, tmp_path, "b", of_half_size(80))
    attached(project, tmp_path, "a", coco(NAMES))
    add(project, find_image(project, ONE))
    first, _, second, new = exported(project)["annotations"]
    assert first == of_half_size(80)["annotations"][0]
    assert second["bbox"] == [5, 5, 50, 75] and triples(second)[16] == [13, 21, 2]
    assert new["bbox"] == [300.25, 0.5, 5, 10.25]


def test_two_entries_of_a_photo_in_one_file_keep_their_own_pixels(project: Project, tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "teal").save(tmp_path / ONE)
    content, half = coco(NAMES), of_half_size(80)
    for section in ("images", "annotations"):
        content[section] += half[section][:1]
    attached(project, tmp_path, "a", content)
    image = find_image(project, ONE)
    assert [one.box.x for one in project.load_image(image)[1]] == [10, 200]
    assert exported(project) == content
    for one in project.load_image(image)[1]:
        moved = one.with_box(Box(one.box.x + 10, one.box.y, one.box.w, one.box.h))
        project.apply(Edit(image, "edit", (Change(one, moved),)))
    add(project, image)
    assert [one["bbox"][0] for one in exported(project)["annotations"]] == [20, 105, 600.5]


def test_a_size_written_as_text_is_the_size_that_was_imported(project: Project, tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "teal").save(tmp_path / ONE)
    content = of_half_size(80)
    imported(project, content)
    move_nose(project)
    written = exported(project)["annotations"][0]
    assert triples(written)[:2] == [[0.5, 1, 1], [101, 102, 2]] and written["bbox"] == [100, 10, 25, 50]


CROWD_POSE = [*NAMES[5:], "head", "neck"]


@pytest.mark.parametrize("crowd_pose_first", [True, False])
@pytest.mark.parametrize("purpose", ["export", "training"])
def test_categories_of_one_name_with_other_joints_stay_two(
    project: Project, tmp_path: Path, crowd_pose_first: bool, purpose: Any
) -> None:
    fourteen = coco(CROWD_POSE, keypoints=keypoints()[:42], num_keypoints=14)
    seventeen = coco(NAMES)
    seventeen["images"][0]["file_name"] = "b.jpg"
    both = [fourteen, seventeen] if crowd_pose_first else [seventeen, fourteen]
    for number, content in enumerate(both):
        attached(project, tmp_path, str(number), content)
        Image.new("RGB", (320, 240), "teal").save(tmp_path / content["images"][0]["file_name"])
    add(project, find_image(project, "b.jpg"))
    out = tmp_path / "out.json"
    result = export_coco(project.path, out, purpose=purpose)
    content = json.loads(out.read_text())
    assert [(one["id"], one["keypoints"]) for one in content["categories"]] == [
        (number, one["categories"][0]["keypoints"]) for number, one in zip((9, 10), both, strict=True)
    ]
    for written, one in zip(content["annotations"], both, strict=False):
        assert (written["keypoints"], written["num_keypoints"]) == (
            one["annotations"][0]["keypoints"], one["annotations"][0]["num_keypoints"]
        )  # fmt: skip
    assert content["annotations"][2]["category_id"] == (10 if crowd_pose_first else 9), "all joints of the new one"
    (note,) = result.notes
    assert note.startswith("1.json: its category person has other joints")
    assert [one.num_keypoints for one in read_coco(out).people][:2] == ([12, 17] if crowd_pose_first else [17, 12])


def test_categories_with_the_same_joints_become_one_with_all_of_them(project: Project, tmp_path: Path) -> None:
    """Joints that the skeleton does not have are moved as well."""
    attached(project, tmp_path, "a", coco([*NAMES, "neck"], keypoints=[*keypoints(), 1, 2, 2], num_keypoints=18))
    other = coco(["Neck", *(name.replace("_", " ") for name in NAMES)], keypoints=[7, 8, 2, *keypoints()])
    other["images"][0]["file_name"] = "b.jpg"
    other["annotations"][0]["keypoint_sources"] = "p" + "h" * 17
    attached(project, tmp_path, "b", other)
    content = exported(project)
    assert len(content["categories"]) == 1
    written = content["annotations"][1]
    assert written["keypoints"] == [*keypoints(), 7, 8, 2] and written["num_keypoints"] == 18
    assert written["keypoint_sources"] == "h" * 17 + "p"


def test_a_category_of_boxes_gets_the_joints_of_the_one_that_joins_it(project: Project, tmp_path: Path) -> None:
    attached(project, tmp_path, "a", coco(None, keypoints=[], num_keypoints=0))
    other = coco(NAMES[::-1])
    other["images"][0]["file_name"] = "b.jpg"
    attached(project, tmp_path, "b", other)
    content = exported(project)
    assert [one["keypoints"] for one in content["categories"]] == [NAMES]
    assert triples(content["annotations"][1])[0] == [26, 42, 2]
