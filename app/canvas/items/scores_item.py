"""The scores of the predictions, over everything that could hide them."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from app.canvas.items.painting import draw_plate, plate_size
from app.canvas.items.plates import around_box, free_places
from app.canvas.palette import SELECTED, TEXT
from app.document.records import Box


@dataclass(frozen=True, slots=True)
class Score:
    """What is said about one prediction; opacity 0..1, choices: which keys decide about it."""

    box: Box
    score: float
    selected: bool
    opacity: float
    choices: str = ""

    @property
    def text(self) -> str:
        return f"{self.score:.2f}" + (f"   {self.choices}" if self.choices else "")


class ScoresItem(QGraphicsItem):
    """Writes each score where none hides another: the selected and the surest predictions choose first.

    Where there is no room the score is left out; the colour of the box says it, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setZValue(28)
        self._unit = 1.0
        self._written: list[tuple[Score, QRectF]] = []
        self._extent = QRectF()

    @property
    def places(self) -> list[QRectF]:
        """What is covered, in image pixels."""
        return [place for _, place in self._written]

    def set_scores(self, scores: Sequence[Score], unit: float, right_edge: float) -> None:
        """Shows these scores; unit: image pixels a screen pixel; nothing is written beyond right_edge."""
        ordered = sorted(scores, key=lambda score: (not score.selected, -score.score))
        wishes = [around_box(score.box, plate_size(score.text), unit, right_edge) for score in ordered]
        places = free_places(wishes, right_edge)
        written = [(score, place) for score, place in zip(ordered, places, strict=True) if place is not None]
        if (written, unit) != (self._written, self._unit):
            self.prepareGeometryChange()
            self._written, self._unit = written, unit
            self._extent = QRectF()
            for place in self.places:
                self._extent = self._extent.united(place)
            self.update()

    def boundingRect(self) -> QRectF:
        return self._extent

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        for score, place in self._written:
            painter.setOpacity(score.opacity)
            color = SELECTED if score.selected else TEXT
            draw_plate(painter, score.text, place.left(), place.bottom(), self._unit, color)
