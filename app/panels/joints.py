"""The dock with the joints of the selected person or prediction: names, places, visibility, confidence."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from app.commands.predictions import AcceptanceOf, Proposal, proposal
from app.document.document import Document
from app.document.records import HUMAN, IMPORTED, Joint, PredictedJoint
from app.document.selection import Selection

Index = QModelIndex | QPersistentModelIndex

COLUMNS = ("Joint", "x", "y", "State", "Conf.")
_JOINT, _X, _Y, _STATE, _BY = range(len(COLUMNS))
_STATES = {0: "–", 1: "occluded", 2: "visible"}
_WORDS = {"": 0, "-": 0, "–": 0, "0": 0, "1": 1, "2": 2, "occluded": 1, "visible": 2, "hint": 0, "o": 1, "v": 2}
_SWATCH, _PADDING, _ROW_PADDING = 28, 10, 6
"""Pixels: room for the colour before a name, beside every text, and above and below it together."""
_MARGINS = (4, 4, 8, 4)
_SAME_PLACE = 0.05
"""Pixels: a joint that was moved no further still has the model's confidence."""


class JointsModel(QAbstractTableModel):
    """K rows of one person (editable) or one prediction. Without either it has no rows."""

    placed = Signal(int, int, float, float)
    """Person key, joint, x, y in pixels of the upright image: what somebody typed."""
    visibility_set = Signal(int, int, int)
    """Person key, joint, v."""

    def __init__(self, names: Sequence[str], colors: Sequence[QColor], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.names, self._colors = names, colors
        self._person: int | None = None
        self._joints: tuple[Joint, ...] = ()
        self._predicted: tuple[PredictedJoint, ...] = ()

    def show_person(self, key: int, joints: tuple[Joint, ...], predicted: tuple[PredictedJoint, ...]) -> None:
        """Shows a person; predicted are the joints of the prediction that it came from, or () where there is none."""
        self._take(key, joints, predicted)

    def show_proposal(self, proposal: Proposal) -> None:
        """Shows a prediction as accepting would leave it."""
        self._take(None, proposal.person.joints, proposal.prediction.joints)

    def show_nobody(self) -> None:
        self._take(None, (), ())

    def _take(self, person: int | None, joints: tuple[Joint, ...], predicted: tuple[PredictedJoint, ...]) -> None:
        if (person, joints, predicted) == (self._person, self._joints, self._predicted):
            return
        if (person, bool(joints)) != (self._person, bool(self._joints)):
            self.beginResetModel()
            self._person, self._joints, self._predicted = person, joints, predicted
            self.endResetModel()
            return
        before = self._cells()
        self._person, self._joints, self._predicted = person, joints, predicted
        for cell, texts in self._cells().items():
            # What is being typed into a cell is overwritten when the cell is said to have changed.
            if texts != before[cell]:
                self.dataChanged.emit(self.index(*cell), self.index(*cell))

    def _cells(self) -> dict[tuple[int, int], tuple[str, str]]:
        """What every cell shows, and shows while it is edited, by row and column."""
        cells = ((row, column) for row in range(self.rowCount()) for column in range(len(COLUMNS)))
        return {cell: (self._text(*cell), self._typed(*cell)) for cell in cells}

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._joints)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.ToolTipRole and section == _BY:
            return "The model's confidence where the joint is its own; else who placed it"
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if self._person is not None and index.column() in (_X, _Y, _STATE):
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = index.row(), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.EditRole:
            return self._typed(row, column)
        if role == Qt.ItemDataRole.DecorationRole and column == _JOINT:
            return self._colors[row]
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (_X, _Y):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Asks for the change by signal; what comes of it is shown when the document has changed."""
        row, column = index.row(), index.column()
        if role != Qt.ItemDataRole.EditRole or self._person is None:
            return False
        joint = self._joints[row]
        if column == _STATE:
            v = _WORDS.get(str(value).strip().lower())
            if v is not None:
                self.visibility_set.emit(self._person, row, v)
            return v is not None
        try:
            number = float(str(value).replace(",", "."))
        except ValueError:
            return False
        x, y = (number, joint.y) if column == _X else (joint.x, number)
        if number == number and abs(number) != float("inf"):
            self.placed.emit(self._person, row, x, y)
        return True

    def _text(self, row: int, column: int) -> str:
        if column == _JOINT:
            return self.names[row]
        joint = self._joints[row]
        shown = joint.v > 0 or joint.placed
        if column == _STATE:
            return "hint" if joint.v == 0 and joint.placed else _STATES[joint.v]
        if column == _BY:
            return self._confidence(row) or _origin_word(joint)
        return f"{joint.x if column == _X else joint.y:.1f}" if shown else ""

    def _typed(self, row: int, column: int) -> str:
        if column in (_X, _Y):
            joint = self._joints[row]
            return f"{joint.x if column == _X else joint.y:.2f}"
        return self._text(row, column)

    def _confidence(self, row: int) -> str:
        """The model's, while the joint is where the model put it."""
        joint = self._joints[row]
        if not self._predicted or not joint.from_model:
            return ""
        predicted = self._predicted[row]
        same = max(abs(predicted.x - joint.x), abs(predicted.y - joint.y)) <= _SAME_PLACE
        return f"{predicted.confidence:.2f}" if same else ""


