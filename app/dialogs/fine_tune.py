"""What to train on, and how: defaults filled in, so that Start is enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.buttons import add_primary
from app.workers.library_client import ModelEntry
from app.workers.trainer_client import default_fine_tuning, default_learning_rate, plan_run


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How much there is to learn from.

    Attributes:
        finished_images: Images marked done, "nobody here" included; finished_people: people on them.
        labelled_images: Images with at least one person; labelled_people: people on them.
    """

    finished_images: int
    finished_people: int
    labelled_images: int
    labelled_people: int

    def of(self, only: str) -> tuple[int, int]:
        """Images and people of a choice, "finished" or "labelled"."""
        if only == "finished":
            return self.finished_images, self.finished_people
        return self.labelled_images, self.labelled_people


@dataclass(frozen=True, slots=True)
class FineTuneSettings:
    """The answers.

    Attributes:
        only: "finished" or "labelled": which images are exported for the run.
        val_fraction: Share of the images held out to measure on; 0..0.5.
        seed: Of the split.
        train: "heads" or "all".
        epochs: Passes over the images.
        batch: Images a step.
        lr: Learning rate.
        device: Where to train: "auto" or a device's id.
        init: The model file to start from; None: the model in use.
    """

    only: str
    val_fraction: float
    seed: int
    train: str
    epochs: int
    batch: int
    lr: float
    device: str
    init: Path | None = None


_UNFINISHED = " On unfinished images, places where somebody may be unlabelled are not taught as empty."


class FineTuneDialog(QDialog):
    """Asks for `FineTuneSettings`; `started` carries them."""

    started = Signal(object)

    def __init__(
        self, counts: LabelCounts, parent: QWidget | None = None, name_in_use: str = "", hash_in_use: str = ""
    ) -> None:
        """The model in use is the first to start from; `show_models` brings the others."""
        super().__init__(parent)
        self.setWindowTitle("Fine-tune")
        self.setMinimumWidth(460)
        self._counts = counts
        self._hash_in_use = hash_in_use
        self.init = _choices((f"{name_in_use}, in use" if name_in_use else "the model in use", ""))
        self._chosen: set[str] = set()
        self._make_fields()
        self.summary = QLabel(self)
        self.summary.setWordWrap(True)
        self.summary.setProperty("muted", True)
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(20)
        for label, field in (
            ("Start from", self.init),
            ("Learn from", self.only),
            ("Held out to measure on", self.val_fraction),
            ("Seed of the split", self.seed),
            ("Train", self.train),
            ("Epochs", self.epochs),
            ("Images a step", self.batch),
            ("Learning rate", self.lr),
            ("Device", self.device),
        ):
            form.addRow(label, field)
        buttons = QDialogButtonBox(self)
        self.start_button = add_primary(buttons, "Start")
        self.start_button.style().polish(self.start_button)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self._start)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(self.summary)
        layout.addWidget(buttons)
        # Once somebody has chosen, the choice stays, whatever else is changed.
        self.train.activated.connect(lambda _: self._chosen.add("train"))
        self.epochs.valueChanged.connect(lambda _: self._chosen.add("epochs"))
        self.only.currentIndexChanged.connect(self._fill_in)
        self.val_fraction.valueChanged.connect(self._summarise)
        self.epochs.valueChanged.connect(self._summarise)
        self.batch.valueChanged.connect(self._batch_changed)
        self._fill_in()

    def settings(self) -> FineTuneSettings:
        """Returns what the fields say."""
        return FineTuneSettings(
            self.only.currentData(),
            self.val_fraction.value() / 100,
            self.seed.value(),
            self.train.currentData(),
            self.epochs.value(),
            self.batch.value(),
            self.lr.value(),
            self.device.currentData(),
            Path(self.init.currentData()) if self.init.currentData() else None,
        )

    def show_models(self, entries: Sequence[ModelEntry]) -> None:
        """Offers the models of the library that are here; the one chosen stays chosen."""
        chosen = self.init.currentData()
        while self.init.count() > 1:
            self.init.removeItem(1)
        for entry in entries:
            if entry.usable and entry.hash != self._hash_in_use:
                self.init.addItem(entry.title, str(entry.path))
        self.init.setCurrentIndex(max(self.init.findData(chosen), 0))

    def show_devices(self, devices: Sequence[tuple[str, str, bool]]) -> None:
        """Offers devices, each with its id, its text, and whether the model computes there now."""
        self.device.clear()
        for device, text, chosen in devices:
            self.device.addItem(text, device)
            if chosen:
                self.device.setCurrentIndex(self.device.count() - 1)

    def _make_fields(self) -> None:
        counts = self._counts
        self.only = _choices(
            (f"finished images ({counts.finished_images} images, {counts.finished_people} people)", "finished"),
            (f"all labelled images ({counts.labelled_images} images, {counts.labelled_people} people)", "labelled"),
        )
        if counts.finished_people == 0:
            self.only.setCurrentIndex(1)
        self.train = _choices(
            ("the heads only (fast, few labels)", "heads"),
            ("everything (slow, needs hundreds of people)", "all"),
        )
        self.device = _choices(("Automatic", "auto"))
        self.val_fraction = QSpinBox()
        self.val_fraction.setRange(0, 50)
        self.val_fraction.setValue(20)
        self.val_fraction.setSuffix(" % of the images")
        self.seed = QSpinBox()
        self.seed.setRange(0, 999_999)
        self.epochs = QSpinBox()
        self.epochs.setRange(1, 1000)
        self.batch = QSpinBox()
        self.batch.setRange(1, 64)
        self.batch.setValue(2)
        self.lr = QDoubleSpinBox()
        self.lr.setDecimals(5)
        self.lr.setRange(0.00001, 1.0)
        self.lr.setSingleStep(0.00005)
        self.lr.setValue(default_learning_rate(self.batch.value()))
        self.lr.setToolTip("Follows the number of images a step: twice the images, twice the rate")

    def _fill_in(self) -> None:
        """What to train and for how long follows from how much there is to learn from."""
        defaults = default_fine_tuning(*self._counts.of(self.only.currentData()))
        if "train" not in self._chosen:
            self.train.setCurrentIndex(self.train.findData(defaults.train))
        if "epochs" not in self._chosen:
            with QSignalBlocker(self.epochs):
                self.epochs.setValue(defaults.epochs)
        self._summarise()

    def _batch_changed(self, batch: int) -> None:
        self.lr.setValue(default_learning_rate(batch))
        self._summarise()

    def _summarise(self) -> None:
        images, people = self._counts.of(self.only.currentData())
        share = self.val_fraction.value() / 100
        plan = plan_run(images, share, self.epochs.value(), self.batch.value())
        if people == 0:
            self.summary.setText("There is nothing to learn from yet: label some people first.")
        elif share and images < 2:
            self.summary.setText("One image cannot be both learnt from and held out: hold out 0 %, or label another.")
        else:
            self.summary.setText(
                f"{plan.learnt} images to learn from, {plan.held_out} held out, {people} people on them: "
                f"{plan.steps:,} step{'' if plan.steps == 1 else 's'}. "
                "The labels are frozen in a copy, so you can go on working meanwhile."
                f"{_UNFINISHED if self.only.currentData() == 'labelled' else ''}"
            )
        self.start_button.setEnabled(people > 0 and plan.learnt > 0 and (not share or images >= 2))

    def _start(self) -> None:
        self.started.emit(self.settings())
        self.accept()


def _choices(*entries: tuple[str, str]) -> QComboBox:
    box = QComboBox()
    for text, value in entries:
        box.addItem(text, value)
    return box
