"""The COCO reader: raw text untouched, structural faults named, single records repaired or quarantined."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msarcnn.coco import (
    CocoDataset,
    CocoError,
    DuplicateIdError,
    atomic_writer,
    read_coco,
    remove_stale_temporaries,
    write_json_atomic,
)
from msarcnn.coco_records import locate
from msarcnn.skeleton import coco17

NAMES = list(coco17().keypoints)
POINTS = [value for joint in range(17) for value in (10.0 + joint, 20.5, 2)]


def document(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "info": {"description": "test", "odd": 1.50},
        "images": [{"id": 7, "file_name": "a/b.jpg", "width": 100, "height": 80}],
        "annotations": [annotation()],
        "categories": [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": [[1, 2]]}],
    }
    return {**base, **changes}


def annotation(**changes: Any) -> dict[str, Any]:
    base = {
        "id": 1,
        "image_id": 7,
        "category_id": 1,
        "bbox": [5, 6, 50.5, 60],
        "area": 99.5,
        "iscrowd": 0,
        "keypoints": POINTS,
        "num_keypoints": 17,
        "segmentation": [],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def read(folder: Path, content: Any, **options: Any) -> CocoDataset:
    path = folder / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_coco(path, **options)


def notes(dataset: CocoDataset) -> str:
    return "\n".join(map(str, dataset.notes))


def test_clean_file(tmp_path: Path) -> None:
    dataset = read(tmp_path, document())
    assert dataset.notes == [] and dataset.quarantined == [] and dataset.others == []
    (image,), (person,) = dataset.images, dataset.people
    assert (image.id, image.file_name, image.width, image.height, image.image_root) == (7, "a/b.jpg", 100, 80, 0)
    assert person.bbox == (5.0, 6.0, 50.5, 60.0) and person.area == 99.5 and not person.iscrowd
    assert person.keypoints.shape == (17, 3) and person.keypoints.dtype == np.float64
    assert person.keypoints.ravel().tolist() == POINTS and person.num_keypoints == 17
    assert not person.keypoints.flags.writeable
    assert dataset.header["info"]["odd"] == 1.5 and "images" not in dataset.header
    assert json.loads(dataset.header_raw["categories"]) == dataset.header["categories"]
    assert dataset.person is not None and dataset.person.keypoints == tuple(NAMES)
    assert dataset.people_by_image() == {7: [person]}


def test_raw_text_is_untouched(tmp_path: Path) -> None:
    text = (
        '\ufeff{ "images":[ {"id":7,"file_name":"a.jpg","width":1e2,"height":80.0, "x":{"é":1.10}} ],\n'
        '"categories":[{"id":1,"name":"person"}], "extra": 12345678901234567890123,\n'
        '"annotations":[{"id":2, "image_id":7,"category_id":1,"bbox":[1,2,3.10,4],"iscrowd":1,"area":1,'
        '"segmentation":{"counts":"\\u0050Y0","size":[999999999,999999999]}, "z":1.00}]}'
    )
    dataset = read(tmp_path, text.encode())
    assert dataset.images[0].raw == '{"id":7,"file_name":"a.jpg","width":1e2,"height":80.0, "x":{"é":1.10}}'
    assert dataset.people[0].raw.endswith(
        '"segmentation":{"counts":"\\u0050Y0","size":[999999999,999999999]}, "z":1.00}'
    )
    assert dataset.header_raw["extra"] == "12345678901234567890123"
    assert dataset.header["extra"] == 12345678901234567890123
    assert dataset.people[0].iscrowd and dataset.people[0].num_keypoints == 0
    assert (dataset.images[0].width, dataset.images[0].height) == (100, 80)
    assert read(tmp_path, text.encode(), keep_raw=False).people[0].raw == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    extras=st.lists(st.dictionaries(st.text(min_size=1, max_size=6), JSON, max_size=3), min_size=1, max_size=5),
    ids=st.lists(st.integers(-(2**62), 2**62), min_size=5, max_size=5, unique=True),
    header=st.dictionaries(st.text(min_size=1, max_size=6), JSON, max_size=3),
)
def test_unknown_fields_survive(
    tmp_path: Path, extras: list[dict[str, Any]], ids: list[int], header: dict[str, Any]
) -> None:
    content = document(
        annotations=[{**extra, **annotation(id=key)} for extra, key in zip(extras, ids, strict=False)],
    )
    content = {**header, **content}
    dataset = read(tmp_path, content)
    records = sorted([*dataset.people, *dataset.quarantined], key=lambda record: record.index)
    rebuilt = {key: json.loads(raw) for key, raw in dataset.header_raw.items()}
    rebuilt["images"] = [json.loads(image.raw) for image in dataset.images]
    rebuilt["annotations"] = [json.loads(record.raw) for record in records]
    assert rebuilt == content


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", "", "is empty"),
        (b"\xef\xbb\xbf  \n", "", "is empty"),
        (b"[]", "", "is a list"),
        (b"3", "", "not valid JSON"),
        (b"{}", "images", "is missing"),
        (b'{"shapes": [], "imagePath": "a.jpg"}', "images", "labelme's file about one photo"),
        (b'{"images": [}', "images[0]", "line 1, column 13"),
        (b'{"images": [], "annotations": [1, 2', "", "not valid JSON"),
        (json.dumps(document()).encode("utf-16"), "", "UTF-16"),
        (json.dumps(document()).encode("utf-16-be"), "", "UTF-16"),
        (json.dumps(document()).encode("utf-32"), "", "UTF-16 or UTF-32"),
        (b'{"images":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "", "nested too deeply"),
        (b'{"images": [], "x": "\xff"}', "x", "not valid text"),
        (b'{"images": [{"id": 1, "file_name": "\xff"}]}', "images[0]", "not valid text"),
        (b'{"images": {"id": 1}}', "images", "expected `array`, got `object`"),
        (b'{"images": [3]}', "images[0]", "expected `object`, got `int`"),
        (b'{"images": [{"file_name": "a.jpg"}]}', "images[0]", "id is missing"),
        (b'{"images": [{"id": 1}, 4]}', "images[0]", "file_name is missing"),
        (b'{"images": [{"id": "one", "file_name": "a.jpg"}]}', "images[0]", "id is wrong: expected `int`, got `str`"),
        (b'{"images": [{"id": 1.5, "file_name": "a.jpg"}]}', "images[0]", "expected `int`"),
        (b'{"images": [{"id": 9%s, "file_name": "a.jpg"}]}' % (b"9" * 40), "images[0]", "beyond 64 bits"),
        (b'{"images": [{"id": 1, "file_name": null}]}', "images[0]", "file_name is wrong: expected `str`"),
        (json.dumps(document(categories=...), default=str).replace('"Ellipsis"', "3").encode(), "categories", "wrong"),
        (
            json.dumps(document(categories=[{"name": "person"}])).encode(),
            "categories[0]",
            "missing required field `id`",
        ),
        (b'{"images": [], "annotations": [{}]}', "categories", "is missing"),
    ],
)
def test_structural_faults_name_place_and_cure(tmp_path: Path, content: bytes, place: str, message: str) -> None:
    with pytest.raises(CocoError) as caught:
        read(tmp_path, content)
    assert caught.value.place == place
    assert message in str(caught.value) and str(tmp_path / "a.json") in str(caught.value)
    assert caught.value.cure in str(caught.value) and caught.value.cure


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_does_not_have(tmp_path: Path, value: bytes) -> None:
    text = json.dumps(document(annotations=[annotation(), annotation(id=2, bbox=[1, 2, "@", 4])]), indent=1)
    with pytest.raises(CocoError, match=f"is {value.decode()}, which JSON does not allow, at line") as caught:
        read(tmp_path, text.encode().replace(b'"@"', value))
    assert caught.value.place == "annotations[1].bbox[2]"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bbox": "1,2,3,4", "keypoints": []}, "bbox is not four"),
        ({"bbox": [1, 2, None, 4], "keypoints": [0] * 51}, "bbox is not four"),
        ({"bbox": None, "keypoints": {"nose": 1}}, "bbox is missing"),
        ({"id": 2**70}, "its id is beyond 64 bits"),
        ({"image_id": ...}, "image_id is missing"),
        ({"category_id": None}, "category_id is wrong"),
        ({"iscrowd": "maybe"}, "iscrowd is wrong"),
        ({"id": "three"}, "id is wrong"),
    ],
)
def test_one_bad_record_costs_no_other(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    content = document(annotations=[annotation(id=3), annotation(**{"id": 5, **changes}), annotation(id=4)])
    dataset = read(tmp_path, content)
    assert [person.id for person in dataset.people] == [3, 4]
    (record,) = dataset.quarantined
    assert record.reason.startswith(reason) and record.index == 1 and dataset.lost_people == 1
    assert json.loads(record.raw) == content["annotations"][1]


def test_one_bad_image_costs_its_own_people_only(tmp_path: Path) -> None:
    content = document(annotations=[annotation(id=1), annotation(id=2, image_id="x9"), annotation(id=3, image_id=9)])
    content["images"] += [{"id": "x9", "file_name": "b.jpg"}, {"id": "9", "file_name": 5}]
    dataset = read(tmp_path, content)
    assert [image.id for image in dataset.images] == [7] and [person.id for person in dataset.people] == [1]
    assert [(one.section, one.index) for one in dataset.quarantined] == [
        ("images", 1), ("images", 2), ("annotations", 1), ("annotations", 2)
    ]  # fmt: skip
    assert dataset.lost_people == 2 and dataset.quarantined[3].reason == "its image 9 is in quarantine"


def test_ids_beyond_64_bits_cost_their_record(tmp_path: Path) -> None:
    content = document(annotations=[annotation(), annotation(id=10**30), annotation(id=2, image_id=2**70)])
    content["images"].append({"id": 2**70, "file_name": "b.jpg"})
    dataset = read(tmp_path, content)
    assert [one.id for one in dataset.people] == [1] and [one.id for one in dataset.quarantined] == [0, 0, 2]
    assert dataset.quarantined[2].reason == f"its image {2**70} is in quarantine"
    assert dataset.images_that_lost_people >= {7}
    with pytest.raises(CocoError, match=r"categories\[0\].id is 1000.*beyond 64 bits"):
        read(tmp_path, document(categories=[{"id": 10**30, "name": "person"}]))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"area": "N/A"}, "area"),
        ({"area": []}, "area"),
        ({"num_keypoints": "x"}, "num_keypoints"),
        ({"iscrowd": ""}, "iscrowd"),
        ({"score": [0.9]}, "score"),
        ({"keypoint_sources": ["h"] * 17}, "keypoint_sources"),
        ({"keypoint_weights": [None] * 17}, "keypoint_weights"),
    ],
)
def test_a_wrong_field_that_is_not_needed_costs_no_person(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    (person,) = read(tmp_path, document(annotations=[annotation(**changes)])).people
    assert person.bbox == (5.0, 6.0, 50.5, 60.0) and person.keypoints.ravel().tolist() == POINTS
    dataset = read(tmp_path, document(annotations=[annotation(**changes)]))
    assert f"{field} cannot be read: taken as missing" in notes(dataset)


@pytest.mark.parametrize("box", [[], [None] * 4, [10, 10, None, None], "1,2,3,4", [1, 2, 3, 4, 0.9], {"x": 1}])
def test_a_box_that_is_not_four_numbers_is_as_none(tmp_path: Path, box: Any) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(bbox=box)]))
    assert dataset.people[0].bbox == (POINTS[0], POINTS[1] - 0.8, 16.0, 1.6)
    assert "bbox is not four finite numbers: the one around the labelled keypoints is used" in notes(dataset)


@pytest.mark.parametrize("keypoints", [{"nose": 1}, [[1, 2, 2]] * 17, "1 2 2"])
def test_joints_that_cannot_be_read_cost_no_box(tmp_path: Path, keypoints: Any) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(keypoints=keypoints)]))
    (person,) = dataset.people
    assert person.bbox == (5.0, 6.0, 50.5, 60.0) and not person.keypoints.any()
    assert any(note.warns and "keypoints cannot be read" in note.text for note in dataset.notes)


@pytest.mark.parametrize("side", ["", "640px", [], {}])
def test_a_wrong_size_of_an_image_is_as_none(tmp_path: Path, side: Any) -> None:
    content = document()
    content["images"][0]["width"] = side
    dataset = read(tmp_path, content)
    assert (dataset.images[0].width, dataset.images[0].height) == (0, 0) and len(dataset.people) == 1
    assert [note.text for note in dataset.notes] == [
        "width cannot be read: taken as missing",
        "width and height are missing or impossible: they are taken from the file",
    ]
    content["images"][0]["image_root"] = None
    assert len(read(tmp_path, content).people) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 3.0},
        {"id": "3", "image_id": "7", "category_id": "1"},
        {"iscrowd": "0", "num_keypoints": "17"},
        {"bbox": ["5", "6", "50.5", 60]},
        {"keypoints": [str(value) for value in POINTS]},
    ],
)
def test_numbers_written_as_text_are_read(tmp_path: Path, changes: dict[str, Any]) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(**{"id": 3, **changes})]))
    (person,) = dataset.people
    assert (person.id, person.image_id, person.category_id, person.bbox) == (3, 7, 1, (5.0, 6.0, 50.5, 60.0))
    assert not person.iscrowd and person.keypoints.ravel().tolist() == POINTS
    assert dataset.quarantined == []


@pytest.mark.parametrize(
    ("triple", "read_as", "text"),
    [
        ([None, None, 2], [0, 0, 0], "a joint without a number"),
        ([1, 2, None], [0, 0, 0], "a joint without a number"),
        (["x", "y", 2], [0, 0, 0], "a joint without a number"),
        ([1, 2, 3], [1, 2, 2], "a visibility above 2"),
        ([1, 2, 0.9], [1, 2, 2], "taken as confidences"),
        ([1, 2, 0.2], [1, 2, 0], "taken as confidences"),
        ([1, 2, -1], [1, 2, 0], "not 0, 1 or 2"),
        ([1, 2, 1.5], [1, 2, 0], "not 0, 1 or 2"),
    ],
)
def test_one_bad_joint_costs_no_other(tmp_path: Path, triple: list[Any], read_as: list[float], text: str) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(keypoints=[*triple, *POINTS[3:]])]))
    (person,) = dataset.people
    assert person.keypoints[0].tolist() == read_as and person.keypoints[1:].ravel().tolist() == POINTS[3:]
    assert text in notes(dataset) and any(note.warns for note in dataset.notes)


def joints(*thirds: float) -> list[float]:
    return [value for at in range(17) for value in (10.0 + at, 20.5, thirds[at] if at < len(thirds) else 1)]


def test_confidences_are_told_from_visibilities_by_the_whole_file(tmp_path: Path) -> None:
    flags, sure = annotation(id=2, keypoints=joints(1, 0)), annotation(id=1, keypoints=joints(1.0, 0.98, 1.02, 0.3))
    first, second = read(tmp_path, document(annotations=[sure, flags])).people
    assert first.keypoints[:5, 2].tolist() == [2, 2, 2, 0, 2] and second.keypoints[:3, 2].tolist() == [2, 0, 2]
    # Beside people with visibilities, those are confidences that stand among them.
    content = document(annotations=[sure, flags, annotation(id=3)])
    first, second, third = read(tmp_path, content).people
    assert first.keypoints[:5, 2].tolist() == [2, 2, 2, 0, 2] and second.keypoints[:3, 2].tolist() == [1, 0, 1]
    assert third.keypoints[:, 2].tolist() == [2] * 17
    assert "annotations[0]: visibilities between 0 and 1 are taken as confidences" in notes(read(tmp_path, content))


@pytest.mark.parametrize("keypoints", [POINTS[:-1], POINTS * 2])
def test_joints_of_another_count_cost_the_joints_and_not_the_person(tmp_path: Path, keypoints: list[float]) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(keypoints=keypoints)]))
    (person,) = dataset.people
    assert person.bbox == (5.0, 6.0, 50.5, 60.0) and not person.keypoints.any()
    assert "not the 51 numbers of 17 joints" in notes(dataset)


@pytest.mark.parametrize("box", [[20, 30, 0, 0], [20, 30, 5, 0], [20, 30, 0, 5]])
def test_a_box_of_no_size_becomes_that_of_the_joints(tmp_path: Path, box: list[float]) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(bbox=box)]))
    assert dataset.people[0].bbox == (POINTS[0], POINTS[1] - 0.8, 16.0, 1.6)


def test_annotations_of_null_are_none(tmp_path: Path) -> None:
    dataset = read(tmp_path, document(annotations=None))
    assert dataset.people == [] and len(dataset.images) == 1 and "is null" in notes(dataset)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(CocoError, match="is not a file that exists"):
            read_coco(path)


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
def test_duplicate_ids_are_reported_with_both_records(tmp_path: Path, section: str) -> None:
    content = document()
    content[section] = [*content[section], {**content[section][0], "note": "the second"}]
    with pytest.raises(DuplicateIdError, match=f"{section}\\[1\\].*the same id . as {section}\\[0\\]") as caught:
        read(tmp_path, content)
    assert caught.value.indices == (0, 1) and caught.value.id == content[section][0]["id"]
    assert all(f'"id":{caught.value.id}' in record.replace(" ", "") for record in caught.value.records)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"area": ...}, "area is missing"),
        ({"area": None}, "area is missing"),
        ({"area": -3}, "area is missing or impossible"),
        ({"iscrowd": ...}, "iscrowd is missing"),
        ({"num_keypoints": ...}, "num_keypoints is missing"),
        ({"num_keypoints": 3}, "num_keypoints is not"),
        ({"bbox": [55.5, 66, -50.5, -60]}, "negative width or height"),
        ({"keypoints": [101.5, -1, 2, *POINTS[3:]]}, "slightly outside"),
        ({"keypoints": [300, 20, 2, *POINTS[3:]], "num_keypoints": 16}, "far outside"),
        ({"keypoint_weights": [1.0]}, "keypoint_weights"),
        ({"bbox_weight": -1}, "bbox_weight is not a number >= 0"),
        ({"keypoint_sources": "hh"}, "keypoint_sources"),
    ],
)
def test_repairable_records_are_repaired_with_a_note(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    content = document(annotations=[annotation(**changes)])
    dataset = read(tmp_path, content)
    (person,) = dataset.people
    assert text in notes(dataset) and "annotations[0]" in notes(dataset)
    assert person.bbox == (5.0, 6.0, 50.5, 60.0)
    assert person.area == (99.5 if "area" not in changes else 50.5 * 60)
    assert person.num_keypoints == int((person.keypoints[:, 2] > 0).sum())
    assert person.keypoints[:, 0].max() <= 100 and person.keypoints[:, 1].min() >= 0
    assert person.keypoint_weights is None and person.keypoint_sources is None and person.bbox_weight == 1
    assert json.loads(person.raw) == content["annotations"][0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bbox": ..., "keypoints": []}, "bbox is missing"),
        ({"bbox": None, "keypoints": []}, "bbox is missing"),
        ({"bbox": [1, 2, 3], "keypoints": []}, "four finite numbers"),
        ({"bbox": [], "keypoints": []}, "four finite numbers"),
        ({"bbox": [1, 2, 0, 4], "keypoints": [], "num_keypoints": 0}, "empty"),
        ({"bbox": [1e308, 2, 1e308, 4]}, "beyond"),
        ({"bbox": [200, 2, 10, 4]}, "outside the image"),
        ({"iscrowd": 2}, "iscrowd"),
        ({"image_id": 8}, "image 8 does not exist"),
        ({"category_id": 5}, "category 5 does not exist"),
    ],
)
def test_other_records_are_quarantined_and_kept(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    content = document(annotations=[annotation(id=3, **changes), annotation(id=4)])
    dataset = read(tmp_path, content)
    assert [person.id for person in dataset.people] == [4]
    (record,) = dataset.quarantined
    assert reason in record.reason and (record.section, record.index, record.id) == ("annotations", 0, 3)
    assert json.loads(record.raw) == content["annotations"][0]
    assert str(record).startswith("annotations[0] (id 3): ")


@pytest.mark.parametrize(
    "changes",
    [
        {"file_name": ""},
        {"file_name": "../"},
        {"file_name": "a\0.jpg"},
        {"image_root": -1},
        {"ignore_regions": [[1, 2, 3]]},
    ],
)
def test_unusable_images_take_their_annotations_along(tmp_path: Path, changes: dict[str, Any]) -> None:
    content = document()
    content["images"][0].update(changes)
    dataset = read(tmp_path, content)
    assert dataset.images == [] and dataset.people == []
    assert [(record.section, record.index) for record in dataset.quarantined] == [("images", 0), ("annotations", 0)]
    assert "in quarantine" in dataset.quarantined[1].reason


def test_image_fields(tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "a.jpg", "ignore_regions": [[1, 2, 3, 4], [9, 9, -4, -4]], "image_root": 2},
        {"id": 2, "file_name": "b.jpg", "width": 0, "height": 80},
        {"id": 3, "file_name": "b.jpg", "width": 640, "height": 480.0},
    ]
    dataset = read(tmp_path, {"images": images})
    assert dataset.images[0].ignore_regions == ((1, 2, 3, 4), (5, 5, 4, 4)) and dataset.images[0].image_root == 2
    assert [(image.width, image.height) for image in dataset.images] == [(0, 0), (0, 0), (640, 480)]
    assert "images[0] and 1 more: width and height" in notes(dataset)
    assert "images[2]: another image entry names the same file" in notes(dataset)
    assert dataset.person is None and dataset.people_by_image() == {1: [], 2: [], 3: []}


def test_annotation_extras_are_read(tmp_path: Path) -> None:
    weights = [0.5] * 17
    extra = annotation(keypoint_weights=weights, keypoint_sources="hip-" * 4 + "h", score=0.25, bbox_weight=0.5)
    (person,) = read(tmp_path, document(annotations=[extra])).people
    assert person.keypoint_weights == tuple(weights) and person.keypoint_sources == "hip-" * 4 + "h"
    assert person.score == 0.25 and person.bbox_weight == 0.5


@pytest.mark.parametrize("keypoints", [..., None, [], [0] * 51])
def test_people_without_keypoints_are_first_class(tmp_path: Path, keypoints: Any) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(keypoints=keypoints, num_keypoints=0)]))
    assert dataset.people[0].num_keypoints == 0 and not dataset.people[0].keypoints.any()
    assert dataset.notes == [] and dataset.quarantined == []


def test_hidden_joints_keep_their_place(tmp_path: Path) -> None:
    points = [500, 600, 0, *POINTS[3:]]
    (person,) = read(tmp_path, document(annotations=[annotation(keypoints=points, num_keypoints=16)])).people
    assert person.keypoints[0].tolist() == [500, 600, 0]


def test_other_categories_are_kept_apart(tmp_path: Path) -> None:
    categories = [
        {"id": 3, "name": "dog", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]},
        {"id": 1, "name": "Person", "keypoints": [name.replace("_", " ") for name in NAMES]},
    ]
    dog = {"id": 9, "image_id": 7, "category_id": 3, "bbox": "whatever", "keypoints": [1, 2, 2, 3, 4, 2]}
    dataset = read(tmp_path, document(categories=categories, annotations=[dog, annotation()]))
    assert dataset.person is not None and dataset.person.id == 1 and dataset.notes == []
    assert [(other.id, other.category_id, other.index) for other in dataset.others] == [(9, 3, 0)]
    assert json.loads(dataset.others[0].raw) == dog and len(dataset.people) == 1


def test_a_person_without_a_box_gets_that_of_the_labelled_joints(tmp_path: Path) -> None:
    points = [0.0, 0.0, 0, 30.0, 20.0, 2, 50.5, 60.0, 1, *[0] * 42]
    for box in (None, [0, 0, 0, 0]):
        dataset = read(tmp_path, document(annotations=[annotation(bbox=box, keypoints=points, area=0)]))
        (person,) = dataset.people
        assert person.bbox == (30.0, 20.0, 20.5, 40.0) and person.area == 20.5 * 40
        assert f"bbox is {'empty' if box else 'missing'}: the one around" in notes(dataset)


def test_joints_in_another_order_are_sorted_by_name(tmp_path: Path) -> None:
    names = ["Right Ankle", *NAMES[:16]]
    category = {"id": 1, "name": "person", "keypoints": names}
    labels = annotation(keypoint_weights=[0.5, *[1] * 16], keypoint_sources="p" + "h" * 16)
    dataset = read(tmp_path, document(categories=[category], annotations=[labels]))
    (person,) = dataset.people
    assert person.keypoints[16].tolist() == POINTS[:3] and person.keypoints[0].tolist() == POINTS[3:6]
    assert person.keypoint_weights == (*[1.0] * 16, 0.5) and person.keypoint_sources == "h" * 16 + "p"
    assert "sorted by their names" in notes(dataset)


def test_equal_notes_are_counted(tmp_path: Path) -> None:
    dataset = read(tmp_path, document(annotations=[annotation(id=key, area=...) for key in range(50)]))
    (note,) = dataset.notes
    assert note.count == 50 and len(note.places) == 20
    assert str(note).startswith("annotations[0] and 49 more: area is missing")


def test_locate_counts_entries() -> None:
    text = rb'{"a": [1, "x]\"", {"b": 2}], "c": {"d,": [[0, 1], @'
    assert locate(text, text.index(b"@")) == "c.d,[1]"
    assert locate(text, text.index(b"2")) == "a[2].b"


def test_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_json_atomic(path, b"old")
    with pytest.raises(RuntimeError), atomic_writer(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    (tmp_path / "link.json").symlink_to(path)
    write_json_atomic(tmp_path / "link.json", b"new")
    assert path.read_bytes() == b"new" and (tmp_path / "link.json").is_symlink()
    with pytest.raises(OSError):
        write_json_atomic(tmp_path / "missing" / "out.json", b"x")


def test_only_stale_temporaries_are_removed(tmp_path: Path) -> None:
    stale = tmp_path / ".out.json.999999999-0123abcd.msarcnn-tmp"
    live = tmp_path / f".out.json.{os.getpid()}-0123abcd.msarcnn-tmp"
    other = tmp_path / ".out.json.tmp"
    for path in (stale, live, other):
        path.touch()
    folder = tmp_path / ".pictures.999999999-0123abcd.msarcnn-tmp"
    folder.mkdir()
    (folder / "half.png").touch()
    assert remove_stale_temporaries(tmp_path) == [stale, folder]
    assert sorted(tmp_path.iterdir()) == sorted([live, other])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    original = msgspec.json.encode(document())
    start = data.draw(st.integers(0, len(original)))
    length = data.draw(st.integers(0, 12))
    middle = data.draw(st.binary(max_size=6) | st.sampled_from([b"1e999", b"NaN", b"null", b'"x"', b"[", b"\\ud800"]))
    try:
        dataset = read(tmp_path, original[:start] + middle + original[start + length :])
    except CocoError as error:
        assert str(tmp_path) in str(error)
    else:
        assert len(dataset.images) + len(dataset.people) + len(dataset.others) + len(dataset.quarantined) <= 2
