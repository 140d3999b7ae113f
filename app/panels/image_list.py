"""The dock with all images: thumbnails, badges, search and filter."""

from PySide6.QtCore import (
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QGuiApplication, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.badges import DAMAGED, WORDS, draw_badge, draw_flag
from app.panels.escaping_field import EscapingField
from app.panels.image_filter import STATE_FILTERS, FilterControls
from app.panels.image_model import DAMAGE_ROLE, RECORD_ROLE, THUMBNAIL_ROLE, ImageListModel, ImageRow

THUMBNAIL = QSize(72, 52)
"""Size of a thumbnail in the list, in logical pixels."""
ORDERS = {
    "name": ("In the project's order", "As the files or the folders have them"),
    "work": ("Most work first", "By the corrections that the model expects its own predictions to need"),
    "easy": ("Least work first", "By the corrections that the model expects its own predictions to need"),
    "difference": ("Most different first", "Each as unlike those before it, and the finished ones, as can be"),
    "random": ("At random", "Always the same order, so that it can be gone on with"),
}
"""Texts and tooltips by name."""
_ROW = 66
_SETTLE_MS = 60
_LEAST_WIDTH = 210
_LEAST_FOLDER = 30
"""Pixels; less of a folder's name says nothing."""


class ImageDelegate(QStyledItemDelegate):
    """Paints one row: thumbnail, name, state, number of people."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        record: ImageRow = index.data(RECORD_ROLE)
        damage: str | None = index.data(DAMAGE_ROLE)
        palette: QPalette = option.palette
        rect = QRectF(option.rect)
        state = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        card = rect.adjusted(4, 2, -4, -2)
        if state & QStyle.StateFlag.State_Selected:
            color = QGuiApplication.palette().color(QPalette.ColorRole.Highlight)  # the view's own is transparent
            color.setAlpha(60)
            painter.setBrush(color)
            painter.drawRoundedRect(card, 7, 7)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(palette.color(QPalette.ColorRole.Button))
            painter.drawRoundedRect(card, 7, 7)
        picture = QRectF(card.x() + 6, card.center().y() - THUMBNAIL.height() / 2, THUMBNAIL.width(), 0)
        picture.setHeight(THUMBNAIL.height())
        self._paint_thumbnail(painter, picture, index.data(THUMBNAIL_ROLE), palette)
        self._paint_words(painter, card, picture.right() + 10, record, damage, palette)
        painter.restore()

    def _paint_thumbnail(self, painter: QPainter, place: QRectF, pixmap: QPixmap | None, palette: QPalette) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(QPalette.ColorRole.Button))
        painter.drawRoundedRect(place, 4, 4)
        if pixmap is None or pixmap.isNull():
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        # Cut to the frame's shape instead of letterboxing: faces stay large enough to recognise.
        source = QRectF(pixmap.rect())
        scale = min(source.width() / place.width(), source.height() / place.height())
        cut = QRectF(0, 0, place.width() * scale, place.height() * scale)
        cut.moveCenter(source.center())
        painter.drawPixmap(place, pixmap, cut)

    def _paint_words(
        self,
        painter: QPainter,
        card: QRectF,
        left: float,
        record: ImageRow,
        damage: str | None,
        palette: QPalette,
    ) -> None:
        folder, _, name = record.path.rpartition("/")
        width = card.right() - left - (24 if record.flagged else 8)
        metrics = QFontMetrics(painter.font())
        middle = Qt.TextElideMode.ElideMiddle
        line = QRectF(left, card.y() + 9, width, metrics.height())
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, metrics.elidedText(name, middle, int(width)))
        if record.flagged:
            draw_flag(painter, QRectF(card.right() - 18, card.y() + 9, 10, 13))
        badge = QRectF(left + 1, card.bottom() - 24, 13, 13)
        draw_badge(painter, badge, record.state, damage is not None)
        muted = palette.color(QPalette.ColorRole.PlaceholderText)
        painter.setPen(DAMAGED if damage else muted)
        words = "damaged" if damage else WORDS[record.state]
        line = QRectF(left + 21, badge.center().y() - metrics.height() / 2, width - 21, metrics.height())
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, words)
        # The state is read at a glance; what is left of the line goes to the count, then to the folder.
        line.setLeft(line.left() + metrics.horizontalAdvance(words) + 6)
        count = _count_words(record)
        if metrics.horizontalAdvance(count) > line.width():
            count = str(record.people)
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, count)
        line.setWidth(line.width() - metrics.horizontalAdvance(count) - 6)
        if folder and line.width() > _LEAST_FOLDER:
            text = metrics.elidedText(f"·  {folder}", middle, int(line.width()))
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, text)


def _count_words(record: ImageRow) -> str:
    if record.people:
        return f"{record.people} {'person' if record.people == 1 else 'people'}"
    # Predictions are not counted here: the file keeps far more of them than the threshold shows.
    return ""


class _Rows(QTableView):
    """A list; but a list view lays every row out, which takes a quarter of a second for 100,000 of them."""

    def __init__(self, model: ImageListModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setItemDelegate(ImageDelegate(self))
        self.setProperty("cards", True)  # the delegate paints what is selected; the view's own way would hide it
        self.horizontalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        if action is QAbstractItemView.CursorAction.MoveHome:
            return self.model().index(0, 0)
        if action is QAbstractItemView.CursorAction.MoveEnd:
            return self.model().index(self.model().rowCount() - 1, 0)
        return super().moveCursor(action, modifiers)


class ImageListPanel(QWidget):
    """Search field, state filter, list."""

    chosen = Signal(int)
    """Key of the image that the user went to."""
    thumbnails_wanted = Signal(object)
    """list[int]: keys of visible rows without a thumbnail."""
    selected = Signal(object)
    """list[int]: keys of the selected images, in the list's order."""
    order_wanted = Signal(str)
    """One of ORDERS' names: in which order the images are wanted."""
    left = Signal()
    """The user is through with searching, or has clicked an image; the keys belong to the canvas again."""

    def __init__(self, model: ImageListModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._current: int | None = None
        self.setMinimumWidth(_LEAST_WIDTH)
        self.search = EscapingField(self)
        self.search.setPlaceholderText("Search by name")
        self.search.setClearButtonEnabled(True)
        self.search.setProperty("field", True)
        self.state = QComboBox(self)
        self.state.setToolTip("Show only images in this state")
        self.state.addItems([name for name, _ in STATE_FILTERS])
        self.more = QToolButton(self)
        self.more.setCheckable(True)
        self.more.setText("Filter")
        self.more.setToolTip("More conditions: flag, predictions, number of people, score")
        self.order = QComboBox(self)
        for name, (text, _) in ORDERS.items():
            self.order.addItem(text, name)
        for row, (_, tooltip) in enumerate(ORDERS.values()):
            self.order.setItemData(row, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.order.setToolTip("In which order the images are shown, and gone through")
        self.controls = FilterControls(self)
        self.controls.hide()
        self.view = _Rows(model, self)
        self.nothing = QLabel("No image matches", self)
        self.nothing.setProperty("muted", True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.hide()
        self.count = QLabel(self)
        self.count.setProperty("muted", True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 8)
        layout.setSpacing(6)
        line = QHBoxLayout()
        line.addWidget(self.state, 1)
        line.addWidget(self.more)
        layout.addWidget(self.search)
        layout.addLayout(line)
        layout.addWidget(self.order)
        layout.addWidget(self.controls)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.nothing, 1)
        layout.addWidget(self.count)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._ask_for_thumbnails)
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._open_first)
        self.search.left.connect(self.left)
        self.state.currentIndexChanged.connect(self._filter)
        self.controls.changed.connect(self._filter)
        self.order.activated.connect(lambda row: self.order_wanted.emit(self.order.itemData(row)))
        self.more.toggled.connect(self.controls.setVisible)
        self.view.clicked.connect(lambda _: self.left.emit())
        self.view.selectionModel().currentChanged.connect(self._picked)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._tell_selected())
        self.view.verticalScrollBar().valueChanged.connect(self._settle.start)
        model.modelReset.connect(self._reset)
        model.dataChanged.connect(lambda *_: self._show_count())

    def show_current(self, key: int | None) -> None:
        """Marks the current image's row, without a signal."""
        self._current = key
        row = self.model.row_of(key)
        selection = self.view.selectionModel()
        if row is not None and self.view.currentIndex().row() == row:
            self._settle.start()  # picked in the list, perhaps as one of several
            return
        selection.blockSignals(True)
        if row is None:
            selection.clear()
        else:
            index = self.model.index(row)
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self.view.scrollTo(index)
        selection.blockSignals(False)
        self._tell_selected()
        self.view.viewport().update()
        self._settle.start()

    def show_order(self, name: str) -> None:
        """Says in which order the images are shown, without a signal."""
        self.order.setCurrentIndex(self.order.findData(name))

    def resizeEvent(self, event: object) -> None:
        self._settle.start()

    def _filter(self) -> None:
        wanted = self.controls.filter(self.search.text(), self.state.currentIndex())
        self.model.set_filter(wanted)
        self.more.setText(f"Filter · {wanted.extras}" if wanted.extras else "Filter")

    def _reset(self) -> None:
        nothing = self.model.total > 0 and self.model.rowCount() == 0
        self.nothing.setVisible(nothing)
        self.view.setVisible(not nothing)
        self._show_count()
        self.show_current(self._current)

    def _show_count(self) -> None:
        shown, total = self.model.rowCount(), self.model.total
        images = "image" if total == 1 else "images"
        text = f"{total:,} {images}" if shown == total else f"{shown:,} of {total:,} {images}"
        self.count.setText(f"{text}  ·  {self.model.finished:,} finished" if total else text)

    def _open_first(self) -> None:
        if self.model.rowCount():
            self.chosen.emit(self.model.keys[0])
            self.left.emit()

    def _picked(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid():
            record: ImageRow = current.data(RECORD_ROLE)
            self._current = record.key
            self.chosen.emit(record.key)

    def _tell_selected(self) -> None:
        ranges = list(self.view.selectionModel().selection())  # type: ignore[call-overload] # it can be iterated
        rows = sorted(row for chosen in ranges for row in range(chosen.top(), chosen.bottom() + 1))
        self.selected.emit([self.model.keys[row] for row in rows])

    def _ask_for_thumbnails(self) -> None:
        if not self.model.rowCount():
            return
        height = self.view.viewport().height()
        first = self.view.indexAt(QPoint(2, 2))
        top = first.row() if first.isValid() else 0
        rows = range(top, min(top + height // _ROW + 2, self.model.rowCount()))
        wanted = [self.model.keys[row] for row in rows if self.model.lacks_thumbnail(self.model.keys[row])]
        if wanted:
            self.thumbnails_wanted.emit(wanted)
