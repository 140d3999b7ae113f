"""Where things are: the project file of what was opened, a COCO file's image folder, a project's runs."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from PySide6.QtCore import QStandardPaths

from app.workers.photo_files import has_photo

SUFFIX = ".poseproj"
RUN_NAMES = "%Y%m%d-%H%M%S"
"""Run folders are called after the time of their beginning."""
_FILE_NAME = re.compile(rb'"file_name"\s*:\s*"((?:[^"\\]|\\.)+)"')
_CHUNK = 1 << 20
_MOST_CHUNKS = 64
_TRIED_NAMES = 5
_MOST_SIBLINGS = 200


def data_folder() -> Path:
    """Where projects are kept; MSARCNN_DATA_DIR overrides the platform's place."""
    override = os.environ.get("MSARCNN_DATA_DIR")
    place = QStandardPaths.StandardLocation.AppDataLocation
    return Path(override or QStandardPaths.writableLocation(place)).absolute()


def project_of(opened: Path, extra: str = "") -> Path:
    """Returns the project file of a folder or COCO file: the same whenever it is opened again.

    extra tells apart what is opened at the same place, e.g. single images of a folder.
    """
    path = opened.absolute()
    digest = hashlib.sha256(os.fsencode(path) + b"\0" + extra.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    name = re.sub(r"[^\w.-]+", "_", path.stem if path.suffix.lower() == ".json" else path.name) or "project"
    return data_folder() / "projects" / f"{name}-{digest}{SUFFIX}"


def title_of(project: Path) -> str:
    """Returns a project's name without the digest that tells equal names apart."""
    name, _, digest = project.stem.rpartition("-")
    return name if name and len(digest) == 8 else project.stem


def runs_of(project: Path) -> Path:
    """Returns the folder of a project's training runs."""
    return project.with_name(project.name + ".runs")


def runs_newest_first(project: Path) -> list[Path]:
    """Returns the run folders of a project; their names are time stamps."""
    folder = runs_of(project)
    return sorted((run for run in folder.iterdir() if run.is_dir()), reverse=True) if folder.is_dir() else []


def time_of(run: Path) -> str:
    """Returns when a run began, e.g. "2026-05-01 14:30"; its folder's name when that is no time stamp."""
    try:
        return datetime.strptime(run.name, RUN_NAMES).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return run.name


def coco_image_roots(annotations: Path, known: Iterable[Path] = ()) -> list[Path]:
    """Guesses the image folder of a COCO file: the nearest places that have most of its first images.

    Looks beside the file, in `known` folders and those beside the file, one folder up, and in the folders there.
    Several places where equally near ones have as many, as folders of numbered photos do: which one is meant is to be
    asked then, unless one of them is called as the file is.

    Raises:
        OSError: the file cannot be read.
    """
    names = first_file_names(annotations)
    tiers = list(_tiers(annotations.absolute(), list(known)))
    for has in (_has_just_so, has_photo):
        found = [[sum(has(folder, name) for name in names) for folder in tier] for tier in tiers]
        most = max((count for counts in found for count in counts), default=0)
        for tier, counts in zip(tiers, found, strict=True) if most else ():
            if best := [folder for folder, count in zip(tier, counts, strict=True) if count == most]:
                return _called_alike(best, annotations.stem) or best
    return []


def has_photos_of(folder: Path, annotations: Path) -> bool:
    """Whether one of the first photos that a COCO file names is below a folder. Raises OSError."""
    return any(has_photo(folder, name) for name in first_file_names(annotations))


def short_names(folders: Sequence[Path]) -> list[str]:
    """Returns the shortest ends of paths, of equally many parts, that tell all of them apart."""
    longest = max((len(folder.parts) for folder in folders), default=0)
    for count in range(1, longest):
        names = ["/".join(folder.parts[-count:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return list(map(str, folders))


def _has_just_so(folder: Path, name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name and (folder / path).is_file()


def _called_alike(folders: list[Path], stem: str) -> list[Path]:
    """The one folder that is called as a file is: "session 2" of "session 2.json" and "labels_session 2.json"."""
    alike = [folder for folder in folders if folder.name == stem]
    alike = alike or [
        folder for folder in folders if re.search(rf"(^|[^\w]|_){re.escape(folder.name)}($|[^\w]|_)", stem)
    ]
    return alike if len(alike) == 1 else []


def first_file_names(annotations: Path) -> list[str]:
    """Returns the first few file names that a COCO file mentions, without parsing it: it may have 100 MB."""
    names: list[str] = []
    rest = b""
    with annotations.open("rb") as file:
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(_CHUNK)
            if not chunk or len(names) >= _TRIED_NAMES:
                break
            text = rest + chunk
            names += [_text(match.group(1)) for match in _FILE_NAME.finditer(text)]
            rest = text[-512:]
    return list(dict.fromkeys(names))[:_TRIED_NAMES]


def _text(inside_quotes: bytes) -> str:
    """A JSON string's text, escapes such as \\u00e4 decoded."""
    try:
        return str(json.loads(b'"' + inside_quotes + b'"'))
    except ValueError:
        return inside_quotes.decode("utf-8", "replace")


def _tiers(annotations: Path, known: list[Path]) -> Iterator[list[Path]]:
    """Places to look at, the nearest first; of one tier nothing says which is meant."""
    seen: set[Path] = set()

    def fresh(folders: Iterable[Path]) -> list[Path]:
        new = {folder.resolve(): folder for folder in folders}
        kept = [folder for real, folder in new.items() if real not in seen]
        seen.update(new)
        return kept

    for base, others in ((annotations.parent, known), (annotations.parent.parent, [])):
        for usual in (base, base / "images", base / annotations.stem):
            yield fresh([usual])
        yield fresh([*others, *_folders_in(base), *_folders_in(base / "images")])


def _folders_in(folder: Path) -> Sequence[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return ()
    return sorted(found)[:_MOST_SIBLINGS]
