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

    def set_image(self, image: QImage) -> None:
        self.prepareGeometryChange()
        self._pixmap = QPixmap.fromImage(image)
        self._rect = QRectF(0, 0, image.width(), image.height())
        self.update()

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
        exposed = option.exposedRect.toAlignedRect()
        painter.drawPixmap(exposed, self._pixmap, exposed)
