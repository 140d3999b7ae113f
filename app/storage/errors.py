"""What can go wrong with a project file, in sentences for the person in front of the window."""

from pathlib import Path


class ProjectError(Exception):
    """A project cannot be opened or changed. The message names the file, the reason and the cure.

    Attributes:
        path: The project file.
        reason: The middle part of the message.
    """

    def __init__(self, path: Path, reason: str, cure: str) -> None:
        super().__init__(f"{path}: {reason}. {cure}")
        self.path = path
        self.reason = reason


class ProjectLockedError(ProjectError):
    """Another live process has the project open; opening it read-only is possible.

    Attributes:
        pid: Process id of the owner, 0 when unknown.
        host: Its machine, "" when unknown.
    """

    def __init__(self, path: Path, pid: int, host: str) -> None:
        owner = f"process {pid}" + (f" on {host}" if host else "") if pid else "another program"
        super().__init__(path, f"it is open in {owner}", "Close it there, or open it read-only here.")
        self.pid = pid
        self.host = host


class ReadOnlyProjectError(ProjectError):
    """A change was asked of a project that is open for reading only."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            "it is open for reading only, so nothing can be changed",
            "Close the other window that has it open, or make the file and its folder writable, and open it again.",
        )
