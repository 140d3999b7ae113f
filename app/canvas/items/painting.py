"""Strokes that the items share. Sizes are screen pixels; `unit` is the size of one screen pixel in image pixels."""

from collections.abc import Sequence
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from app.canvas.items.plates import beside_point, free_places
from app.canvas.palette import OUTLINE, PLATE, SELECTED, TEXT
from app.document.records import Box

_FONT_PIXELS = 11
FADED = 0.3
"""Opacity of what steps back behind a heatmap."""


def rect_of(box: Box) -> QRectF:
    return QRectF(box.x, box.y, box.w, box.h)


def mark_size(box: Box, unit: float) -> float:
    """Returns how large joints and bones of a person are drawn, 0.4..1: small people shall not vanish under them."""
    on_screen = max(box.area, 0.0) ** 0.5 / unit
    return min(max(on_screen / 130.0, 0.4), 1.0)


def pen(painter: QPainter, color: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """Returns a pen of constant screen width; it is shared, so copy it before changing it."""
    # A cosmetic pen counts the pixels of the device: on a display scaled to 200 % lines would be half as thick.
    return _pen(color.rgba(), width * painter.device().devicePixelRatioF(), style)


@lru_cache(maxsize=512)
def _pen(rgba: int, width: float, style: Qt.PenStyle) -> QPen:
    # Lines with round caps take six times as long to draw as flat ones, and a joint covers most ends anyway.
    made = QPen(QColor.fromRgba(rgba), width, style, Qt.PenCapStyle.FlatCap, Qt.PenJoinStyle.RoundJoin)
    made.setCosmetic(True)
    return made


def draw_frame(painter: QPainter, box: Box, color: QColor, width: float, dashed: bool = False) -> None:
    """Draws a box with a dark rim, so that it can be seen on any photo."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # upright lines are crisper without, and faster
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(pen(painter, OUTLINE, width + 1.6))
    painter.drawRect(rect_of(box))
    line = pen(painter, color, width)
    if dashed:
        line = QPen(line)
        line.setDashPattern([5.0, 4.0])
    painter.setPen(line)
    painter.drawRect(rect_of(box))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)


def plate_size(text: str) -> tuple[float, float]:
    """Returns width and height of a text plate in screen pixels."""
    metrics = QFontMetricsF(_font())
    return metrics.horizontalAdvance(text) + 10, metrics.height() + 4


def draw_plate(painter: QPainter, text: str, x: float, y: float, unit: float, color: QColor) -> None:
    """Writes on a dark plate whose bottom left corner is at (x, y) in image pixels; the text keeps its screen size."""
    width, height = plate_size(text)
    painter.save()
    painter.translate(x, y)
    painter.scale(unit, unit)
    plate = QRectF(0, -height, width, height)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(PLATE)
    painter.drawRoundedRect(plate, 4, 4)
    painter.setFont(_font())
    painter.setPen(color)
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def draw_names(painter: QPainter, names: Sequence[tuple[str, float, float]], unit: float, right_edge: float) -> None:
    """Writes joints' names beside their places (text, x, y), the most important first."""
    wishes = [beside_point(x, y, plate_size(text), unit) for text, x, y in names]
    for (text, _, _), place in zip(names, free_places(wishes, right_edge), strict=True):
        if place is not None:
            draw_plate(painter, text, place.left(), place.bottom(), unit, TEXT)


def draw_dot(painter: QPainter, x: float, y: float, radius: float, color: QColor, hollow: bool, unit: float) -> None:
    """Draws a joint; radius in image pixels, unit: image pixels a screen pixel."""
    place = QPointF(x, y)
    if hollow:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen(painter, OUTLINE, 4.0))
        painter.drawEllipse(place, radius, radius)
        painter.setPen(pen(painter, color, 2.0))
    else:
        # Two filled discs take half as long as one with an outline.
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(OUTLINE)
        painter.drawEllipse(place, radius + 0.7 * unit, radius + 0.7 * unit)
        painter.setBrush(color)
    painter.drawEllipse(place, radius, radius)


def draw_ring(painter: QPainter, x: float, y: float, thin: bool, unit: float) -> None:
    """Marks the selected joint; thin where the ring must not hide what is under it."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((OUTLINE, 2.4 if thin else 4.0), (SELECTED, 1.2 if thin else 2.0)):
        painter.setPen(pen(painter, color, width))
        painter.drawEllipse(QPointF(x, y), 10 * unit, 10 * unit)


def _font() -> QFont:
    font = QFont()
    font.setPixelSize(_FONT_PIXELS)
    font.setWeight(QFont.Weight.DemiBold)
    return font
