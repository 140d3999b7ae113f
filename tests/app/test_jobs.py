"""ChildJob with real children."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from process_checks import alive
from pytestqt.qtbot import QtBot

from app.workers.jobs import CANCELLED_CODE, ChildJob, run_child
from app.workers.process import WORKING_FOLDER


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def run(qtbot: QtBot, behaviour: str) -> tuple[list[dict], int, str]:
    job = run_child("job_child", [behaviour])
    lines: list[dict] = []
    job.progress.connect(lines.append)
    with qtbot.waitSignal(job.finished) as blocker:
        assert job.running
    assert not job.running
    return lines, *blocker.args


def test_progress_and_success(qtbot: QtBot) -> None:
    lines, code, message = run(qtbot, "good")
    assert lines[:3] == [{"done": done, "folder": str(WORKING_FOLDER)} for done in range(3)]
    assert lines[3:] == [{"last": "without an end of line"}]
    assert (code, message) == (0, "")


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("error", "photos.json: no such file; choose another"),
        ("raise", "ValueError: something unforeseen"),
        ("crash", "SIGSEGV"),
    ],
)
def test_failures_say_why(qtbot: QtBot, behaviour: str, words: str) -> None:
    lines, code, message = run(qtbot, behaviour)
    assert len(lines) == 3
    assert code != 0
    assert words in message


@pytest.mark.parametrize(("behaviour", "lines"), [("wait", 3), ("deaf", 4)])
def test_cancel(qtbot: QtBot, behaviour: str, lines: int) -> None:
    job = run_child("job_child", [behaviour])
    seen: list[dict] = []
    job.progress.connect(seen.append)
    qtbot.waitUntil(lambda: len(seen) == lines)
    pid = job.pid
    assert pid
    begin = time.monotonic()
    with qtbot.waitSignal(job.finished) as blocker:
        job.cancel()
    assert time.monotonic() - begin < 2
    assert blocker.args == [CANCELLED_CODE, "cancelled"]
    assert not alive(pid)


def test_cancel_before_the_start(qtbot: QtBot) -> None:
    job = run_child("job_child", ["wait"])
    with qtbot.waitSignal(job.finished) as blocker:
        job.cancel()
    assert blocker.args[0] == CANCELLED_CODE


def test_command_that_does_not_exist(qtbot: QtBot) -> None:
    job = ChildJob(["/does/not/exist"])
    with qtbot.waitSignal(job.finished) as blocker:
        pass
    assert blocker.args[0] != 0
    assert "cannot be started" in blocker.args[1]


def test_close_ends_the_child_silently(qtbot: QtBot) -> None:
    job = run_child("job_child", ["wait"])
    with qtbot.waitSignal(job.progress):
        pass
    pid = job.pid
    assert pid
    with qtbot.assertNotEmitted(job.finished, wait=200):
        job.close()
    assert not alive(pid)


def test_children_are_safe_from_files_in_the_working_folder(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the dataset')")
    monkeypatch.chdir(tmp_path)
    assert run(qtbot, "good")[1] == 0
    assert sys.executable


def test_a_child_that_is_asked_to_end_takes_away_what_is_unfinished(tmp_path: Path) -> None:
    work = (
        "import time, sys, pathlib\n"
        "from app.storage.child_lines import run_child_work\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "def work():\n"
        "    try:\n"
        "        out.write_text('half'); print('begun', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        out.unlink()\n"
        "run_child_work(out, work)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", work, str(tmp_path / "half")], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"begun\n"
    child.terminate()
    assert child.wait(20) == 143
    child.stdout.close()
    assert list(tmp_path.iterdir()) == []
