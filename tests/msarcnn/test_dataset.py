import json

import numpy as np
import pytest
import torch
from PIL import Image

from msarcnn.coco import read_coco
from msarcnn.config import TrainConfig
from msarcnn.dataset import (
    DataError,
    PoseDataset,
    StepSampler,
    chosen_for_training,
    ground_truth,
    labelled_images,
    mixed_seed,
    read_labelled_images,
)
from msarcnn.presets import PRESETS
from msarcnn.skeleton import coco17
from msarcnn.split import split_by_image

LIGHT = PRESETS["msa_rcnn_mobilenet_v2"]


def person(key, image, bbox, keypoints=None, **extra):
    record = {"id": key, "image_id": image, "category_id": 1, "bbox": bbox, "iscrowd": 0, "area": bbox[2] * bbox[3]}
    if keypoints is not None:
        record |= {"keypoints": keypoints, "num_keypoints": sum(v > 0 for v in keypoints[2::3])}
    return record | extra


@pytest.fixture
def folder(tmp_path):
    """Four images: a labelled person and a crowd; a person without keypoints; nobody; a file that is no image."""
    for index in range(3):
        Image.new("RGB", (80, 60), (40 * index, 90, 120)).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"not an image")
    nose = [30, 20, 2] + [0] * 48
    data = {
        "images": [{"id": 10 + i, "file_name": f"{i}.png", "width": 80, "height": 60} for i in range(4)],
        "annotations": [
            person(1, 10, [10, 10, 40, 45], nose, keypoint_sources="p" + "-" * 16),
            person(2, 10, [50, 0, 30, 30], iscrowd=1, segmentation={"counts": "abc", "size": [60, 80]}),
            person(3, 11, [5, 5, 20, 30], bbox_weight=0.25),
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(coco17().keypoints), "skeleton": []}],
    }
    data["images"][2]["ignore_regions"] = [[0, 0, 10, 10]]
    (tmp_path / "labels.json").write_text(json.dumps(data))
    return tmp_path


def test_crowds_are_ignored_and_people_without_keypoints_are_boxes(folder):
    first, second, third, _ = labelled_images(read_coco(folder / "labels.json"), [folder], pseudo_weight=0.5)
    assert first.boxes.tolist() == [[10, 10, 50, 55]]
    assert first.ignore_boxes.tolist() == [[50, 0, 80, 30]]
    assert first.keypoint_weights[0].tolist() == [0.5] + [0] * 16
    assert second.boxes.tolist() == [[5, 5, 25, 35]]
    assert second.keypoint_weights.sum() == 0
    assert first.box_weights.tolist() == [1] and second.target()["box_weights"].tolist() == [0.25]
    assert third.box_weights.shape == (0,)
    assert third.boxes.shape == (0, 4) and third.keypoints.shape == (0, 17, 3)
    assert third.ignore_boxes.tolist() == [[0, 0, 10, 10]]


def test_the_paper_trains_on_images_with_keypoints_only(folder):
    images, _ = read_labelled_images([folder / "labels.json"], [folder])
    assert len(chosen_for_training(images, TrainConfig(select="all"))) == 4
    assert [i.image_id for i in chosen_for_training(images, TrainConfig(select="keypoints"))] == [10]


def test_files_and_folders_must_fit(folder):
    labels = folder / "labels.json"
    with pytest.raises(DataError, match="2 annotation files need 2 --images"):
        read_labelled_images([labels, labels], [folder])
    data = json.loads(labels.read_text())
    data["images"][0]["image_root"] = 1
    labels.write_text(json.dumps(data))
    with pytest.raises(DataError, match="image_root is 1"):
        read_labelled_images([labels], [folder])


def test_pycocotools_gets_the_clean_people(folder):
    truth = ground_truth(read_coco(folder / "labels.json"), {10})
    assert [image["id"] for image in truth["images"]] == [10]
    assert [a["iscrowd"] for a in truth["annotations"]] == [0, 1]
    assert len(truth["annotations"][1]["keypoints"]) == 51


def test_pycocotools_gets_ignored_regions_as_crowds_with_ids_of_their_own(folder):
    truth = ground_truth(read_coco(folder / "labels.json"))
    ids = [annotation["id"] for annotation in truth["annotations"]]
    assert ids == [1, 2, 3, 4], "pycocotools takes an id of 0 for no match, and forgets one of two with the same id"
    assert truth["annotations"][3] == {
        "id": 4,
        "image_id": 12,
        "category_id": 1,
        "bbox": [0.0, 0.0, 10.0, 10.0],
        "area": 100.0,
        "iscrowd": 1,
        "num_keypoints": 0,
        "keypoints": [0.0] * 51,
    }
    assert len(ground_truth(read_coco(folder / "labels.json"), {10, 11})["annotations"]) == 3


