"""The models that can be used here, by name: bundled, published, fine-tuned, added.

`find_model` is how every command and the engine get from a name to a file. Nothing here loads torch, until
torchvision is asked once what it publishes.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from filelock import Timeout

from msarcnn.checkpoint_error import CheckpointError
from msarcnn.downloads import Progress, by_hand, download, lock_of, never, nothing_to_say, part_of
from msarcnn.library_file import AddedModel, LibraryError, LibraryFile, LibraryState, Published, library_folder
from msarcnn.model_entries import (
    TITLES,
    added_entry,
    architecture_entries,
    bundled_entry,
    check_published,
    download_entry,
    gone_cure,
)
from msarcnn.model_entry import ModelEntry
from msarcnn.model_files import look_at
from msarcnn.presets import DEFAULT_MODEL, PRESETS
from msarcnn.published_models import BACKBONE_WEIGHTS, PUBLISHED, PublishedModel, ask_torchvision
from msarcnn.resources import bundled_weights, resource_path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""Without a dot, so that no name is mistaken for a file's."""
_AS_BACKBONE = "Start a training from it with `--backbone-weights imagenet`, or choose another model"


class ModelLibrary:
    """The library of a folder; without argument the user's own."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or library_folder()
        self._file = LibraryFile(self.folder)

    # Looking

    def entries(self) -> list[ModelEntry]:
        """Everything that is known, the bundled model first. Raises LibraryError."""
        listed = [bundled_entry(self._file)]
        listed += [download_entry(model, self._file) for model in self._published()]
        listed += [added_entry(model, self._file) for model in self._file.read().added]
        listed += architecture_entries()
        titles = {entry.hash: entry.title for entry in listed if entry.hash}
        return [replace(entry, parent_title=titles.get(entry.parent, "")) for entry in listed]

    def entry(self, name: str) -> ModelEntry:
        """Raises LibraryError for a name that it does not know."""
        for entry in self.entries():
            if entry.name == name:
                return entry
        raise self._unknown(name)

    def names(self) -> list[str]:
        """Every name, without asking anybody. Raises LibraryError."""
        return [*PRESETS, *PUBLISHED, *(model.name for model in self._file.read().added)]

    def path_of(self, name: str) -> Path:
        """The file behind a name. Raises CheckpointError when it is not here, LibraryError for an unknown name."""
        if name in PRESETS:
            try:
                return resource_path("weights", f"{name}.safetensors")
            except FileNotFoundError as error:
                raise CheckpointError(name, "no weights of this model are bundled", "Name a file instead") from error
        if name in PUBLISHED:
            return self._downloaded(name)
        model = self._added(name)
        if not Path(model.path).is_file():
            raise CheckpointError(model.path, f"the file of the model {name} is gone", gone_cure(name))
        return Path(model.path)

    def title_of(self, path: Path) -> str:
        """What the model in a file is called; "" for a file that the library does not have. Raises LibraryError."""
        state = self._file.read()
        published = state.published.models if state.published is not None else ()
        titles = {self._target(model): model.title for model in published}
        titles |= {Path(model.path): model.title for model in state.added}
        with suppress(FileNotFoundError):
            titles[bundled_weights()] = TITLES[DEFAULT_MODEL]
        return next((title for known, title in titles.items() if known.resolve() == path.resolve()), "")

    # Changing

    def download(
        self, name: str, progress: Progress = nothing_to_say, cancelled: Callable[[], bool] = never
    ) -> ModelEntry:
        """Brings a published model here, if it is not; what somebody else has brought is the library's then.

        Raises DownloadError, LibraryError; CheckpointError when another file has the model's name.
        """
        model = self._published_model(name)
        target = self._target(model)
        if target.exists():
            check_published(model, self._file)
        # Before the download: what a program that ended in its middle has left can be deleted, too.
        self._file.change(
            lambda state: replace(state, downloaded=tuple(dict.fromkeys((*state.downloaded, target.name))))
        )
        download(model.url, target, model.sha256_prefix, progress, cancelled)
        return download_entry(model, self._file)

    def add(self, path: Path, name: str = "", title: str = "", fine_tuned: bool = False) -> ModelEntry:
        """Refers to a model file from now on; of one that is here already, it changes name and title as given.

        However its path is written, and through whatever links, a file is known once.

        Raises CheckpointError when it is no model, LibraryError when a name is taken or impossible.
        """
        path = path.resolve()
        _check_text(path)
        look_at(path)
        if name and not _NAME.fullmatch(name):
            raise LibraryError(f"{name!r}: not a name. Use letters, digits, - and _.")
        model = AddedModel(name, title, str(path), "fine-tuned" if fine_tuned else "file")
        state = self._file.change(lambda state: _with(state, model))
        return added_entry(next(known for known in state.added if known.path == str(path)), self._file)

    def remove(self, name: str) -> ModelEntry:
        """Deletes what the library has downloaded; forgets what is referred to. Returns what it was.

        Raises LibraryError for what it may not remove or does not know.
        """
        if name in PRESETS:
            raise LibraryError(f"{name}: part of the program, it stays.")
        if name in PUBLISHED:
            return self._remove_download(self._published_model(name))
        gone = added_entry(self._added(name), self._file)
        self._file.change(lambda state: replace(state, added=tuple(one for one in state.added if one.name != name)))
        return gone

    # Parts

    def _added(self, name: str) -> AddedModel:
        for model in self._file.read().added:
            if model.name == name:
                return model
        raise self._unknown(name)

    def _unknown(self, name: str) -> LibraryError:
        return LibraryError(f"{name}: no such model. Known models: {', '.join(self.names())}.")

    def _published(self) -> tuple[PublishedModel, ...]:
        """What torchvision says, remembered until it is another version."""
        state, installed = self._file.read(), version("torchvision")
        if state.published is None or state.published.torchvision != installed:
            asked = Published(installed, tuple(ask_torchvision()))
            with suppress(LibraryError):  # A folder that cannot be written to: the next one asks again.
                self._file.change(lambda state: replace(state, published=asked))
            return asked.models
        return state.published.models

    def _published_model(self, name: str) -> PublishedModel:
        for model in self._published():
            if model.name == name:
                return model
        raise LibraryError(f"{name}: nothing to download. There are {', '.join(PUBLISHED)}.")

    def _target(self, model: PublishedModel) -> Path:
        return self.folder / model.file_name

    def _downloaded(self, name: str) -> Path:
        model = self._published_model(name)
        path = self._target(model)
        if not path.is_file():
            cure = f"Run `python -m msarcnn models download {name}`. {by_hand(model.url, path).rstrip('.')}"
            raise CheckpointError(name, "not downloaded yet", cure)
        check_published(model, self._file)
        return path

    def _remove_download(self, model: PublishedModel) -> ModelEntry:
        path = self._target(model)
        if path.is_file() and model.file_name not in self._file.read().downloaded:
            raise LibraryError(f"{path}: not downloaded by this program, so it stays. Delete it yourself.")
        gone = download_entry(model, self._file)
        if not self.folder.is_dir():
            return gone
        try:
            with lock_of(path).acquire(timeout=0):
                for piece in (path, *self.folder.glob(f"{part_of(path).name}*")):
                    piece.unlink(missing_ok=True)
        except Timeout as error:
            raise LibraryError(f"{path}: it is being downloaded. Cancel that first, or wait for its end.") from error
        except OSError as error:
            raise LibraryError(f"{path}: cannot be removed ({error.strerror}). Close what uses it.") from error
        self._file.change(
            lambda state: replace(state, downloaded=tuple(n for n in state.downloaded if n != model.file_name))
        )
        return gone


def find_model(model: str | Path | None) -> Path:
    """The file behind a model's name.

    Args:
        model: None is the bundled model; a preset's name its bundled weights; another name what the library has
            under it ("coco", and what was added); else the path of a file.

    Raises:
        CheckpointError: a preset without weights, a model that is not downloaded yet, no such file.
        LibraryError: the library is damaged.
    """
    name = str(model) if model is not None else DEFAULT_MODEL
    library = ModelLibrary()
    if name in BACKBONE_WEIGHTS.values():
        raise CheckpointError(name, "weights of a backbone, not a model that finds people", _AS_BACKBONE)
    if name in PRESETS or name in PUBLISHED or (_NAME.fullmatch(name) and name in library.names()):
        return library.path_of(name)
    path = Path(name)
    if not path.is_file():
        finders = (known for known in library.names() if known not in BACKBONE_WEIGHTS.values())
        raise CheckpointError(path, "no such file and no such model", f"Known models: {', '.join(finders)}")
    return path


def backbone_weights(backbone: str) -> Path:
    """The ImageNet weights of a backbone (`ModelConfig.backbone`): a file of torchvision's layout.

    Raises:
        CheckpointError: not downloaded yet (the message says how), or not published for this backbone.
        LibraryError: the library is damaged.
    """
    if backbone not in BACKBONE_WEIGHTS:
        raise CheckpointError(backbone, "no ImageNet weights are published for it", "Name a file instead")
    return ModelLibrary().path_of(BACKBONE_WEIGHTS[backbone])


def _check_text(path: Path) -> None:
    """Raises LibraryError for a path that `library.json` cannot hold: bytes that are no letters."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        name = str(path).encode("utf-8", "backslashreplace").decode()
        raise LibraryError(f"{name}: the name is not valid text. Rename the file or its folder.") from error


def _with(state: LibraryState, model: AddedModel) -> LibraryState:
    """The library with one more file, or with another title of one that it has."""
    known = next((one for one in state.added if Path(one.path).resolve() == Path(model.path)), None)
    others = [one for one in state.added if one is not known]
    taken = {*PRESETS, *PUBLISHED, *(one.name for one in others)}
    if model.name in taken:
        raise LibraryError(f"{model.name}: the name is taken. Choose another, or remove that model first.")
    name = model.name or (known.name if known else _free_name(model.title or Path(model.path).stem, taken))
    title = model.title or (known.title if known else "") or Path(model.path).stem
    kind = "fine-tuned" if known is not None and known.kind == "fine-tuned" else model.kind
    added = AddedModel(name, title, model.path, kind)
    if known is None:
        return replace(state, added=(*state.added, added))
    return replace(state, added=tuple(added if one is known else one for one in state.added))


def _free_name(text: str, taken: set[str]) -> str:
    """A short name like a title, e.g. "kitchen-2026-05-01" of "Kitchen, 2026-05-01"."""
    stem = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_") or "model"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
