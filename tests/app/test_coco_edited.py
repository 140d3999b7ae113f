"""What is exported after an edit into files of other tools: their order, their pixels, records that agree."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from round_trip import add, edit, exported, imported
from storage_builders import find_image, keypoints, make_coco, write_coco

from app.document.records import HUMAN, Box, Change, Edit, Joint
from app.storage.coco_export import export_coco
from app.storage.coco_import import stage_coco
from app.storage.project import Project
from msarcnn.coco import Reading, read_coco
from msarcnn.skeleton import load_skeleton

NAMES = list(load_skeleton().keypoints)
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
