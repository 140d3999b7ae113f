"""The line above the canvas: which image this is, its flag, its note."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.document.records import ImageRecord
from app.panels.badges import WORDS
from app.panels.escaping_field import EscapingField


class NoteField(EscapingField):
    """One line; Return keeps it, Esc takes back what was typed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kept = ""
        self.setPlaceholderText("Note on this image")
        self.setMaxLength(500)
        self.returnPressed.connect(self.left)

    def show_note(self, note: str) -> None:
        """Shows a note; what is being typed on the same image stays."""
        if note != self._kept or not self.hasFocus():
            self._kept = note
            self.setText(note)

    def take_back(self) -> None:
        self.setText(self._kept)


class ImageHeader(QWidget):
    """Shows the current image's record; the flag's button is the action's own."""

    note_edited = Signal(int, str)
    """Key of the image that the note is about, and the note."""
    left = Signal()
    """The user is through with typing; the keys belong to the canvas again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: int | None = None
        self.name = QLabel(self)
        self.name.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.facts = QLabel(self)
        self.facts.setProperty("muted", True)
        self.note = NoteField(self)
        self.note.setProperty("field", True)
        self.flag = QToolButton(self)
        self.flag.setAutoRaise(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 5, 8, 5)
        layout.setSpacing(10)
        layout.addWidget(self.name, 3)
        layout.addWidget(self.facts)
        layout.addWidget(self.note, 4)
        layout.addWidget(self.flag)
        self.note.editingFinished.connect(self.hand_over_note)
        self.note.left.connect(self.left)
        self.show_image(None)

    def set_flag_action(self, action: QAction) -> None:
        self.flag.setDefaultAction(action)

    def show_image(self, record: ImageRecord | None, read_only: bool = False) -> None:
        """Shows an image; None while there is none or its labels are not read yet."""
        key = record.key if record else None
        if key != self._image:
            self.hand_over_note()  # what was typed belongs to the image on which it was typed
            self.note.clearFocus()
            self._image = key
        self.note.setEnabled(record is not None)
        self.note.setReadOnly(read_only)
        self.name.setText(record.path if record else "")
        self.name.setToolTip(record.path if record else "")
        self.facts.setText(_facts(record) if record else "")
        self.note.show_note(record.note if record else "")

    def edit_note(self) -> None:
        """Puts the cursor into the note."""
        self.note.setFocus()
        self.note.selectAll()

    def hand_over_note(self) -> None:
        """Says what was typed; nothing happens when that was said already."""
        if self._image is not None and self.note.isModified():
            self.note.setModified(False)
            self.note_edited.emit(self._image, self.note.text())


def _facts(record: ImageRecord) -> str:
    size = f"{record.width} × {record.height}  ·  " if record.width else ""
    return f"{size}{WORDS[record.state]}"
