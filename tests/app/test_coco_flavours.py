"""COCO files of other tools: joints in another order, categories and boxes in their own ways."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from round_trip import add, differing, edit, exported, imported
from storage_builders import find_image, import_coco, keypoints, make_coco, write_coco

from app.document.records import HUMAN, Box, Joint
from app.storage.coco_person import FROM_MODEL
from app.storage.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Any:
    opened = Project.create(tmp_path / "p.poses")
    yield opened
    opened.close()


def turned_around(content: dict[str, Any]) -> dict[str, Any]:
    """The same labels in a file that lists its joints from the ankles up."""
    category = content["categories"][0]
    category["keypoints"] = category["keypoints"][::-1]
    for person in content["annotations"]:
        if person.get("keypoints"):
            triples = [person["keypoints"][start : start + 3] for start in range(0, 51, 3)]
            person["keypoints"] = [value for triple in reversed(triples) for value in triple]
    return content


def test_joints_in_another_order_are_read_by_their_names_and_come_back_in_the_files_order(project: Project) -> None:
    content = turned_around(make_coco())
    content["annotations"][0]["keypoint_sources"] = "p" + "h" * 16
    imported(project, content)
    image = find_image(project, "a one.jpg")
    (person,) = project.load_image(image)[1]
    assert [joint.x for joint in person.joints] == keypoints()[::3]
    assert person.joints[16].origin == FROM_MODEL and person.joints[0].origin == HUMAN
    assert exported(project) == content

    edit(project, "a one.jpg", lambda one: replace(one, joints=(Joint(1.0, 2.0, 1, HUMAN), *one.joints[1:])))
    add(project, image)
    written = exported(project)["annotations"]
    assert written[0]["keypoints"][:48] == content["annotations"][0]["keypoints"][:48]
    assert written[0]["keypoints"][48:] == [1, 2, 1]
    assert written[0]["keypoint_sources"] == "p" + "h" * 16
    assert written[-1]["keypoints"][42:] == [0, 0, 0, 3, 4, 1, 1, 2, 2]
    assert written[-1]["keypoint_sources"].endswith("-ph")


def test_files_with_different_orders_are_exported_in_the_order_of_the_first(project: Project, tmp_path: Path) -> None:
    imported(project, make_coco())
    other = turned_around(make_coco())
    for image in other["images"]:
        image["file_name"] = f"other/{image['file_name']}"
    import_coco(project, write_coco(tmp_path / "other.json", other), tmp_path)
    written = exported(project)
    whole = [person["keypoints"] for person in written["annotations"] if person.get("num_keypoints") == 17]
    assert whole == [keypoints(), keypoints()]
    assert len(written["categories"]) == 2


def cvat(content: dict[str, Any]) -> dict[str, Any]:
    """As CVAT writes it: attributes, the joints as categories of their own, licences with id 0."""
    joints = content["categories"][0]["keypoints"]
    person = {"id": 1, "name": "person", "supercategory": "", "keypoints": joints, "skeleton": [[16, 14]]}
    parts = [{"id": index + 2, "name": name, "supercategory": "person"} for index, name in enumerate(joints)]
    images = [
        image | {"id": index + 1, "license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
        for index, image in enumerate(content["images"])
    ]
    labels = {
        "id": 1, "image_id": 2, "category_id": 1, "segmentation": [], "area": 15050.0, "iscrowd": 0,
        "bbox": [10.0, 10.0, 100.0, 150.5], "keypoints": [float(value) for value in keypoints()], "num_keypoints": 17,
        "attributes": {"occluded": False, "rotation": 0.0, "keyframe": True, "outside": False, "track_id": 3},
    }  # fmt: skip
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [person, *parts],
        "images": images,
        "annotations": [labels],
    }


def coco_annotator(content: dict[str, Any]) -> dict[str, Any]:
    """As COCO Annotator writes it: colours, paths of its server, no box around somebody labelled by joints alone."""
    joints = content["categories"][0]["keypoints"]
    person = {
        "id": 77, "name": "person", "supercategory": "", "color": "#31f0a2", "metadata": {}, "creator": "somebody",
        "keypoints": joints, "keypoint_colors": ["#bf5c4d"] * 17, "skeleton": [[1, 2]],
    }  # fmt: skip
    images = [
        {
            "id": 900 + index, "dataset_id": 4, "category_ids": [], "path": f"/datasets/x/{image['file_name']}",
            "width": image["width"], "height": image["height"], "file_name": image["file_name"], "annotated": False,
            "annotating": [], "num_annotations": 1, "metadata": {}, "deleted": False, "milliseconds": 0, "events": [],
            "regenerate_thumbnail": False,
        }
        for index, image in enumerate(content["images"])
    ]  # fmt: skip
    labels = {
        "id": 5001, "image_id": 901, "category_id": 77, "segmentation": [], "area": 0, "bbox": [0, 0, 0, 0],
        "iscrowd": False, "isbbox": False, "creator": "somebody", "width": 320, "height": 240, "color": "#f2b24a",
        "keypoints": keypoints(), "metadata": {}, "milliseconds": 0, "events": [], "num_keypoints": 17,
    }  # fmt: skip
    return {"images": images, "categories": [person], "annotations": [labels]}


@pytest.mark.parametrize("flavour", [cvat, coco_annotator])
def test_files_of_other_tools_open_as_they_are_and_come_back_as_they_were(
    project: Project, flavour: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    content = flavour(make_coco())
    imported(project, content)
    _, (person,), _ = project.load_image(find_image(project, "a one.jpg"))
    assert [(joint.x, joint.y) for joint in person.joints] == list(
        zip(keypoints()[::3], keypoints()[1::3], strict=True)
    )
    assert person.box == (Box(10, 10, 100, 150.5) if flavour is cvat else Box(10, 10, 16, 32))
    assert exported(project) == content
    edit(project, "a one.jpg", lambda one: replace(one, is_crowd=True))
    (written,) = exported(project)["annotations"]
    assert differing(written, content["annotations"][0]) == {"iscrowd"}
