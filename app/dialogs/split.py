"""Into how many parts a project is divided."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from app.dialogs.buttons import add_primary


class SplitDialog(QDialog):
    """`chosen` carries the number of parts, and whether only unfinished images are divided."""

    chosen = Signal(int, bool)

    def __init__(self, images: int, unfinished: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Split for several people")
        self.setMinimumWidth(400)
        self._images, self._unfinished = images, unfinished
        self.parts = QSpinBox(self)
        self.parts.setRange(2, 100)
        self.only_unfinished = QCheckBox(f"Only the {unfinished:,} unfinished images", self)
        self.only_unfinished.setChecked(0 < unfinished < images)
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setProperty("muted", True)
        form = QFormLayout()
        form.addRow("Parts", self.parts)
        form.addRow("", self.only_unfinished)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.go = add_primary(buttons, "Choose folder…")
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(self.note)
        layout.addWidget(buttons)
        self.parts.valueChanged.connect(self._show)
        self.only_unfinished.toggled.connect(self._show)
        self._show()

    def _show(self) -> None:
        count = self._unfinished if self.only_unfinished.isChecked() else self._images
        possible = count >= self.parts.value()
        each = f"About {round(count / self.parts.value()):,} images each, in blocks that follow the list."
        text = f"{each} Everybody needs the photos in the same place, or says where they are when opening a part."
        self.note.setText(text if possible else f"There are only {count} images.")
        self.go.setEnabled(possible)

    def _accept(self) -> None:
        self.accept()
        self.chosen.emit(self.parts.value(), self.only_unfinished.isChecked())
