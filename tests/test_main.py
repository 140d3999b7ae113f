"""The program as a whole: `python main.py` in a process of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.display import has_display

ROOT = Path(__file__).resolve().parents[1]


def test_without_a_display_the_same_loop_runs_on_the_sample(tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    environment |= {"TMPDIR": str(tmp_path), "MSARCNN_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-P", str(ROOT / "main.py")]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert "no display" in lines[0] and "python -m msarcnn predict" in lines[0]
    files = [Path(line.strip()) for line in lines[lines.index(next(x for x in lines if "Written" in x)) + 1 :]]
    assert {path.name for path in files} == {"sample.poseproj", "labels.json", "log.jsonl", "best.safetensors"}
    for path in files:
        assert path.is_file()
        assert ROOT not in path.parents


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display is looked for on Linux only")
@pytest.mark.parametrize("name", [":987", "unix:987.0", "localhost:987.0", "127.0.0.1:59999", ":1" + 30 * "0"])
def test_a_display_that_does_not_answer_is_none(tmp_path, name):
    assert not has_display({"DISPLAY": name})
    assert not has_display({"DISPLAY": name, "WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)})
    assert has_display({"DISPLAY": name, "QT_QPA_PLATFORM": "offscreen"})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display is looked for on Linux only")
def test_a_display_that_answers_is_one(tmp_path):
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as wayland:
        abstract.bind("\0/tmp/.X11-unix/X986")
        abstract.listen()
        assert has_display({"DISPLAY": ":986.0"})
        wayland.bind(str(tmp_path / "wayland-7"))
        wayland.listen()
        assert has_display({"WAYLAND_DISPLAY": "wayland-7", "XDG_RUNTIME_DIR": str(tmp_path)})
        assert has_display({"WAYLAND_DISPLAY": str(tmp_path / "wayland-7")})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display is looked for on Linux only")
def test_a_picture_is_made_with_a_dead_display_as_well(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    environment |= {"MSARCNN_DATA_DIR": str(tmp_path / "data"), "MSARCNN_SETTINGS": str(tmp_path / "settings.ini")}
    picture = tmp_path / "window.png"
    command = [sys.executable, "-P", str(ROOT / "main.py"), "--no-prefill", "--screenshot", str(picture)]
    environment["DISPLAY"] = ":987"
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert answer.returncode == 0, answer.stderr
    assert picture.stat().st_size > 5_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display is looked for on Linux only")
def test_a_picture_of_the_window_needs_no_display(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    environment |= {"MSARCNN_DATA_DIR": str(tmp_path / "data"), "MSARCNN_SETTINGS": str(tmp_path / "settings.ini")}
    picture = tmp_path / "window.png"
    photos = ROOT / "resources" / "sample" / "images"
    command = [sys.executable, "-P", str(ROOT / "main.py"), str(photos), "--screenshot", str(picture)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert answer.returncode == 0, answer.stderr
    assert picture.stat().st_size > 50_000
