"""Divides a project among several people: `python -P -m app.storage.split PROJECT FOLDER --parts N`.

Every part is a project of its own with a share of the images, in blocks that follow the list, so that a video's frames
stay together; labels, predictions, states, notes come along, the operation log begins anew. `parts.take_part` brings
the work back. Progress and result are JSON lines on stdout, errors {"error": s} with exit status 1.
"""

import argparse
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.document.document import FIRST_OWN_PERSON_KEY
from app.storage.child_lines import print_line, run_child_work
from app.storage.errors import ProjectError
from app.storage.snapshot import snapshot

SPLIT_FROM, SPLIT_AT = "split from", "split at"
PROJECT_ID, PART_ID = "project id", "part id"
SPLIT_PEOPLE, SPLIT_SOURCES = "split people", "split sources"
"""Rows of `meta` in a part: whose it is; at the split the last operation, the next own key and the newest import."""
_MOST_PARTS = 100


def split_project(project: Path, folder: Path, parts: int, unfinished: bool = False) -> dict[str, Any]:
    """Writes `parts` projects NAME-part1.poseproj ... into a folder.

    Args:
        project: The whole project; `Project.identify` has given it an id. It stays as it is.
        folder: Where to; made if it is missing.
        parts: How many.
        unfinished: Only the images on which work is left.

    Returns:
        {"paths": [...], "images": [count of each]}.

    Raises:
        ProjectError: the project cannot be read, has fewer images than parts, or a part's name is taken.
        OSError, sqlite3.Error: something cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{project.stem}-part{number}{project.suffix}" for number in range(1, parts + 1)]
    for path in paths:
        if path.exists():
            raise ProjectError(path, "there is such a file already", "Choose another folder, or move it away.")
    with snapshot(project, (folder / project.name).absolute()) as whole:
        left = "state NOT IN ('done', 'done-empty', 'reviewed')" if unfinished else "1"
        keys = [key for (key,) in whole.execute(f"SELECT id FROM image WHERE {left} ORDER BY id")]
        if not 1 <= parts <= min(len(keys), _MOST_PARTS):
            kind = "unfinished images" if unfinished else "images"
            raise ProjectError(
                project, f"{len(keys)} {kind} cannot be divided into {parts} parts", "Choose fewer parts."
            )
        bounds = [round(len(keys) * number / parts) for number in range(parts + 1)]
        shares = [keys[start:end] for start, end in pairwise(bounds)]
        with ExitStack() as temporaries:
            written = []
            for number, share in enumerate(shares, 1):
                written.append(temporaries.enter_context(_unfinished_part(whole, paths[number - 1], share)))
                print_line("progress", done=number, total=parts)
            for part, path in zip(written, paths, strict=True):
                part.rename(path)
    return {"paths": [str(path) for path in paths], "images": [len(share) for share in shares]}


@contextmanager
def _unfinished_part(whole: sqlite3.Connection, path: Path, keys: Sequence[int]) -> Iterator[Path]:
    """A part beside its place; gone afterwards, unless it has been renamed."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
    try:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as part:
            part.execute("PRAGMA journal_mode = OFF")
            whole.backup(part)
            _keep_only(part, keys)
            part.execute("VACUUM")
            part.execute("PRAGMA journal_mode = DELETE")
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def _keep_only(part: sqlite3.Connection, keys: Sequence[int]) -> None:
    part.execute("BEGIN")
    part.execute("CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY)")
    part.executemany("INSERT INTO kept VALUES (?)", ((key,) for key in keys))
    last = part.execute("SELECT coalesce(max(id), 0) FROM operation").fetchone()[0]
    identity = part.execute("SELECT value FROM meta WHERE key = ?", (PROJECT_ID,)).fetchone()
    for table in ("person", "prediction", "looked", "source_image", "other_annotation"):
        part.execute(f"DELETE FROM {table} WHERE image_id IS NULL OR image_id NOT IN (SELECT id FROM kept)")
    part.execute("DELETE FROM source_image WHERE reason != ''")  # what belongs to them has no image
    part.execute("DELETE FROM image WHERE id NOT IN (SELECT id FROM kept)")
    part.execute("DELETE FROM operation")
    sources = part.execute("SELECT coalesce(max(id), 0) FROM source").fetchone()[0]
    people = part.execute("SELECT value FROM meta WHERE key = 'next_person_key'").fetchone()
    part.execute("DELETE FROM meta WHERE key LIKE 'export %' OR key LIKE 'taken %' OR key = ?", (PROJECT_ID,))
    facts = {
        PART_ID: secrets.token_hex(8),
        SPLIT_FROM: identity[0] if identity else "",
        SPLIT_AT: last,
        SPLIT_PEOPLE: people[0] if people else FIRST_OWN_PERSON_KEY,
        SPLIT_SOURCES: sources,
    }
    part.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())
    part.execute("COMMIT")


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.split", description="divide a project among several people")
    parser.add_argument("project", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", type=int, required=True)
    parser.add_argument("--unfinished", action="store_true", help="only the images on which work is left")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.folder, lambda: split_project(options.project, options.folder, options.parts, options.unfinished)
    )


if __name__ == "__main__":
    sys.exit(main())
