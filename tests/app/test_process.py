"""WorkerProcess with a real child: messages, deaths, restarts, and that nothing is left behind."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from process_checks import alive, open_descriptors, wait_until, worker_threads
from pytestqt.qtbot import QtBot

from app.workers.process import WORKING_FOLDER, RestartPolicy, WorkerProcess, describe_exit
from app.workers.wire import WireError, read_message, write_message

FAST = RestartPolicy(most_deaths=3, first_delay=0.01, longest_delay=0.05)
Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    made: list[WorkerProcess] = []

    def start(policy: RestartPolicy | None = None) -> WorkerProcess:
        worker = WorkerProcess("echo_child", "test child", policy)
        made.append(worker)
        worker.start()
        return worker

    yield start
    for worker in made:
        worker.close()
    assert worker_threads() == []


def echo(qtbot: QtBot, worker: WorkerProcess, **message: object) -> dict:
    with qtbot.waitSignal(worker.message) as blocker:
        assert worker.send(message)
    return blocker.args[0]


def died(qtbot: QtBot, worker: WorkerProcess, act: Callable[[], object]) -> str:
    with qtbot.waitSignal(worker.died) as blocker:
        act()
    return blocker.args[0]


# -- the wire


def test_message_round_trip() -> None:
    message = {
        "none": None,
        "numbers": [1, -2.5, True],
        "bytes": b"\x00\xff",
        "text": "Größe",
        "pixels": np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
        "nested": {"maps": np.random.default_rng(0).random((2, 3)).astype(np.float16)},
        "strided": np.arange(10)[::2],
        "empty": np.zeros((0, 4), np.float32),
        "scalar": np.float32(0.5),
    }
    stream = io.BytesIO()
    write_message(stream, message)
    write_message(stream, {"next": 1})
    stream.seek(0)
    read = read_message(stream)
    assert read is not None
    for name in ("pixels", "strided", "empty"):
        assert read[name].dtype == message[name].dtype
        np.testing.assert_array_equal(read[name], message[name])
    np.testing.assert_array_equal(read["nested"]["maps"], message["nested"]["maps"])
    assert [read[name] for name in ("none", "numbers", "bytes", "text", "scalar")] == [
        None,
        [1, -2.5, True],
        b"\x00\xff",
        "Größe",
        0.5,
    ]
    assert read_message(stream) == {"next": 1}
    assert read_message(stream) is None


def test_cut_off_message_is_the_end() -> None:
    stream = io.BytesIO()
    write_message(stream, {"pixels": np.zeros(100, np.uint8)})
    for length in range(len(stream.getvalue())):
        assert read_message(io.BytesIO(stream.getvalue()[:length])) is None


@pytest.mark.parametrize("value", [object(), np.array([object()]), {1, 2}.__iter__()])
def test_only_plain_data_is_sent(value: object) -> None:
    with pytest.raises(TypeError):
        write_message(io.BytesIO(), {"value": value})


def test_garbage_is_refused() -> None:
    with pytest.raises(WireError):
        read_message(io.BytesIO(b"\xff" * 64))
    with pytest.raises(WireError):
        read_message(io.BytesIO(b"\0" * 7 + b"\x03abc"))


# -- life and death


def test_echo_runs_in_the_fixed_folder_with_safe_path(
    qtbot: QtBot, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the dataset was imported')")
    monkeypatch.chdir(tmp_path)
    worker = start()
    pixels = np.random.default_rng(1).integers(0, 255, (2000, 2000, 3), np.uint8)
    answer = echo(qtbot, worker, pixels=pixels)
    np.testing.assert_array_equal(answer["echo"]["pixels"], pixels)
    assert answer["folder"] == str(WORKING_FOLDER)
    assert answer["safe_path"]
    assert answer["pid"] == worker.pid


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_death_is_reported_at_once_and_restarted(
    qtbot: QtBot, start: Start, number: signal.Signals, words: str
) -> None:
    worker = start(FAST)
    first = echo(qtbot, worker)["pid"]
    begin = time.monotonic()
    assert words in died(qtbot, worker, lambda: os.kill(first, number))
    assert time.monotonic() - begin < 2
    qtbot.waitUntil(lambda: worker.running)
    assert echo(qtbot, worker)["pid"] != first
    assert not alive(first)


def test_uncaught_exception_is_the_reason(qtbot: QtBot, start: Start) -> None:
    worker = start()
    assert "not enough memory" in died(qtbot, worker, lambda: worker.send({"order": "raise"}))
    assert not worker.send({})


@pytest.mark.parametrize("order", ["garbage", "close pipe"])
def test_broken_pipe_or_garbage_counts_as_death(qtbot: QtBot, start: Start, order: str) -> None:
    worker = start()
    pid = worker.pid
    assert pid
    died(qtbot, worker, lambda: worker.send({"order": order}))
    assert not alive(pid)


def test_kill_gives_the_reason(qtbot: QtBot, start: Start) -> None:
    worker = start()
    echo(qtbot, worker)
    assert "it was too slow" in died(qtbot, worker, lambda: worker.kill("it was too slow"))


def test_gives_up_after_repeated_deaths_and_can_be_started_again(
    qtbot: QtBot, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_CHILD_DIES_AT_START", "1")
    deaths: list[str] = []
    worker = WorkerProcess("echo_child", "test child", FAST)
    worker.died.connect(deaths.append)
    with qtbot.waitSignal(worker.gave_up) as blocker:
        worker.start()
    assert len(deaths) == 3
    assert "3 times" in blocker.args[0]
    assert not worker.running
    monkeypatch.delenv("ECHO_CHILD_DIES_AT_START")
    worker.start()
    assert echo(qtbot, worker)
    worker.close()


def test_restart_delays_grow() -> None:
    policy = RestartPolicy()
    assert [policy.delay(deaths) for deaths in range(1, 6)] == [0.1, 0.4, pytest.approx(1.6), 5.0, None]


def test_child_that_cannot_be_started(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    worker = WorkerProcess("echo_child", "test child", FAST)
    with qtbot.waitSignal(worker.gave_up) as blocker:
        worker.start()
    assert "cannot be started" in blocker.args[0]


def test_close_ends_child_and_threads(qtbot: QtBot, start: Start) -> None:
    worker = start(FAST)
    pid = echo(qtbot, worker)["pid"]
    begin = time.monotonic()
    with qtbot.assertNotEmitted(worker.died, wait=200):
        worker.close()
    assert time.monotonic() - begin < 1.5
    assert not alive(pid)
    assert worker_threads() == []
    assert not worker.running


def test_close_ends_a_child_that_does_not_answer(qtbot: QtBot, start: Start) -> None:
    worker = start()
    with qtbot.waitSignal(worker.message):
        worker.send({"order": "hang"})
    pid = worker.pid
    assert pid
    worker.send({"more than the pipe holds": np.zeros(5_000_000, np.uint8)})
    begin = time.monotonic()
    worker.close(timeout=0.2)
    assert time.monotonic() - begin < 2
    assert not alive(pid)


def test_sending_to_a_stopped_child_does_not_block(qtbot: QtBot, start: Start) -> None:
    worker = start()
    pid = echo(qtbot, worker)["pid"]
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    for _ in range(20):
        worker.send({"pixels": np.zeros(1_000_000, np.uint8)})
    assert time.monotonic() - begin < 0.5
    answers: list[object] = []
    worker.message.connect(answers.append)
    os.kill(pid, signal.SIGCONT)
    qtbot.waitUntil(lambda: len(answers) == 20)


def test_messages_of_a_closed_child_are_dropped(qtbot: QtBot, start: Start) -> None:
    worker = start()
    echo(qtbot, worker)
    worker.send({"late": 1})
    time.sleep(0.2)  # the answer waits in the event queue
    worker.close()
    with qtbot.assertNotEmitted(worker.message, wait=100):
        pass


def test_restarts_leak_no_descriptors(qtbot: QtBot, start: Start) -> None:
    worker = start(RestartPolicy(most_deaths=100, first_delay=0.0, longest_delay=0.0))
    echo(qtbot, worker)
    before = open_descriptors()
    for _ in range(5):
        died(qtbot, worker, lambda: os.kill(worker.pid or 0, signal.SIGKILL))
        qtbot.waitUntil(lambda: worker.running)
        echo(qtbot, worker)
    assert open_descriptors() <= before


def test_child_ends_with_a_killed_window(tmp_path: Path) -> None:
    window = textwrap.dedent("""
        from PySide6.QtCore import QCoreApplication
        from app.workers.process import WorkerProcess
        application = QCoreApplication([])
        worker = WorkerProcess("echo_child", "test child")
        worker.message.connect(lambda message: print(message["pid"], flush=True))
        worker.start()
        worker.send({})
        application.exec()
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", window], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        assert alive(child)
        process.kill()
    assert wait_until(lambda: not alive(child), 5)


@pytest.mark.parametrize(
    ("code", "words"),
    [(None, "ended"), (3, "status 3"), (-9, "SIGKILL"), (-11, "crashed (SIGSEGV)"), (-15, "SIGTERM"), (-200, "200")],
)
def test_exit_in_words(code: int | None, words: str) -> None:
    assert words in describe_exit(code)
