"""What the window shows before anything is open: what to do."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

_STARTS = (
    ("folder", "Open folder…", "All photos in a folder and its subfolders"),
    ("images", "Open images…", "Single photos"),
    ("coco", "Open COCO file…", "Annotations with keypoints, boxes or just images"),
    ("sample", "Open the sample project", "Drawn people with exact labels, nothing to download"),
)


class EmptyState(QWidget):
    """Four ways to begin, the recent projects, and the loop in one line."""

    chosen = Signal(str)
    """"folder", "images", "coco" or "sample"."""
    recent_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        card = QFrame(self)
        card.setProperty("card", True)
        # The canvas is in the same place and may be narrower: a fixed width would widen the window for ever.
        card.setMinimumWidth(440)
        card.setMaximumWidth(680)
        inner = QVBoxLayout(card)
        inner.setContentsMargins(36, 32, 36, 28)
        inner.setSpacing(10)
        inner.addWidget(_label("Label people", "heading"))
        words = "Open photos → the model pre-fills → correct → export → fine-tune → a better model"
        loop = _label(words, "muted")
        loop.setWordWrap(True)
        inner.addWidget(loop)
        inner.addSpacing(10)
        inner.addLayout(self._starts())
        inner.addSpacing(6)
        inner.addWidget(_label("…or drop a folder, images or a COCO file anywhere on this window.", "muted"))
        self._recent_title = _label("Recent projects", "subheading")
        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        inner.addSpacing(10)
        inner.addWidget(self._recent_title)
        inner.addLayout(self._recent)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(card, 100)
        middle.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        layout.addLayout(middle)
        layout.addStretch(2)
        self.show_recent(())

    def show_recent(self, projects: Sequence[tuple[str, str]]) -> None:
        """Lists projects as (path, title), the latest first."""
        while self._recent.count():
            item = self._recent.takeAt(0)
            widget = item.widget() if item else None
            if widget:
                widget.deleteLater()
        for path, title in projects:
            button = QPushButton(title, self)
            button.setProperty("flat_link", True)
            button.setToolTip(path)
            button.setCursor(Qt.CursorShape.PointingHandCursor)
            button.clicked.connect(lambda _=False, path=path: self.recent_chosen.emit(path))
            self._recent.addWidget(button)
        self._recent_title.setVisible(bool(projects))

    def _starts(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(10)
        for row, (name, text, words) in enumerate(_STARTS):
            button = QPushButton(text, self)
            button.setProperty("primary", row == 0)
            button.setMinimumWidth(190)
            button.setCursor(Qt.CursorShape.PointingHandCursor)
            button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
            self.buttons[name] = button
            grid.addWidget(button, row, 0)
            grid.addWidget(_label(words, "muted"), row, 1)
        grid.setColumnStretch(1, 1)
        return grid


def _label(text: str, role: str) -> QLabel:
    label = QLabel(text)
    label.setProperty(role, True)
    return label
