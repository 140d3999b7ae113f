"""What a COCO file says about its photos, compared with the photos before anything is judged or taught."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from msarcnn.coco import CocoDataset, read_coco
from msarcnn.file_names import find_file, relative_end
from msarcnn.images import read_header
from msarcnn.skeleton import coco17

NAMES = list(coco17().keypoints)
SIDEWAYS = 6


def photo(path: Path, width: int, height: int, orientation: int = 1) -> None:
    """A stored picture of that size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), "teal").save(path, exif=exif)


def read(
    folder: Path, images: list[dict[str, Any]], people: list[dict[str, Any]], root: Path | None = None
) -> CocoDataset:
    path = folder / "labels.json"
    categories = [{"id": 1, "name": "person", "keypoints": NAMES}]
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))
    return read_coco(path, roots=[root or folder])


def image(key: int = 1, name: str = "a.jpg", width: int = 0, height: int = 0) -> dict[str, Any]:
    return {"id": key, "file_name": name, "width": width, "height": height}


def person(key: int, box: list[float], image_id: int = 1) -> dict[str, Any]:
    x, y, w, h = box
    joints = [value for _ in range(17) for value in (x + w / 2, y + h, 2)]
    return {"id": key, "image_id": image_id, "category_id": 1, "bbox": box, "area": w * h, "iscrowd": 0,
            "keypoints": joints, "num_keypoints": 17}  # fmt: skip


def size(dataset: CocoDataset) -> tuple[int, int]:
    (one,) = dataset.images
    return one.width, one.height


def notes(dataset: CocoDataset) -> str:
    return "\n".join(map(str, dataset.notes))


def test_what_fits_is_left_alone(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40)
    dataset = read(tmp_path, [image(width=60, height=40)], [person(1, [5, 6, 20, 30])])
    assert size(dataset) == (60, 40) and dataset.people[0].bbox == (5, 6, 20, 30) and not dataset.notes


def test_labels_of_a_phone_photo_that_fit_it_upright_only_are_upright(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40, SIDEWAYS)
    assert read_header(tmp_path / "a.jpg").is_sideways
    # Its stored size, 60 x 40, stands beside a box that reaches down to 58.
    dataset = read(tmp_path, [image(width=60, height=40)], [person(1, [5, 6, 20, 52])])
    assert size(dataset) == (40, 60) and dataset.people[0].bbox == (5, 6, 20, 52)
    assert dataset.people[0].num_keypoints == 17 and "the labels fit the upright photo" in notes(dataset)


def test_labels_of_a_phone_photo_as_it_is_stored_stay_there(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40, SIDEWAYS)
    dataset = read(tmp_path, [image(width=60, height=40)], [person(1, [5, 6, 50, 30])])
    assert size(dataset) == (60, 40) and "as it is stored" in notes(dataset)


SMALL, TALL, WIDE = [5, 6, 20, 20], [5, 6, 20, 52], [5, 6, 50, 30]


@pytest.mark.parametrize(
    ("first", "small", "doubtful"),
    [((TALL,), (40, 60), False), ((WIDE,), (60, 40), False), ((), (60, 40), True), ((TALL, WIDE), (60, 40), True)],
)
def test_labels_that_fit_both_ways_up_follow_the_others_of_their_file(
    tmp_path: Path, first: tuple[list[float], ...], small: tuple[int, int], doubtful: bool
) -> None:
    boxes = [SMALL, *first]
    for key in range(1, len(boxes) + 1):
        photo(tmp_path / f"{key}.jpg", 60, 40, SIDEWAYS)
    images = [image(key, f"{key}.jpg", 60, 40) for key in range(1, len(boxes) + 1)]
    dataset = read(tmp_path, images, [person(key, box, key) for key, box in enumerate(boxes, 1)])
    assert (dataset.images[0].width, dataset.images[0].height) == small
    assert dataset.people[0].bbox == tuple(SMALL) and len(dataset.people) == len(boxes)
    assert any(note.warns and "look at one of them" in note.text for note in dataset.notes) is doubtful


@pytest.mark.parametrize(("others", "sides"), [((), (40, 60)), ((WIDE,), (60, 40)), ((TALL,), (40, 60))])
def test_a_phone_photo_without_labels_is_upright_unless_the_file_says_otherwise(
    tmp_path: Path, others: tuple[list[float], ...], sides: tuple[int, int]
) -> None:
    for key in range(1, len(others) + 2):
        photo(tmp_path / f"{key}.jpg", 60, 40, SIDEWAYS)
    images = [image(key, f"{key}.jpg", 60, 40) for key in range(1, len(others) + 2)]
    dataset = read(tmp_path, images, [person(key, box, key) for key, box in enumerate(others, 2)])
    assert (dataset.images[0].width, dataset.images[0].height) == sides
    assert not any(note.warns for note in dataset.notes)


