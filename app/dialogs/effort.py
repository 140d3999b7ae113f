"""What the work on the project cost: a table of sessions, and a way to keep it."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

_NOTE = (
    "One line a session and model: a session ends with a pause of half an hour; time counts while there is an edit at "
    "least every minute. “Untouched” are accepted predictions of which nothing was changed."
)


class EffortDialog(QDialog):
    """Shows header and rows as they come from the child."""

    save_wanted = Signal()

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[object]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Effort")
        self.resize(980, 420)
        self.table = QTableWidget(len(rows), len(header), self)
        self.table.setHorizontalHeaderLabels([name.capitalize() for name in header])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                item = QTableWidgetItem(str(value))
                if isinstance(value, int | float):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(at, column, item)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        note = QLabel(_NOTE if rows else "Nothing was labelled in this project yet.", self)
        note.setWordWrap(True)
        note.setProperty("muted", True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self.save = buttons.addButton("Save as CSV…", QDialogButtonBox.ButtonRole.ActionRole)
        self.save.setEnabled(bool(rows))
        self.save.clicked.connect(self.save_wanted)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table, 1)
        layout.addWidget(note)
        layout.addWidget(buttons)
