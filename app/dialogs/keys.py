"""The F1 sheet: every key, by menu."""

from collections.abc import Sequence
from itertools import groupby

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QScrollArea, QVBoxLayout, QWidget


class KeysDialog(QDialog):
    """Shows (menu, text, keys, tooltip) rows in two columns of groups, with a search field."""

    def __init__(self, rows: Sequence[tuple[str, str, str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.resize(860, 640)
        self._lines: list[tuple[str, list[QLabel]]] = []
        search = QLineEdit(self)
        search.setPlaceholderText("Search keys")
        search.setClearButtonEnabled(True)
        search.setProperty("field", True)
        search.textChanged.connect(self._filter)
        content = QWidget(self)
        columns = QHBoxLayout(content)
        columns.setSpacing(40)
        groups = [(menu, list(group)) for menu, group in groupby(rows, key=lambda row: row[0])]
        half = sum(len(group) for _, group in groups) / 2
        sides = [QVBoxLayout(), QVBoxLayout()]
        placed = 0
        for menu, group in groups:
            sides[0 if placed < half else 1].addLayout(self._group(menu, group))
            placed += len(group)
        for side in sides:
            side.addStretch(1)
            columns.addLayout(side, 1)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(content)
        layout = QVBoxLayout(self)
        layout.addWidget(search)
        layout.addWidget(area)

    def _group(self, menu: str, rows: Sequence[tuple[str, str, str, str]]) -> QGridLayout:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 14)
        grid.setVerticalSpacing(4)
        heading = QLabel(menu.replace("/", " · "), self)
        heading.setProperty("subheading", True)
        grid.addWidget(heading, 0, 0, 1, 2)
        for number, (_, text, keys, tooltip) in enumerate(rows, 1):
            key = QLabel(keys, self)
            key.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            name = QLabel(text, self)
            name.setToolTip(tooltip)
            grid.addWidget(name, number, 0)
            grid.addWidget(key, number, 1)
            self._lines.append((f"{text} {keys} {tooltip}".lower(), [name, key]))
        grid.setColumnStretch(0, 1)
        return grid

    def _filter(self, text: str) -> None:
        for words, labels in self._lines:
            for label in labels:
                label.setVisible(text.lower() in words)
