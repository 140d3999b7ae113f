"""The probability map of one joint, drawn translucently into the box that it was computed for."""

from collections.abc import Sequence

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.canvas.items.base import ScreenSizedItem
from app.canvas.items.painting import draw_plate, pen
from app.canvas.palette import OUTLINE, SELECTED, TEXT

_SHADE = QColor(0, 0, 0, 115)
"""Laid over the box: on a bright photo even a strong map would hardly be seen."""


class HeatmapItem(ScreenSizedItem):
    """Paints a coloured map, a cross at its peak, and a numbered ring at every other place that stands out.

    others are these places, in pixels of the photo, the most probable first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_texts(True)
        self._image = QImage()
        self._rect = QRectF()
        self._peak = QPointF()
        self.others: Sequence[QPointF] = ()
        self._text = ""
        self.setZValue(15)

    def set_map(self, image: QImage, rect: QRectF, peak: QPointF, text: str, others: Sequence[QPointF] = ()) -> None:
        """Shows `image` in `rect` (pixels of the photo), with its peak, a caption, and the other places from 2 on."""
        self._image, self._rect, self._peak, self._text, self.others = image, rect, peak, text, tuple(others)
        self.set_extent(rect)
        self.setVisible(True)

    @property
    def shown(self) -> bool:
        return not self._image.isNull()

    def clear(self) -> None:
        self._image = QImage()
        self.setVisible(False)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if self._image.isNull():
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self._rect, _SHADE)
        painter.drawImage(self._rect, self._image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(1.0)
        arm, gap = 11 * self.unit, 4 * self.unit
        x, y = self._peak.x(), self._peak.y()
        cross = [
            QLineF(x - arm, y, x - gap, y),
            QLineF(x + gap, y, x + arm, y),
            QLineF(x, y - arm, x, y - gap),
            QLineF(x, y + gap, x, y + arm),
        ]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((OUTLINE, 4.0), (SELECTED, 1.8)):
            painter.setPen(pen(painter, color, width))
            painter.drawLines(cross)
        ring = 5 * self.unit
        for number, place in enumerate(self.others, start=2):
            for color, width in ((OUTLINE, 3.2), (SELECTED, 1.4)):
                painter.setPen(pen(painter, color, width))
                painter.drawEllipse(place, ring, ring)
            draw_plate(painter, str(number), place.x() + 8 * self.unit, place.y() + 4 * self.unit, self.unit, TEXT)
        rect = self._rect
        draw_plate(painter, self._text, rect.left() + 6 * self.unit, rect.bottom() - 8 * self.unit, self.unit, TEXT)
