"""Opening what the user points at: a folder, images, a COCO file, a project."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.controllers import places
from app.controllers.asker import Asker
from app.controllers.import_reports import ImportReports
from app.controllers.importing import ImportOutcome, LabelImport, ask_which_folder
from app.controllers.messages import Messages
from app.controllers.photo_folders import PhotoFolders
from app.controllers.session import Session
from app.storage.errors import ProjectError, ProjectLockedError
from app.storage.folder_images import add_files
from app.storage.project import Project
from app.storage.settings import Settings
from app.storage.shipped import sample_folder
from app.workers.photo_files import PHOTO_PATTERNS, is_photo, list_photos, why_no_photo

_IMAGES = f"Images ({PHOTO_PATTERNS});;All files (*)"
_COCO = "COCO annotations (*.json);;All files (*)"
_YOLO = "YOLO-pose data set (*.yaml *.yml);;All files (*)"
_YAML_SUFFIXES = (".yaml", ".yml")
_PROJECTS = f"Projects (*{places.SUFFIX});;All files (*)"
IMPORT = "import"
"""Topic of what keeps images or labels from the project that is opened."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What a project knows of labels that are opened.

    Attributes:
        came: Labels were imported, all to their end.
        known: These, as they are now, were imported to their end, written from here, or left by somebody.
        root: The folder that they were imported with.
        has_photos: Photos that they name are in it, or it is gone.
    """

    came: bool
    known: bool
    root: Path | None
    has_photos: bool


class Opening(QObject):
    """Turns places into an open project: each place has one project file, found again the next time."""

    title_changed = Signal(str)
    progress = Signal(str, int, int)
    """What is being done, done, total (0: unknown)."""
    progress_ended = Signal()
    came_again = Signal(object, object)
    """Path, Path or None: labels that were imported before may be other ones now; with a COCO file's image folder."""

    def __init__(
        self, session: Session, messages: Messages, settings: Settings, asker: Asker, reports: ImportReports
    ) -> None:
        super().__init__(session)
        self._session, self._messages, self._settings, self._asker = session, messages, settings, asker
        self._reports = reports
        self._import: LabelImport | None = None
        self._listing = False
        self._asked: Path | None = None
        self.photo_folders = PhotoFolders(session, messages, asker, self.open_project)
        session.open_failed.connect(self._open_failed)
        session.closed.connect(messages.leave_project)

    # Asking

    def ask_folder(self) -> None:
        if folder := self._asker.folder("Open a folder of photos"):
            self.open_paths([folder])

    def ask_images(self) -> None:
        if files := self._asker.files("Open photos", _IMAGES):
            self.open_paths(files)

    def ask_coco(self) -> None:
        if file := self._asker.file("Open COCO annotations", _COCO):
            self.open_paths([file])

    def ask_yolo(self) -> None:
        if file := self._asker.file("Open a YOLO-pose data set by its .yaml", _YOLO):
            self.open_paths([file])

    def ask_project(self) -> None:
        if file := self._asker.file("Open a project", _PROJECTS):
            self.open_paths([file])

    # Opening

    def open_sample(self) -> None:
        try:
            folder = sample_folder()
        except FileNotFoundError as error:
            self._messages.post(str(error), "error")
            return
        self.open_coco(folder / "annotations.json")

    def open_paths(self, paths: Sequence[Path], images: Path | None = None) -> None:
        """Opens what was named on the command line, dropped, or chosen.

        Args:
            paths: A project file; or a COCO file, perhaps with the folder of its images; or folders and images.
            images: The COCO file's image folder; None guesses.
        """
        missing = [path for path in paths if not path.exists()]
        if missing:
            self._messages.post(f"{missing[0]}: there is no such file or folder. Check the name.", "error")
            return
        absolute = [path.absolute() for path in paths]
        if problem := _misfit(absolute):
            self._messages.post(problem, "error")
            return
        folders = [path for path in absolute if path.is_dir()]
        files = [path for path in absolute if not path.is_dir()]
        kind = files[0].suffix.lower() if files else ""
        if kind == places.SUFFIX:
            self.open_project(files[0])
        elif kind == ".json":
            self.open_coco(files[0], images or (folders[0] if folders else None))
        elif kind in _YAML_SUFFIXES:
            self.open_yolo(files[0])
        else:
            self._open_images(absolute)

    def open_project(self, path: Path, read_only: bool = False) -> None:
        """Opens a project file as it is."""
        self._begin(path, path.stem, self._session.announce, read_only)

    def open_coco(self, annotations: Path, images: Path | None = None) -> None:
        """Opens a COCO file: imports it into its project the first time; what has changed in it since is offered.

        images: Its image folder. None: the one that it was imported with, else one near it; of several it is asked.
        """
        annotations = annotations.absolute()
        try:
            near = [images.absolute()] if images else places.coco_image_roots(annotations)
        except OSError as error:
            self._messages.post(f"{annotations}: it cannot be read ({error.strerror}). Check its permissions.", "error")
            return
        project = places.project_of(annotations)
        if len(near) > 1 and not project.exists():
            self._ask_whose_photos(annotations, near)
            return

        def decide(before: _Before) -> None:
            folder = near[0] if images else before.root
            if before.came:
                self._offer(annotations, folder, before)
            elif folder is None and len(near) > 1:
                self._session.close()
                self._ask_whose_photos(annotations, near)
                return
            else:
                folder = folder or next(iter(near), annotations.parent)
                self._run_import(annotations, folder)
            if images is None and folder is not None and folder not in near and not before.has_photos:
                self.photo_folders.doubt(folder, annotations.name)

        self._begin(project, annotations.stem, lambda: self._look_up(annotations, decide))

    def _ask_whose_photos(self, annotations: Path, folders: Sequence[Path]) -> None:
        ask_which_folder(
            self._messages, annotations, folders, lambda folder: self.open_coco(annotations, folder), "opening"
        )

    def asked_image(self) -> int | None:
        """Key of the photo that was named when the open project was asked for; None when it was no photo."""
        if self._asked is None:
            return None
        for key, root in self._session.roots.items():
            if self._asked.is_relative_to(root):
                path = self._asked.relative_to(root).as_posix()
                rows = self._session.rows.values()
                return next((row.key for row in rows if row.path == path and row.root_key == key), None)
        return None

    def open_yolo(self, description: Path) -> None:
        """Opens a YOLO-pose data set by its .yaml; what has changed in it since the last time is offered."""
        folder = description.absolute().parent.name
        name = description.stem if description.stem.lower() not in ("data", "dataset") else folder

        def decide(before: _Before) -> None:
            if before.came:
                self._offer(description, None, before)
            else:
                self._run_import(description, None)

        self._begin(places.project_of(description), name, lambda: self._look_up(description, decide))

    def close(self) -> None:
        """Ends an import under way; what it has attached stays, and it goes on the next time."""
        if self._import:
            self._import.close()
        if self._import or self._listing:
            self._import, self._listing = None, False
            self.progress_ended.emit()

    def cancel_import(self) -> None:
        if self._import:
            self._import.cancel()

    # Labels

    def _look_up(self, source: Path, then: Callable[[_Before], None]) -> None:
        """Calls `then` with what the open project knows of labels."""

        def failed(error: Exception) -> None:
            text = f"{source}: it cannot be read ({error}). Check its permissions."
            self._messages.post(text, "error", topic=IMPORT)
            self._session.announce()

        self._session.store.submit(lambda project: _look_up(project, source), then, failed)

    def _offer(self, source: Path, root: Path | None, before: _Before) -> None:
        """Shows the project of labels that came before, and says what has changed in them.

        root: the image folder of a COCO file, None where it is not known; None for a data set that names its folders.
        """
        self._session.announce()
        if not before.known and not self._session.read_only:
            self.came_again.emit(source, root)

    def _run_import(self, annotations: Path, root: Path | None, said: Sequence[str] = ()) -> None:
        self._import = LabelImport(self._session.store, annotations, root, self, said)
        self._import.progress.connect(self.progress)
        self._import.finished.connect(lambda outcome: self._imported(annotations, root, outcome))

    def _imported(self, annotations: Path, root: Path | None, outcome: ImportOutcome) -> None:
        self._import = None
        self.progress_ended.emit()
        if not self._session.is_open:
            return
        self._session.announce()
        if outcome.text:
            answers = [
                (text, lambda said=said: self._run_import(annotations, root, said)) for text, said in outcome.choices
            ]
            self._messages.ask(outcome.text, answers, IMPORT, level=outcome.level)
        if outcome.report is not None:
            self._reports.take(outcome.report)

    def _open_images(self, paths: Sequence[Path]) -> None:
        folders = [path for path in paths if path.is_dir()]
        files = [path for path in paths if not path.is_dir()]
        asked = files[0] if files else None
        if len(folders) == 1 and not files:
            project, title = places.project_of(folders[0]), folders[0].name
        else:
            common = Path(os.path.commonpath([path.parent for path in paths]))
            names = "\n".join(sorted(map(str, folders)))
            project, title = places.project_of(common, f"images of it and {names}"), f"{common.name} (some images)"

        def add(opened: Project) -> list[str]:
            skipped: list[str] = []
            for folder in folders:
                found = list_photos(folder)
                add_files(opened, folder, found.paths)
                skipped += [found.summary] if found.summary else []
            by_folder: dict[Path, list[str]] = {}
            for file in files:
                by_folder.setdefault(file.parent, []).append(file.name)
            for folder, names in by_folder.items():
                add_files(opened, folder, names)
            return skipped

        def ready() -> None:
            if self._session.read_only:
                self._session.announce()
                return
            self._listing = True
            self.progress.emit("Looking for images", 0, 0)
            self._session.store.submit(add, self._added, lambda error: self._add_failed(title, error))

        self._begin(project, title, ready, asked=asked)

    def _added(self, skipped: list[str]) -> None:
        self._listed()
        if skipped:
            self._messages.post(" ".join(skipped), "warning", topic=IMPORT)
        self._session.announce()

    def _add_failed(self, title: str, error: Exception) -> None:
        self._listed()
        text = f"{title}: its images cannot be listed ({error}). Check its permissions."
        self._messages.post(text, "error", topic=IMPORT)
        self._session.announce()

    def _listed(self) -> None:
        self._listing = False
        self.progress_ended.emit()

    def _begin(
        self,
        project: Path,
        title: str,
        ready: Callable[[], None],
        read_only: bool = False,
        asked: Path | None = None,
    ) -> None:
        self.close()
        self._messages.leave_project()  # also where none is open: what was said of another file does not matter now
        self.photo_folders.forget()
        self._asked = asked

        def opened() -> None:
            self._settings.add_recent_project(project)
            note = " (read only)" if self._session.read_only else ""
            self.title_changed.emit(f"{title}{note}")
            for sentence in self._session.store.notes:
                self._messages.post(sentence, "warning")
            ready()

        self._session.open_project(project, opened, read_only)

    def _open_failed(self, error: ProjectError) -> None:
        self.progress_ended.emit()
        choices: list[tuple[str, Callable[[], None]]] = []
        if isinstance(error, ProjectLockedError):
            choices = [("Open read-only", lambda: self.open_project(error.path, read_only=True))]
        self._messages.post(str(error), "error", choices, topic="opening")


def _look_up(project: Project, source: Path) -> _Before:
    """On the writer's thread. Raises OSError when the labels cannot be read."""
    sources = project.sources()
    came = bool(sources) and all(complete for _, _, complete in sources)
    root = project.source_root(source)
    has_photos = root is not None and (not root.is_dir() or places.has_photos_of(root, source))
    return _Before(came, came and project.knows_content(source), root, has_photos)


def _misfit(paths: Sequence[Path]) -> str:
    """Says what cannot be opened together with the rest, "" when everything can."""
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()]
    for file in files:
        kind = file.suffix.lower()
        if kind == places.SUFFIX or kind in _YAML_SUFFIXES:
            if len(paths) > 1:
                what = "project" if kind == places.SUFFIX else "data set"
                return f"{file.name}: a {what} is opened alone."
        elif kind == ".json":
            if len(files) > 1 or len(folders) > 1:
                return f"{file.name}: a COCO file is opened alone, or together with the one folder of its photos."
        elif not is_photo(file):
            if reason := why_no_photo(file):
                return f"{reason}."
            return f"{file.name}: this is no photo, no COCO file, no data set and no project. Leave it out."
    return ""
