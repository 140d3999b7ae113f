"""Which images the list shows: a pure test of one row, and the row of controls that sets it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QGridLayout, QLabel, QPushButton, QSpinBox, QWidget

from app.document.records import ImageState


class FilteredRow(Protocol):
    """What a filter looks at."""

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


STATE_FILTERS: tuple[tuple[str, Callable[[FilteredRow, bool], bool]], ...] = (
    ("All images", lambda row, damaged: True),
    ("Unfinished", lambda row, damaged: not row.state.finished),
    ("Unseen", lambda row, damaged: row.state is ImageState.UNSEEN),
    ("Pre-filled", lambda row, damaged: row.state is ImageState.PREDICTED),
    ("In progress", lambda row, damaged: row.state is ImageState.IN_PROGRESS),
    ("Finished", lambda row, damaged: row.state.finished),
    ("Nobody here", lambda row, damaged: row.state is ImageState.DONE_EMPTY),
    ("Reviewed", lambda row, damaged: row.state is ImageState.REVIEWED),
    ("With people", lambda row, damaged: row.people > 0),
    ("Damaged", lambda row, damaged: damaged),
)


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

    def passes(self) -> Callable[[FilteredRow, bool], bool]:
        """A test of (row, whether its file is damaged); made once for many rows."""
        words, in_state = self.text.lower().split(), STATE_FILTERS[self.state][1]
        least, most, below = self.least_people, self.most_people, self.confidence_below

        def test(row: FilteredRow, damaged: bool) -> bool:
            if not in_state(row, damaged) or (self.flagged and not row.flagged):
                return False
            if (self.predicted and not row.predictions) or (least is not None and row.people < least):
                return False
            if most is not None and row.people > most:
                return False
            if below is not None and (row.lowest_confidence is None or row.lowest_confidence >= below):
                return False
            if not words:
                return True
            path = row.path.lower()
            return all(word in path for word in words)

        return test


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
