"""Opening what the user points at: a folder, images, a COCO file, a project."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.controllers import places
from app.controllers.asker import Asker
from app.controllers.import_reports import ImportReports
from app.controllers.importing import ImportOutcome, LabelImport, ask_which_folder
from app.controllers.messages import Messages
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
        self._asked: Path | None = None
        session.open_failed.connect(self._open_failed)
        session.opened.connect(self._check_roots)
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
        """Opens a COCO file: imports it into its project the first time; what has changed in it since is offered."""
        try:
            roots = [images.absolute()] if images else places.coco_image_roots(annotations)
        except OSError as error:
            self._messages.post(f"{annotations}: it cannot be read ({error.strerror}). Check its permissions.", "error")
            return
        project = places.project_of(annotations)
        if len(roots) > 1 and not project.exists():
            ask_which_folder(
                self._messages, annotations, roots, lambda folder: self.open_coco(annotations, folder), "opening"
            )
            return
        found = bool(roots)
        root = roots[0] if roots else annotations.absolute().parent

        def ready() -> None:
            if not found:
                text = f"{annotations.name}: its images were not found near it. Where are they?"
                self._messages.post(text, "warning", [("Choose folder…", self.ask_root)], topic="roots")
            # What was imported before has its folder; several others may have photos of the same names.
            before = [folder for folder in self._session.roots.values() if folder.is_dir()]
            self._import_or_offer(annotations, images or (before[0] if before else root))

        self._begin(project, annotations.stem, ready)

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
        self._begin(places.project_of(description), name, lambda: self._import_or_offer(description, None))

    def close(self) -> None:
        """Ends an import under way; what it has attached stays, and it goes on the next time."""
        if self._import:
            self._import.close()
            self._import = None
            self.progress_ended.emit()

    def cancel_import(self) -> None:
        if self._import:
            self._import.cancel()

    def _check_roots(self) -> None:
        gone = [root for root in self._session.roots.values() if not root.is_dir()]
        if gone:
            text = f"{gone[0]}: the images' folder is not there any more. The labels are safe; say where it is now."
            self._messages.post(text, "warning", [("Choose folder…", self.ask_root)], topic="roots")

    def ask_root(self) -> None:
        """Says where the images of the open project are; labels and states stay as they are."""
        roots = self._session.roots
        if not roots:
            return
        gone = [item for item in roots.items() if not item[1].is_dir()]
        key, old = gone[0] if gone else list(roots.items())[-1]
        path = self._session.path
        folder = self._asker.folder(f"Folder of the images that were expected in {old.name}")
        if folder is None or path is None or path != self._session.path:
            return  # also where another project was opened while the dialog asked

        def moved(_: None) -> None:
            self._messages.settle("roots")
            self.open_project(path)

        self._session.store.submit(lambda project: project.relocate_root(key, folder), moved)

    def _import_or_offer(self, source: Path, root: Path | None) -> None:
        """Imports labels that are new or were broken off; of those that came before, only says what has changed.

        root: the image folder of a COCO file; None for a data set that names its folders.
        """

        def ask(project: Project) -> tuple[bool, bool]:
            sources = project.sources()
            came = bool(sources) and all(complete for _, _, complete in sources)
            return came, came and root is not None and project.knows_content(source)

        def decide(answer: tuple[bool, bool]) -> None:
            came, known = answer
            if not came:
                self._run_import(source, root)
                return
            self._session.announce()
            if not known and not self._session.read_only:
                self.came_again.emit(source, root)

        def failed(error: Exception) -> None:
            self._messages.post(f"{source}: it cannot be read ({error}). Check its permissions.", "error")
            self._session.announce()

        self._session.store.submit(ask, decide, failed)

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
            if outcome.level == "error":
                self._messages.settle("roots")  # of a file that is none nobody needs the photos
            self._messages.post(outcome.text, outcome.level, answers, topic="import")
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
            self.progress.emit("Looking for images", 0, 0)
            self._session.store.submit(add, self._added, lambda error: self._add_failed(title, error))

        self._begin(project, title, ready, asked=asked)

    def _added(self, skipped: list[str]) -> None:
        self.progress_ended.emit()
        if skipped:
            self._say_once_opened(" ".join(skipped))
        self._session.announce()

    def _say_once_opened(self, text: str) -> None:
        """Warns after what the window itself says of the opened project, "no images" for one: this is the reason."""
        path = self._session.path

        def say() -> None:
            self._session.opened.disconnect(say)
            if self._session.path == path:
                self._messages.post(text, "warning")

        self._session.opened.connect(say)

    def _add_failed(self, title: str, error: Exception) -> None:
        self.progress_ended.emit()
        self._messages.post(f"{title}: its images cannot be listed ({error}). Check its permissions.", "error")
        self._session.announce()

    def _begin(
        self,
        project: Path,
        title: str,
        ready: Callable[[], None],
        read_only: bool = False,
        asked: Path | None = None,
    ) -> None:
        self.close()
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
