"""Starts, watches and steers a training run. The run folder is the interface, so a run survives the window."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.workers.process import WORKING_FOLDER, child_environment, describe_exit, python_command
from app.workers.run_log import (
    LOG,
    OUTPUT,
    USED,
    LogTail,
    is_cancelled,
    last_end,
    last_lines,
    living_trainer,
    names_folder,
    write_control,
)
from msarcnn.config import FineTuning, TrainConfig, fine_tuning_defaults, held_out_count, training_steps

POLL_MS = 300
CANCEL_SECONDS = 1.5
"""A cancelled trainer that has not ended by itself is terminated after this time, and killed after twice it."""
_EXIT_POLLS = 15
_NICENESS = 5
_OOM_SCORE = "500"


def default_learning_rate(batch: int) -> float:
    """The trainer's own rate for a number of images a step (the linear rule)."""
    return TrainConfig(batch_size=batch).base_learning_rate


def default_fine_tuning(images: int, people: int) -> FineTuning:
    """The library's choice for a number of labelled images and people."""
    return fine_tuning_defaults(images, people)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run makes of its images: how many are learnt from, how many are held out, and the optimizer's steps."""

    learnt: int
    held_out: int
    steps: int


def plan_run(images: int, val_fraction: float, epochs: int, batch: int) -> RunPlan:
    """Counts as the trainer will."""
    held_out = held_out_count(images, val_fraction)
    return RunPlan(images - held_out, held_out, training_steps(images - held_out, epochs, batch))


class TrainerError(Exception):
    """A run that cannot be started or watched; the message says why and what to do."""


