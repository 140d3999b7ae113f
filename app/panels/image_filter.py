"""Which images the list shows: a pure test of one row, and the row of controls that sets it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QGridLayout, QLabel, QPushButton, QSpinBox, QWidget

from app.document.records import ImageState


class FilteredRow(Protocol):
    """What a filter looks at."""

    @property
    def key(self) -> int: ...

    @property
    def path(self) -> str: ...

    @property
    def state(self) -> ImageState: ...

    @property
    def people(self) -> int: ...

    @property
    def predictions(self) -> int: ...

    @property
    def lowest_confidence(self) -> float | None: ...

    @property
    def flagged(self) -> bool: ...


R = TypeVar("R", bound=FilteredRow)

FINISHED = tuple(state for state in ImageState if state.finished)
_UNFINISHED = frozenset(state for state in ImageState if not state.finished)
STATE_FILTERS: tuple[tuple[str, frozenset[ImageState] | None], ...] = (
    ("All images", None),
    ("Unfinished", _UNFINISHED),
    ("Unseen", frozenset((ImageState.UNSEEN,))),
    ("Pre-filled", frozenset((ImageState.PREDICTED,))),
    ("In progress", frozenset((ImageState.IN_PROGRESS,))),
    ("Finished", frozenset(ImageState) - _UNFINISHED),
    ("Nobody here", frozenset((ImageState.DONE_EMPTY,))),
    ("Reviewed", frozenset((ImageState.REVIEWED,))),
    ("With people", None),
    ("Damaged", None),
)
"""What the list's box offers: a text, and the states that it stands for; None where it is about something else."""
WITH_PEOPLE, DAMAGED = 8, 9


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """All of it must hold for an image to be shown.

    Attributes:
        text: Words that the path holds, in any order and case.
        state: Index into `STATE_FILTERS`.
        flagged: Only images with a flag.
        predicted: Only images with open predictions.
        least_people, most_people: How many people are labelled; None: no bound.
        confidence_below: Only images whose least certain open prediction scores lower; None: no bound.
    """

    text: str = ""
    state: int = 0
    flagged: bool = False
    predicted: bool = False
    least_people: int | None = None
    most_people: int | None = None
    confidence_below: float | None = None

    @property
    def extras(self) -> int:
        """How many conditions are set beside text and state."""
        people = self.least_people is not None or self.most_people is not None
        return self.flagged + self.predicted + people + (self.confidence_below is not None)

    @property
    def asks_predictions(self) -> bool:
        """Whether another model's predictions may let other images pass."""
        return self.predicted or self.confidence_below is not None

    def keep(self, rows: Iterable[R], damaged: Collection[int]) -> list[R]:
        """The rows that pass, in their order; damaged are the keys of the images whose files cannot be read.

        One condition after the other, each a bare loop: a hundred thousand rows have to pass while somebody types.
        """
        kept = list(rows)
        states = STATE_FILTERS[self.state][1]
        least = max(self.least_people or 0, 1) if self.state == WITH_PEOPLE else self.least_people
        if states is not None:
            kept = [row for row in kept if row.state in states]
        if self.state == DAMAGED:
            kept = [row for row in kept if row.key in damaged]
        if self.flagged:
            kept = [row for row in kept if row.flagged]
        if self.predicted:
            kept = [row for row in kept if row.predictions]
        if least is not None:
            kept = [row for row in kept if row.people >= least]
        if (most := self.most_people) is not None:
            kept = [row for row in kept if row.people <= most]
        if (below := self.confidence_below) is not None:
            kept = [row for row in kept if row.lowest_confidence is not None and row.lowest_confidence < below]
        for word in self.text.lower().split():
            kept = [row for row in kept if word in row.path.lower()]
        return kept


class FilterControls(QWidget):
    """The conditions beside text and state."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.flagged = QCheckBox("Flagged", self)
        self.predicted = QCheckBox("With predictions", self)
        self.least = self._count("any", "At least so many people are labelled")
        self.most = self._count("any", "At most so many people are labelled")
        self.below = QDoubleSpinBox(self)
        self.below.setRange(0.0, 1.0)
        self.below.setSingleStep(0.05)
        self.below.setSpecialValueText("any")
        self.below.setToolTip("The least certain prediction scores lower than this")
        self.clear = QPushButton("Clear filter", self)
        self.clear.setProperty("flat_link", True)
        grid = QGridLayout(self)
        grid.setContentsMargins(2, 0, 2, 4)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.flagged, 0, 0)
        grid.addWidget(self.predicted, 0, 1)
        grid.addWidget(QLabel("People from", self), 1, 0)
        grid.addWidget(self.least, 1, 1)
        grid.addWidget(QLabel("People to", self), 2, 0)
        grid.addWidget(self.most, 2, 1)
        grid.addWidget(QLabel("Score below", self), 3, 0)
        grid.addWidget(self.below, 3, 1)
        grid.addWidget(self.clear, 4, 0, 1, 2)
        for box in (self.flagged, self.predicted):
            box.toggled.connect(self.changed)
        for number in (self.least, self.most, self.below):
            number.valueChanged.connect(self.changed)
        self.clear.clicked.connect(self.reset)

    def filter(self, text: str, state: int) -> ImageFilter:
        return ImageFilter(
            text,
            state,
            self.flagged.isChecked(),
            self.predicted.isChecked(),
            _bound(self.least),
            _bound(self.most),
            self.below.value() or None,
        )

    def reset(self) -> None:
        """Takes every condition away."""
        for box in (self.flagged, self.predicted):
            box.setChecked(False)
        self.least.setValue(self.least.minimum())
        self.most.setValue(self.most.minimum())
        self.below.setValue(self.below.minimum())

    def _count(self, special: str, tooltip: str) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(-1, 999)
        box.setValue(-1)
        box.setSpecialValueText(special)
        box.setToolTip(tooltip)
        return box


def _bound(box: QSpinBox) -> int | None:
    return box.value() if box.value() >= 0 else None
