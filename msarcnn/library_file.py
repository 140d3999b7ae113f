"""What the model library remembers on the disk: `library.json`, changed by one process at a time."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec
from filelock import FileLock, Timeout
from platformdirs import user_data_path

from msarcnn.atomic_files import write_json_atomic
from msarcnn.model_files import full_hash
from msarcnn.published_models import PublishedModel

HOME_VARIABLE = "MSARCNN_HOME"
_LOCK_SECONDS = 20.0


class LibraryError(ValueError):
    """The library cannot be read or changed; the message names the file and the cure."""


def library_folder() -> Path:
    """Where downloads and the list of models are kept; MSARCNN_HOME overrides the platform's place for data."""
    # Not the platform's place for caches: which models somebody has made and added cannot be fetched again.
    override = os.environ.get(HOME_VARIABLE)
    return Path(override).absolute() if override else user_data_path("msarcnn", appauthor=False)


@dataclass(frozen=True)
class AddedModel:
    """A file elsewhere that somebody added, or that a fine-tuning has made.

    Attributes:
        name: Letters, digits, "-" and "_"; unique in the library.
        title: For people.
        path: Absolute; the file is referred to, not copied.
        kind: "file" or "fine-tuned".
    """

    name: str
    title: str
    path: str
    kind: Literal["file", "fine-tuned"] = "file"


@dataclass(frozen=True)
class KnownHash:
    """A SHA-256 (64 hexadecimal digits), and the size in bytes and time (ns) of the file that had it."""

    size: int
    modified: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """What torchvision says about its weights, and which version (`torchvision`) said it."""

    torchvision: str
    models: tuple[PublishedModel, ...]


@dataclass(frozen=True)
class LibraryState:
    """The content of `library.json`.

    Attributes:
        format: Of this file.
        added: In the order of their coming.
        downloaded: Names of files in the library's folder that it fetched itself, and so may delete.
        published: None until torchvision was asked.
        hashes: By path.
    """

    format: int = 1
    added: tuple[AddedModel, ...] = ()
    downloaded: tuple[str, ...] = ()
    published: Published | None = None
    hashes: dict[str, KnownHash] = field(default_factory=dict)


class LibraryFile:
    """Reads and changes `library.json` of a folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "library.json"

    def read(self) -> LibraryState:
        """Raises LibraryError."""
        try:
            state = msgspec.json.decode(self.path.read_bytes(), type=LibraryState)
        except FileNotFoundError:
            return LibraryState()
        except OSError as error:
            raise LibraryError(f"{self.path}: cannot be read ({error.strerror}). Check its permissions.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            cure = "Move it away; models that were added have to be added again, downloads are found"
            raise LibraryError(f"{self.path}: damaged ({error}). {cure}.") from error
        if state.format != 1:
            raise LibraryError(f"{self.path}: written by a newer version of this program. Update this one.")
        return state

    def change(self, change: Callable[[LibraryState], LibraryState]) -> LibraryState:
        """Replaces the content by what `change` makes of it, and returns that. Raises LibraryError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # A lock of its own: the file itself is replaced, and a lock on it would go with the old one.
            with FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS):
                before = self.read()
                after = change(before)
                if after != before:
                    write_json_atomic(self.path, msgspec.json.format(msgspec.json.encode(after), indent=1))
                return after
        except Timeout as error:
            raise LibraryError(f"{self.path}: another program has it locked. Try again when that has ended.") from error
        except OSError as error:
            cure = f"Free some space, or name a folder of yours in {HOME_VARIABLE}"
            raise LibraryError(f"{self.path}: cannot be written ({error.strerror}). {cure}.") from error

    def hash_of(self, path: Path) -> str:
        """The SHA-256 of a file, 64 digits, computed anew when its size or time has changed. Raises OSError."""
        stat = path.stat()
        known = self.read().hashes.get(str(path))
        if known is not None and (known.size, known.modified) == (stat.st_size, stat.st_mtime_ns):
            return known.sha256
        digest = full_hash(path)
        self._remember(path, KnownHash(stat.st_size, stat.st_mtime_ns, digest))
        return digest

    def _remember(self, path: Path, known: KnownHash) -> None:
        # It only saves time: somebody else's library may be read without being written to.
        with suppress(LibraryError):
            self.change(lambda state: replace(state, hashes={**_alive(state.hashes), str(path): known}))


def _alive(hashes: dict[str, KnownHash]) -> dict[str, KnownHash]:
    return {path: known for path, known in hashes.items() if Path(path).exists()}
