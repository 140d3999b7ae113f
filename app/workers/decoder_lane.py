"""One decoder process and its single request under way: hang time-out, retry, restart."""

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.workers.payloads import DecodedImage, ImageFile
from app.workers.process import WorkerProcess
from app.workers.wire import Message

_TRIES = 2
_CURE = "replace it with an intact copy, or check the drive that it lies on"


class DecoderLane(QObject):
    """Reads one image at a time in a child process, which is started when first needed.

    Signals:
        decoded(ImageFile, int size, DecodedImage): size as asked.
        refused(ImageFile, int size, str): the text names the file, what is wrong and the cure.
        troubled(ImageFile, int size, str): it could not be read now, for no fault of the file: memory is short, or the
            process cannot be started.
        idle(): ready for the next one; after each of the above.
    """

    decoded = Signal(object, int, object)
    refused = Signal(object, int, str)
    troubled = Signal(object, int, str)
    idle = Signal()

    def __init__(self, hang_seconds: float, parent: QObject | None = None) -> None:
        """hang_seconds: a file that takes longer is given up and its process is killed."""
        super().__init__(parent)
        self._hang_seconds = hang_seconds
        self._current: tuple[ImageFile, int] | None = None
        self._tries = 0
        self._hung = False
        self._request = 0
        self._process = WorkerProcess("app.workers.decoder_process", "image reader", None, self)
        self._process.message.connect(self._receive)
        self._process.died.connect(self._died)
        self._process.gave_up.connect(self._cannot_start)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._give_up_file)

    @property
    def current(self) -> tuple[ImageFile, int] | None:
        """What is being read now, and at which size; None when idle."""
        return self._current

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._process.pid

    def read(self, image: ImageFile, size: int) -> None:
        """Starts to read; only when idle. size: longest side in pixels, 0 = all pixels."""
        self._current = (image, size)
        self._tries = 0
        self._send()

    def close(self) -> None:
        """Ends the process; no signal follows."""
        self._timer.stop()
        self._current = None
        self._process.close()

    def _send(self) -> None:
        if self._current is None:
            return
        image, size = self._current
        self._tries += 1
        self._request += 1
        self._hung = False
        self._timer.start(round(self._hang_seconds * 1000))
        if not self._process.running:
            self._process.start()
        self._process.send({"request": self._request, "size": size} | image.to_message())

    @Slot(object)
    def _receive(self, message: Message) -> None:
        if self._current is None or message["request"] != self._request:
            return
        image, size = self._end()
        if message["type"] == "decoded":
            notes = tuple(message["notes"])
            result = DecodedImage(message["pixels"], message["width"], message["height"], notes)
            self.decoded.emit(image, size, result)
        elif message["type"] == "trouble":
            self.troubled.emit(image, size, message["text"])
        else:
            self.refused.emit(image, size, message["text"])
        self.idle.emit()

    @Slot()
    def _give_up_file(self) -> None:
        self._hung = True
        self._process.kill("it hung")

    @Slot(str)
    def _died(self, text: str) -> None:
        if self._current is None:
            return
        if not self._hung and self._tries < _TRIES:
            self._send()  # it may have been killed for no fault of the file
            return
        image, _ = self._current
        if self._hung:
            self._refuse(f"{image.name}: reading it took more than {self._hang_seconds:g} s; {_CURE}")
        else:
            self._refuse(f"{image.name}: cannot be read ({text.removesuffix('.')}, twice); {_CURE}")

    @Slot(str)
    def _cannot_start(self, text: str) -> None:
        if self._current:
            QTimer.singleShot(0, self, lambda: self._say_trouble(text))

    def _say_trouble(self, text: str) -> None:
        if self._current:
            image, size = self._end()
            self.troubled.emit(image, size, f"{image.name}: {text}")
            self.idle.emit()

    def _refuse(self, text: str) -> None:
        if self._current:
            image, size = self._end()
            self.refused.emit(image, size, text)
            self.idle.emit()

    def _end(self) -> tuple[ImageFile, int]:
        assert self._current is not None
        ended, self._current = self._current, None
        self._timer.stop()
        return ended
