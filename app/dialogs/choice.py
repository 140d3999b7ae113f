"""One of many answers."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QListWidget, QVBoxLayout, QWidget

from app.dialogs.buttons import add_primary

_WITHDRAWN = 2
"""A result that is neither accepted nor rejected."""


class ChoiceDialog(QDialog):
    """`chosen` carries the place of the answer, from 0."""

    chosen = Signal(int)

    def __init__(self, question: str, choices: Sequence[str], topic: str, parent: QWidget | None = None) -> None:
        """topic: what the question is about; see `settle`."""
        super().__init__(parent)
        self._topic = topic
        self.setWindowTitle("Choose")
        self.setMinimumWidth(420)
        text = QLabel(question, self)
        text.setWordWrap(True)
        self.choices = QListWidget(self)
        self.choices.addItems(choices)
        self.choices.setCurrentRow(0)
        self.choices.itemActivated.connect(lambda _: self.accept())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.go = add_primary(buttons, "Choose")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.chosen.emit(self.choices.currentRow()))
        layout = QVBoxLayout(self)
        layout.setSpacing(14)
        layout.addWidget(text)
        layout.addWidget(self.choices)
        layout.addWidget(buttons)

    def settle(self, topic: str) -> None:
        """Goes, without an answer, when this is its topic."""
        if topic == self._topic:
            self.withdraw()

    def withdraw(self) -> None:
        """Goes without an answer: nobody is to be asked any more."""
        if self.isVisible():
            self.done(_WITHDRAWN)