def _origin_word(joint: Joint) -> str:
    if joint.origin == HUMAN:
        return "you"
    if joint.origin == IMPORTED:
        return "file"
    return "model" if joint.origin else ""


class JointsPanel(QWidget):
    """Follows the selection; a row that is clicked selects its joint on the canvas."""

    clicked = Signal()
    """A row was clicked with the mouse; its keys work on the canvas."""

    def __init__(
        self,
        document: Document,
        selection: Selection,
        acceptance_of: AcceptanceOf,
        names: Sequence[str],
        colors: Sequence[QColor],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._selection, self._acceptance_of = document, selection, acceptance_of
        self._following = False
        self.model = JointsModel([name.replace("_", " ") for name in names], colors, self)
        self.table = QTableView(self)
        self.table.setModel(self.model)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.table.setShowGrid(False)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.empty = QLabel("Select a person to see the joints.", self)
        self.empty.setProperty("muted", True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*_MARGINS)
        layout.addWidget(self.table)
        layout.addWidget(self.empty)
        self.table.selectionModel().currentRowChanged.connect(self._picked)
        self.table.clicked.connect(self._clicked)
        self.model.modelReset.connect(self._show_joint)
        document.people_changed.connect(lambda image, _: self._refresh(image))
        document.predictions_changed.connect(self._refresh)
        document.image_opened.connect(self._refresh)
        selection.changed.connect(self.refresh)
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.table.verticalHeader().setDefaultSectionSize(self._row_height())
        self._fit_columns()

    def sizeHint(self) -> QSize:
        """High enough for every joint, also while nobody is selected."""
        rows = len(self.model.names) * self._row_height()
        height = rows + self.table.horizontalHeader().sizeHint().height() + 2 * self.table.frameWidth()
        return QSize(super().sizeHint().width(), height + _MARGINS[1] + _MARGINS[3])

    def _row_height(self) -> int:
        return self.table.fontMetrics().height() + _ROW_PADDING

    def _fit_columns(self) -> None:
        """Gives the columns the widths of their longest texts.

        Not the header's own way: it measures every row whenever a cell changes, a tenth of a second for 17 joints.
        """
        metrics, header = self.table.fontMetrics(), self.table.horizontalHeader()
        name = max(map(metrics.horizontalAdvance, self.model.names), default=0) + _SWATCH
        longest = {_JOINT: name, _X: metrics.horizontalAdvance("0000.0"), _STATE: metrics.horizontalAdvance("occluded")}
        longest[_Y] = longest[_X]
        for column, width in longest.items():
            header.resizeSection(column, width + _PADDING)

    def _refresh(self, image: int) -> None:
        if image == self._selection.current_image:
            self.refresh()

    def refresh(self) -> None:
        """Shows what is selected as it is now."""
        image, person, prediction = (
            self._selection.current_image,
            self._selection.person,
            self._selection.prediction,
        )
        if image is not None and person is not None and self._document.has_person(image, person):
            self.model.show_person(person, self._document.person(image, person).joints, self._source(image, person))
        elif image is not None and prediction is not None and self._document.is_open(image):
            found = self._document.prediction(image, prediction)
            self.model.show_proposal(proposal(found, self._acceptance_of(found.model)))
        else:
            self.model.show_nobody()
        rows = self.model.rowCount() > 0
        self.table.setVisible(rows)
        self.empty.setVisible(not rows)
        self._show_joint()

    def _source(self, image: int, key: int) -> tuple[PredictedJoint, ...]:
        """The joints of the prediction that lies where the person does, of a model that has placed its joints."""
        person = self._document.person(image, key)
        box, origins = person.box, {joint.origin for joint in person.joints}
        theirs = [found for found in self._document.predictions(image) if found.model in origins]
        best = max(theirs, key=lambda found: found.box.iou(box), default=None)
        return best.joints if best is not None and best.box.iou(box) > 0 else ()

    def _show_joint(self) -> None:
        joints = [joint for joint in self._selection.joints if joint < self.model.rowCount()]
        self._following = True
        if not joints:
            self.table.clearSelection()
            self.table.setCurrentIndex(QModelIndex())
        else:
            if self.table.currentIndex().row() != joints[-1]:
                self.table.setCurrentIndex(self.model.index(joints[-1], 0))
            self._mark_rows(joints)
        self._following = False

    def _mark_rows(self, joints: Sequence[int]) -> None:
        """Marks several rows; somebody who clicks selects one, and one that the keyboard is only at is not marked."""
        shown = self.table.selectionModel()
        marked = {index.row() for index in shown.selectedRows()}
        if marked != set(joints) and (len(joints) > 1 or len(marked) > 1):
            rows = QItemSelection()
            for joint in joints:
                rows.select(self.model.index(joint, 0), self.model.index(joint, len(COLUMNS) - 1))
            shown.select(rows, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _picked(self, current: QModelIndex) -> None:
        person, prediction = self._selection.person, self._selection.prediction
        if self._following or not current.isValid():
            return
        if prediction is not None:
            self._selection.select_proposed_joint(prediction, current.row())
        if person is None:
            return
        # The row that becomes current because the keyboard came to the table is not selected: nobody picked it.
        if self.table.selectionModel().isSelected(current):
            self._selection.pick_joint(person, current.row())
        else:
            self._selection.select_joint(person, current.row())

    def _clicked(self, row: QModelIndex) -> None:
        self._picked(row)  # also the row that was current already
        self.clicked.emit()
