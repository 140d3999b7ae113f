"""The box of a new person, or around joints, while the pointer spans it."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.canvas.items.base import ScreenSizedItem
from app.canvas.items.painting import draw_frame, draw_plate, rect_of
from app.canvas.palette import NEW_BOX, TEXT
from app.document.records import Box


class RubberBandItem(ScreenSizedItem):
    """Paints a box in the making, and a few words above it."""

    def __init__(self) -> None:
        super().__init__()
        self.set_texts(True)
        self._box: Box | None = None
        self._text = ""
        self.setZValue(40)
        self.setVisible(False)

    def set_box(self, box: Box | None, text: str = "") -> None:
        self._box, self._text = box, text
        if box:
            self.set_extent(rect_of(box))
        self.setVisible(box is not None)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if self._box is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.fillRect(rect_of(self._box), QColor(255, 255, 255, 26))
        draw_frame(painter, self._box, NEW_BOX, 1.8)
        if self._text:
            draw_plate(painter, self._text, self._box.x, self._box.y - 3 * self.unit, self.unit, TEXT)
