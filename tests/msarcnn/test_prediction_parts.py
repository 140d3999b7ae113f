"""The parts of a prediction: kept, taken up again, refused, put together. No Ray is needed for this."""

import os
from pathlib import Path

import msgspec
import pytest

from msarcnn.prediction_parts import Part, PartsError, PartsFolder, decode_images, encode_images, part_size
from msarcnn.prefill import FoundPeople, unlabelled

IMAGES = [unlabelled(key, Path("/photos"), f"{key:03d}.jpg") for key in range(1, 131)]
"""130 images: 44 parts of three, the last of one."""


def answer(images):
    """The second image of a part cannot be read."""
    found = [FoundPeople(image.image_id, (4, 3), [{"image_id": image.image_id}]) for image in images]
    return msgspec.json.encode(Part(found[:1] + found[2:], [f"{image.file_name}: no" for image in images[1:2]]))


def folder_of(output, images=IMAGES, model="abc", threshold=0.3):
    return PartsFolder(output, images, model, threshold)


def opened(output, *finished):
    parts = folder_of(output)
    parts.open()
    for part in finished:
        parts.keep(part, answer(decode_images(parts.requests[part])))
    return parts


def test_names_survive_the_way_to_a_worker():
    images = [
        unlabelled(2**70, Path(os.fsdecode(b"/disk/\xff\xfe")), "a \\ %20 ü.jpg", (640, 480)),
        unlabelled(-1, Path("/"), "b.jpg"),
    ]
    there = decode_images(encode_images(images))
    assert [image.photo for image in there] == [image.photo for image in images]
    assert [image.image_id for image in there] == [2**70, -1]


def test_few_images_make_small_parts_and_many_make_many():
    assert [part_size(count) for count in (1, 10, 64, 65, 130, 10**4, 10**6)] == [1, 1, 1, 2, 3, 157, 256]


def test_every_image_is_asked_of_one_part(tmp_path):
    parts = folder_of(tmp_path / "o.json")
    asked = [image.image_id for request in parts.requests for image in decode_images(request)]
    assert asked == [image.image_id for image in IMAGES]
    assert [parts.images_of(part) for part in (0, 42, 43)] == [3, 3, 1] and len(parts.requests) == 44


def test_parts_are_put_together_in_the_order_of_the_images(tmp_path):
    parts = opened(tmp_path / "o.json", *reversed(range(44)))
    problems = []
    assert [found.image_id for found in parts.read(problems)] == [key for key in range(1, 131) if key % 3 != 2]
    assert problems == [f"{key:03d}.jpg: no" for key in range(2, 131, 3)]
    parts.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_or_damaged_is_unfinished(tmp_path):
    parts = opened(tmp_path / "o.json", *range(40))
    (parts.path / "00003.json").write_bytes(b'{"found": [')
    (parts.path / "00004.json").write_bytes(answer(IMAGES[:1]))
    (parts.path / ".00041.json.999999999-0123abcd.msarcnn-tmp").write_bytes(b"half")
    again = opened(tmp_path / "o.json")
    assert again.unfinished() == [3, 4, 40, 41, 42, 43]
    assert not list(parts.path.glob(".*")), "what a killed process left is removed"
    with pytest.raises(PartsError, match=r"00003\.json .* run the same command again"):
        list(again.read([]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "abd"}, "another model"),
        ({"threshold": 0.4}, r"threshold 0\.3"),
        ({"images": IMAGES[:-1]}, "130 images"),
        ({"images": [*IMAGES[1:], IMAGES[0]]}, "other images"),
        ({"images": [unlabelled(1, Path("/photos"), "001.jpg", (8, 6)), *IMAGES[1:]]}, "other images"),
    ],
)
def test_parts_of_another_question_are_refused(tmp_path, change, said):
    output = tmp_path / "o.json"
    parts = opened(output, 7)
    before = sorted(file.read_bytes() for file in parts.path.iterdir())
    with pytest.raises(PartsError, match=rf"o\.json\.parts .*\({said}\): remove that folder, or choose another"):
        folder_of(output, **change).open()
    assert sorted(file.read_bytes() for file in parts.path.iterdir()) == before


def test_a_job_without_parts_makes_room_for_another(tmp_path):
    opened(tmp_path / "o.json")
    other = folder_of(tmp_path / "o.json", model="abd")
    other.open()
    other.keep(0, answer(IMAGES[:3]))
    folder_of(tmp_path / "o.json", model="abd").open()


def test_a_folder_of_somebody_else_stays(tmp_path):
    (tmp_path / "o.json.parts").mkdir()
    (tmp_path / "o.json.parts/thesis.txt").write_text("years")
    with pytest.raises(PartsError, match="has no parts of a prediction: remove that folder"):
        folder_of(tmp_path / "o.json").open()
    assert (tmp_path / "o.json.parts/thesis.txt").read_text() == "years"


def test_what_somebody_put_beside_the_parts_stays(tmp_path):
    parts = opened(tmp_path / "o.json", *range(44))
    (parts.path / "notes.txt").write_text("mine")
    parts.remove()
    assert [file.name for file in parts.path.iterdir()] == ["notes.txt"]
