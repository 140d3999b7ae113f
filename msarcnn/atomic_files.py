"""Writing a file so that a reader, a crash or a full disk never meets half of it."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.msarcnn-tmp")


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Yields a binary file that takes the place of path when the block ends without an error.

    The bytes go to a temporary file in the same folder, which is flushed and synced before it replaces path;
    then the folder is synced. A link is followed: the file that it points to is replaced. After an error
    path is as it was and the temporary is gone. Raises OSError (disk full, read-only folder, ...).
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_json_atomic(path: Path, data: bytes) -> None:
    """Replaces a file by data as `atomic_writer` does. Raises OSError."""
    with atomic_writer(path) as file:
        file.write(data)


def remove_stale_temporaries(folder: Path) -> list[Path]:
    """Removes temporaries, folders among them, that killed processes left in a folder; those of running ones stay.

    Returns what was removed. Raises OSError when the folder cannot be listed or a file not removed.
    """
    removed = []
    for path in sorted(folder.iterdir()):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and its rename is journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
