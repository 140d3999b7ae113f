"""Copying people: within an image, across images, from the image before."""

from PySide6.QtCore import QObject, Signal

from app.commands.predictions import is_label_of
from app.controllers.editing import Editing
from app.controllers.messages import Messages
from app.controllers.navigation import Navigation
from app.controllers.session import Session
from app.document.records import Person
from app.storage.project import OpenedImage


class Clipboard(QObject):
    """Holds the person copied last, also over a change of the project: the skeleton is the same."""

    changed = Signal()

    def __init__(self, session: Session, editing: Editing, navigation: Navigation, messages: Messages) -> None:
        super().__init__(session)
        self._session, self._editing = session, editing
        self._navigation, self._messages = navigation, messages
        self._copied: Person | None = None

    @property
    def filled(self) -> bool:
        return self._copied is not None

    def copy(self) -> None:
        """Remembers the selected person as it is now."""
        image, key = self._session.selection.current_image, self._session.selection.person
        if image is not None and key is not None:
            self._copied = self._session.document.person(image, key)
            self.changed.emit()
            self._messages.post("Copied. Paste on any image.", "info", topic="clipboard")

    def paste(self) -> None:
        if self._copied:
            self._messages.settle("clipboard")
            self._editing.paste([self._copied], "Paste person")

    def from_previous(self) -> None:
        """Copies the people of the image before, also of one that the filter hides, who are not labelled here yet."""
        image, before = self._session.selection.current_image, self._navigation.predecessor()
        if image is None:
            return
        if before is None:
            self._messages.post("This is the first image of the list: there is none before it.", "info")
            return
        document = self._session.document

        def take(found: tuple[Person, ...]) -> None:
            if image != self._session.selection.current_image or not document.is_open(image):
                return
            here = document.people(image)
            missing = [person for person in found if not is_label_of(person.box, here)]
            if missing:
                count = f"{len(missing)} people" if len(missing) > 1 else "person"
                self._editing.paste(missing, f"Copy {count} from the previous image")
            elif found:
                self._messages.post("Everybody of the image before is labelled here already.", "info")
            else:
                self._messages.post("Nobody is labelled on the image before.", "info")

        def loaded(opened: OpenedImage) -> None:
            take(opened[1])

        if document.is_open(before):
            take(document.people(before))
        else:
            self._session.store.load_image(before, loaded)
