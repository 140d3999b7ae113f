"""HEIC, AVIF and JPEG 2000: read where this machine can, and never left out without a word."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from msarcnn.images import ImageError, find_images, image_size, load_image, scan_folder

ORIENTATION = 0x0112
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
"""The head of every HEIC file."""
JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
PLUGIN = '''
"""Stands in for pillow-heif: a HEIC file is its head and a PNG, whose pixels are upright while its EXIF says turned."""
import io
from PIL import Image, ImageFile


class HeifImageFile(ImageFile.ImageFile):
    format = "HEIF"

    def _open(self):
        self.inner = Image.open(io.BytesIO(self.fp.read()[24:]))
        self._size, self._mode = self.inner.size, self.inner.mode
        exif = Image.Exif()
        exif[0x0112] = 6
        self.info["exif"] = exif.tobytes()
        self.tile = []

    def load(self):
        self.im = self.inner.convert("RGB").im
        return Image.Image.load(self)


def register_heif_opener():
    Image.register_open("HEIF", HeifImageFile, lambda head: head[4:12] == b"ftypheic")
'''
READ = """
import json, sys
from pathlib import Path
from msarcnn.images import find_images, image_size, load_image
photo = Path("photo.heic")
pixels = load_image(photo).pixels
corners = [pixels[0, 0].tolist(), pixels[-1, 0].tolist()]
print(json.dumps([image_size(photo), pixels.shape, corners, find_images(Path())]))
"""


def corners() -> Image.Image:
    """40 x 24 pixels: red above, blue below."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12], pixels[12:] = (250, 10, 10), (10, 10, 250)
    return Image.fromarray(pixels)


def test_heic_is_read_where_the_plugin_is_there_and_turned_by_it_alone(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/pillow_heif.py").write_text(PLUGIN)
    (tmp_path / "photos").mkdir()
    inner = io.BytesIO()
    corners().save(inner, "PNG")
    (tmp_path / "photos/photo.heic").write_bytes(HEIC + inner.getvalue())
    done = subprocess.run(
        [sys.executable, "-P", "-c", READ],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path / "photos",
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[40, 24], [24, 40, 3], [[250, 10, 10], [10, 10, 250]], ["photo.heic"]]


def test_heic_without_the_plugin_says_what_to_do(tmp_path: Path) -> None:
    # Many telephones' photos are HEIC behind the name of a JPEG.
    for name in ("a.heic", "b.jpg"):
        (tmp_path / name).write_bytes(HEIC + bytes(100))
        with pytest.raises(ImageError, match=rf"{name}: a HEIC photo.*convert it to JPEG.*pillow-heif"):
            load_image(tmp_path / name)
        with pytest.raises(ImageError, match="HEIC"):
            image_size(tmp_path / name)


def test_jpeg_2000_says_what_to_do(tmp_path: Path) -> None:
    for content in (JPEG_2000 + bytes(50), b"\xff\x4f\xff\x51" + bytes(50)):
        (tmp_path / "a.jp2").write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.jp2: a JPEG 2000 photo.*convert it"):
            load_image(tmp_path / "a.jp2")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_read_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    corners().save(tmp_path / "a.avif", exif=exif, quality=100, subsampling="4:4:4")
    assert find_images(tmp_path) == ["a.avif"]
    pixels = load_image(tmp_path / "a.avif").pixels
    upright = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]  # quarter turns against the clock
    wanted = np.rot90(np.asarray(corners()), upright)
    assert pixels.shape == wanted.shape and image_size(tmp_path / "a.avif") == wanted.shape[1::-1]
    assert np.abs(pixels.astype(int) - wanted)[[2, -3]][:, [2, -3]].max() < 12
    # The labels of a dataset that knows the stored picture alone keep it.
    stored = load_image(tmp_path / "a.avif", labelled_size=(40, 24)).pixels
    assert stored.shape == (24, 40, 3)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
def test_half_an_avif_is_no_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(buffer, "AVIF")
    data = buffer.getvalue()
    for length in (len(data) // 2, len(data) - 20, 30):
        (tmp_path / "a.avif").write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"a\.avif"):
            load_image(tmp_path / "a.avif")


def test_photos_that_are_not_read_are_counted_by_kind_with_their_cure(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.HEIC", "sub/c.heif", "sub/d.jp2", "e.CR2", "notes.txt", "clip.mov", ".hidden.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = scan_folder(tmp_path)
    assert found.paths == ("a.jpg",)
    heic, jpeg_2000, raw = sorted(found.unread, key=lambda unread: -unread.count)
    assert (heic.kind, heic.count, heic.first) == ("HEIC", 2, "b.HEIC")
    assert {(kind.kind, kind.count) for kind in (jpeg_2000, raw)} == {("JPEG 2000", 1), ("camera raw", 1)}
    assert (
        "2 HEIC photos are not read (the first: b.HEIC): convert them to JPEG, or install pillow-heif" in found.summary
    )
    assert "1 JPEG 2000 photo is not read" in found.summary


def test_a_raw_photo_beside_its_jpeg_is_not_missing(tmp_path: Path) -> None:
    for name in ("a.JPG", "a.CR2", "b/a.CR2", "c.heic", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (unread,) = scan_folder(tmp_path).unread
    assert (unread.count, unread.first) == (1, "b/a.CR2")


def test_other_files_that_are_left_out_are_counted_with_the_first(tmp_path: Path) -> None:
    assert scan_folder(tmp_path).summary == ""
    (tmp_path / "a.png").symlink_to("/etc/hostname")
    (tmp_path / "b.png").symlink_to("/etc/hostname")
    summary = scan_folder(tmp_path).summary
    assert summary.startswith("2 files were left out. The first: ") and "a.png: a link out of the folder" in summary
