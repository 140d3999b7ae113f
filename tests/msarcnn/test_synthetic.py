"""The synthetic people: deterministic, exactly annotated, left and right as COCO has them."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from msarcnn.coco import read_coco
from msarcnn.images import find_images, image_size, load_image
from msarcnn.resources import resource_path
from msarcnn.synthetic import SyntheticScene, main, make_scene, write_dataset
from msarcnn.synthetic_figure import random_figure, view
from msarcnn.synthetic_render import NOBODY, Canvas, Capsule, Paint


@pytest.fixture(scope="module")
def scenes() -> list[SyntheticScene]:
    return [make_scene(seed, (320, 240)) for seed in range(40)]


def test_scenes_follow_from_their_seed(scenes: list[SyntheticScene]) -> None:
    again = make_scene(3, (320, 240))
    assert np.array_equal(again.pixels, scenes[3].pixels)
    assert len(again.annotations) == len(scenes[3].annotations)
    for first, second in zip(again.annotations, scenes[3].annotations, strict=True):
        assert first.box == second.box and np.array_equal(first.keypoints, second.keypoints)
    assert not np.array_equal(scenes[3].pixels, scenes[4].pixels)


def test_annotations_are_sound(scenes: list[SyntheticScene]) -> None:
    visibilities = np.zeros(3, int)
    for scene in scenes:
        assert scene.pixels.shape == (240, 320, 3) and scene.pixels.dtype == np.uint8
        for person in scene.annotations:
            x, y, w, h = person.box
            assert x >= 0 and y >= 0 and x + w <= 320 and y + h <= 240 and w > 0 and h > 0
            assert 0 < person.area <= w * h
            for px, py, v in person.keypoints:
                visibilities[int(v)] += 1
                if v == 0:
                    assert px == py == 0
                else:
                    assert 0 <= px < 320 and 0 <= py < 240
                if v == 2:  # on the person's own pixels, give or take the pixel looked around for it
                    assert x - 2 <= px <= x + w + 2 and y - 2 <= py <= y + h + 2
    assert (visibilities > 50).all(), visibilities
    assert {len(scene.annotations) for scene in scenes} >= {1, 2, 3, 4}


def test_number_of_people_can_be_asked_for() -> None:
    assert make_scene(0, (320, 240), people=0).annotations == ()
    assert len(make_scene(0, (320, 240), people=1).annotations) == 1
    assert 3 <= len(make_scene(0, (480, 360), people=6).annotations) <= 6


def test_left_is_at_the_right_of_somebody_facing_the_camera() -> None:
    for seed in range(20):
        joints = random_figure(np.random.default_rng(seed)).joints
        front, back = view(joints, 0.0, 0.0), view(joints, np.pi, 0.0)
        for left, right in ((5, 6), (11, 12)):
            assert front[left, 0] > front[right, 0]
            assert back[left, 0] < back[right, 0]
        assert front[0, 2] > front[3:5, 2].max() - 0.03  # the nose is nearer than the ears
        assert front[0, 1] < front[5, 1] < front[11, 1] < front[15, 1]  # y points down
        assert min(joints[15:17, 1]) == pytest.approx(0.045)


def test_faces_hide_behind_their_heads() -> None:
    """Over many scenes, a visible nose means that the left eye is at the right of the right eye."""
    seen = agree = 0
    for seed in range(60):
        for person in make_scene(seed, (320, 240), people=2).annotations:
            nose, left, right = person.keypoints[:3]
            if nose[2] == left[2] == right[2] == 2:
                seen += 1
                agree += left[0] > right[0]
    assert seen >= 15 and agree >= 0.9 * seen


def test_renderer_keeps_the_nearest_surface() -> None:
    canvas = Canvas(np.zeros((40, 40, 3), np.float32), np.array([0.0, -0.5, 1.0]))

    def ball(x: float, z: float, owner: int) -> None:
        point = np.array([x, 20.0, z])
        canvas.draw_capsule(Capsule(point, point, 8.0, 8.0, Paint((200, 100, 50))), owner)

    ball(18, 0, 0)
    ball(22, 50, 1)
    ball(20, -50, 2)
    assert canvas.owner[20, 11] == 0 and canvas.owner[20, 29] == 1 and canvas.owner[20, 20] == 1
    assert canvas.owner[2, 2] == NOBODY and np.isneginf(canvas.depth[2, 2])
    assert canvas.depth[20, 22] == pytest.approx(58, abs=0.2)
    assert not (canvas.owner == 2).any() or (canvas.owner == 2).sum() < 12
    ball(500, 0, 3)
    assert not (canvas.owner == 3).any()
    canvas.draw_slab((0.0, 0.0, 10.0, 10.0), 99.0, np.full((40, 40, 3), 77.0))
    assert canvas.pixels[5, 5, 0] == 77 and canvas.pixels[15, 5, 0] == 0


def test_dataset_is_valid_coco(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "out"), "--images", "3", "--seed", "4", "--size", "240x180"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / "out" / "annotations.json"
    dataset = read_coco(path)
    assert dataset.notes == [] and dataset.quarantined == [] and len(dataset.images) == 3
    assert {"info", "licenses", "categories"} <= set(dataset.header)
    skeleton = dataset.header["categories"][0]["skeleton"]
    assert min(map(min, skeleton)) == 1 and max(map(max, skeleton)) == 17
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert len(coco.getAnnIds()) == len(dataset.people) >= 3
    for image in dataset.images:
        assert load_image(Path(image.file_name), path.parent / "images").pixels.shape == (180, 240, 3)
    scene = make_scene(4 * 100003, (240, 180))
    assert dataset.people_by_image()[1][0].bbox == scene.annotations[0].box
    write_dataset(tmp_path / "again", 3, 4, (240, 180))
    assert (tmp_path / "again" / "annotations.json").read_bytes() == path.read_bytes()


def test_command_line_refuses_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--size", "big"], ["--size", "0x10"], ["--images", "0"], ["--seed", "-1"]):
        with pytest.raises(SystemExit):
            main([str(tmp_path), *arguments])
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file"), "--images", "1"]) == 1
    assert "choose another folder" in capsys.readouterr().err


def test_sample_project_is_whole_and_small() -> None:
    folder = resource_path("sample")
    dataset = read_coco(folder / "annotations.json")
    assert dataset.notes == [] and dataset.quarantined == []
    assert [image.file_name for image in dataset.images] == find_images(folder / "images")
    for image in dataset.images:
        assert image_size(folder / "images" / image.file_name) == (image.width, image.height) == (640, 480)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_000_000


def test_sample_project_comes_from_the_generator() -> None:
    folder = resource_path("sample")
    info = json.loads((folder / "annotations.json").read_text())["info"]
    scene = make_scene(info["seed"] * 100003, (640, 480))
    stored = np.asarray(Image.open(folder / "images" / "people_0001.jpg"))
    assert np.abs(stored.astype(int) - scene.pixels).mean() < 8
