"""The dock of a fine-tuning run: losses, AP, time left, and the two ways to end it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.panels.durations import time_left
from app.panels.plot import LinePlot

_PARTS = {
    "objectness": "RPN score",
    "rpn_box": "RPN box",
    "classifier": "class",
    "box": "box",
    "keypoint": "keypoints",
    "visibility": "visibility",
}


class TrainingPanel(QWidget):
    """Shows the events of a run's log as they come."""

    stop_wanted = Signal()
    """End now and keep the best model."""
    cancel_wanted = Signal()
    """End now and keep nothing."""
    pause_wanted = Signal(bool)
    start_wanted = Signal()
    use_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status = QLabel("No run yet. Fine-tune makes a better model from the labels of this project.", self)
        self.status.setWordWrap(True)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.loss = LinePlot("Loss", bottom=0.0)
        self.parts = LinePlot("Parts of the loss", bottom=0.0)
        self.quality = LinePlot("AP on the held-out images", bottom=0.0)
        self.pause = QPushButton("Pause", self)
        self.pause.setCheckable(True)
        self.pause.setToolTip("Let the run wait without losing anything")
        self.stop = QPushButton("Stop", self)
        self.stop.setToolTip("End the run now and keep the best model so far")
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setToolTip("End the run now without a model")
        self.start = QPushButton("Fine-tune…", self)
        self.use = QPushButton("Use this model", self)
        self.use.hide()
        self.pause.toggled.connect(self.pause_wanted)
        self.stop.clicked.connect(self.stop_wanted)
        self.cancel.clicked.connect(self.cancel_wanted)
        self.start.clicked.connect(self.start_wanted)
        self.use.clicked.connect(self.use_wanted)
        buttons = QHBoxLayout()
        for button in (self.use, self.start, self.pause, self.stop, self.cancel):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.status)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)
        layout.addWidget(_scrolling(self.loss, self.parts, self.quality), 1)
        self._total = 0
        self.set_running(False)

    def set_running(self, running: bool) -> None:
        """Shows the controls of a run, or the button that starts one."""
        for button in (self.pause, self.stop, self.cancel):
            button.setVisible(running)
        self.bar.setVisible(running)
        self.start.setVisible(not running)
        if not running:
            self.pause.setChecked(False)

    def begin(self, text: str) -> None:
        """Empties the plots for a new run."""
        for plot in (self.loss, self.parts, self.quality):
            plot.clear()
        self.status.setText(text)
        self.bar.setRange(0, 0)
        self.set_running(True)

    def show_event(self, event: Mapping[str, Any]) -> None:
        """Takes one line of the run's log (see the run folder's format in docs/architecture.md)."""
        kind = event.get("event")
        if kind == "start":
            self._total = int(event["total_steps"])
            self.bar.setRange(0, self._total)
            held_out = event.get("val_images", 0)
            self.status.setText(f"{event['images']} images, {event['people']} people, {held_out} held out")
        elif kind == "step":
            self._show_step(event)
        elif kind == "evaluation":
            values = {"keypoints": event["keypoints"].get("AP"), "box": event["bbox"].get("AP")}
            # pycocotools gives -1 where there is nothing to measure.
            measured = {name: value for name, value in values.items() if value is not None and value >= 0}
            self.quality.add(event["step"], measured)
        elif kind == "message":
            self.status.setText(str(event["text"]))

    def _show_step(self, event: Mapping[str, Any]) -> None:
        step = int(event["step"])
        self.bar.setValue(step)
        self.loss.add(step, {"loss": event["loss"]})
        self.parts.add(step, {_PARTS.get(name, name): value for name, value in event["losses"].items()})
        left = time_left(event.get("eta_seconds"))
        self.status.setText(f"Step {step} of {self._total}  ·  {left}")

    def show_offer(self, model: Path | None) -> None:
        """Offers a finished run's model until it is used; None offers nothing."""
        self.use.setVisible(model is not None)
        self.use.setToolTip(f"Let the new model answer from now on: {model}" if model else "")

    def show_end(self, text: str) -> None:
        """Shows how the run ended; the plots stay."""
        self.status.setText(text)
        self.set_running(False)


def _scrolling(*plots: QWidget) -> QScrollArea:
    """Stacks plots; where they do not fit they scroll, for the dock must not make the window outgrow the screen."""
    stack = QWidget()
    layout = QVBoxLayout(stack)
    layout.setContentsMargins(0, 0, 0, 0)
    for plot in plots:
        layout.addWidget(plot, 1)
    area = QScrollArea()
    area.setWidget(stack)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setMinimumHeight(150)
    return area
