"""What to export, and as what."""

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
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

COCO, YOLO, OVERLAYS, RESULTS, STATISTICS = "coco", "yolo", "overlays", "results", "statistics"

_FORMATS = (
    (
        COCO,
        "COCO keypoints (.json)",
        "The labels, without loss: what was imported and not changed stays byte for byte.",
    ),
    (
        YOLO,
        "YOLO-pose data set (folder)",
        "Ultralytics' layout, ready to train on. Crowd regions are left out; boxes are cut at the image's border.",
    ),
    (OVERLAYS, "Photos with the labels drawn in (folder of .png)", "For looking at, not for training."),
    (
        RESULTS,
        "Predictions as COCO results (.json)",
        "What the model found, with scores: for an evaluation against the COCO file of this project.",
    ),
    (
        STATISTICS,
        "Statistics (.csv)",
        "How many images in which state, people by size, joints by visibility and by who placed them.",
    ),
)
_CHOICES = (
    ("all", "All images"),
    ("finished", "Finished images"),
    ("labelled", "Images with people"),
    ("listed", "Images that the list shows ({shown:,})"),
)


@dataclass(frozen=True, slots=True)
class ExportChoices:
    """What there is to choose from.

    Attributes:
        shown: How many images the list shows.
        sources: Key and name of every imported COCO file.
    """

    shown: int = 0
    sources: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """The answers.

    Attributes:
        format: COCO, YOLO, OVERLAYS, RESULTS or STATISTICS.
        only: "all", "finished" or "labelled" images, or those "listed" in the window.
        source: Of COCO: the key of the imported file to write by itself, with its own ids; None: everything.
        val_fraction: Of YOLO: share of the images held out; 0..0.5.
        seed: Of that choice.
        copy_photos: Of YOLO: copies of the photos instead of links to them.
    """

    format: str
    only: str = "all"
    source: int | None = None
    val_fraction: float = 0.1
    seed: int = 0
    copy_photos: bool = False


class ExportDialog(QDialog):
    """Asks for `ExportSettings`; `chosen` carries them. Where to is asked afterwards."""

    chosen = Signal(object)

    def __init__(self, start: ExportSettings, choices: ExportChoices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._several_sources = len(choices.sources) > 1
        self.setWindowTitle("Export")
        self.setMinimumWidth(460)
        self.format, self.only, self.source = QComboBox(self), QComboBox(self), QComboBox(self)
        for key, text, _ in _FORMATS:
            self.format.addItem(text, key)
        for key, text in _CHOICES:
            self.only.addItem(text.format(shown=choices.shown), key)
        self.source.addItem("Everything in one file", None)
        for number, name in choices.sources:
            self.source.addItem(f"Only {name}, with its own ids", number)
        self.val_fraction = QDoubleSpinBox(self)
        self.val_fraction.setRange(0.0, 0.5)
        self.val_fraction.setSingleStep(0.05)
        self.val_fraction.setToolTip("Share of the images that go into val, chosen by name: they stay there")
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 1_000_000)
        self.seed.setToolTip("Another number holds out other images")
        self.copy_photos = QCheckBox("Copy the photos (else the folder links to them)", self)
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setProperty("muted", True)
        self._form = QFormLayout()
        self._form.setVerticalSpacing(8)
        self._form.setHorizontalSpacing(20)
        for label, field in (
            ("Format", self.format),
            ("Which", self.only),
            ("Imported from", self.source),
            ("Held out", self.val_fraction),
            ("Seed", self.seed),
            ("Photos", self.copy_photos),
        ):
            self._form.addRow(label, field)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.go = add_primary(buttons, "Export…")
        self.go.setDefault(True)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(14)
        layout.addLayout(self._form)
        layout.addWidget(self.note)
        layout.addStretch(1)
        layout.addWidget(buttons)
        self.format.currentIndexChanged.connect(self._show)
        self._fill(start)
        self._show()

    def settings(self) -> ExportSettings:
        """The answers as they stand."""
        return ExportSettings(
            self.format.currentData(),
            self.only.currentData(),
            self.source.currentData() if self._offers_sources else None,
            self.val_fraction.value(),
            self.seed.value(),
            self.copy_photos.isChecked(),
        )

    def _fill(self, start: ExportSettings) -> None:
        self.format.setCurrentIndex(max(self.format.findData(start.format), 0))
        self.only.setCurrentIndex(max(self.only.findData(start.only), 0))
        self.source.setCurrentIndex(max(self.source.findData(start.source), 0))
        self.val_fraction.setValue(start.val_fraction)
        self.seed.setValue(start.seed)
        self.copy_photos.setChecked(start.copy_photos)

    def _show(self) -> None:
        self.note.setText(_FORMATS[self.format.currentIndex()][2])
        for field in (self.val_fraction, self.seed, self.copy_photos):
            self._form.setRowVisible(field, self.format.currentData() == YOLO)
        self._form.setRowVisible(self.source, self._offers_sources)

    @property
    def _offers_sources(self) -> bool:
        return self._several_sources and self.format.currentData() == COCO

    def _accept(self) -> None:
        self.accept()
        self.chosen.emit(self.settings())