class TrainerClient(QObject):
    """One training run at a time, in a session of its own.

    Signals:
        run_event(dict): a line of the run's log.jsonl ("start", "step", "evaluation", "checkpoint", "message", "end").
        finished(str status, object model, str message): status is "completed", "stopped" (the best is kept),
            "cancelled" or "failed"; model the absolute path (str) of the best checkpoint or None; message for the
            user, for a failure with the cause and the cure. Emitted once a run, also when the trainer died.
    """

    run_event = Signal(object)
    finished = Signal(str, object, str)

    def __init__(self, parent: QObject | None = None, *, command: Sequence[str] | None = None) -> None:
        """command: what to run instead of `python -P -m msarcnn train`."""
        super().__init__(parent)
        self._command = list(command) if command else python_command("msarcnn", "train")
        self._run: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._tail: LogTail | None = None
        self._end: dict[str, Any] | None = None
        self._polls_after_end = 0
        self._order = "run"
        self._poll_timer = QTimer(self)
        self._poll_timer.setInterval(POLL_MS)
        self._poll_timer.timeout.connect(self._poll)

    @property
    def run_folder(self) -> Path | None:
        """The run that is being watched; None when there is none."""
        return self._run

    @property
    def pid(self) -> int | None:
        """The trainer's process id while a run is watched."""
        return self._pid if self._run else None

    # -- starting and attaching

    def start(self, run_folder: Path, arguments: Sequence[str]) -> None:
        """Starts a run; `--output RUN` is added.

        To go on with a stopped or killed run, start it in the same folder with `--resume` among the arguments:
        only events from now on are signalled.

        Args:
            run_folder: Absolute; made if missing.
            arguments: The train command's, with absolute paths (the trainer runs in a folder of its own).

        Raises:
            TrainerError: a run is being watched or lives in that folder, or the folder cannot be written.
        """
        if self._run is not None:
            raise TrainerError("A training run is under way: stop or cancel it first.")
        run = run_folder.absolute()
        if living_trainer(run) is not None:
            raise TrainerError(
                f"{run}: a trainer works in this folder already. Attach to it, or choose another folder."
            )
        try:
            run.mkdir(parents=True, exist_ok=True)
            write_control(run, "run")
            (run / USED).unlink(missing_ok=True)  # a run that goes on makes another model
            tail = LogTail(run / LOG, from_end=True)
            with (run / OUTPUT).open("ab") as output:
                self._process = subprocess.Popen(
                    [*self._command, *arguments, "--output", str(run)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=WORKING_FOLDER,
                    env=child_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            raise TrainerError(f"{run}: the training cannot be started: {error}. Choose another folder.") from error
        _give_way(self._process.pid)
        self._watch(run, self._process.pid, tail)

    def attach(self, run_folder: Path) -> bool:
        """Watches a run that an earlier window started; all its events so far are signalled again.

        Returns whether its trainer lives. If it does not, nothing is signalled, unless it left no "end" though
        nobody cancelled it: then `finished` reports the failure. One that was cancelled and lives still is ended.
        Raises TrainerError while another run is watched.
        """
        if self._run is not None:
            raise TrainerError("A training run is under way: stop or cancel it first.")
        run = run_folder.absolute()
        pid = living_trainer(run)
        cancelled = is_cancelled(run)
        if pid is None and (cancelled or not (run / LOG).exists() or last_end(run) is not None):
            return False
        self._process = None
        self._watch(run, pid or 0, LogTail(run / LOG))
        if cancelled:
            self.cancel()
        return pid is not None

    # -- steering

    def stop(self) -> None:
        """Ends the run after this step and keeps the best model; status "stopped"."""
        self._tell("stop")

    def cancel(self) -> None:
        """Ends the run now, by force if it does not answer; status "cancelled"."""
        if self._tell("cancel"):
            pid = self._pid
            QTimer.singleShot(round(CANCEL_SECONDS * 1000), self, lambda: self._force(pid, signal.SIGTERM))
            kill = getattr(signal, "SIGKILL", signal.SIGTERM)
            QTimer.singleShot(round(CANCEL_SECONDS * 2000), self, lambda: self._force(pid, kill))

    def pause(self) -> None:
        """Holds the run between two steps."""
        self._tell("pause")

    def resume_run(self) -> None:
        """Goes on with a paused run."""
        self._tell("run")

    def detach(self) -> None:
        """Leaves the run alone: it goes on without the window (`attach` finds it again). For closing, too."""
        self._poll_timer.stop()
        self._run = None
        self._tail = None
        self._process = None

    # -- watching

    def _watch(self, run: Path, pid: int, tail: LogTail) -> None:
        self._run, self._pid, self._tail = run, pid, tail
        self._end = None
        self._polls_after_end = 0
        self._order = "run"
        self._poll_timer.start()

    def _tell(self, order: str) -> bool:
        """Writes an order; False when there is no run to steer."""
        if self._run is None:
            return False
        self._order = order
        try:
            write_control(self._run, order)
        except OSError as error:
            text = f"{self._run}: the order {order!r} could not be written: {error}. Free some disk space and repeat."
            self.run_event.emit({"event": "message", "level": "warning", "text": text})
        return True

    @Slot()
    def _poll(self) -> None:
        if self._run is None or self._tail is None:
            return
        alive = self._alive()  # asked before reading: what a dead trainer wrote is all there then
        try:
            events, more = self._tail.read()
        except OSError as error:
            text = f"{self._run / LOG} cannot be read: {error}. The training itself goes on."
            events, more = [{"event": "message", "level": "warning", "text": text}], alive
        for event in events:
            self._take(event)
            if self._run is None:
                return  # somebody detached in answer to the event
        if more:
            return
        if self._end is not None:
            self._polls_after_end += 1
            if not alive or self._polls_after_end > _EXIT_POLLS:
                self._finish_as_told(self._end)
        elif not alive:
            self._finish_as_dead()

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            self._end = None
            if self._order != "run":  # given before the trainer was up, which begins with "run"
                self._tell(self._order)
        elif kind == "end":
            self._end = event
        self.run_event.emit(event)

    def _alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._pid > 0 and self._run is not None and names_folder(self._pid, self._run)

    def _force(self, pid: int, number: int) -> None:
        """Signals the trainer's whole session, unless it ended."""
        if self._pid == pid and self._alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number) if sys.platform != "win32" else os.kill(pid, number)

    def _finish_as_told(self, end: dict[str, Any]) -> None:
        model = end.get("model")
        path = str(self._run / model) if self._run and isinstance(model, str) else None
        status, message = str(end.get("status", "failed")), str(end.get("message", ""))
        if self._order == "cancel" and status == "failed":  # a trainer that was terminated calls it a failure
            status, message = "cancelled", "The training was cancelled."
        self._finish(status, path, message)

    def _finish_as_dead(self) -> None:
        assert self._run is not None
        if self._order == "cancel":
            self._finish("cancelled", None, "The training was cancelled.")
            return
        code = self._process.returncode if self._process else None
        text = f"The training stopped before it was done: it {describe_exit(code)}. Your labels are not affected."
        if lines := last_lines(self._run / OUTPUT):
            text += f"\nIts last words (in {self._run / OUTPUT}):\n{lines}\n"
        saved = any((self._run / "checkpoints").glob("*.safetensors"))
        cure = (
            "Resume it to go on from its last checkpoint" if saved else "No checkpoint was written yet: start it again"
        )
        self._finish("failed", None, f"{text}\n{cure}, with a smaller batch if memory was short.")

    def _finish(self, status: str, model: str | None, message: str) -> None:
        self.detach()
        self.finished.emit(status, model, message)


def _give_way(pid: int) -> None:
    """The person at the window comes first: for cores, and when memory runs out (checkpoints let a run resume)."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(_OOM_SCORE)
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
