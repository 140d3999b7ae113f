"""A training run's folder: the interface between the trainer and whoever watches it. No torch.

config.json              settings, model and data of the run
log.jsonl                one JSON object a line, appended
control                  "run", "pause", "stop" (keep the best) or "cancel", written by the watcher
pid                      the trainer's process
checkpoints/resume.safetensors   everything needed to go on exactly where it stopped
checkpoints/best.safetensors     the best model so far
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

from msarcnn.atomic_files import remove_stale_temporaries, write_json_atomic

Command = Literal["run", "pause", "stop", "cancel"]
COMMANDS: tuple[Command, ...] = ("run", "pause", "stop", "cancel")


class RunFolderError(ValueError):
    """A run folder that cannot be used as asked; the message names it and the cure."""


class RunFolder:
    """Paths and files of one run.

    Attributes:
        speaks: Whether this process is the one whose words are heard.
    """

    speaks = True

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.log_file = self.path / "log.jsonl"
        self.control = self.path / "control"
        self.pid = self.path / "pid"
        self.resume_checkpoint = self.path / "checkpoints" / "resume.safetensors"
        self.best_checkpoint = self.path / "checkpoints" / "best.safetensors"

    def create(self) -> None:
        """Makes the folder for a new run. Raises RunFolderError if a run lies there already."""
        if self.config.exists():
            raise RunFolderError(f"{self.path} holds a run already: continue it with --resume, or name another folder")
        self._prepare()

    def reopen(self) -> dict[str, Any]:
        """Prepares going on; returns the stored settings, unchecked. Raises RunFolderError without a readable file."""
        try:
            stored: dict[str, Any] = json.loads(self.config.read_bytes())
        except OSError as error:
            raise RunFolderError(f"{self.path} holds no run to continue ({error}): start without --resume") from error
        except (ValueError, RecursionError) as error:
            raise self.damaged(error) from error
        self._prepare()
        return stored

    def damaged(self, error: Exception) -> RunFolderError:
        """The error about settings that cannot be gone on with; names the file."""
        return RunFolderError(f"{self.config}: {error}; correct it, or start a new run in another folder")

    def _prepare(self) -> None:
        self.resume_checkpoint.parent.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(self.path)
        remove_stale_temporaries(self.resume_checkpoint.parent)
        # A watcher may have written its wish before the trainer came up.
        if not self.control.exists():
            self.clear_command()
        write_json_atomic(self.pid, str(os.getpid()).encode())

    def write_config(self, settings: dict[str, Any]) -> None:
        write_json_atomic(self.config, json.dumps(settings, indent=1).encode())

    def log(self, event: dict[str, Any]) -> None:
        """Appends one event."""
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def command(self) -> Command:
        """What the watcher wants now; an unreadable or unknown wish is "run"."""
        try:
            text = self.control.read_text().strip()
        except OSError:
            return "run"
        return text if text in COMMANDS else "run"

    def clear_command(self) -> None:
        """Forgets a wish that was carried out, so that a resumed run does not carry it out again."""
        write_json_atomic(self.control, b"run")

    def silent(self) -> "RunFolder":
        """The same for a process beside the one that writes: it reads, and writes nothing."""
        return _SilentRunFolder(self.path)

    def relative(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()


class _SilentRunFolder(RunFolder):
    speaks = False

    def create(self) -> None:
        pass

    def _prepare(self) -> None:
        pass

    def write_config(self, settings: dict[str, Any]) -> None:
        pass

    def log(self, event: dict[str, Any]) -> None:
        pass

    def clear_command(self) -> None:
        pass
