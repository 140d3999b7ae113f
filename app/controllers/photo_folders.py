"""Where the photos of the open project are: asked when a folder is gone, or has none of the photos of its labels."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject

from app.controllers.asker import Asker
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.errors import ProjectError
from app.storage.project import Project
from app.workers.photo_files import has_photo

_TRIED_FIRST = 100


class PhotoFolders(QObject):
    """Asks for the place of a folder; labels and states stay as they are."""

    def __init__(
        self, session: Session, messages: Messages, asker: Asker, open_project: Callable[[Path], None]
    ) -> None:
        """open_project: opens the project anew once it knows another folder."""
        super().__init__(session)
        self._session, self._messages, self._asker, self._open_project = session, messages, asker, open_project
        self._doubtful: tuple[Path, str] | None = None
        session.opened.connect(self.check)

    def doubt(self, root: Path, labels: str) -> None:
        """Says that the labels of that name are taken to be about a folder though none of their photos is in it."""
        self._doubtful = root, labels

    def forget(self) -> None:
        """Another project is opened."""
        self._doubtful = None

    def check(self) -> None:
        """Asks about a folder that is gone, or in which the photos of the opened labels are not."""
        roots = list(self._session.roots.values())
        gone = [root for root in roots if not root.is_dir()]
        if gone:
            text = f"{gone[0]}: the images' folder is not there any more. The labels are safe; say where it is now."
            self._ask(gone[0], text)
        elif self._doubtful and self._doubtful[0] in roots:
            root, labels = self._doubtful
            self._ask(root, f"{labels}: its images were not found near it. Where are they?")

    def _ask(self, root: Path, text: str) -> None:
        choices = [("Choose folder…", lambda: self.move(root, text))]
        self._messages.post(text, "warning", choices, topic="roots")

    def move(self, root: Path, question: str) -> None:
        """Asks for the folder that an image folder of the project is now.

        The question is asked again unless it is answered with a folder that can be taken.
        """
        path = self._session.path
        folder = self._asker.folder(f"Folder of the images that were expected in {root.name}")
        key = next((key for key, known in self._session.roots.items() if known == root), None)
        if path is None or path != self._session.path or key is None:
            return  # another project was opened while the dialog asked
        if folder is None:
            self._ask(root, question)
            return
        images = [row.path for row in self._session.rows.values() if row.root_key == key]
        some = images[:: max(len(images) // _TRIED_FIRST, 1)]

        def relocate(project: Project) -> None:
            if images and not any(has_photo(folder, image) for image in (*some, *images)):
                raise ProjectError(path, f"none of the images that it expects is in {folder}", "Choose another.")
            project.relocate_root(key, folder)

        def failed(error: Exception) -> None:
            self._ask(root, question)
            self._messages.post(str(error), "error")

        self._session.store.submit(relocate, lambda _: self._open_project(path), failed)
