"""A small line plot: steps to the right, values upwards."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

COLORS = ("#4aa3e0", "#e6a532", "#2fb583", "#b084f5", "#e5534b", "#8b93a1")
_MOST_POINTS = 400


class LinePlot(QWidget):
    """Draws several named series of (step, value) over one scale with a legend of their last values."""

    def __init__(self, title: str, bottom: float | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._bottom = title, bottom
        self._series: dict[str, list[tuple[float, float]]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        return QSize(200, 130)

    def minimumSizeHint(self) -> QSize:
        return QSize(150, 100)

    def clear(self) -> None:
        self._series.clear()
        self.update()

    def add(self, step: float, values: Mapping[str, float]) -> None:
        """Appends one point to each named series."""
        for name, value in values.items():
            self._series.setdefault(name, []).append((step, value))
        self.update()

    def points(self, name: str) -> Sequence[tuple[float, float]]:
        return tuple(self._series.get(name, ()))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        muted = palette.color(QPalette.ColorRole.PlaceholderText)
        metrics = painter.fontMetrics()
        line = metrics.height() + 2
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        painter.drawText(QRectF(2, 0, self.width(), line), Qt.AlignmentFlag.AlignVCenter, self._title)
        legend = self._draw_legend(painter, line, line)
        area = QRectF(36, legend + 6, self.width() - 42, self.height() - legend - 12)
        if area.height() > 20:
            self._draw_axes(painter, area, muted)
        painter.end()

    def _draw_legend(self, painter: QPainter, top: float, line: float) -> float:
        x, y = 2.0, top
        metrics = painter.fontMetrics()
        for number, (name, points) in enumerate(self._series.items()):
            text = f"{name} {points[-1][1]:.3f}"
            width = metrics.horizontalAdvance(text) + 20
            if x + width > self.width() and x > 2:
                x, y = 2.0, y + line
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(COLORS[number % len(COLORS)]))
            painter.drawRoundedRect(QRectF(x, y + line / 2 - 3, 8, 6), 2, 2)
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            painter.drawText(QRectF(x + 12, y, width, line), Qt.AlignmentFlag.AlignVCenter, text)
            x += width
        return y + (line if self._series else 0)

    def _draw_axes(self, painter: QPainter, area: QRectF, muted: QColor) -> None:
        points = [point for series in self._series.values() for point in series]
        grid = QColor(muted)
        grid.setAlpha(70)
        painter.setPen(QPen(grid, 1))
        for part in range(4):
            y = area.bottom() - part * area.height() / 3
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        if not points:
            painter.setPen(muted)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "no values yet")
            return
        first, last = min(step for step, _ in points), max(step for step, _ in points)
        low = min(value for _, value in points) if self._bottom is None else self._bottom
        high = max(value for _, value in points)
        high = high if high > low else low + 1.0
        painter.setPen(muted)
        for part in range(4):
            y = area.bottom() - part * area.height() / 3
            text = f"{low + part * (high - low) / 3:.2f}"
            label = QRectF(0, y - 8, area.left() - 4, 16)
            painter.drawText(label, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        for number, series in enumerate(self._series.values()):
            color = QColor(COLORS[number % len(COLORS)])
            shown = series[:: max(1, len(series) // _MOST_POINTS)]
            if shown[-1] != series[-1]:
                shown = [*shown, series[-1]]
            span = max(last - first, 1e-9)
            line = [
                QPointF(
                    area.left() + (step - first) / span * area.width(),
                    area.bottom() - (value - low) / (high - low) * area.height(),
                )
                for step, value in shown
            ]
            painter.setPen(QPen(color, 1.8))
            painter.drawPolyline(line)
            painter.setBrush(color)
            painter.drawEllipse(line[-1], 2.4, 2.4)
