"""Many heatmaps side by side, each over the same part of the photo."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from app.canvas.heatmap_image import Tile
from app.canvas.palette import BACKGROUND, OUTLINE, SELECTED, TEXT

_SHADE = QColor(0, 0, 0, 115)
_GAP, _CAPTION = 6, 18
_CROSS = 4.0


class MapGrid(QWidget):
    """Tiles as large as the room allows."""

    joint_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._photo = QImage()
        self._tiles: tuple[Tile, ...] = ()
        self._ratio = 1.0
        self._selected: int | None = None
        self._note = ""
        self.setMinimumSize(320, 240)

    @property
    def tiles(self) -> tuple[Tile, ...]:
        return self._tiles

    def show_tiles(self, photo: QImage, ratio: float, tiles: Sequence[Tile], selected: int | None) -> None:
        """Shows maps over a part of the photo, of which ratio is width through height; `selected` is a joint."""
        self._photo, self._ratio, self._tiles = photo, min(max(ratio, 0.1), 10.0), tuple(tiles)
        self._selected, self._note = selected, ""
        self.update()

    def show_note(self, text: str) -> None:
        """Says in a sentence why there is nothing to see."""
        self._tiles, self._note = (), text
        self.update()

    def picture(self) -> QImage:
        """The grid as it is shown, twice as fine."""
        image = QImage(self.size() * 2, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(2.0)
        image.fill(BACKGROUND)
        painter = QPainter(image)
        self._draw(painter)
        painter.end()
        return image

    def places(self) -> list[QRectF]:
        """Where each tile's map is."""
        if not self._tiles:
            return []
        count, best = len(self._tiles), QSize(0, 0)
        columns = 1
        for tried in range(1, count + 1):
            rows = -(-count // tried)
            width = (self.width() - _GAP * (tried + 1)) / tried
            height = (self.height() - (_GAP + _CAPTION) * rows - _GAP) / rows
            width = min(width, height * self._ratio)
            if width > best.width():
                best, columns = QSize(int(width), int(width / self._ratio)), tried
        used = columns * (best.width() + _GAP) + _GAP
        left = (self.width() - used) / 2 + _GAP
        return [
            QRectF(
                left + (index % columns) * (best.width() + _GAP),
                _GAP + (index // columns) * (best.height() + _CAPTION + _GAP),
                best.width(),
                best.height(),
            )
            for index in range(count)
        ]

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), BACKGROUND)
        self._draw(painter)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        tile = self._under(event.position())
        if tile is not None and tile.joint is not None:
            self.joint_chosen.emit(tile.joint)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            tile = self._under(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), tile.about if tile else "", self)
            return True
        return super().event(event)

    def _under(self, place: QPointF) -> Tile | None:
        for tile, rect in zip(self._tiles, self.places(), strict=True):
            if rect.adjusted(0, 0, 0, _CAPTION).contains(place):
                return tile
        return None

    def _draw(self, painter: QPainter) -> None:
        painter.setPen(TEXT)
        if not self._tiles:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._note)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        places = self.places()
        photo = self._scaled(places[0].size().toSize() * painter.device().devicePixelRatioF())
        for tile, rect in zip(self._tiles, places, strict=True):
            painter.drawImage(rect, photo)
            painter.fillRect(rect, _SHADE)
            painter.drawImage(rect, tile.map)
            if tile.answer is not None:
                self._draw_cross(painter, rect, tile.answer)
            chosen = tile.joint is not None and tile.joint == self._selected
            if chosen:
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(SELECTED, 2.0))
                painter.drawRect(rect)
            painter.setPen(SELECTED if chosen else TEXT)
            below = QRectF(rect.left(), rect.bottom(), rect.width(), _CAPTION)
            text = painter.fontMetrics().elidedText(tile.caption, Qt.TextElideMode.ElideRight, int(rect.width()))
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, text)

    def _scaled(self, size: QSize) -> QImage:
        """The part of the photo once in the tiles' size, instead of once for every tile."""
        if self._photo.isNull():
            return self._photo
        return self._photo.scaled(
            size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        )

    def _draw_cross(self, painter: QPainter, rect: QRectF, at: tuple[float, float]) -> None:
        x, y = rect.left() + at[0] * rect.width(), rect.top() + at[1] * rect.height()
        for color, width in ((OUTLINE, 3.0), (SELECTED, 1.4)):
            painter.setPen(QPen(color, width))
            painter.drawLine(QPointF(x - _CROSS, y), QPointF(x + _CROSS, y))
            painter.drawLine(QPointF(x, y - _CROSS), QPointF(x, y + _CROSS))
