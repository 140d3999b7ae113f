"""The report about a file: counts by reason, warnings first, for people and for programs."""

import json
from pathlib import Path
from typing import Any

import msgspec

from msarcnn.coco import read_coco
from msarcnn.coco_report import ReadReport, report_of
from msarcnn.skeleton import coco17


def report(folder: Path, annotations: list[dict[str, Any]]) -> ReadReport:
    category = {"id": 1, "name": "person", "keypoints": list(coco17().keypoints)}
    image = {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}
    path = folder / "a.json"
    path.write_text(json.dumps({"images": [image], "annotations": annotations, "categories": [category]}))
    return report_of(read_coco(path))


def person(key: int, **changes: Any) -> dict[str, Any]:
    return {"id": key, "image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 9, "iscrowd": 0, **changes}


def test_people_that_are_lost_are_counted_by_reason(tmp_path: Path) -> None:
    empty = [person(key, bbox=[1, 2, 0, 0]) for key in range(1, 31)]
    elsewhere = [person(key, image_id=key) for key in range(100, 103)]
    found = report(tmp_path, [person(50), *empty, *elsewhere, person(51, iscrowd=None)])
    assert (found.images, found.people, found.quarantined, found.lost_people) == (1, 2, 33, 33)
    assert found.warns and found.summary() == "a.json: 1 image and 2 people; 33 people could not be read"
    first, second, third, fourth = found.lines
    assert (first.text, first.count, len(first.places)) == ("bbox is empty", 30, 20)
    assert str(second) == (
        "3 left out: its image 100 does not exist (annotations[31], annotations[32], annotations[33])"
    )
    assert not third.warns and third.kind == "note" and "counts as background" in fourth.text
    text = found.text()
    assert text.index("Lost, or perhaps wrong:") < text.index("- 30 left out: bbox is empty (annotations[1], ")
    assert text.index("does not exist") < text.index("Repaired and decided:") < text.index("1 x iscrowd is missing")


def test_a_clean_file_says_little(tmp_path: Path) -> None:
    found = report(tmp_path, [person(1)])
    assert not found.warns and found.lines == [] and found.summary() == "a.json: 1 image and 1 person"


def test_it_survives_the_way_between_processes(tmp_path: Path) -> None:
    found = report(tmp_path, [person(1), person(2, bbox=[])])
    assert msgspec.json.decode(msgspec.json.encode(found), type=ReadReport) == found


def test_photos_of_a_kind_that_is_not_read_are_named_with_the_cure(tmp_path: Path) -> None:
    images = [{"id": key, "file_name": f"{key}.jp2", "width": 10, "height": 10} for key in (1, 2)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": images}))
    (line,) = report_of(read_coco(path)).lines
    assert (line.count, line.places, line.warns) == (2, ["1.jp2"], True)
    assert line.text.startswith("JPEG 2000 photos that are not read here: convert")
