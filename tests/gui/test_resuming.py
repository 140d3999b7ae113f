"""How a run ends: from the menu, or by dying; with a checkpoint behind it, it goes on by one click."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.controllers import places
from app.dialogs.fine_tune import FineTuneSettings
from app.document.records import Box
from app.main_window import MainWindow

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]

STEPS = 140
"""The trainer keeps a checkpoint every 50; enough to be killed before it is done."""


def start(window: MainWindow, qtbot: QtBot, epochs: int, until: str) -> Path:
    """Starts a run with one labelled image and waits for the first event of a kind; returns its folder."""
    seen: list[str] = []
    window.fine_tuning.logged.connect(lambda event: seen.append(event["event"]))
    window.fine_tuning.start(FineTuneSettings("labelled", 0.0, 1, "heads", epochs, 1, 0.001, "cpu"))
    qtbot.waitUntil(lambda: until in seen)
    assert window.trainer.run_folder is not None
    return window.trainer.run_folder


def start_and_kill(window: MainWindow, qtbot: QtBot, epochs: int, after: str) -> Path:
    """Kills a run after the first event of a kind; returns its folder."""
    run, pid = start(window, qtbot, epochs, after), window.trainer.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: not window.fine_tuning.running)
    return run


@pytest.mark.parametrize(("action", "status"), [("stop_training", "stopped"), ("cancel_training", "cancelled")])
def test_a_run_is_ended_from_the_menu(
    make_window: WindowMaker,
    open_in: Opener,
    photos: Path,
    small_model: Path,
    qtbot: QtBot,
    action: str,
    status: str,
) -> None:
    window = make_window()
    open_in(window, photos)
    window.models.model_path = small_model
    window.editing.add_person(Box(60, 40, 80, 180))
    window.actions_by_id["mark_done"].trigger()
    assert not window.actions_by_id[action].isEnabled()
    run = start(window, qtbot, 10_000, "step")
    qtbot.waitUntil(window.actions_by_id[action].isEnabled)
    window.actions_by_id[action].trigger()
    qtbot.waitUntil(lambda: not window.fine_tuning.running)
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["status"]) == ("end", status)
    assert (run / "checkpoints" / "best.safetensors").exists() == (status == "stopped")
    assert len(window.session.document.people(next(iter(window.session.rows)))) == 1


def test_a_killed_run_is_resumed_from_its_checkpoint(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.models.model_path = small_model
    window.editing.add_person(Box(60, 40, 80, 180))
    window.actions_by_id["mark_done"].trigger()
    run = start_and_kill(window, qtbot, STEPS, "checkpoint")
    assert "Resume it" in window.message_bar.text
    (button,) = window.message_bar._buttons
    assert button.text() == "Resume"
    button.click()
    assert window.fine_tuning.running and window.trainer.run_folder == run
    qtbot.waitUntil(lambda: not window.fine_tuning.running)
    assert "fine-tuning is complete" in window.message_bar.text
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert steps[-1] == STEPS
    starts = [index for index, event in enumerate(events) if event["event"] == "start"]
    assert len(starts) == 2
    assert next(event["step"] for event in events[starts[1] :] if event["event"] == "step") > 50


def test_a_killed_run_without_a_checkpoint_offers_the_dialog_again(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.models.model_path = small_model
    window.editing.add_person(Box(60, 40, 80, 180))
    window.actions_by_id["mark_done"].trigger()
    start_and_kill(window, qtbot, 500, "start")
    assert "start it again" in window.message_bar.text
    (button,) = window.message_bar._buttons
    with qtbot.waitSignal(window.fine_tuning.asked):
        button.click()
    path = window.session.path
    assert path is not None and len(places.runs_newest_first(path)) == 1
