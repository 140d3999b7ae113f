"""The image loader against hand-made files: every format, every trap of a user's folder, and mutated bytes."""

import io
import os
import pickle
import random
import struct
import threading
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from msarcnn.images import (
    ImageError,
    UnsafePathError,
    find_images,
    image_size,
    load_image,
    safe_relative_path,
    scan_folder,
)

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF", "gif": "GIF"}
ALL_FORMATS = FORMATS | ({"avif": "AVIF"} if features.check("avif") else {})


def picture(width: int = 40, height: int = 24) -> Image.Image:
    """A picture without symmetry: red top left, green top right, blue bottom left, grey bottom right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 10, 10)
    pixels[: height // 2, width // 2 :] = (10, 250, 10)
    pixels[height // 2 :, : width // 2] = (10, 10, 250)
    pixels[height // 2 :, width // 2 :] = 128
    return Image.fromarray(pixels)


def encoded(image: Image.Image, suffix: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, ALL_FORMATS[suffix], **options)
    return buffer.getvalue()


def noisy(suffix: str, size: tuple[int, int] = (64, 48)) -> bytes:
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    return encoded(image, suffix, **({"lossless": True} if suffix == "webp" else {}))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def save(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_contiguous_rgb(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, f"a.{suffix}", encoded(picture(), suffix))
    loaded = load_image(path)
    assert loaded.pixels.dtype == np.uint8 and loaded.pixels.shape == (24, 40, 3)
    assert loaded.pixels.flags.c_contiguous and loaded.pixels.flags.writeable
    assert loaded.notes == ()
    assert image_size(path) == (40, 24)
    assert np.abs(loaded.pixels[3, 3].astype(int) - (250, 10, 10)).max() < 40


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.asarray(picture())
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), suffix, exif=exif, **lossless)
    path = save(tmp_path, f"a.{suffix}", data)
    loaded = load_image(path)
    assert image_size(path) == (40, 24)
    assert loaded.pixels.shape == upright.shape
    assert np.abs(loaded.pixels.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_made_on_the_stored_picture_keep_it(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, f"a.{suffix}", encoded(picture(), suffix, exif=exif))
    loaded = load_image(path, labelled_size=(40, 24))
    assert loaded.pixels.shape == (24, 40, 3)
    assert any("rotation ignored" in note for note in loaded.notes) == (orientation >= 5)
    if orientation >= 5:
        assert np.abs(loaded.pixels.astype(int) - np.asarray(picture())).mean() < 10
    assert load_image(path, labelled_size=(77, 55)).pixels.shape == load_image(path).pixels.shape


def test_png_with_orientation_behind_its_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(), "png")
    late = data[:-12] + png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[-12:]
    path = save(tmp_path, "a.png", late)
    assert load_image(path).pixels.shape == (40, 24, 3)
    assert image_size(path) == (24, 40)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("white", "level"), [(65535, 65535), (4095, 4095), (1000, 1023), (200, 255)])
def test_16_bit_grey_is_scaled_by_its_white_level(tmp_path: Path, suffix: str, white: int, level: int) -> None:
    values = np.linspace(0, white, 256 * 16).reshape(16, 256).astype(np.uint16)
    loaded = load_image(save(tmp_path, f"a.{suffix}", encoded(Image.fromarray(values), suffix)))
    expected = np.rint(values / level * 255)
    assert np.abs(loaded.pixels[..., 0] - expected).max() <= 1
    assert (loaded.pixels[..., 0] == loaded.pixels[..., 2]).all()
    assert any(f"0..{level}" in note for note in loaded.notes)


def test_other_deep_greys(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 16)

    def grey(values: np.ndarray) -> np.ndarray:
        image = Image.fromarray(values)
        return load_image(save(tmp_path, "a.tif", encoded(image, "tif"))).pixels[..., 0].astype(int)

    expected = np.rint(ramp * 255)
    assert np.abs(grey(ramp) - expected).max() <= 1
    assert np.abs(grey(ramp * 65535) - expected).max() <= 1
    assert np.abs(grey((ramp * 2e6 - 1e6).astype(np.int32)) - expected).max() <= 1
    assert (grey(np.zeros((4, 4), np.int32)) == 0).all()
    with pytest.raises(ImageError, match="not numbers"):
        grey(np.full((4, 4), np.nan, np.float32))
    big_endian = encoded(Image.fromarray((ramp * 65535).astype(np.uint16)), "png")
    assert Image.open(io.BytesIO(big_endian)).mode.startswith("I;16")


def test_colour_models_become_rgb(tmp_path: Path) -> None:
    for mode, suffix in [("CMYK", "jpg"), ("CMYK", "tif"), ("L", "jpg"), ("1", "png"), ("P", "png"), ("P", "gif")]:
        loaded = load_image(save(tmp_path, f"a.{suffix}", encoded(picture().convert(mode), suffix)))
        assert loaded.pixels.shape == (24, 40, 3), mode
        if mode in ("CMYK", "P"):
            assert np.abs(loaded.pixels[3, 3].astype(int) - (250, 10, 10)).max() < 60


def test_transparency_is_composited_over_white(tmp_path: Path) -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 20, axis=1).repeat(24, axis=0)))
    for suffix in ("png", "webp", "tif"):
        options = {"lossless": True} if suffix == "webp" else {}
        loaded = load_image(save(tmp_path, f"a.{suffix}", encoded(image, suffix, **options)))
        assert (loaded.pixels[:, :20] == 255).all()
        assert tuple(loaded.pixels[2, 30]) == (10, 250, 10)
        assert loaded.notes == ("transparency composited over white",)
    palette = picture().convert("P", palette=Image.Palette.ADAPTIVE)
    data = encoded(palette, "png", transparency=palette.getpixel((2, 2)))
    assert tuple(load_image(save(tmp_path, "p.png", data)).pixels[2, 2]) == (255, 255, 255)
    opaque = load_image(save(tmp_path, "o.png", encoded(picture().convert("RGBA"), "png")))
    assert opaque.notes == () and tuple(opaque.pixels[2, 2]) == (250, 10, 10)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_first_frame_with_a_note(tmp_path: Path, suffix: str) -> None:
    second = Image.new("RGB", (40, 24), (0, 0, 0))
    data = encoded(picture(), suffix, save_all=True, append_images=[second])
    loaded = load_image(save(tmp_path, f"a.{suffix}", data))
    assert np.abs(loaded.pixels[3, 3].astype(int) - (250, 10, 10)).max() < 40
    assert loaded.notes == ("holds several frames or pages: the first is used",)


def test_multi_picture_jpeg_is_a_jpeg(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "MPO", save_all=True, append_images=[picture(20, 12)])
    loaded = load_image(save(tmp_path, "a.jpg", buffer.getvalue()))
    assert loaded.pixels.shape == (24, 40, 3) and loaded.notes == ()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.97])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    data = noisy(suffix)
    path = save(tmp_path, f"cut.{suffix}", data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=f"cut.{suffix}: .*; "):
        load_image(path)


def test_damage_that_decoders_pass_over(tmp_path: Path) -> None:
    data = bytearray(noisy("png"))
    data[len(data) // 2] ^= 0x10
    with pytest.raises(ImageError, match="damaged"):
        load_image(save(tmp_path, "flipped.png", bytes(data)))
    data = bytearray(noisy("jpg"))
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    with pytest.raises(ImageError, match="damaged"):
        load_image(save(tmp_path, "zeros.jpg", bytes(data)))


def test_decompression_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    path = save(tmp_path, "bomb.png", png(30_000, 30_000, zlib.compress(bytes(1000))))
    for read in (load_image, image_size):
        with pytest.raises(ImageError, match=r"bomb.png: 30000 x 30000 pixels, the limit is 200 megapixels") as caught:
            read(path)
        assert caught.value.path == path and "30000" in caught.value.reason
    with pytest.raises(ImageError, match=r"limit is 0\.0009 megapixels"):
        load_image(save(tmp_path, "a.png", encoded(picture(), "png")), max_pixels=900)


def test_81_megapixels_work(tmp_path: Path) -> None:
    rows = zlib.compressobj(1)
    line = b"\0" + b"\xaa" * (9000 // 8)
    data = b"".join(rows.compress(line) for _ in range(9000)) + rows.flush()
    path = save(tmp_path, "large.png", png(9000, 9000, data))
    assert load_image(path).pixels.shape == (9000, 9000, 3)


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>',
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"GIF89a",
        b"hello",
        b"P6 2 2 255 " + bytes(12),
    ],
)
def test_other_content_behind_an_image_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageError, match=r"fake\.jpg"):
        load_image(save(tmp_path, "fake.jpg", content))


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs on Windows")
def test_fifo_folder_device_and_missing_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for path in (tmp_path / "fifo.jpg", tmp_path / "folder.jpg", Path("/dev/zero")):
        with pytest.raises(ImageError, match="not a regular file"):
            load_image(path)
    with pytest.raises(ImageError, match="file not found"):
        load_image(tmp_path / "missing.jpg")
    with pytest.raises(ImageError, match="not a possible file name"):
        load_image(tmp_path / "a\0.jpg")
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image(tmp_path / ("long" * 100 + ".jpg"))
    assert find_images(tmp_path) == []
    assert len(scan_folder(tmp_path).skipped) == 1  # the folder is walked, the FIFO is named


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "./",
        "..",
        "../a.jpg",
        "a/../../b.jpg",
        "a\\..\\b.jpg",
        "/etc/passwd",
        "\\\\server\\share\\a.jpg",
        "//server/a.jpg",
        "\\a.jpg",
        "C:\\a.jpg",
        "c:a.jpg",
        "http://x/a.jpg",
        "file:///etc/passwd",
        "a\0.jpg",
        "a\ud800.jpg",
    ],
)
def test_unsafe_names_are_refused(text: str) -> None:
    with pytest.raises(UnsafePathError, match="image folder"):
        safe_relative_path(text)


def test_safe_names_pass() -> None:
    for text in ("a.jpg", "train/0001.jpg", "ä b/…ü.png", "a..b.jpg", "...jpg", "a/~/$HOME/%2e%2e/x.jpg"):
        assert safe_relative_path(text) == PurePosixPath(text)
    assert str(safe_relative_path("./a//b.jpg")) == "a/b.jpg"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("./\\:~ab\0C"), max_size=12))
def test_safe_names_stay_inside(text: str) -> None:
    try:
        path = safe_relative_path(text)
    except UnsafePathError:
        return
    joined = os.path.normpath(Path("/root/folder", path))
    assert joined.startswith("/root/folder/")


def test_nothing_outside_the_root_is_read(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir(), outside.mkdir()
    save(outside, "secret.png", encoded(picture(), "png"))
    save(root, "fine.png", encoded(picture(), "png"))
    (root / "link.png").symlink_to(outside / "secret.png")
    (root / "inner.png").symlink_to("fine.png")
    (root / "door").symlink_to(outside)
    (root / "loop.png").symlink_to("loop.png")
    for name in ("fine.png", "inner.png"):
        assert load_image(Path(name), root).pixels.shape == (24, 40, 3)
        assert load_image(root / name, root).pixels.shape == (24, 40, 3)
        assert image_size(Path(name), root) == (40, 24)
    for path in (Path("link.png"), Path("door/secret.png"), outside / "secret.png"):
        for read in (load_image, image_size):
            with pytest.raises(ImageError, match="outside the image folder"):
                read(path, root)
    with pytest.raises(ImageError, match=r"contains '\.\.'"):
        load_image(Path("../outside/secret.png"), root)
    with pytest.raises(ImageError):
        load_image(Path("loop.png"), root)
    found = scan_folder(root)
    assert found.paths == ("fine.png", "inner.png")
    assert any("link.png" in text and "link out" in text for text in found.skipped)
    assert any("loop.png" in text for text in found.skipped)


def test_folders_are_listed_sorted_and_odd_names_are_named(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/10.jpg", "a.png", "b/c/d.tiff", ".hidden/x.jpg", "b/.y.jpg", "notes.txt", "ü.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert find_images(tmp_path) == ["a.png", "b/10.jpg", "b/2.JPG", "b/c/d.tiff", "ü.webp"]
    odd = os.fsencode(tmp_path) + b"/bad\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes(encoded(picture(), "png"))
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    assert load_image(Path(os.fsdecode(odd))).pixels.shape == (24, 40, 3)
    found = scan_folder(tmp_path)
    assert len(found.paths) == 5
    assert any("bad\\xff.png" in text and "UTF-8" in text for text in found.skipped)
    with pytest.raises(ImageError, match="cannot be listed"):
        find_images(tmp_path / "missing")


def test_errors_travel_between_processes(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / "missing.jpg")
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == str(caught.value) and error.path == tmp_path / "missing.jpg"


def test_failing_disk_is_not_called_a_damaged_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "a.jpg", encoded(picture(), "jpg"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(Input/output error\); check the disk"):
        load_image(path)


def test_header_warnings_become_notes(tmp_path: Path) -> None:
    data = encoded(picture(), "jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\0\0\0\xff\xff\0\0\0\0\0\0")
    loaded = load_image(save(tmp_path, "a.jpg", data))
    assert loaded.pixels.shape == (24, 40, 3)
    assert any("EXIF" in note or "Tag" in note for note in loaded.notes)


def test_threads_may_load_at_once(tmp_path: Path) -> None:
    path = save(tmp_path, "a.jpg", encoded(picture(), "jpg"))
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.extend(load_image(path).pixels.shape[0] for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [24] * 80


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(sorted(ALL_FORMATS)), seed=st.integers(0, 2**32 - 1))
def test_mutated_files_give_a_picture_or_an_image_error(tmp_path: Path, suffix: str, seed: int) -> None:
    rng = random.Random(seed)
    original = noisy(suffix, (48, 32))
    for _ in range(12):
        data = bytearray(original)
        for _ in range(rng.choice((1, 2, 8, 40))):
            place = rng.randrange(min(len(data), rng.choice((64, 400, len(data)))))
            kind = rng.random()
            if kind < 0.6:
                data[place] = rng.randrange(256)
            elif kind < 0.8:
                del data[place : place + rng.randrange(1, 9)]
            else:
                data[place:place] = rng.randbytes(rng.randrange(1, 9))
        path = save(tmp_path, f"m.{suffix}", bytes(data))
        for read in (image_size, lambda path: load_image(path, max_pixels=1_000_000)):
            try:
                read(path)
            except ImageError as error:
                assert f"m.{suffix}" in str(error)


def jpeg_bytes(**options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"comment": b"\xff\xd9"}])
def test_what_a_camera_appends_behind_a_jpeg_is_no_damage(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "motion.jpg"
    whole = jpeg_bytes(**options)
    path.write_bytes(whole + b"\xff\xda video \xff\xda" * 1000)
    assert load_image(path).pixels.shape == (48, 64, 3)
    path.write_bytes(whole[: len(whole) * 2 // 3] + bytes(len(whole) // 3))
    with pytest.raises(ImageError):
        load_image(path)