def test_exchanged_sides_are_put_right(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40)
    dataset = read(tmp_path, [image(width=40, height=60)], [person(1, [5, 6, 50, 30])])
    assert size(dataset) == (60, 40) and dataset.people[0].bbox == (5, 6, 50, 30)
    assert "exchanged" in notes(dataset)


def test_labels_of_a_turned_copy_are_not_used(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40)
    dataset = read(tmp_path, [image(width=40, height=60)], [person(1, [5, 6, 20, 52])])
    assert size(dataset) == (60, 40) and not dataset.people and dataset.lost_people == 1
    assert "is it the right photo?" in dataset.quarantined[0].reason


def test_labels_of_a_copy_twice_as_large_are_scaled(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40)
    entry = {**image(width=121, height=80), "ignore_regions": [[0, 40, 121, 40]]}
    dataset = read(tmp_path, [entry], [person(1, [11, 12, 40, 60])])
    assert dataset.images[0].ignore_regions == (pytest.approx((0, 20, 60, 20)),)
    assert size(dataset) == (60, 40)
    (one,) = dataset.people
    assert one.bbox == pytest.approx((11 * 60 / 121, 6, 40 * 60 / 121, 30))
    assert one.keypoints[0].tolist() == pytest.approx([31 * 60 / 121, 36, 2])
    assert one.area == pytest.approx(2400 * 60 / 121 / 2) and "scaled to it" in notes(dataset)