@pytest.fixture
def losses(folder):
    """The four images: of the first one of two people could not be read, of the second its only one."""
    data = json.loads((folder / "labels.json").read_text())
    data["annotations"].append(person(4, "10", [200, 10, 40, 45]))
    data["annotations"][2] |= {"bbox": [5, 5, "?", 30]}
    data["annotations"].append({"image_id": 12, "category_id": 1, "bbox": [1, 2, 3, 4]})
    (folder / "labels.json").write_text(json.dumps(data))
    return folder


def test_an_image_that_lost_people_has_no_background(losses):
    images, notes = read_labelled_images([losses / "labels.json"], [losses])
    first, second, third, fourth = images
    assert first.boxes.tolist() == [[10, 10, 50, 55]] and [0, 0, 80, 60] in first.ignore_boxes.tolist()
    assert second.ignore_boxes.tolist() == [[0, 0, 80, 60]]
    assert [0, 0, 80, 60] in third.ignore_boxes.tolist() and not len(fourth.ignore_boxes)
    said = "3 x images that lost people: nothing on them counts as background (images[0], images[1], images[2])"
    assert any(said in note.text for note in notes)
    chosen = chosen_for_training(images, TrainConfig(select="all"))
    assert [image.image_id for image in chosen] == [10, 13], "nothing can be learned from images that lost everybody"


def test_an_image_that_lost_people_is_no_place_for_false_positives(losses):
    truth = ground_truth(read_coco(losses / "labels.json"))
    whole = [one["image_id"] for one in truth["annotations"] if one["bbox"] == [0, 0, 80, 60] and one["iscrowd"]]
    assert whole == [10, 11, 12]


def test_a_sample_depends_on_seed_step_and_image_only(folder):
    images, _ = read_labelled_images([folder / "labels.json"], [folder])
    dataset = PoseDataset(images, TrainConfig(sizes=(64,), seed=5), LIGHT, coco17())
    first, again, later = dataset[(3, 0)], dataset[(3, 0)], dataset[(4, 0)]
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, later.image)


def test_a_mosaic_depends_on_seed_step_and_image_only_and_may_meet_a_damaged_file(folder):
    images, _ = read_labelled_images([folder / "labels.json"], [folder])
    config = TrainConfig(sizes=(64,), crop=64, mosaic=1.0, seed=5)
    dataset, whole = PoseDataset(images[:3], config, LIGHT, coco17()), PoseDataset(images, config, LIGHT, coco17())
    first, again, later = dataset[(3, 0)], dataset[(3, 0)], dataset[(4, 0)]
    assert first.image.shape == (3, 64, 64)
    assert torch.equal(first.image, again.image) and torch.equal(first.target["boxes"], again.target["boxes"])
    assert not torch.equal(first.image, later.image)
    problems = [sample.problem for step in range(12) if (sample := whole[(step, 0)]).problem]
    assert problems and all("3.png" in problem for problem in problems)


def test_a_damaged_image_is_a_problem_not_a_crash(folder):
    images, _ = read_labelled_images([folder / "labels.json"], [folder])
    sample = PoseDataset(images, TrainConfig(), LIGHT, coco17())[(0, 3)]
    assert "3.png" in sample.problem and "left out" in sample.problem


def test_every_epoch_shows_every_image_once_and_resuming_changes_nothing():
    config = TrainConfig(iterations=10, batch_size=3, seed=1)
    batches = list(StepSampler(6, config))
    assert sorted(index for batch in batches[:2] for _, index in batch) == list(range(6))
    assert [index for batch in batches[:2] for _, index in batch] != [index for b in batches[2:4] for _, index in b]
    assert list(StepSampler(6, config, first_step=7)) == batches[7:]
    assert len(StepSampler(6, config, first_step=7)) == 3


def test_a_split_is_by_image_stable_and_never_empty(folder):
    images, _ = read_labelled_images([folder / "labels.json"], [folder])
    training, held_out = split_by_image(images, 0.25, seed=3)
    assert len(training) == 3 and len(held_out) == 1
    assert split_by_image(images, 0.25, seed=3)[1][0].image_id == held_out[0].image_id
    assert len(split_by_image(images, 0.0001, seed=0)[1]) == 1
    with pytest.raises(DataError, match="two labelled images"):
        split_by_image(images[:1], 0.5, 0)


def test_seeds_differ():
    seeds = {mixed_seed(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert np.std([seed / 2**63 for seed in seeds]) > 0.2
