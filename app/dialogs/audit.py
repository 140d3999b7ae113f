"""Labels that may be wrong, the most suspicious first, beside the main window."""

from collections.abc import Sequence

from PySide6.QtCore import QByteArray, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

_HEADER = ("", "Suspicion", "What", "Joints", "Image")
_PICTURE = QSize(72, 56)
_EVERYTHING = "Everything"
_NUMBER = Qt.ItemDataRole.UserRole


class AuditWindow(QDialog):
    """Up and Down go from one to the next, and the main window follows; R says that a label looks right."""

    begin_wanted = Signal()
    chosen = Signal(int)
    right_wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Audit of the labels")
        self.setModal(False)
        self.resize(820, 560)
        self._rows: list[tuple[float, str, str, str, str]] = []
        self._icons: dict[int, QIcon] = {}
        self.kinds = QComboBox(self)
        self.kinds.setToolTip("Show one kind of suspicion only")
        self.again = QPushButton("Look again", self)
        self.again.setToolTip("Look through the labels as they are now")
        self.right = QPushButton("Looks right (R)", self)
        self.right.setToolTip("Take it off the list, for good")
        self.status = QLabel(self)
        self.status.setProperty("muted", True)
        self.table = QTableWidget(0, len(_HEADER), self)
        self.table.setHorizontalHeaderLabels(_HEADER)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_PICTURE.height() + 6)
        self.table.setIconSize(_PICTURE)
        self.table.setShowGrid(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        for button in (self.again, self.right):
            button.setAutoDefault(False)
        self.table.currentCellChanged.connect(lambda row, *_: self._go(row))
        self.kinds.currentIndexChanged.connect(lambda _: self._fill(0))
        self.again.clicked.connect(self.begin_wanted)
        self.right.clicked.connect(self._call_right)
        QShortcut(QKeySequence("R"), self).activated.connect(self._call_right)
        top = QHBoxLayout()
        top.addWidget(self.kinds)
        top.addWidget(self.status, 1)
        top.addWidget(self.right)
        top.addWidget(self.again)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)

    def show_findings(self, rows: Sequence[tuple[float, str, str, str, str]]) -> None:
        """Shows rows of suspicion, picture, what, joints and image; what is current stays as near as it can."""
        self._rows = list(rows)
        self._icons.clear()
        abouts = dict.fromkeys(about for _, _, about, _, _ in rows)
        shown = self.kinds.currentText()
        self.kinds.blockSignals(True)
        self.kinds.clear()
        self.kinds.addItems([_EVERYTHING, *abouts])
        self.kinds.setCurrentIndex(max(self.kinds.findText(shown), 0))
        self.kinds.blockSignals(False)
        self._fill(max(self.table.currentRow(), 0))

    def show_status(self, text: str) -> None:
        self.status.setText(text)

    def _fill(self, current: int) -> None:
        wanted = self.kinds.currentText()
        chosen = [(number, row) for number, row in enumerate(self._rows) if wanted in (_EVERYTHING, row[2])]
        self.table.blockSignals(True)
        self.table.setRowCount(len(chosen))
        for at, (number, (suspicion, _, about, joints, image)) in enumerate(chosen):
            for column, text in enumerate(("", f"{suspicion:.2f}", about, joints, image)):
                item = QTableWidgetItem(text)
                item.setData(_NUMBER, number)
                self.table.setItem(at, column, item)
            self._show_picture(at, number)
        self.table.blockSignals(False)
        self.right.setEnabled(bool(chosen))
        if chosen:
            self.table.setCurrentCell(-1, -1)
            self.table.setCurrentCell(min(current, len(chosen) - 1), 0)

    def _show_picture(self, at: int, number: int) -> None:
        if number not in self._icons and (written := self._rows[number][1]):
            pixmap = QPixmap()
            pixmap.loadFromData(QByteArray.fromBase64(written.encode()))
            self._icons[number] = QIcon(pixmap)
            self._icons[number].addPixmap(pixmap, QIcon.Mode.Selected)  # else the style tints it
        if (icon := self._icons.get(number)) and (item := self.table.item(at, 0)):
            item.setIcon(icon)

    def _number(self, row: int) -> int | None:
        item = self.table.item(row, 0)
        return None if item is None else int(item.data(_NUMBER))

    def _go(self, row: int) -> None:
        number = self._number(row)
        if number is not None and self.isVisible():
            self.chosen.emit(number)

    def _call_right(self) -> None:
        number = self._number(self.table.currentRow())
        if number is not None:
            self.right_wanted.emit(number)
