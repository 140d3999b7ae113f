"""The sign of an image's state: a small disc that reads without colour, too."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from app.document.records import ImageState

COLORS = {
    ImageState.UNSEEN: QColor("#8b93a1"),
    ImageState.PREDICTED: QColor("#4aa3e0"),
    ImageState.IN_PROGRESS: QColor("#e6a532"),
    ImageState.DONE: QColor("#2fb583"),
    ImageState.DONE_EMPTY: QColor("#2fb583"),
    ImageState.REVIEWED: QColor("#b084f5"),
}
DAMAGED = QColor("#e5534b")
FLAG = QColor("#f0883e")
WORDS = {
    ImageState.UNSEEN: "unseen",
    ImageState.PREDICTED: "pre-filled",
    ImageState.IN_PROGRESS: "in progress",
    ImageState.DONE: "done",
    ImageState.DONE_EMPTY: "nobody here",
    ImageState.REVIEWED: "reviewed",
}


def draw_badge(painter: QPainter, rect: QRectF, state: ImageState, damaged: bool) -> None:
    """Draws a state's sign: ring, dashed ring, half disc, disc with a tick, disc with a bar, or "!"."""
    color = DAMAGED if damaged else COLORS[state]
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    filled = damaged or state.finished
    ring = QPen(color, 1.8)
    if state is ImageState.PREDICTED and not damaged:
        ring.setDashPattern([2.0, 1.4])
    painter.setPen(ring)
    painter.setBrush(color if filled else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(rect)
    if state is ImageState.IN_PROGRESS and not damaged:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPie(rect.adjusted(2.5, 2.5, -2.5, -2.5), 90 * 16, -180 * 16)
    elif filled:
        painter.setPen(QPen(QColor("#ffffff"), 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        _draw_sign(painter, rect, state, damaged)
    painter.restore()


def draw_flag(painter: QPainter, rect: QRectF) -> None:
    """Draws the sign of an image that somebody wants to look at again."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(FLAG, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.drawLine(rect.topLeft(), rect.bottomLeft())
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(FLAG)
    tip = QPointF(rect.right(), rect.y() + rect.height() * 0.3)
    painter.drawPolygon([rect.topLeft(), tip, QPointF(rect.x(), rect.y() + rect.height() * 0.6)])
    painter.restore()


def _draw_sign(painter: QPainter, rect: QRectF, state: ImageState, damaged: bool) -> None:
    def at(x: float, y: float) -> QPointF:
        return QPointF(rect.x() + x * rect.width(), rect.y() + y * rect.height())

    if damaged:
        painter.drawLine(at(0.5, 0.25), at(0.5, 0.55))
        painter.drawPoint(at(0.5, 0.76))
    elif state is ImageState.DONE_EMPTY:
        painter.drawLine(at(0.3, 0.5), at(0.7, 0.5))
    else:
        painter.drawPolyline([at(0.28, 0.52), at(0.44, 0.68), at(0.73, 0.34)])
