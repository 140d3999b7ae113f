"""The image reader for real: spawned processes that are killed and hang, the cache, and what is delivered."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from process_checks import alive, open_descriptors, worker_threads
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from app.workers.decoder_client import ImageLoader, PixelCache
from app.workers.payloads import DecodedImage, ImageFile

Make = Callable[..., ImageLoader]


class Log:
    """Collects the loader's signals in order."""

    def __init__(self, loader: ImageLoader) -> None:
        self.events: list[tuple[str, int, object]] = []
        for name in ("loaded", "failed", "thumbnail_loaded", "thumbnail_failed"):
            getattr(loader, name).connect(lambda image, value, name=name: self.events.append((name, image.key, value)))

    @property
    def kinds(self) -> list[tuple[str, int]]:
        return [(name, key) for name, key, _ in self.events]


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Make]:
    made: list[ImageLoader] = []

    def make(**options: float) -> ImageLoader:
        made.append(ImageLoader(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for loader in made:
        pids = loader.pids
        loader.close()
        assert not any(alive(pid) for pid in pids)
    assert worker_threads() == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(5):
        Image.fromarray(rng.integers(0, 255, (60, 100 + index, 3), np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:500])
    return tmp_path


def file(folder: Path, index: int | str) -> ImageFile:
    return ImageFile(index if isinstance(index, int) else 99, f"{index}.png", str(folder))


def load(qtbot: QtBot, loader: ImageLoader, image: ImageFile) -> DecodedImage:
    with qtbot.waitSignal(loader.loaded) as blocker:
        loader.request(image)
    assert blocker.args[0] == image
    return blocker.args[1]


def test_pixels_are_those_of_the_file(qtbot: QtBot, make: Make, folder: Path) -> None:
    result = load(qtbot, make(), file(folder, 3))
    with Image.open(folder / "3.png") as picture:
        np.testing.assert_array_equal(result.pixels, np.asarray(picture))
    assert (result.width, result.height, result.notes) == (103, 60, ())
    shown = result.to_qimage()
    assert (shown.width(), shown.height()) == (103, 60)
    packed = shown.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(packed.constBits(), np.uint8).reshape(60, -1)[:, : 103 * 3].reshape(60, 103, 3)
    np.testing.assert_array_equal(rows, result.pixels)


def test_exif_orientation_and_the_labelled_size(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    loader = make()
    upright = load(qtbot, loader, ImageFile(1, "turned.jpg", str(tmp_path)))
    assert (upright.width, upright.height) == (20, 40)
    stored = load(qtbot, loader, ImageFile(1, "turned.jpg", str(tmp_path), (40, 20)))
    assert (stored.width, stored.height) == (40, 20)
    assert stored.notes


def test_thumbnails(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    with qtbot.waitSignal(loader.thumbnail_loaded) as blocker:
        loader.request_thumbnail(file(folder, 0), 50)
    image, result = blocker.args
    assert (image.key, result.pixels.shape, result.width, result.height) == (0, (30, 50, 3), 100, 60)
    with qtbot.waitSignal(loader.thumbnail_failed) as failed:
        loader.request_thumbnail(file(folder, "broken"), 50)
    assert "broken.png" in failed.args[1]
    with qtbot.waitSignal(loader.thumbnail_loaded) as small:
        loader.request_thumbnail(file(folder, 0), 1000)
    assert small.args[1].pixels.shape == (60, 100, 3)


def test_thumbnails_newest_first_and_cancelled(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    log = Log(loader)
    for index in (0, 1, 2):
        loader.request_thumbnail(file(folder, index), 40)
    qtbot.waitUntil(lambda: len(log.events) == 3)
    assert log.kinds == [("thumbnail_loaded", key) for key in (2, 1, 0)]
    loader.request_thumbnail(file(folder, 3), 40)
    loader.cancel_thumbnails()
    qtbot.wait(200)
    assert len(log.events) == 3


def test_damaged_file_names_itself(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    for image in (file(folder, "broken"), file(folder, "missing"), ImageFile(1, "../0.png", str(folder))):
        with qtbot.waitSignal(loader.failed) as blocker:
            loader.request(image)
        assert Path(image.path).name in blocker.args[1]
    load(qtbot, loader, file(folder, 0))


def test_a_photo_for_which_memory_is_short_is_no_damaged_one(
    qtbot: QtBot, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    short.mkdir()
    (short / "sitecustomize.py").write_text(
        "from PIL import Image\ndef load(self, *_):\n    raise MemoryError\nImage.Image.convert = load\n"
    )
    loader = make()
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{short}{os.pathsep}{Path(__file__).parents[2]}")
        Image.new("P", (30, 20)).save(folder / "short.png")
        with qtbot.assertNotEmitted(loader.failed), qtbot.waitSignal(loader.troubled) as blocker:
            loader.request(file(folder, "short"))
    assert "short.png" in blocker.args[1] and "memory" in blocker.args[1]


def test_a_reader_that_cannot_be_started_says_nothing_against_the_photo(
    qtbot: QtBot, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("too many open files")

    loader = make()
    with monkeypatch.context() as patch:
        patch.setattr("app.workers.process.subprocess.Popen", refuse)
        with qtbot.assertNotEmitted(loader.failed), qtbot.waitSignal(loader.troubled) as blocker:
            loader.request(file(folder, 0))
    assert "0.png" in blocker.args[1] and "too many open files" in blocker.args[1]
    load(qtbot, loader, file(folder, 0))


def test_newest_request_supersedes(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    log = Log(loader)
    for index in (0, 1, 2):
        loader.request(file(folder, index))
    qtbot.waitUntil(lambda: len(log.events) == 1)
    load(qtbot, loader, file(folder, 2))
    loader.request(file(folder, "broken"))
    qtbot.waitUntil(lambda: len(log.events) == 3)
    qtbot.wait(200)
    assert log.kinds == [("loaded", 2), ("loaded", 2), ("failed", 99)]


def test_prefetched_images_come_from_the_cache_and_requests_go_first(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    log = Log(loader)
    loader.prefetch([file(folder, "broken"), file(folder, 1), file(folder, 2)])
    loader.request(file(folder, 0))
    qtbot.waitUntil(lambda: loader.cached(file(folder, 2)) is not None)
    assert log.kinds == [("loaded", 0)]
    (pid,) = loader.pids
    os.kill(pid, signal.SIGSTOP)  # nothing can be read now
    assert load(qtbot, loader, file(folder, 1)) is loader.cached(file(folder, 1))


def test_killed_reader_is_restarted_and_the_file_is_read_after_all(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    load(qtbot, loader, file(folder, 0))
    (pid,) = loader.pids
    os.kill(pid, signal.SIGSTOP)
    with qtbot.waitSignal(loader.loaded) as blocker:
        loader.request(file(folder, 1))
        qtbot.wait(50)
        os.kill(pid, signal.SIGKILL)
    assert blocker.args[0].key == 1
    assert loader.pids != (pid,)


def test_file_that_kills_the_reader_twice_is_reported(
    qtbot: QtBot, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A decoder library with a fatal fault: the real child, with a loader that crashes on one name.
    fault = tmp_path / "fault"
    fault.mkdir()
    (fault / "sitecustomize.py").write_text(
        "import os, signal\n"
        "from msarcnn import images\n"
        "sound = images.load_image\n"
        "def load(path, *args, **options):\n"
        "    if path.name == '1.png':\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return sound(path, *args, **options)\n"
        "images.load_image = load\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{fault}{os.pathsep}{Path(__file__).parents[2]}")
    loader = make()
    with qtbot.waitSignal(loader.failed) as blocker:
        loader.request(file(folder, 1))
    assert "1.png" in blocker.args[1]
    assert "SIGSEGV" in blocker.args[1]
    load(qtbot, loader, file(folder, 0))


def test_hanging_file_is_given_up(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make(hang_seconds=2.0)
    load(qtbot, loader, file(folder, 0))
    (pid,) = loader.pids
    os.kill(pid, signal.SIGSTOP)
    with qtbot.waitSignal(loader.failed) as blocker:
        loader.request(file(folder, 1))
    assert "1.png" in blocker.args[1]
    assert "more than 2 s" in blocker.args[1]
    assert not alive(pid)
    load(qtbot, loader, file(folder, 2))


def test_reader_killed_while_idle_is_started_when_needed(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make()
    load(qtbot, loader, file(folder, 0))
    os.kill(loader.pids[0], signal.SIGKILL)
    qtbot.waitUntil(lambda: loader.pids == ())
    load(qtbot, loader, file(folder, 1))


def test_cache_is_bounded_in_bytes() -> None:
    cache = PixelCache(max_bytes=250)
    entries = [DecodedImage(np.zeros((10, 10, 1), np.uint8), 10, 10) for _ in range(3)]
    images = [ImageFile(key, f"/{key}") for key in range(3)]
    for image, entry in zip(images[:2], entries, strict=False):
        cache.put(image, 0, entry)
    assert cache.get(images[0], 0) is entries[0]
    cache.put(images[2], 0, entries[2])
    assert cache.get(images[1], 0) is None
    assert cache.get(images[0], 0) is entries[0]
    assert cache.nbytes == 200
    cache.put(images[0], 0, entries[1])
    assert cache.nbytes == 200
    big = DecodedImage(np.zeros((100, 100, 1), np.uint8), 100, 100)
    cache.put(images[1], 0, big)
    assert (cache.get(images[1], 0), cache.nbytes) == (big, 10_000)
    cache.drop(images[1], 0)
    assert cache.nbytes == 0


def test_many_images_leak_nothing(qtbot: QtBot, make: Make, folder: Path) -> None:
    loader = make(cache_bytes=20_000)
    load(qtbot, loader, file(folder, 0))
    before = open_descriptors()
    for index in range(100):
        load(qtbot, loader, file(folder, index % 5))
    assert open_descriptors() <= before
