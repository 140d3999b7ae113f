"""TrainerClient with real child processes, and once with the real trainer."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from process_checks import alive, wait_until
from pytestqt.qtbot import QtBot

from app.workers.process import WORKING_FOLDER
from app.workers.run_log import LogTail, can_resume, last_end, living_trainer, write_control
from app.workers.trainer_client import TrainerClient, TrainerError

COMMAND = [sys.executable, "-P", str(Path(__file__).with_name("fake_trainer.py"))]
Make = Callable[[], TrainerClient]


class Log:
    """Collects a client's signals."""

    def __init__(self, client: TrainerClient) -> None:
        self.events: list[dict] = []
        self.finished: list[tuple[str, str | None, str]] = []
        client.run_event.connect(self.events.append)
        client.finished.connect(lambda *values: self.finished.append(values))

    def steps(self) -> list[int]:
        return [event["step"] for event in self.events if event["event"] == "step"]


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Make]:
    made: list[TrainerClient] = []

    def make() -> TrainerClient:
        made.append(TrainerClient(command=COMMAND))
        return made[-1]

    yield make
    for client in made:
        if client.pid and alive(client.pid):
            os.kill(client.pid, signal.SIGKILL)
        client.detach()


def arguments(steps: int, behaviour: str = "good") -> list[str]:
    return ["--steps", str(steps), "--behaviour", behaviour]


def wait_finished(qtbot: QtBot, log: Log) -> tuple[str, str | None, str]:
    qtbot.waitUntil(lambda: bool(log.finished))
    qtbot.wait(400)
    assert len(log.finished) == 1
    return log.finished[0]


