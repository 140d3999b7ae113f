"""What the people-shaped items share: a bounding rectangle that leaves room for strokes of constant screen size."""

from math import inf

from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QGraphicsItem

_MARGIN = 26.0
_WITH_TEXTS = (136.0, 48.0)
"""Screen pixels around the extent; the more there are, the more neighbours are painted anew with an item."""


class ScreenSizedItem(QGraphicsItem):
    """An item in image pixels whose joints, handles and texts keep their size on screen.

    unit is the size of one screen pixel in image pixels; the scene sets it when the zoom changes. right_edge is where
    the photo ends: texts do not go beyond it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unit = 1.0
        self.right_edge = inf
        self._extent = QRectF()
        self._texts = False

    def set_unit(self, unit: float) -> None:
        if unit != self.unit:
            self.prepareGeometryChange()
            self.unit = unit

    def set_right_edge(self, right_edge: float) -> None:
        if right_edge != self.right_edge:
            self.right_edge = right_edge
            self.update()

    def set_extent(self, extent: QRectF) -> None:
        """Says which rectangle of the image the item covers, strokes aside."""
        if extent != self._extent:
            self.prepareGeometryChange()
            self._extent = extent
        self.update()

    def set_texts(self, texts: bool) -> None:
        """Says whether texts are written beside the extent: only then is there room for them."""
        if texts != self._texts:
            self.prepareGeometryChange()
            self._texts = texts

    def boundingRect(self) -> QRectF:
        x, y = (size * self.unit for size in (_WITH_TEXTS if self._texts else (_MARGIN, _MARGIN)))
        return self._extent.adjusted(-x, -y, x, y)
