"""The photo under the labels."""

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter, QPixmap
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget


class PhotoItem(QGraphicsItem):
    """Paints the upright photo at (0, 0), one image pixel a scene unit."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self._rect = QRectF()
        self.setZValue(0)
        # exposedRect: a drag repaints only what it uncovers.
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)

    def set_extent(self, width: int, height: int) -> None:
        """Says how large the photo is, whatever the size of the pixels to show it with."""
        self.prepareGeometryChange()
        self._rect = QRectF(0, 0, width, height)

    def set_pixels(self, image: QImage) -> None:
        """Shows a picture over the whole photo."""
        self._pixmap = QPixmap.fromImage(image)
        self.update()

    def pixels(self) -> QImage:
        return self._pixmap.toImage()

    def clear(self) -> None:
        self.prepareGeometryChange()
        self._pixmap, self._rect = QPixmap(), QRectF()

    @property
    def empty(self) -> bool:
        return self._pixmap.isNull()

    def boundingRect(self) -> QRectF:
        return self._rect

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        # Enlarged beyond 3:1 an annotator wants to see the pixels, not a blur.
        smooth = painter.worldTransform().m11() < 3.0
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        exposed = QRectF(option.exposedRect.toAlignedRect()) & self._rect
        if exposed.isEmpty() or self._pixmap.isNull():
            return
        across, down = self._pixmap.width() / self._rect.width(), self._pixmap.height() / self._rect.height()
        source = QRectF(exposed.x() * across, exposed.y() * down, exposed.width() * across, exposed.height() * down)
        painter.drawPixmap(exposed, self._pixmap, source)