def test_run_to_the_end(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    client = make()
    log = Log(client)
    client.start(run, arguments(20))
    pid = client.pid
    assert client.run_folder == run
    assert wait_finished(qtbot, log) == ("completed", str(run / "checkpoints/best.safetensors"), "done")
    assert log.steps() == list(range(1, 21))
    start = log.events[0]
    assert (start["folder"], start["safe_path"], start["session"]) == (str(WORKING_FOLDER), True, pid)
    assert log.events[-1]["event"] == "end"
    assert (run / "trainer.log").read_text() == "the trainer was here\n"
    assert client.run_folder is None
    assert client.pid is None


def test_stop_pause_resume(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    client = make()
    log = Log(client)
    client.start(tmp_path / "run", arguments(10_000))
    with pytest.raises(TrainerError, match="under way"):
        client.start(tmp_path / "other", arguments(1))
    qtbot.waitUntil(lambda: len(log.steps()) > 3)
    client.pause()
    count = qtbot.until_still(lambda: len(log.steps()))
    assert count < 10_000
    client.resume_run()
    qtbot.waitUntil(lambda: len(log.steps()) > count)
    client.stop()
    status, model, _ = wait_finished(qtbot, log)
    assert (status, model) == ("stopped", str(tmp_path / "run/checkpoints/best.safetensors"))


@pytest.mark.parametrize("behaviour", ["good", "deaf"])
def test_cancel_is_prompt_and_by_force_if_need_be(qtbot: QtBot, make: Make, tmp_path: Path, behaviour: str) -> None:
    client = make()
    log = Log(client)
    client.start(tmp_path / "run", arguments(10_000, behaviour))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)
    pid = client.pid
    begin = time.monotonic()
    client.cancel()
    qtbot.waitUntil(lambda: bool(log.finished))
    assert time.monotonic() - begin < 3
    assert log.finished[0][:2] == ("cancelled", None)
    assert pid
    assert not alive(pid)


def test_order_given_before_the_trainer_is_up(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    client = make()
    log = Log(client)
    client.start(tmp_path / "run", arguments(10_000, "slow start"))
    client.stop()
    assert wait_finished(qtbot, log)[0] == "stopped"


def test_crash_tells_why_and_the_cure(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    client = make()
    log = Log(client)
    client.start(tmp_path / "run", arguments(10, "crash"))
    status, model, message = wait_finished(qtbot, log)
    assert (status, model) == ("failed", None)
    for words in ("status 1", "not enough memory for a batch of 64", "Resume it", "trainer.log"):
        assert words in message


def test_sigkill_before_a_checkpoint(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    client = make()
    log = Log(client)
    client.start(tmp_path / "run", arguments(10_000))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)
    os.kill(client.pid or 0, signal.SIGKILL)
    status, _, message = wait_finished(qtbot, log)
    assert status == "failed"
    assert "SIGKILL" in message
    assert "start it again" in message


def test_run_survives_the_window_and_is_attached_again(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = make()
    log = Log(first)
    first.start(run, arguments(10_000))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)
    pid = first.pid
    assert pid
    first.detach()
    assert alive(pid)
    with pytest.raises(TrainerError, match="Attach"):
        make().start(run, arguments(1))
    second = make()
    log = Log(second)
    assert second.attach(run)
    assert second.pid == pid
    qtbot.waitUntil(lambda: len(log.steps()) > 5)
    assert log.steps()[:3] == [1, 2, 3]
    second.stop()
    assert wait_finished(qtbot, log)[0] == "stopped"
    assert not second.attach(run)  # it has ended properly


def test_attached_run_that_dies(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    first = make()
    log = Log(first)
    first.start(tmp_path / "run", arguments(10_000))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)
    pid = first.pid
    assert pid
    process = first._process
    assert process
    first.detach()
    second = make()
    log = Log(second)
    assert second.attach(tmp_path / "run")
    os.kill(pid, signal.SIGKILL)
    assert wait_finished(qtbot, log)[0] == "failed"
    process.wait()
    third = make()
    log = Log(third)
    assert not third.attach(tmp_path / "run")  # dead without an end: that is told, too
    assert wait_finished(qtbot, log)[0] == "failed"


def test_attached_run_that_was_cancelled_and_died_is_no_failure(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    first = make()
    log = Log(first)
    first.start(tmp_path / "run", arguments(10_000, "deaf"))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)
    process = first._process
    assert process
    first.cancel()
    first.detach()
    process.kill()
    process.wait()
    second = make()
    log = Log(second)
    assert not second.attach(tmp_path / "run")
    qtbot.wait(700)
    assert log.finished == []


def test_attached_run_that_does_not_answer_its_cancel_is_ended(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    first = make()
    log = Log(first)
    first.start(tmp_path / "run", arguments(10_000, "deaf"))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)
    process = first._process
    assert process
    write_control(tmp_path / "run", "cancel")
    first.detach()
    second = make()
    log = Log(second)
    assert second.attach(tmp_path / "run")
    assert wait_finished(qtbot, log)[0] == "cancelled"
    process.wait()


def test_the_last_end_of_a_run_is_told(tmp_path: Path) -> None:
    assert last_end(tmp_path) is None
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "step", "step": 1}\n')
    assert last_end(tmp_path) is None
    with log.open("a") as file:
        file.write('{"event": "end", "status": "completed", "model": "checkpoints/best.safetensors"}\n')
    end = last_end(tmp_path)
    assert end and end["status"] == "completed"
    with log.open("a") as file:
        file.write('{"event": "start"}\n')
    assert last_end(tmp_path) is None


def test_whether_a_run_can_go_on(tmp_path: Path) -> None:
    assert not can_resume(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resume.safetensors").write_bytes(b"")
    assert can_resume(tmp_path)


def test_attach_to_a_folder_without_a_run(make: Make, tmp_path: Path) -> None:
    assert not make().attach(tmp_path)


def test_resumed_run_signals_new_events_only(qtbot: QtBot, make: Make, tmp_path: Path) -> None:
    for _ in range(2):
        client = make()
        log = Log(client)
        client.start(tmp_path / "run", arguments(3))
        assert wait_finished(qtbot, log)[0] == "completed"
        assert log.steps() == [1, 2, 3]


def test_pid_of_another_program_is_not_the_trainer(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getppid()))
    assert living_trainer(tmp_path) is None
    (tmp_path / "pid").write_text("not a number")
    assert living_trainer(tmp_path) is None


def test_folder_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="file"):
        make().start(tmp_path / "file" / "run", arguments(1))


def test_lost_control_file_is_told(qtbot: QtBot, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make()
    log = Log(client)
    client.start(tmp_path / "run", arguments(10_000))
    qtbot.waitUntil(lambda: len(log.steps()) > 1)

    def full(run: Path, command: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("app.workers.trainer_client.write_control", full)
        client.stop()
    assert any("No space left" in event.get("text", "") for event in log.events)
    client.stop()
    assert wait_finished(qtbot, log)[0] == "stopped"


def test_log_tail_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    tail = LogTail(path)
    assert tail.read() == ([], False)
    lines = [json.dumps({"event": "step", "step": step, "text": "ä"}).encode() + b"\n" for step in range(50)]
    data = b"".join(lines)
    seen = []
    with path.open("ab", buffering=0) as file:
        for start in range(0, len(data), 7):
            file.write(data[start : start + 7])
            seen += tail.read()[0]
    assert [event["step"] for event in seen] == list(range(50))
    with path.open("ab") as file:
        file.write(b'nonsense\n[1]\n\n{"event": "end"}\n')
    events, more = tail.read()
    assert [event["event"] for event in events] == ["message", "message", "end"]
    assert not more
    path.write_bytes(lines[0])  # replaced by a shorter one
    assert [event["step"] for event in tail.read()[0]] == [0]


def test_long_log_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"event": "step", "step": step}) + "\n" for step in range(30_000)))
    tail = LogTail(path)
    steps: list[int] = []
    rounds, more = 0, True
    while more:
        events, more = tail.read()
        steps += [event["step"] for event in events]
        rounds += 1
    assert steps == list(range(30_000))
    assert rounds > 2


def test_control_file_is_never_half_written(tmp_path: Path) -> None:
    for command in ("run", "pause", "cancel"):
        write_control(tmp_path, command)
        assert (tmp_path / "control").read_text() == command
    assert [path.name for path in tmp_path.iterdir()] == ["control"]


def test_the_real_trainer(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from msarcnn.synthetic import write_dataset

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    annotations = write_dataset(tmp_path / "data", images=2, size=(160, 120))
    document = json.loads(annotations.read_text())
    images = next(path.parent for path in (tmp_path / "data").rglob(Path(document["images"][0]["file_name"]).name))
    client = TrainerClient()
    log = Log(client)
    run = tmp_path / "run"
    client.start(
        run,
        ["--annotations", str(annotations), "--images", str(images), "--iterations", "100000", "--batch", "1"],
    )
    qtbot.waitUntil(lambda: bool(log.steps() or log.finished))
    assert log.steps(), log.finished
    pid = client.pid
    assert living_trainer(run) == pid
    client.cancel()
    qtbot.waitUntil(lambda: bool(log.finished))
    assert log.finished[0][0] == "cancelled"
    assert pid
    assert wait_until(lambda: not alive(pid))
