"""Pixels for the canvas and thumbnails for the list."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal, SignalInstance
from PySide6.QtGui import QImage

from app.canvas.scene import PoseScene
from app.controllers.messages import Messages
from app.controllers.navigation import Navigation
from app.controllers.session import Session
from app.panels.image_model import ImageListModel
from app.workers.decoder_client import ImageLoader
from app.workers.payloads import DecodedImage, ImageFile

_THUMBNAIL = 160
"""Longest side in device pixels: twice the list's frame, for high-DPI screens."""
_AHEAD = (1, 2, -1)
_AT_ONCE_BYTES = 3 * 16_000_000
"""Larger photos take more than some 30 ms to become pictures: a thread does it, and the window goes on."""


class _Conversion(QRunnable):
    def __init__(self, done: SignalInstance, image: ImageFile, decoded: DecodedImage) -> None:
        super().__init__()
        self._done, self._image, self._decoded = done, image, decoded

    def run(self) -> None:
        with suppress(RuntimeError):  # the window was closed meanwhile, and the signal's owner with it
            self._done.emit(self._image, self._decoded, self._decoded.to_qimage())


class Photos(QObject):
    """Asks the decoder, and shows what comes or what is wrong."""

    shown = Signal(int)
    """The pixels of the current image are on the canvas."""
    damaged = Signal(int, str)
    _converted = Signal(object, object, object)

    def __init__(
        self,
        session: Session,
        loader: ImageLoader,
        scene: PoseScene,
        model: ImageListModel,
        navigation: Navigation,
        messages: Messages,
    ) -> None:
        super().__init__(session)
        self._session, self._loader, self._scene = session, loader, scene
        self._model, self._navigation, self._messages = model, navigation, messages
        session.selection.image_changed.connect(self._image_changed)
        session.image_loaded.connect(self._request)
        session.closed.connect(loader.cancel_thumbnails)
        session.image_failed.connect(lambda _, text: messages.post(text, "error"))
        loader.loaded.connect(self._loaded)
        loader.failed.connect(self._failed)
        loader.troubled.connect(self._troubled)
        loader.thumbnail_loaded.connect(self._thumbnail)
        loader.thumbnail_failed.connect(self._thumbnail_failed)
        self._converted.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def want_thumbnails(self, keys: Sequence[int]) -> None:
        """Asks for the thumbnails of these images, the first of them first."""
        self._loader.cancel_thumbnails()
        for key in reversed(keys):
            self._loader.request_thumbnail(self._session.image_file(key), _THUMBNAIL)

    def _image_changed(self, key: int | None) -> None:
        self._messages.settle("photo")
        if key is None:
            self._scene.clear_photo()

    def _request(self, key: int) -> None:
        file = self._session.image_file(key)
        if self._loader.cached(file) is None:
            record = self._session.record(key)
            self._scene.clear_photo(*((record.width, record.height) if record else (0, 0)))
        self._loader.request(file)
        around = [self._navigation.neighbour(step) for step in _AHEAD]
        self._loader.prefetch(self._session.image_file(near) for near in around if near is not None)

    def _is_current(self, image: ImageFile) -> bool:
        """Whether an answer is about what is to be shown now: an earlier project has images of the same keys."""
        key = self._session.selection.current_image
        return key == image.key and self._session.knows(image)

    def _loaded(self, image: ImageFile, decoded: DecodedImage) -> None:
        if not self._is_current(image):
            return
        if decoded.pixels.size <= _AT_ONCE_BYTES:
            self._show(image, decoded, decoded.to_qimage())
        else:
            self._scene.clear_photo(decoded.width, decoded.height)
            QThreadPool.globalInstance().start(_Conversion(self._converted, image, decoded))

    def _show(self, image: ImageFile, decoded: DecodedImage, picture: QImage) -> None:
        if not self._is_current(image):
            return
        self._scene.set_photo(picture)
        if decoded.notes:
            self._messages.post("; ".join(decoded.notes), "info", topic="photo")
        self._keep_size(image.key, decoded)
        self.shown.emit(image.key)

    def _keep_size(self, key: int, decoded: DecodedImage) -> None:
        record = self._session.record(key)
        size = (decoded.width, decoded.height)
        if record is None or (record.width, record.height) == size:
            return
        if record.width and record.height:
            text = (
                f"{record.path} has {size[0]} x {size[1]} pixels, its labels were made for {record.width} x "
                f"{record.height}. Check whether it is the right file."
            )
            self._messages.post(text, "warning", topic="photo")
        elif not self._session.read_only:
            # Failing is no news: it is measured again the next time.
            self._session.store.submit(
                lambda project: project.update_image_size(key, *size),
                self._session.document.update_record,
                lambda error: None,
            )

    def _failed(self, image: ImageFile, text: str) -> None:
        if not self._session.knows(image):
            return
        self._mark_damaged(image.key, text)
        if self._is_current(image):
            self._scene.clear_photo()
            # Where the whole folder is gone, the message about the folder has the cure.
            if image.root is None or Path(image.root).is_dir():
                self._messages.post(text, "error", topic="photo")

    def _troubled(self, image: ImageFile, text: str) -> None:
        """The reader could not read it now: nothing is wrong with the file."""
        if self._is_current(image):
            self._scene.clear_photo()
            self._messages.post(text, "error", topic="photo")

    def _thumbnail(self, image: ImageFile, decoded: DecodedImage) -> None:
        if self._session.knows(image):
            self._model.set_thumbnail(image.key, decoded.to_qimage())

    def _thumbnail_failed(self, image: ImageFile, text: str) -> None:
        if self._session.knows(image):
            self._mark_damaged(image.key, text)

    def _mark_damaged(self, key: int, text: str) -> None:
        if self._model.damage(key) is None:
            self._model.set_damaged(key, text)
            self.damaged.emit(key, text)
