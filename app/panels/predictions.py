"""The dock about what the model found: threshold, counts, accept all."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget


class PredictionsPanel(QWidget):
    """The score threshold filters live; accepting goes through the signals."""

    threshold_changed = Signal(float)
    accept_all_wanted = Signal()
    prefill_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(5, 99)
        self.slider.setToolTip("Predictions with a lower score are not shown")
        self.value = QLabel(self)
        self.counts = QLabel(self)
        self.counts.setProperty("muted", True)
        self.counts.setToolTip(
            "Open predictions: shown; hidden by the threshold, by the switch, or since the image is finished;"
            " and those that match a label"
        )
        self.accept = QPushButton("Accept shown", self)
        self.accept.setToolTip("Make every shown prediction a label")
        self.prefill = QPushButton("Pre-fill", self)
        self.prefill.setToolTip("Ask the model for the people of this image")
        self.habit = QLabel(self)
        self.habit.setProperty("muted", True)
        self.habit.setToolTip(
            "Whether a proposal's joint is shown as visible, occluded or a hint follows your labels, too:"
            " every project leaves other joints out"
        )
        self._shown, self._available = 0, False
        self.set_available(False)
        self.show_habit(0)
        self.accept.clicked.connect(self.accept_all_wanted)
        self.prefill.clicked.connect(self.prefill_wanted)
        self.slider.valueChanged.connect(self._moved)
        row = QHBoxLayout()
        row.addWidget(QLabel("Score at least", self))
        row.addWidget(self.slider, 1)
        row.addWidget(self.value)
        buttons = QHBoxLayout()
        buttons.addWidget(self.accept)
        buttons.addWidget(self.prefill)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(8)
        layout.addLayout(row)
        layout.addWidget(self.counts)
        layout.addWidget(self.habit)
        layout.addLayout(buttons)
        layout.addStretch(1)

    def set_threshold(self, threshold: float) -> None:
        """Shows a threshold of 0..1."""
        self.slider.setValue(round(threshold * 100))
        self.value.setText(f"{threshold:.2f}")

    def show_counts(self, shown: int, hidden: int, matched: int) -> None:
        """Says how many open predictions are shown, not shown, and already labelled."""
        parts = [f"{shown} shown"]
        if hidden:
            parts.append(f"{hidden} hidden")
        if matched:
            parts.append(f"{matched} labelled")
        self.counts.setText("  ·  ".join(parts))
        self._shown = shown
        self._enable()

    def show_habit(self, people: int) -> None:
        """Says from how many labelled people it was learnt which joints are left out here."""
        self.habit.setVisible(people > 0)
        self.habit.setText(f"visibility as with {people} {'person' if people == 1 else 'people'} here")

    def set_available(self, available: bool) -> None:
        """Says whether there is an image whose labels may be changed."""
        self._available = available
        self._enable()

    def _enable(self) -> None:
        self.accept.setEnabled(self._available and self._shown > 0)
        self.prefill.setEnabled(self._available)

    def _moved(self, value: int) -> None:
        self.value.setText(f"{value / 100:.2f}")
        self.threshold_changed.emit(value / 100)
