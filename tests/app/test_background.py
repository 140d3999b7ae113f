"""What is exported for training says where somebody may be unlabelled; the trainer does not call that background."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from storage_builders import MODEL, find_image, import_coco, make_coco, make_joints, make_project, write_coco

from app.document.records import Box, Change, Edit, ImageState, Person, PredictedJoint, Prediction, PredictionStatus
from app.storage.coco_export import ExportResult, export_coco
from app.storage.project import Project
from msarcnn.coco import read_coco
from msarcnn.dataset import labelled_images
from msarcnn.model import build_model
from msarcnn.presets import preset

IMAGE = 1
LABELLED = Box(40, 60, 100, 200)
UNLABELLED = Box(300, 80, 90, 180)
REJECTED = Box(450, 20, 60, 120)
OTHER = "ba9876543210"


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """One image of 640 x 480, with one person labelled by hand."""
    opened = make_project(tmp_path / "p.poses", images=1)
    opened.update_image_size(IMAGE, 640, 480)
    label(opened, LABELLED)
    yield opened
    opened.close()


def label(project: Project, box: Box, image: int = IMAGE) -> None:
    person = Person(project.next_person_key, box, make_joints())
    before = project.image(image).state
    change = Change(before, ImageState.IN_PROGRESS)
    project.apply(Edit(image, "draw", (Change(None, person),), state=change))


def finish(project: Project, state: ImageState, image: int = IMAGE) -> None:
    project.apply(Edit(image, "finish", state=Change(project.image(image).state, state)))


def see(project: Project, *found: tuple[Box, float], model: str = MODEL, image: int = IMAGE) -> list[Prediction]:
    """A model pre-fills the image."""
    joints = (PredictedJoint(1, 1, 0.5),) * 17
    people = [Prediction(0, model, box, score, joints) for box, score in found]
    project.store_predictions(image, model, people, 640, 480)
    return [one for one in project.predictions(image) if one.model == model]


def decide(project: Project, prediction: Prediction, status: PredictionStatus) -> None:
    project.apply(Edit(IMAGE, "decide", (), (Change(prediction, replace(prediction, status=status)),)))


def export(project: Project, only: Any = "labelled") -> tuple[ExportResult, dict[str, Any]]:
    out = project.path.with_name("train.json")
    result = export_coco(project.path, out, only=only, purpose="training")
    return result, json.loads(out.read_text())


def regions(project: Project) -> list[list[float]]:
    (image,) = export(project)[1]["images"]
    return image.get("ignore_regions", [])


def test_an_unfinished_image_that_no_model_has_seen_has_no_background(project: Project) -> None:
    assert regions(project) == [[0, 0, 640, 480]]
    result, _ = export(project)
    assert (result.images, result.unknown, result.ignored_in_part) == (1, 1, 0)


@pytest.mark.parametrize("state", [ImageState.DONE, ImageState.REVIEWED])
def test_a_finished_image_teaches_background_in_full(project: Project, state: ImageState) -> None:
    see(project, (UNLABELLED, 0.9))
    finish(project, state)
    assert "ignore_regions" not in export(project)[1]["images"][0]
    assert (export(project)[0].unknown, export(project)[0].ignored_in_part) == (0, 0)


def test_nobody_here_is_background_in_full(project: Project) -> None:
    project.add_images(1, ["empty.jpg"])
    empty = find_image(project, "empty.jpg")
    project.update_image_size(empty, 64, 48)
    finish(project, ImageState.DONE_EMPTY, empty)
    (image,) = export(project, "finished")[1]["images"]
    assert "ignore_regions" not in image


def test_where_a_model_sees_somebody_whom_nobody_has_labelled_nothing_is_taught(project: Project) -> None:
    found = see(
        project,
        (Box(42, 58, 100, 205), 0.95),  # the labelled one
        (UNLABELLED, 0.3),
        (REJECTED, 0.8),
        (Box(600, 400, 100, 100), 0.2),  # reaches beyond the image
        (Box(200, 0, 50, 50), 0.09),  # too faint
    )
    decide(project, found[2], PredictionStatus.REJECTED)
    # Grown by 15 % of its size on every side, within the image.
    assert regions(project) == [
        pytest.approx([300 - 13.5, 80 - 27, 90 + 27, 180 + 54]),
        pytest.approx([600 - 15, 400 - 15, 55, 95]),
    ]
    assert (export(project)[0].unknown, export(project)[0].ignored_in_part) == (0, 1)


def test_what_was_decided_about_one_models_find_holds_for_anothers(project: Project) -> None:
    first = see(project, (REJECTED, 0.8), (UNLABELLED, 0.9))
    decide(project, first[0], PredictionStatus.REJECTED)
    decide(project, first[1], PredictionStatus.ACCEPTED)  # and somebody deleted the label again
    see(project, (REJECTED, 0.7), (UNLABELLED, 0.8), model=OTHER)
    assert regions(project) == []


def test_an_imported_file_is_taken_at_its_word_until_somebody_knows_better(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poses", images=0)
    content = make_coco()
    content["images"][1]["ignore_regions"] = [[1, 2, 30, 40]]
    import_coco(project, write_coco(tmp_path / "a.json", content), tmp_path)
    by_name = {image["file_name"]: image.get("ignore_regions") for image in export(project)[1]["images"]}
    assert by_name == {"a one.jpg": [[1, 2, 30, 40]], "b/two.jpg": None}
    key = find_image(project, "a one.jpg")
    see(project, (Box(200, 100, 40, 100), 0.6), image=key)
    by_name = {image["file_name"]: image.get("ignore_regions") for image in export(project)[1]["images"]}
    assert by_name["a one.jpg"] == [[1, 2, 30, 40], pytest.approx([194, 85, 52, 130])]
    label(project, UNLABELLED, find_image(project, "b/two.jpg"))  # the file has missed somebody
    by_name = {image["file_name"]: image.get("ignore_regions") for image in export(project)[1]["images"]}
    assert by_name["b/two.jpg"] == [[0, 0, 640, 480]]
    finish(project, ImageState.DONE, key)
    by_name = {image["file_name"]: image.get("ignore_regions") for image in export(project)[1]["images"]}
    assert by_name["a one.jpg"] == [[1, 2, 30, 40]], "what the file says of itself stays"
    project.close()


def test_an_imported_image_that_lost_people_has_no_background_until_it_is_finished(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poses", images=0)
    content = make_coco()
    content["annotations"].append({**content["annotations"][3], "id": 7, "image_id": "700", "bbox": [1, 2, 3]})
    import_coco(project, write_coco(tmp_path / "a.json", content), tmp_path)
    key = find_image(project, "b/two.jpg")
    see(project, (LABELLED, 0.9), image=key)
    result, written = export(project)
    by_name = {image["file_name"]: image.get("ignore_regions") for image in written["images"]}
    assert by_name == {"a one.jpg": None, "b/two.jpg": [[0, 0, 640, 480]]}
    assert (result.unknown, result.ignored_in_part) == (1, 0)
    out = project.path.with_name("out.json")
    export_coco(project.path, out)
    assert "ignore_regions" not in out.read_text()
    finish(project, ImageState.DONE, key)
    assert all("ignore_regions" not in image for image in export(project)[1]["images"])
    project.close()


def test_an_export_for_others_says_nothing_about_it(project: Project) -> None:
    out = project.path.with_name("out.json")
    export_coco(project.path, out)
    assert "ignore_regions" not in out.read_text()


@pytest.mark.parametrize("seen", [False, True], ids=["never pre-filled", "pre-filled"])
def test_somebody_unlabelled_on_an_unfinished_image_is_no_negative_for_the_trainer(
    project: Project, seen: bool
) -> None:
    if seen:
        see(project, (LABELLED, 0.9), (UNLABELLED, 0.4))
    export(project)
    data = read_coco(project.path.with_name("train.json"))
    (image,) = labelled_images(data, [project.path.parent])
    target = image.target()
    torch.manual_seed(0)
    model = build_model(preset("msa_rcnn_mobilenet_v2", fpn_channels=16, box_head_width=32, keypoint_width=16))

    def corners(box: Box, shift: float = 0.0, grow: float = 0.0) -> list[float]:
        return [box.x + shift - grow, box.y + shift - grow, box.right + shift + grow, box.bottom + shift + grow]

    near = [corners(UNLABELLED, shift, grow) for shift in (-12, 0, 12) for grow in (-10, 0, 15)]
    empty = [[400.0, 300.0, 460.0, 420.0]]
    boxes = torch.tensor([corners(LABELLED), *near, *empty])
    (anchors,), _ = model.rpn.assign_targets_to_anchors([boxes], [target])
    proposals, _, labels, _ = model.roi_heads.select_training_samples([boxes], [target])
    negatives = {tuple(box) for box, kind in zip(proposals[0].tolist(), labels[0].tolist(), strict=True) if kind == 0}
    assert anchors[0] == 1
    assert anchors[1:-1].tolist() == [-1] * len(near)
    assert not negatives & {tuple(box) for box in boxes[1:-1].tolist()}
    # Where a model has looked and seen nobody there is background, in the other case none is known.
    assert anchors[-1] == (0 if seen else -1)
    assert (tuple(empty[0]) in negatives) is seen


def test_the_same_image_finished_teaches_that_nobody_is_there(project: Project) -> None:
    finish(project, ImageState.DONE)
    export(project)
    (image,) = labelled_images(read_coco(project.path.with_name("train.json")), [project.path.parent])
    model = build_model(preset("msa_rcnn_mobilenet_v2", fpn_channels=16, box_head_width=32, keypoint_width=16))
    boxes = torch.tensor([[40.0, 60, 140, 260], [300, 80, 390, 260]])
    (anchors,), _ = model.rpn.assign_targets_to_anchors([boxes], [image.target()])
    assert anchors.tolist() == [1, 0]
