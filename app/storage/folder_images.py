"""Putting the image files of a folder into a project."""

from collections.abc import Sequence
from pathlib import Path

from app.storage.project import Project

_BATCH = 5000


def add_folder(project: Project, folder: Path) -> int:
    """Adds every supported image below a folder; returns how many were new. Runs on the writer's thread.

    Raises:
        OSError: the folder cannot be read.
    """
    # Only here, so that a window that opens nothing does not load Pillow.
    from msarcnn.images import find_images

    paths = find_images(folder)
    return add_files(project, folder, paths)


def add_files(project: Project, folder: Path, paths: Sequence[str]) -> int:
    """Adds relative paths below a folder in batches; returns how many were new."""
    root = project.add_root(folder)
    return sum(project.add_images(root, paths[start : start + _BATCH]) for start in range(0, len(paths), _BATCH))
