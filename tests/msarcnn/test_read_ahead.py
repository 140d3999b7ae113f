"""Photos decoded by real processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msarcnn.images import ImageError, Photo
from msarcnn.read_ahead import Readers, outcome, read_ahead


@pytest.fixture
def photos(tmp_path):
    for index in range(6):
        Image.fromarray(np.full((20, 30 + index, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    return [Photo(tmp_path / f"{index}.png", tmp_path) for index in range(6)]


@pytest.fixture
def readers():
    readers = Readers(2)
    yield readers
    readers.close()


def test_pictures_come_in_order_and_damaged_ones_in_their_place(photos, readers):
    read = list(read_ahead(photos, readers))
    assert isinstance(read[3], ImageError) and "3.png" in str(read[3])
    assert [one.pixels.shape[1] for one in read if not isinstance(one, ImageError)] == [30, 31, 32, 34, 35]
    np.testing.assert_array_equal(read[5].pixels, outcome(photos[5]).pixels)


def test_only_so_many_are_begun_ahead(photos, readers):
    taken = []

    def upcoming():
        for photo in photos * 10:
            taken.append(photo)
            yield photo

    next(read_ahead(upcoming(), readers))
    assert len(taken) == 2 * 3 + 1
    readers._photo_bytes = float(400 << 20)
    assert readers.most == 2, "large ones wait in smaller numbers"


def test_a_process_that_dies_takes_no_photo_with_it(photos, readers, tmp_path):
    begun = [readers.begin(photo) for photo in photos]
    readers.finish(photos[0], begun[0])
    for process in list(readers._pool._processes.values()):
        os.kill(process.pid, signal.SIGKILL)
    later = [readers.begin(photo) for photo in photos]
    for futures in (begun, later):
        for photo, future in zip(photos, futures, strict=True):
            if photo.path.name != "3.png":
                assert readers.finish(photo, future).pixels.shape[0] == 20


DEADLY = """
import os, pathlib, signal
from msarcnn.images import Photo
read = Photo.read
def deadly(photo):
    if photo.path.name == "2.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return read(photo)
Photo.read = deadly
"""


def test_a_photo_that_kills_whoever_reads_it_is_named(photos, readers, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    read = list(read_ahead(photos[:5], readers))
    assert isinstance(read[2], ImageError) and "2.png: whatever reads it dies of it" in str(read[2])
    assert [isinstance(one, ImageError) for one in read] == [False, False, True, True, False]


ORPHANS = """
import os, sys
from pathlib import Path
from msarcnn.images import Photo
from msarcnn.read_ahead import Readers
if __name__ == "__main__":
    readers = Readers(2)
    photo = Photo(Path(sys.argv[1]))
    readers.finish(photo, readers.begin(photo))
    print(*readers._pool._processes, flush=True)
    os._exit(0)
"""


def test_the_processes_end_with_the_one_that_started_them(photos, tmp_path):
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, script, photos[0].path], capture_output=True, text=True, env=environment, timeout=60
    )
    pids = [int(word) for word in done.stdout.split()]
    assert pids, done.stderr
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.05)


def test_a_photo_for_which_memory_is_short_is_left_out_with_a_reason(photos, monkeypatch):
    class Short:
        def finish(self, photo, begun):
            raise MemoryError("3 GiB")

    found = outcome(photos[0], object(), Short())
    assert isinstance(found, ImageError) and "0.png: the memory was too short" in str(found)