def test_two_entries_of_one_name_are_one_photo(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg", 60, 40)
    entries = [image(key, "/elsewhere/data/images/a.jpg", 60, 40) for key in (1, 2)]
    people = [person(1, [5, 6, 20, 12], 1), person(2, [30, 6, 20, 12], 2)]
    dataset = read(tmp_path, entries, people, tmp_path / "images")
    assert len(dataset.people) == 2 and "another image entry names the same file" in notes(dataset)


def test_labels_that_only_the_photo_has_room_for_are_not_scaled(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40)
    entry, far = image(width=30, height=20), [35, 6, 20, 24]
    dataset = read(tmp_path, [entry], [person(0, [5, 6, 20, 12]), person(1, far)])
    assert size(dataset) == (60, 40) and not dataset.people and dataset.lost_people == 2
    assert "reach beyond 30 x 20 pixels, the photo has 60 x 40: correct the size" in dataset.quarantined[0].reason
    # A single one of many, as a record that is wrong, does not say it, nor does a box that reaches over the border.
    dataset = read(tmp_path, [entry], [*(person(key, [5, 6, 20, 12]) for key in range(4)), person(4, far)])
    assert dataset.people[0].bbox == (10, 12, 40, 24) and "scaled to it" in notes(dataset)
    cut = {**person(0, [5, 6, 20, 30]), "keypoints": [15, 10, 2] * 17}
    assert read(tmp_path, [entry], [cut]).people[0].bbox == (10, 12, 40, 60)


@pytest.mark.parametrize("orientation", [1, SIDEWAYS])
def test_one_bad_record_costs_no_other_of_a_turned_photo(tmp_path: Path, orientation: int) -> None:
    photo(tmp_path / "a.jpg", *((60, 40) if orientation == 1 else (40, 60)), orientation)
    far = person(5, [5, 6, 50, 30])
    far["keypoints"][:3] = [5000, 20, 2]
    people = [*(person(key, [5, 6, 50, 30]) for key in range(4)), far, person(6, [900, 6, 20, 20])]
    dataset = read(tmp_path, [image(width=40, height=60)], people)
    assert size(dataset) == (60, 40) and [one.num_keypoints for one in dataset.people] == [17, 17, 17, 17, 16]
    assert [one.id for one in dataset.quarantined] == [6]
    assert any(note.warns and "far outside" in note.text for note in dataset.notes)


def test_labels_of_another_photo_are_not_used(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 60, 40)
    photo(tmp_path / "b.jpg", 60, 40)
    images = [image(width=60, height=50), image(2, "b.jpg", 60, 50)]
    dataset = read(tmp_path, images, [person(1, [5, 6, 20, 30])])
    assert [(one.width, one.height) for one in dataset.images] == [(60, 40)] * 2
    assert not dataset.people and "60 x 50 pixels, the photo has 60 x 40" in dataset.quarantined[0].reason
    assert "images[1]: another size than the photo's" in notes(dataset)


def test_photos_that_are_missing_or_damaged_leave_the_entry_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    dataset = read(tmp_path, [image(width=9, height=8), image(2, "b.jpg", 7, 6)], [person(1, [1, 1, 4, 4])])
    assert [(one.width, one.height) for one in dataset.images] == [(9, 8), (7, 6)] and len(dataset.people) == 1
    (note,) = dataset.notes
    assert note.text == "photos that are not in the image folder" and note.places == ("images[0]",) and note.warns


@pytest.mark.parametrize(
    ("stated", "there"),
    [
        ("K\\u00e4fer.jpg", "Käfer.jpg"),
        ("K%C3%A4fer%20a.jpg", "Käfer a.jpg"),
        (unicodedata.normalize("NFD", "Käfer.jpg"), "Käfer.jpg"),
        ("Käfer.jpg", unicodedata.normalize("NFD", "Käfer.jpg")),
        ("day 1\\a.jpg", "day 1/a.jpg"),
        ("C:\\data\\day 1\\a.jpg", "day 1/a.jpg"),
        ("/home/somebody/photos/day 1/a.jpg", "day 1/a.jpg"),
        ("../images/a.jpg", "a.jpg"),
        ("https://host/bucket/day%201/a.jpg", "day 1/a.jpg"),
        ("file:///home/somebody/a.jpg", "a.jpg"),
    ],
)
def test_names_of_other_spellings_and_places(tmp_path: Path, stated: str, there: str) -> None:
    photo(tmp_path / there, 30, 20)
    dataset = read(tmp_path, [image(name=stated)], [person(1, [1, 1, 4, 4])])
    (one,) = dataset.images
    assert one.file_name == there and (one.width, one.height) == (30, 20)
    assert len(dataset.people) == 1


def test_a_photo_found_by_the_end_of_its_name_warns_unless_the_folder_is_called_the_same(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg", 30, 20)
    photo(tmp_path / "photos" / "a.jpg", 30, 20)
    names = [
        ("/x/images/a.jpg", True),
        ("/x/session 2/a.jpg", True),
        ("../a.jpg", True),
        (f"D:\\{tmp_path.name}\\images\\a.jpg", False),
        ("../images/a.jpg", False),
        ("images/a.jpg", False),
    ]
    for name, warned in names:
        dataset = read(tmp_path, [image(name=name)], [], tmp_path / "images")
        assert any(note.warns for note in dataset.notes) is warned, name
    # A folder of a relative name that is not there is no other machine's: it may be another session's.
    assert find_file(tmp_path / "photos", "session 2/a.jpg") is None


def test_two_sessions_photos_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 30, 20)
    images = [image(1, "/x/session 1/a.jpg", 30, 20), image(2, "/x/session 2/a.jpg", 30, 20)]
    dataset = read(tmp_path, images, [person(1, [1, 1, 4, 4]), person(2, [9, 1, 4, 4], 2)])
    assert [one.id for one in dataset.images] == [1] and [one.id for one in dataset.people] == [1]
    assert "it is a.jpg, as images[0] is" in dataset.quarantined[0].reason and dataset.lost_people == 1


@pytest.mark.parametrize("first", ["session1/images/a.jpg", "/home/user/session1/images/a.jpg", "D:\\x\\a.jpg"])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_entry_that_says_more_than_the_end_of_a_name_has_the_photo(
    tmp_path: Path, first: str, backwards: bool
) -> None:
    root = tmp_path / "session2" / "images"
    photo(root / "a.jpg", 30, 20)
    dataset = read(tmp_path, [image(1, first)], [person(1, [1, 1, 4, 4])], root)
    assert len(dataset.people) == 1 and any("by the ends of their names" in note.text for note in dataset.notes)
    images = [image(1, first), image(2, "session2/images/a.jpg")]
    people = [person(1, [1, 1, 4, 4]), person(2, [9, 1, 4, 4], 2)]
    dataset = read(tmp_path, images[::-1] if backwards else images, people, root)
    assert [one.id for one in dataset.images] == [2] and [one.id for one in dataset.people] == [2]
    assert dataset.lost_people == 1 and not any(note.warns for note in dataset.notes)


@pytest.mark.parametrize("name", ["./session 1/a.jpg", "session 1//a.jpg", ".\\session 1\\a.jpg", "session 1/./a.jpg"])
def test_dots_and_doubled_separators_say_nothing(tmp_path: Path, name: str) -> None:
    photo(tmp_path / "session 1" / "a.jpg", 30, 20)
    dataset = read(tmp_path, [image(name=name)], [])
    assert dataset.images[0].file_name == "session 1/a.jpg" and not any(note.warns for note in dataset.notes)
    photo(tmp_path / "session 2" / "a.jpg", 30, 20)
    assert find_file(tmp_path / "session 2", name) is None


@pytest.mark.parametrize("name", ["", "..", "/", "C:\\", "http://host", "a\0b.jpg", "../..", "a/../.."])
def test_names_of_which_nothing_remains(name: str) -> None:
    assert relative_end(name) is None


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "/etc/secret.jpg", "x/../../secret.jpg", "%2e%2e/secret.jpg", "..\\secret.jpg",
     "\\u002e\\u002e/secret.jpg", "file://../secret.jpg"],
)  # fmt: skip
def test_nothing_outside_the_folder_is_found(tmp_path: Path, name: str) -> None:
    photo(tmp_path / "secret.jpg", 30, 20)
    (tmp_path / "photos").mkdir()
    assert find_file(tmp_path / "photos", name) is None
