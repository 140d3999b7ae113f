"""A data set that we wrote is found, and found whole, by Ultralytics' rules: from anywhere, and after it was moved."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from storage_builders import import_coco, make_coco, write_coco
from ultralytics_rules import Version, find_split, is_written_anew, labels_of, photos_of, why_ignored

from app.document.records import Box, Change, Edit, Person
from app.storage.project import Project
from app.storage.yolo_export import export_yolo
from msarcnn.images import load_image

ORIENTATION = 0x0112


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """Red above, blue below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2], pixels[height // 2 :] = (250, 10, 10), (10, 10, 250)
    return Image.fromarray(pixels)


def labelled(tmp_path: Path, names: list[str]) -> Project:
    """A project with one person, x as the image's number, on each photo of tmp_path/photos."""
    project = Project.create(tmp_path / "p.poses")
    project.add_images(project.add_root(tmp_path / "photos"), names)
    for image in range(1, len(names) + 1):
        person = Person(project.next_person_key, Box(float(image), 10, 16, 12), ())
        project.apply(Edit(image, "draw", (Change(None, person),)))
    return project


def save(path: Path, image: Image.Image, kind: str = "JPEG", **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **more)


def boxes(folder: Path) -> dict[str, int]:
    """The persons' x, in pixels of 64, by the photos' names below images/train."""
    found = {}
    for photo in photos_of(folder / "images/train"):
        assert not why_ignored(photo), photo
        (line,) = labels_of(photo).read_text().splitlines()
        _, x, _, w, _ = map(float, line.split()[:5])
        found[photo.relative_to(folder / "images/train").as_posix()] = round((x - w / 2) * 64)
    return found


@pytest.mark.parametrize("version", ["old", "new"])
@pytest.mark.parametrize("moved", [False, True])
def test_it_is_found_from_anywhere_and_after_moving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: Version, moved: bool
) -> None:
    save(tmp_path / "photos/ä b.jpg", picture())
    project, folder = labelled(tmp_path, ["ä b.jpg"]), tmp_path / "out"
    export_yolo(project.path, folder, val_fraction=0.0)
    if moved:
        (tmp_path / "elsewhere").mkdir()
        folder = folder.rename(tmp_path / "elsewhere/müller's set")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for split in ("train", "val"):
        place = find_split(folder / "dataset.yaml", split, version, tmp_path / "datasets")
        assert [photo.name for photo in photos_of(place)] == ["ä b.jpg"]
    if version == "new":  # the file's name alone, and a way to it
        monkeypatch.chdir(folder)
        assert photos_of(find_split(Path("dataset.yaml"), "train", version, tmp_path / "datasets"))
        monkeypatch.chdir(tmp_path)
        description = folder.relative_to(tmp_path) / "dataset.yaml"
        assert photos_of(find_split(description, "train", version, tmp_path / "datasets"))
    assert boxes(folder) == {"ä b.jpg": 1}
    project.close()


def test_every_photo_is_found_with_its_own_labels(tmp_path: Path) -> None:
    kinds = {"a.jpg": "JPEG", "b.JPG": "JPEG", "c.jfif": "JPEG", "d.jpe": "JPEG", "e.gif": "GIF", "f.tif": "TIFF",
             "g.webp": "WEBP", "h.BMP": "BMP", "i.png": "PNG", "j/k.gif": "GIF", "gif named.jpg": "GIF",
             "png named.tif": "PNG", "without": "JPEG", "v1.2": "JPEG", "A.png": "PNG", "c.jpg": "JPEG",
             ".hidden/l.jpg": "JPEG", "nested/images/m.jpg": "JPEG"}  # fmt: skip
    for name, kind in kinds.items():
        save(tmp_path / "photos" / name, picture(), kind)
    project = labelled(tmp_path, list(kinds))
    result = export_yolo(project.path, tmp_path / "out", only="all", val_fraction=0.0)
    assert (result.images, result.skipped, result.converted) == (18, [], 3)
    found = boxes(tmp_path / "out")
    assert sorted(found.values()) == list(range(1, 19)), "each photo has its own label file"
    numbers = {number: name for name, number in found.items()}
    assert [numbers[number] for number in (3, 4, 5, 10, 11)] == [
        "c.jpg", "d.jpg", "e.png", "j/k.png", "gif named.png"
    ]  # fmt: skip
    assert [numbers[number] for number in (12, 13, 14)] == ["png named.png", "without.jpg", "v1.2.jpg"]
    assert len({name.rsplit(".", 1)[0].casefold() for name in found}) == 18, "also where case makes no difference"
    project.close()


