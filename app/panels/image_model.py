"""The rows of the image list: all images of the project in memory as plain records, filtered in one pass."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QImage, QPixmap

from app.panels.image_filter import FINISHED, FilteredRow, ImageFilter

RECORD_ROLE = Qt.ItemDataRole.UserRole
THUMBNAIL_ROLE = Qt.ItemDataRole.UserRole + 1
DAMAGE_ROLE = Qt.ItemDataRole.UserRole + 2
_THUMBNAILS = 600


class ImageRow(FilteredRow, Protocol):
    """What the list shows of an image: the storage's compact row has it, and so has a full record."""

    @property
    def key(self) -> int: ...

    @property
    def model(self) -> str: ...


Index = QModelIndex | QPersistentModelIndex


class ImageListModel(QAbstractListModel):
    """One row an image that passes the filter; `record_at` and `row_of` translate."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._records: dict[int, ImageRow] = {}
        self._shown: list[int] = []
        self._rows: dict[int, int] = {}
        self._damaged: dict[int, str] = {}
        self._thumbnails: OrderedDict[int, QPixmap] = OrderedDict()
        self._filter = ImageFilter()
        self._order: Sequence[int] | None = None
        """Keys, where another order than the project's is wanted."""
        self._finished = 0

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        key = self._shown[index.row()]
        record = self._records[key]
        if role == Qt.ItemDataRole.DisplayRole:
            return record.path
        if role == RECORD_ROLE:
            return record
        if role == THUMBNAIL_ROLE:
            return self._thumbnails.get(key)
        if role == DAMAGE_ROLE:
            return self._damaged.get(key)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{record.path}\n{self._damaged.get(key) or record.state.value}"
        return None

    def set_records(self, records: Mapping[int, ImageRow]) -> None:
        """Shows another set of images, given by key; an order that was set holds for the same images only."""
        self.beginResetModel()
        if self._order is not None and records.keys() != self._records.keys():
            self._order = None
        self._records = dict(records)
        # Not record.state.finished: for 100,000 images that takes longer than everything else here.
        self._finished = sum([record.state in FINISHED for record in self._records.values()])
        self._damaged.clear()
        self._thumbnails.clear()
        self._apply_filter()
        self.endResetModel()

    def update_records(self, records: Mapping[int, ImageRow]) -> None:
        """Shows other facts about the same images. Those that a condition on predictions is about are found anew."""
        self._records = dict(records)
        self._finished = sum([record.state in FINISHED for record in self._records.values()])
        if self._filter.asks_predictions:
            self.beginResetModel()
            self._apply_filter()
            self.endResetModel()
        elif self._shown:
            self.dataChanged.emit(self.index(0), self.index(len(self._shown) - 1))

    def update_record(self, record: ImageRow) -> None:
        """Repaints one row. It stays in the list until the filter is set anew: rows must not jump while working."""
        before = self._records.get(record.key)
        if before is not None:
            self._finished += record.state.finished - before.state.finished
            self._records[record.key] = record
            self._touch(record.key)

    def set_filter(self, wanted: ImageFilter) -> None:
        """Shows the images that pass."""
        if wanted == self._filter:
            return
        self._filter = wanted
        self.beginResetModel()
        self._apply_filter()
        self.endResetModel()

    def set_order(self, keys: Sequence[int] | None) -> None:
        """Shows the images in the order of these keys, others after them; None: as the project has them."""
        self._order = None if keys is None else [key for key in keys if key in self._records]
        if self._order is not None:
            self._order += self._records.keys() - set(self._order)
        self.beginResetModel()
        self._apply_filter()
        self.endResetModel()

    @property
    def has_order(self) -> bool:
        """Whether the images are shown in another order than the project's."""
        return self._order is not None

    def set_damaged(self, key: int, reason: str) -> None:
        self._damaged[key] = reason
        self._touch(key)

    def damage(self, key: int) -> str | None:
        """Returns what is wrong with an image's file, as far as is known."""
        return self._damaged.get(key)

    def set_thumbnail(self, key: int, image: QImage) -> None:
        self._thumbnails[key] = QPixmap.fromImage(image)
        self._thumbnails.move_to_end(key)
        while len(self._thumbnails) > _THUMBNAILS:
            self._thumbnails.popitem(last=False)
        self._touch(key)

    def lacks_thumbnail(self, key: int) -> bool:
        return key not in self._thumbnails and key not in self._damaged

    @property
    def keys(self) -> Sequence[int]:
        """Keys of the shown images in their order."""
        return self._shown

    @property
    def total(self) -> int:
        return len(self._records)

    @property
    def finished(self) -> int:
        """How many of all images are done."""
        return self._finished

    def records(self) -> Iterable[ImageRow]:
        """All images, shown or not."""
        return self._records.values()

    def record(self, key: int) -> ImageRow | None:
        return self._records.get(key)

    def place_of(self, key: int) -> int:
        """The row that an image has, or would have if the filter let it pass."""
        place = 0
        for known in self._order or self._records:
            if known == key:
                break
            place += known in self._rows
        return place

    def before(self, key: int) -> int | None:
        """The image before another one, shown or not; None before the first."""
        previous = None
        for known in self._records:
            if known == key:
                return previous
            previous = known
        return None

    def row_of(self, key: int | None) -> int | None:
        return self._rows.get(key) if key is not None else None

    def _apply_filter(self) -> None:
        if self._filter == ImageFilter():
            self._shown = list(self._records)
        else:
            self._shown = [record.key for record in self._filter.keep(self._records.values(), self._damaged)]
        if self._order is not None:
            passing = set(self._shown)
            self._shown = [key for key in self._order if key in passing]
        self._rows = {key: row for row, key in enumerate(self._shown)}

    def _touch(self, key: int) -> None:
        row = self._rows.get(key)
        if row is not None:
            index = self.index(row)
            self.dataChanged.emit(index, index)
