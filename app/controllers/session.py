"""The project that is open in the window: its document, selection, undo stack and file."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from app.controllers import places
from app.document.document import Document
from app.document.records import ImageRecord
from app.document.selection import Selection
from app.storage.errors import ProjectError
from app.storage.project import OpenedImage, Project
from app.storage.rows import ImageRow
from app.storage.shipped import Skeleton
from app.storage.visibility import Acceptance, Habit
from app.storage.writer import ProjectStore
from app.workers.payloads import ImageFile

_OPEN_IMAGES = 8
"""Images kept open behind the current one: late answers of the engine, and going back, find them."""

_UNKNOWN_TAU = 0.5
"""Keypoint threshold of a model that left predictions but no word about itself."""


class _Rows(NamedTuple):
    """What is known of the project beside labels, by keys and hashes."""

    roots: dict[int, Path]
    rows: dict[int, ImageRow]
    taus: dict[str, float]
    models: dict[str, str]
    shown_model: str
    """Whose looks the rows tell of."""


def _read_rows(project: Project, shown_model: str) -> _Rows:
    # On the writer's thread: with 100,000 images even the building of a dictionary is felt in the window.
    rows = {row.key: row for row in project.image_rows(shown_model)}
    return _Rows(project.roots(), rows, project.taus(), project.models_that_looked(), shown_model)


def _left_behind(store: ProjectStore, lost: int) -> str:
    """What has become of changes that could not be saved before a project was closed."""
    one = lost == 1
    text = f"{store.path}: {'1 change was' if one else f'{lost} changes were'} not saved. "
    if store.left_in is None:
        return f"{text}{'It is' if one else 'They are'} lost, since nothing else could be written either."
    them = "it" if one else "them"
    return (
        f"{text}{'It is' if one else 'They are'} kept in {store.left_in}. Look {them} up there, and make {them} again."
    )


class Session(QObject):
    """One project at a time. The current image follows `selection.current_image`."""

    opened = Signal()
    """A project is open: its rows are known, no image is current yet."""
    refreshed = Signal()
    """The rows of the open project were read anew."""
    shown_model_changed = Signal()
    """Another model's predictions are shown on the open images; `shown_rows` follows when a project is open."""
    shown_rows = Signal()
    """The rows tell of the shown model's looks now; they are the same images."""
    closing = Signal()
    """The open project is about to be closed: the last moment for an edit."""
    closed = Signal()
    open_failed = Signal(object)
    """ProjectError: the project could not be opened; none is open now."""
    image_loaded = Signal(int)
    """The current image's labels are in memory."""
    image_failed = Signal(int, str)
    saved = Signal(int)
    """int: edits that are not on the disk yet."""
    not_saved = Signal(str)
    """str: why edits cannot be written."""
    acceptance_changed = Signal()
    """Other joints of a model's would become labels: its threshold or the project's habit is another one."""
    set_aside = Signal(int, str)
    """An edit that the project does not take is in a side file. int: how many there are; str: a sentence."""
    left_behind = Signal(str)
    """str: edits of the project that was just closed are not in its file; where they are."""
    image_saved = Signal(object)
    """ImageRecord: committed, also of an image that is not open; with the shown model's look."""

    def __init__(self, skeleton: Skeleton, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.skeleton = skeleton
        self.document = Document(skeleton, self)
        self.selection = Selection(self)
        self.selection.follow(self.document)
        self.undo_stack = QUndoStack(self)
        self._store: ProjectStore | None = None
        self._opening: ProjectStore | None = None
        self._rows: dict[int, ImageRow] = {}
        self._roots: dict[int, Path] = {}
        self._taus: dict[str, float] = {}
        self._habits: Mapping[str, Habit] = {}
        self._models: dict[str, str] = {}
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._awaited: Callable[[], Collection[int]] = tuple
        self.selection.image_changed.connect(self._image_changed)
        self.document.edit_revealed.connect(self._reveal)

    @property
    def store(self) -> ProjectStore:
        """The open project's file. Raises LookupError when none is open."""
        if self._store is None:
            raise LookupError("no project is open")
        return self._store

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @property
    def path(self) -> Path | None:
        """The project file."""
        return self._store.path if self._store else None

    @property
    def read_only(self) -> bool:
        return self._store is not None and self._store.read_only

    @property
    def rows(self) -> Mapping[int, ImageRow]:
        """The images by key, in the file's order, as they were when they were read last."""
        return self._rows

    @property
    def roots(self) -> dict[int, Path]:
        return self._roots

    def open_project(self, path: Path, ready: Callable[[], None], read_only: bool = False) -> None:
        """Opens a project, creating it when there is no such file; `ready` is called when it is there.

        What was open is closed first. Reading happens on the writer's thread; `opened` is emitted after `ready`
        has had its chance to add images (through `store`), see `announce`.
        """
        self.close()

        skeleton = self.skeleton

        def open_or_create() -> Project:
            path.parent.mkdir(parents=True, exist_ok=True)
            return Project.open(path, read_only, skeleton) if path.exists() else Project.create(path, skeleton)

        store = self._opening = ProjectStore(open_or_create, self, places.data_folder() / "unsaved")
        store.open_failed.connect(lambda error: self._failed(store, error))
        store.opened.connect(lambda: self._bind(store, ready))

    def announce(self) -> None:
        """Reads roots, rows and what is known of models, then emits `opened`."""
        self._read_rows(self._take_rows)

    def refresh(self, changed: Iterable[int] | None) -> None:
        """Reads the rows anew after something beside the document has written, and the open ones of those images.

        None: any image may have changed. The current image stays; what is selected on it stays if it is still there.
        """
        self._read_rows(self._take_fresh)
        touched = self.document.open_images() if changed is None else changed
        for key in set(touched).intersection(self.document.open_images()):
            self.store.load_image(key, self._take_image)

    @property
    def shown_model(self) -> str:
        """Hash of the model whose predictions are shown where it has looked; "": always the newest look's."""
        return self.document.shown_model

    def show_model(self, model: str) -> None:
        """Shows another model's predictions, on the open images at once; labels, selection and undo stack stay."""
        if model == self.shown_model:
            return
        self.document.show_model(model)
        self.shown_model_changed.emit()
        if self._rows:  # else there is nothing to read anew, or the first answer will show that it is out of date
            self._read_shown()

    @property
    def models(self) -> Mapping[str, str]:
        """Names by hash ("": unknown) of the models that have looked at images of the project."""
        return self._models

    def note_look(self, model: str, name: str) -> None:
        """Says that a model's look was stored; name: "" where it is not known."""
        self._models[model] = name or self._models.get(model, "")

    def _read_rows(self, done: Callable[[_Rows], object]) -> None:
        self.store.submit(partial(_read_rows, shown_model=self.shown_model), done)

    def _read_shown(self) -> None:
        self._read_rows(self._take_shown)

    def _take_shown(self, answer: _Rows) -> None:
        if answer.shown_model == self.shown_model:  # else the next answer is on its way
            self._take_facts(answer)
            self.shown_rows.emit()

    def _take_fresh(self, answer: _Rows) -> None:
        self._take_facts(answer)
        self.acceptance_changed.emit()
        self.refreshed.emit()

    def _take_facts(self, answer: _Rows) -> None:
        self._roots, self._rows = answer.roots, answer.rows
        self._taus = answer.taus | self._taus
        self._models = answer.models

    def _take_image(self, image: OpenedImage) -> None:
        fresh = image[0]
        before = self.record(fresh.key)
        if before is None:
            return
        self.document.open_image(*image)
        turned = (before.width, before.height) != (fresh.width, fresh.height)
        if turned and fresh.key == self.selection.current_image:
            self.image_loaded.emit(fresh.key)  # other labels may be measured on the photo as it is stored

    def close(self) -> int:
        """Closes the project; returns how many edits could not be written (0 unless the disk fails)."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.close()
            opening.deleteLater()
        if self._store is not None:
            self.closing.emit()
        store, self._store = self._store, None
        if store is None:
            return 0
        self.selection.current_image = None
        for image in self.document.open_images():
            self.document.close_image(image)
        self.document.edited.disconnect(store.save)
        self.undo_stack.clear()
        self._rows, self._roots, self._models = {}, {}, {}
        self._recent.clear()
        lost = store.close()
        store.deleteLater()
        self.closed.emit()
        if lost:
            self.left_behind.emit(_left_behind(store, lost))
        return lost

    def image_file(self, key: int) -> ImageFile:
        """What the workers need to read an image: the same all the time that the project is open.

        Workers know images by it. A size that is measured meanwhile is the upright image's and would change no
        pixel. Raises KeyError for an unknown image.
        """
        return self.image_files([key])[0]

    def image_files(self, keys: Iterable[int]) -> list[ImageFile]:
        """The same for many images: all of 100,000 in a moment that nobody feels."""
        roots = {key: str(root) for key, root in self._roots.items()}
        rows = map(self._rows.__getitem__, keys)
        return [
            ImageFile(row.key, row.path, roots[row.root_key], (row.width, row.height) if row.width else None)
            for row in rows
        ]

    def knows(self, image: ImageFile) -> bool:
        """Whether this is a file of the open project. Its size may have become known since somebody asked for it."""
        if image.key not in self._rows:
            return False
        mine = self.image_file(image.key)
        return (mine.path, mine.root) == (image.path, image.root)

    def image_path(self, key: int) -> Path:
        row = self._rows[key]
        return self._roots[row.root_key] / row.path

    def tau_of(self, model: str) -> float:
        """A model's keypoint threshold by the model's hash: below it, a place is a hint and no label."""
        return self._taus.get(model, _UNKNOWN_TAU)

    def set_tau(self, model: str, tau: float) -> None:
        """Says what the running model's threshold is."""
        self._taus[model] = tau
        self.acceptance_changed.emit()

    def acceptance_of(self, model: str) -> Acceptance:
        """By what a model's joints become labels here, by the model's hash."""
        return Acceptance(self.tau_of(model), self._habits.get(model))

    def habit_people(self) -> int:
        """From how many people the habit was learnt by which the shown model's joints become labels; 0 without one."""
        habit = self._habits.get(self.shown_model)
        return habit.people if habit else 0

    def set_habits(self, habits: Mapping[str, Habit]) -> None:
        """Says how people are labelled in this project, beside what each model expects."""
        if habits != self._habits:
            self._habits = habits
            self.acceptance_changed.emit()

    def record(self, key: int) -> ImageRecord | None:
        """The record of an open image."""
        return self.document.image(key) if self.document.is_open(key) else None

    def current_record(self) -> ImageRecord | None:
        """The record of the current image, once its labels are in memory."""
        image = self.selection.current_image
        return self.record(image) if image is not None else None

    def _failed(self, store: ProjectStore, error: ProjectError) -> None:
        if store is self._opening:
            self._opening = None
            store.close()
            store.deleteLater()
            self.open_failed.emit(error)

    def _bind(self, store: ProjectStore, ready: Callable[[], None]) -> None:
        if store is not self._opening:
            return  # something else was opened meanwhile
        self._store, self._opening = store, None
        store.bind(self.document)
        store.saved.connect(self.saved)
        store.failed.connect(self.not_saved)
        store.set_aside.connect(self.set_aside)
        store.image_saved.connect(lambda record: self.image_saved.emit(record.showing(self.shown_model)))
        ready()

    def _take_rows(self, answer: _Rows) -> None:
        self._take_facts(answer)
        self.opened.emit()
        if answer.shown_model != self.shown_model:
            self._read_shown()

    def _reveal(self, image: int) -> None:
        if image in self._rows:
            self.selection.current_image = image

    def set_awaited(self, awaited: Callable[[], Collection[int]]) -> None:
        """Says how to learn which images an answer is to come for: they stay open until it is there."""
        self._awaited = awaited

    def _close_oldest(self) -> None:
        awaited = self._awaited()
        closable = [key for key in self._recent if key not in awaited and key != self.selection.current_image]
        for key in closable[: max(len(self._recent) - _OPEN_IMAGES, 0)]:
            del self._recent[key]
            self.document.close_image(key)

    def _image_changed(self, key: int | None) -> None:
        if key is None or self._store is None:
            return
        self._recent[key] = None
        self._recent.move_to_end(key)
        self._close_oldest()
        if self.document.is_open(key):
            self.image_loaded.emit(key)
            return

        def loaded(image: OpenedImage) -> None:
            # Flipping through images leaves answers behind that nobody waits for any more.
            if key in self._recent and not self.document.is_open(key):
                self.document.open_image(*image)
            if key == self.selection.current_image:
                self.image_loaded.emit(key)

        self.store.load_image(key, loaded, lambda error: self.image_failed.emit(key, str(error)))