def test_converted_photos_are_lossless_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for name, kind in (("a.gif", "GIF"), ("b.png", "PNG"), ("c.tif", "TIFF"), ("d.webp", "WEBP")):
        more = {} if kind == "GIF" else {"exif": exif}
        save(tmp_path / "photos" / name, picture(), kind, **more, **({"lossless": True} if kind == "WEBP" else {}))
    save(tmp_path / "photos/grey.tif", Image.fromarray(np.full((48, 64), 4000, np.uint16)), "TIFF")
    names = ["a.gif", "b.png", "c.tif", "d.webp", "grey.tif"]
    project = labelled(tmp_path, names)
    result = export_yolo(project.path, tmp_path / "out", val_fraction=0.0, photos="copy")
    assert (result.images, result.converted) == (5, 5)
    for name in names:
        written = tmp_path / "out/images/train" / Path(name).with_suffix(".png")
        with Image.open(written) as image:
            assert image.getexif().get(ORIENTATION, 1) == 1
        assert np.array_equal(load_image(written).pixels, load_image(tmp_path / "photos" / name).pixels)
    project.close()


def test_a_photo_that_is_labelled_as_stored_is_written_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    save(tmp_path / "root/a.jpg", picture(), exif=exif)
    content = make_coco(
        images=[{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        annotations=[{"id": 1, "image_id": 1, "category_id": 9, "bbox": [16, 6, 32, 12], "area": 9, "iscrowd": 0}],
    )
    project = Project.create(tmp_path / "p.poses")
    import_coco(project, write_coco(tmp_path / "labels.json", content), tmp_path / "root")
    result = export_yolo(project.path, tmp_path / "out", val_fraction=0.0)
    assert (result.images, result.converted, result.skipped) == (1, 1, [])
    with Image.open(tmp_path / "out/images/train/a.png") as image:
        assert image.size == (64, 48) and image.getpixel((32, 4))[0] > 200
    (line,) = (tmp_path / "out/labels/train/a.txt").read_text().splitlines()
    assert line.startswith("0 0.500000 0.250000 0.500000 0.250000")
    project.close()


def test_a_photo_that_the_reader_would_overwrite_is_not_linked(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.jpg", picture())
    save(tmp_path / "photos/b.jpg", picture())
    with (tmp_path / "photos/b.jpg").open("ab") as file:
        file.write(b"what a telephone appends")
    project = labelled(tmp_path, ["a.jpg", "b.jpg"])
    export_yolo(project.path, tmp_path / "out", val_fraction=0.0)
    assert (tmp_path / "out/images/train/a.jpg").samefile(tmp_path / "photos/a.jpg")
    for photo in photos_of(tmp_path / "out/images/train"):
        assert not is_written_anew(photo) or not photo.samefile(tmp_path / "photos" / photo.name)
    assert (tmp_path / "out/images/train/b.jpg").read_bytes() == (tmp_path / "photos/b.jpg").read_bytes()
    project.close()


def test_what_is_ignored_there_is_left_out_here_and_named(tmp_path: Path) -> None:
    save(tmp_path / "photos/tiny.png", picture(9, 40), "PNG")
    (tmp_path / "photos/broken.gif").write_bytes(b"GIF89a" + bytes(20))
    save(tmp_path / "photos/a.png", picture(), "PNG")
    project = labelled(tmp_path, ["tiny.png", "broken.gif", "a.png"])
    result = export_yolo(project.path, tmp_path / "out [1]", val_fraction=0.0)
    assert result.images == 1 and len(result.skipped) == 2
    assert "tiny.png: 9 x 40 pixels" in result.skipped[0] and "broken.gif" in result.skipped[1]
    assert [path.name for path in (tmp_path / "out [1]/labels").rglob("*.txt")] == ["a.txt"]
    assert not photos_of(tmp_path / "out [1]/images/train")
    assert any("[" in note and "rename" in note for note in result.notes)
    project.close()
