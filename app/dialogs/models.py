"""The model library: what there is, which model answers, and what can be done about each."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.model_words import details_of, kind_of, state_of
from app.workers.library_client import ModelEntry, in_megabytes

_COLUMNS = ("Model", "State", "Kind", "Joints AP", "Boxes AP", "Size", "Date")
_STATE = 1
_NUMBERS = (3, 4, 5)
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_BUTTON_WIDTH = 120


class ModelsDialog(QDialog):
    """Shows pose models, and says what somebody wants; others do it and tell what came of it."""

    use_wanted = Signal(object)
    """ModelEntry."""
    download_wanted = Signal(str)
    """Its name."""
    cancel_wanted = Signal()
    add_wanted = Signal()
    folder_wanted = Signal(object)
    """Path of a file: its folder is to be seen."""
    remove_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.resize(900, 560)
        self._entries: tuple[ModelEntry, ...] = ()
        self._in_use = ""
        self._downloading = ""
        self._percent: int | None = None
        self.table = self._make_table()
        self.details = QLabel(self)
        self.details.setWordWrap(True)
        self.details.setTextFormat(Qt.TextFormat.PlainText)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.details.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.details.setMinimumHeight(92)
        self.sentence = QLabel(self)
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.hide()
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(12)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.details)
        layout.addWidget(self.sentence)
        layout.addWidget(self.bar)
        layout.addLayout(self._make_buttons())
        self.table.itemSelectionChanged.connect(self._show_selected)
        self._show_selected()

    # What others tell

    def show_models(self, entries: Sequence[ModelEntry]) -> None:
        """Lists the pose models of the library; the selected one stays selected."""
        selected = self.selected.name if self.selected else ""
        self._entries = tuple(entry for entry in entries if entry.pose and entry.kind != "architecture")
        self._fill()
        self._select(selected)

    def show_in_use(self, model_hash: str) -> None:
        """Marks the model that answers."""
        self._in_use = model_hash
        self._fill_states()

    def show_progress(self, name: str, done: int, total: int) -> None:
        """A download is under way."""
        self._downloading = name
        self._percent = 100 * done // total if total else None
        # In thousandths: bytes of large files do not fit.
        self.bar.setRange(0, 1000 if total else 0)
        self.bar.setValue(1000 * done // total if total else 0)
        self.bar.setToolTip(f"{in_megabytes(done)} of {in_megabytes(total)}" if total else "Connecting…")
        self.bar.show()
        self._fill_states()

    def end_download(self) -> None:
        self._downloading, self._percent = "", None
        self.bar.hide()
        self._fill_states()

    def say(self, text: str) -> None:
        """Shows a sentence until the next one; "" takes it away."""
        self.sentence.setText(text)
        self.sentence.setVisible(bool(text))

    @property
    def selected(self) -> ModelEntry | None:
        row = self.table.currentRow()
        return self._entries[row] if 0 <= row < len(self._entries) else None

    # Parts

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, len(_COLUMNS), self)
        table.setProperty("roomy", True)
        table.setHorizontalHeaderLabels(list(_COLUMNS))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(32)
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in _NUMBERS:
            if (title := table.horizontalHeaderItem(column)) is not None:
                title.setTextAlignment(_RIGHT)
        table.itemDoubleClicked.connect(lambda _: self.use.click())
        return table

    def _make_buttons(self) -> QHBoxLayout:
        self.use = QPushButton("Use", self)
        self.use.setProperty("primary", True)
        self.use.setDefault(True)
        self.download = QPushButton("Download", self)
        self.folder = QPushButton("Show in folder", self)
        self.remove = QPushButton("Remove", self)
        self.add = QPushButton("Add a file…", self)
        self.add.setToolTip("Let the library know a model file; it stays where it is")
        self.use.clicked.connect(lambda: self.use_wanted.emit(self.selected))
        self.download.clicked.connect(self._download_or_cancel)
        self.folder.clicked.connect(lambda: self.folder_wanted.emit(self._file()))
        self.remove.clicked.connect(lambda: self.remove_wanted.emit(self.selected.name if self.selected else ""))
        self.add.clicked.connect(self.add_wanted)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        close.rejected.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self.use, self.download, self.folder, self.remove, self.add):
            button.setAutoDefault(button is self.use)
            row.addWidget(button)
        self.download.setMinimumWidth(_BUTTON_WIDTH)
        row.addStretch(1)
        row.addWidget(close)
        return row

    def _fill(self) -> None:
        """All cells anew."""
        self.table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            texts = (entry.title, "", kind_of(entry), *map(_figure, ("keypoint_ap", "box_ap"), (entry, entry)))
            size = in_megabytes(entry.size) if entry.size else ""
            for column, text in enumerate((*texts, size, entry.date[:10])):
                item = QTableWidgetItem(text)
                if column in _NUMBERS:
                    item.setTextAlignment(_RIGHT)
                self.table.setItem(row, column, item)
        self._fill_states()

    def _fill_states(self) -> None:
        """What may change while the dialog is open: the states, and how each line looks for it."""
        for row, entry in enumerate(self._entries):
            downloading = entry.name == self._downloading
            in_use = bool(self._in_use) and entry.hash == self._in_use
            font = QFont(self.table.font())
            font.setBold(in_use)
            role = QPalette.ColorRole.Text if entry.usable else QPalette.ColorRole.PlaceholderText
            color = self.palette().color(role)
            for column in range(len(_COLUMNS)):
                if (item := self.table.item(row, column)) is not None:
                    item.setFont(font)
                    item.setForeground(color)
                    if column == _STATE:
                        item.setText(state_of(entry, in_use, downloading, self._percent))
        self._show_selected()

    def _select(self, name: str) -> None:
        """Selects by name, else the model in use, else the first."""
        names = [entry.name for entry in self._entries]
        in_use = next((row for row, entry in enumerate(self._entries) if entry.hash == self._in_use), 0)
        self.table.selectRow(names.index(name) if name in names else in_use)

    def _show_selected(self) -> None:
        """The selected model's facts, and what can be done with it."""
        entry = self.selected
        self.details.setText(details_of(entry) if entry else "Reading the library…")
        in_use = entry is not None and bool(self._in_use) and entry.hash == self._in_use
        downloading = entry is not None and entry.name == self._downloading
        self.use.setEnabled(entry is not None and entry.usable and not in_use)
        self.folder.setEnabled(self._file() is not None)
        is_download = entry is not None and entry.kind == "download"
        self.download.setText("Cancel" if downloading else "Resume" if entry is not None and entry.here else "Download")
        self.download.setEnabled(downloading or (is_download and self._file() is None and not self._downloading))
        here = entry is not None and (entry.path is not None or entry.here > 0)
        self.remove.setEnabled(
            entry is not None and entry.kind != "bundled" and here and not downloading and not (in_use and is_download)
        )
        self.remove.setText("Delete" if is_download else "Remove")
        self.remove.setToolTip(
            "Delete the downloaded file" if is_download else "Take it out of this list; the file stays where it is"
        )

    def _file(self) -> Path | None:
        """The selected model's file, if it is there."""
        return self.selected.path if self.selected and self.selected.hash else None

    def _download_or_cancel(self) -> None:
        if self._downloading:
            self.cancel_wanted.emit()
        elif self.selected is not None:
            self.download_wanted.emit(self.selected.name)


def _figure(name: str, entry: ModelEntry) -> str:
    return f"{entry.figures[name]:.3f}" if name in entry.figures else ""
