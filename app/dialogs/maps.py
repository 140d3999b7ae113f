"""A window beside the main one: all maps of a person, what two models make of it, which levels they come from."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

VIEWS = ("All joints", "Two models", "Feature levels")


class MapsWindow(QDialog):
    """The frame around the maps; stays open while labels are made."""

    view_changed = Signal(int)
    """An index of VIEWS."""
    opened = Signal(bool)
    save_wanted = Signal()

    def __init__(self, maps: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Heatmaps")
        self.setModal(False)
        self.resize(900, 640)
        self.view = QComboBox(self)
        self.view.addItems(VIEWS)
        self.view.setToolTip("What to show side by side")
        self.title = QLabel(self)
        self.title.setProperty("muted", True)
        self.save = QPushButton("Save picture…", self)
        self.save.setAutoDefault(False)
        self.save.setEnabled(False)
        self.view.currentIndexChanged.connect(self.view_changed)
        self.save.clicked.connect(self.save_wanted)
        top = QHBoxLayout()
        top.addWidget(self.view)
        top.addWidget(self.title, 1)
        top.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(maps, 1)

    def show_title(self, text: str) -> None:
        """Says what is shown; without a text there is nothing, and nothing to save."""
        self.title.setText(text)
        self.save.setEnabled(bool(text))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.opened.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.opened.emit(False)
