"""Copies of a project beside it, made when somebody asks for one: a state to come back to."""

import os
import re
import secrets
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from app.storage.errors import ProjectError
from app.storage.project import Project
from msarcnn.atomic_files import remove_stale_temporaries

_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}")
KEPT = 20
"""The oldest copies beyond so many are removed."""


def backups_of(project: Path) -> list[Path]:
    """The copies of a project that still have their names, the newest first; renamed ones are kept for good."""
    copies = (path for path in _folder(project).glob("*") if _NAME.fullmatch(path.stem))
    return sorted((path for path in copies if path.suffix == project.suffix), reverse=True)


def back_up(project: Project, now: datetime) -> Path:
    """Copies a project as it is; returns the copy, which opens like any project.

    Raises:
        ProjectError: the copy cannot be written; the project and the older copies are untouched.
    """
    folder = _folder(project.path)
    path = folder / f"{now:%Y-%m-%d_%H-%M-%S-%f}{project.path.suffix}"
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
    try:
        folder.mkdir(exist_ok=True)
        remove_stale_temporaries(folder)
        try:
            with closing(sqlite3.connect(temporary)) as copy:
                copy.execute("PRAGMA synchronous = EXTRA")
                project.copy_into(copy)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        for old in backups_of(project.path)[KEPT:]:
            old.unlink()
    except (OSError, sqlite3.Error) as error:
        cure = "Free some space, or make the folder writable; the project itself is saved as ever."
        raise ProjectError(path, f"the snapshot cannot be written ({error})", cure) from error
    return path


def _folder(project: Path) -> Path:
    return project.with_name(f"{project.name}.backups")
