"""Probability maps, drawn translucently into the box that they were computed for."""

from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.canvas.items.base import ScreenSizedItem
from app.canvas.items.painting import draw_plate, pen
from app.canvas.palette import OUTLINE, SELECTED, TEXT

_LEAST_CELL = 8.0
"""Screen pixels from which a cell is framed: smaller ones would only be a blot."""
_SHADE = QColor(0, 0, 0, 115)
"""Laid over the box: on a bright photo even a strong map would hardly be seen."""


@dataclass(frozen=True)
class Marks:
    """What is marked on a joint's map, in pixels of the photo.

    Attributes:
        cells: The most probable cells, the best first: a cross at it, a frame around each.
        answer: Where the model puts the joint: a diamond.
        others: The other places that stand out, the most probable first: rings with numbers from 2 on.
    """

    cells: tuple[QRectF, ...] = ()
    answer: QPointF | None = None
    others: tuple[QPointF, ...] = ()


class HeatmapItem(ScreenSizedItem):
    """Paints a coloured map, its marks and a caption."""

    def __init__(self) -> None:
        super().__init__()
        self.set_texts(True)
        self._image = QImage()
        self._rect = QRectF()
        self.marks = Marks()
        self._text = ""
        self.setZValue(15)

    def set_map(self, image: QImage, rect: QRectF, text: str, marks: Marks) -> None:
        """Shows `image` in `rect` (pixels of the photo), with marks and a caption."""
        self._image, self._rect, self._text, self.marks = image, rect, text, marks
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
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((OUTLINE, 3.4), (SELECTED, 1.5)):
            painter.setPen(pen(painter, color, width))
            self._draw_marks(painter)
        for number, place in enumerate(self.marks.others, start=2):
            draw_plate(painter, str(number), place.x() + 8 * self.unit, place.y() + 4 * self.unit, self.unit, TEXT)
        rect = self._rect
        draw_plate(painter, self._text, rect.left() + 6 * self.unit, rect.bottom() - 8 * self.unit, self.unit, TEXT)

    def _draw_marks(self, painter: QPainter) -> None:
        if self.marks.cells and self.marks.cells[0].width() >= _LEAST_CELL * self.unit:
            painter.drawRects(self.marks.cells)
        if self.marks.cells:
            arm, gap, peak = 11 * self.unit, 4 * self.unit, self.marks.cells[0].center()
            x, y = peak.x(), peak.y()
            painter.drawLines(
                [
                    QLineF(x - arm, y, x - gap, y),
                    QLineF(x + gap, y, x + arm, y),
                    QLineF(x, y - arm, x, y - gap),
                    QLineF(x, y + gap, x, y + arm),
                ]
            )
        if self.marks.answer is not None:
            side, at = 6 * self.unit, self.marks.answer
            corners = QPointF(0, -side), QPointF(side, 0), QPointF(0, side), QPointF(-side, 0)
            painter.drawPolygon([at + corner for corner in corners])
        for place in self.marks.others:
            painter.drawEllipse(place, 5 * self.unit, 5 * self.unit)
