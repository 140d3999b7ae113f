"""Pixels and thumbnails for the window, read in two child processes: a hostile file kills only those."""

from collections import OrderedDict
from collections.abc import Iterable

from PySide6.QtCore import QObject, QTimer, Signal, SignalInstance, Slot

from app.workers.decoder_lane import DecoderLane
from app.workers.payloads import DecodedImage, ImageFile

HANG_SECONDS = 20.0
"""A file that takes longer to read is reported as damaged."""
CACHE_BYTES = 512 << 20
THUMBNAIL_CACHE_BYTES = 64 << 20
MOST_THUMBNAILS_WAITING = 500
"""Older thumbnail requests beyond this number are dropped: scrolled out of sight long ago."""


class PixelCache:
    """Decoded images, the least recently used dropped beyond a number of bytes. The newest is always kept."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._entries: OrderedDict[tuple[ImageFile, int], DecodedImage] = OrderedDict()

    def get(self, image: ImageFile, size: int) -> DecodedImage | None:
        found = self._entries.get((image, size))
        if found:
            self._entries.move_to_end((image, size))
        return found

    def put(self, image: ImageFile, size: int, pixels: DecodedImage) -> None:
        self.drop(image, size)
        self._entries[image, size] = pixels
        self.nbytes += pixels.nbytes
        while self.nbytes > self.max_bytes and len(self._entries) > 1:
            self.drop(*next(iter(self._entries)))

    def drop(self, image: ImageFile, size: int) -> None:
        gone = self._entries.pop((image, size), None)
        self.nbytes -= gone.nbytes if gone else 0


class ImageLoader(QObject):
    """Reads image files for the screen, without ever blocking the window.

    All signals come later than the call that caused them, in this object's thread, and are given once a
    request.

    Signals:
        loaded(ImageFile, DecodedImage): the newest `request`. The file and not its key: another project has the same.
        failed(ImageFile, str): the text names the file, what is wrong with it and the cure.
        troubled(ImageFile, str): it could not be read now, for no fault of the file; it may be asked for again.
        thumbnail_loaded(ImageFile, DecodedImage)
        thumbnail_failed(ImageFile, str)
    """

    loaded = Signal(object, object)
    failed = Signal(object, str)
    troubled = Signal(object, str)
    thumbnail_loaded = Signal(object, object)
    thumbnail_failed = Signal(object, str)

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        hang_seconds: float = HANG_SECONDS,
        cache_bytes: int = CACHE_BYTES,
        thumbnail_cache_bytes: int = THUMBNAIL_CACHE_BYTES,
    ) -> None:
        """hang_seconds: time-out for one file. The caches are bounded in bytes of pixels."""
        super().__init__(parent)
        self._cache = PixelCache(cache_bytes)
        self._thumbnails = PixelCache(thumbnail_cache_bytes)
        self._wanted: ImageFile | None = None
        self._prefetch: list[ImageFile] = []
        self._thumbnails_waiting: OrderedDict[tuple[ImageFile, int], None] = OrderedDict()
        self._image_lane = DecoderLane(hang_seconds, self)
        self._image_lane.decoded.connect(self._image_decoded)
        self._image_lane.refused.connect(lambda image, _, text: self._image_missing(image, text, self.failed))
        self._image_lane.troubled.connect(lambda image, _, text: self._image_missing(image, text, self.troubled))
        self._image_lane.idle.connect(self._next_image)
        self._thumbnail_lane = DecoderLane(hang_seconds, self)
        self._thumbnail_lane.decoded.connect(self._thumbnail_decoded)
        self._thumbnail_lane.refused.connect(self._thumbnail_refused)
        self._thumbnail_lane.idle.connect(self._next_thumbnail)

    # -- whole images

    def request(self, image: ImageFile) -> None:
        """Asks for all pixels of the image to show; `loaded`, `failed` or `troubled` follows.

        A request that is not answered yet is superseded: no signal follows for it.
        """
        self._wanted = image
        QTimer.singleShot(0, self, self._next_image)

    def prefetch(self, images: Iterable[ImageFile]) -> None:
        """Reads these into the cache, first ones first, while nothing is requested; replaces the earlier list.

        No signals follow; a damaged file is reported when it is requested.
        """
        self._prefetch = list(images)
        QTimer.singleShot(0, self, self._next_image)

    def cached(self, image: ImageFile) -> DecodedImage | None:
        """The pixels, if they are there already."""
        return self._cache.get(image, 0)

    # -- thumbnails

    def request_thumbnail(self, image: ImageFile, size: int) -> None:
        """Asks for a small version, longest side `size` pixels (never enlarged). The newest request is served first."""
        self._thumbnails_waiting[image, size] = None
        self._thumbnails_waiting.move_to_end((image, size))
        while len(self._thumbnails_waiting) > MOST_THUMBNAILS_WAITING:
            self._thumbnails_waiting.popitem(last=False)
        QTimer.singleShot(0, self, self._next_thumbnail)

    def cancel_thumbnails(self) -> None:
        """Drops all thumbnail requests that are not under way; no signals follow for them."""
        self._thumbnails_waiting.clear()

    # -- the end

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the running decoders."""
        return tuple(lane.pid for lane in (self._image_lane, self._thumbnail_lane) if lane.pid is not None)

    def close(self) -> None:
        """Ends the processes; no signal follows."""
        self._wanted = None
        self._prefetch.clear()
        self._thumbnails_waiting.clear()
        self._image_lane.close()
        self._thumbnail_lane.close()

    # -- the image lane

    @Slot()
    def _next_image(self) -> None:
        if self._wanted and (found := self._cache.get(self._wanted, 0)):
            image, self._wanted = self._wanted, None
            self.loaded.emit(image, found)
        if self._image_lane.current is not None:
            return
        if self._wanted:
            self._image_lane.read(self._wanted, 0)
            return
        while self._prefetch:
            image = self._prefetch.pop(0)
            if self._cache.get(image, 0) is None:
                self._image_lane.read(image, 0)
                return

    @Slot(object, int, object)
    def _image_decoded(self, image: ImageFile, size: int, pixels: DecodedImage) -> None:
        self._cache.put(image, size, pixels)
        if image == self._wanted:
            self._wanted = None
            self.loaded.emit(image, pixels)

    def _image_missing(self, image: ImageFile, text: str, signal: SignalInstance) -> None:
        if image == self._wanted:
            self._wanted = None
            signal.emit(image, text)

    # -- the thumbnail lane

    @Slot()
    def _next_thumbnail(self) -> None:
        while self._thumbnails_waiting and self._thumbnail_lane.current is None:
            (image, size), _ = self._thumbnails_waiting.popitem()
            if found := self._thumbnails.get(image, size):
                self.thumbnail_loaded.emit(image, found)
            else:
                self._thumbnail_lane.read(image, size)

    @Slot(object, int, object)
    def _thumbnail_decoded(self, image: ImageFile, size: int, pixels: DecodedImage) -> None:
        self._thumbnails.put(image, size, pixels)
        self.thumbnail_loaded.emit(image, pixels)

    @Slot(object, int, str)
    def _thumbnail_refused(self, image: ImageFile, _size: int, text: str) -> None:
        self.thumbnail_failed.emit(image, text)
