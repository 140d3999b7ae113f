"""Brightness, contrast and gamma of the shown photo; neither the file nor what the model gets is ever changed."""

from contextlib import suppress
from dataclasses import dataclass

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, QTimer, Signal
from PySide6.QtGui import QImage

_SMALL_PIXELS = 1_000_000
"""A picture of this size is recoloured between two frames; a larger one follows when the slider rests."""
_SETTLE_MS = 120


@dataclass(frozen=True, slots=True)
class Adjustments:
    """How the photo is shown.

    Attributes:
        brightness: Added to every value, in shares of the whole range; -1..1.
        contrast: The slope around middle grey is 4 ** contrast; -1..1.
        gamma: Above 1 lifts the shadows, below 1 lowers them; 0.2..5.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 1.0

    @property
    def neutral(self) -> bool:
        return self == Adjustments()

    def table(self) -> bytes:
        """What each of the 256 values is shown as: gamma first, then contrast, then brightness."""
        slope = 4.0**self.contrast

        def shown(value: int) -> int:
            light = (value / 255) ** (1 / self.gamma)
            return round(255 * min(max((light - 0.5) * slope + 0.5 + self.brightness, 0.0), 1.0))

        return bytes(map(shown, range(256)))


def recoloured(image: QImage, table: bytes) -> QImage:
    """Returns an RGB picture with every channel's values replaced by the table's."""
    import numpy as np  # only needed once somebody moves a slider

    rgb = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(rgb.constBits(), np.uint8).reshape(rgb.height(), rgb.bytesPerLine())
    changed = np.take(np.frombuffer(table, np.uint8), rows)
    return QImage(changed.data, rgb.width(), rgb.height(), rgb.bytesPerLine(), QImage.Format.Format_RGB888).copy()


class _Recolour(QRunnable):
    def __init__(self, owner: "AdjustedPhoto", serial: int, image: QImage, table: bytes) -> None:
        super().__init__()
        self._done = owner.recoloured
        self._serial, self._image, self._table = serial, image, table

    def run(self) -> None:
        with suppress(RuntimeError):  # the window was closed meanwhile, and the signal's owner with it
            picture = recoloured(self._image, self._table)
            # Here and not in the window's thread, which would take 44 ms for it with 24 megapixels.
            self._done.emit(self._serial, picture.convertToFormat(QImage.Format.Format_RGB32))


class AdjustedPhoto(QObject):
    """The photo as it is to be shown: at once in small while a slider moves, then in full."""

    changed = Signal(object)
    """QImage: the pixels to show over the photo's whole area."""
    recoloured = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._photo: QImage | None = None
        self._small: QImage | None = None
        self._adjustments = Adjustments()
        self._serial = 0
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._begin)
        self.recoloured.connect(self._finished, Qt.ConnectionType.QueuedConnection)

    def set_photo(self, photo: QImage | None) -> None:
        """Another photo, or none; `changed` follows unless there is none."""
        self._photo, self._small = photo, None
        self._show()

    def set_adjustments(self, adjustments: Adjustments) -> None:
        if adjustments != self._adjustments:
            self._adjustments = adjustments
            self._show()

    def _show(self) -> None:
        self._serial += 1  # what is being computed is out of date
        self._settle.stop()
        if self._photo is None:
            return
        if self._adjustments.neutral:
            self.changed.emit(self._photo)
            return
        if self._small is None:
            self._small = _reduced(self._photo)
        self.changed.emit(recoloured(self._small, self._adjustments.table()))
        if self._small.size() != self._photo.size():
            self._settle.start()

    def _begin(self) -> None:
        if self._photo is not None:
            work = _Recolour(self, self._serial, self._photo, self._adjustments.table())
            QThreadPool.globalInstance().start(work)

    def _finished(self, serial: int, picture: QImage) -> None:
        if serial == self._serial:
            self.changed.emit(picture)


def _reduced(photo: QImage) -> QImage:
    factor = (_SMALL_PIXELS / (photo.width() * photo.height())) ** 0.5
    if factor >= 1:
        return photo
    return photo.scaled(
        max(round(photo.width() * factor), 1),
        max(round(photo.height() * factor), 1),
        Qt.AspectRatioMode.IgnoreAspectRatio,
        Qt.TransformationMode.FastTransformation,
    )
