"""One writer per project: a lock file beside it that survives no crash and names its owner."""

from pathlib import Path

from PySide6.QtCore import QLockFile

from app.storage.errors import ProjectLockedError


class ProjectLock:
    """Holds `PROJECT.lock`. A lock whose process has died on this machine is taken over."""

    def __init__(self, project: Path) -> None:
        """Takes the lock.

        Raises:
            ProjectLockedError: a live process holds it.
            PermissionError: the folder is not writable.
        """
        self._file = QLockFile(f"{project}.lock")
        self._file.setStaleLockTime(0)  # a lock is never too old, its owner is only dead or alive
        if self._file.tryLock(0):
            return
        if self._file.error() is QLockFile.LockError.LockFailedError:
            pid, host, _ = self._file.getLockInfo()
            raise ProjectLockedError(project, int(pid), str(host))
        raise PermissionError(f"{project}.lock cannot be written")

    def release(self) -> None:
        self._file.unlock()
