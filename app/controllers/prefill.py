"""Letting the model find people: on this image, on opening, on everything that is left."""

from collections.abc import Collection, Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from app.controllers.messages import Messages
from app.controllers.prefill_troubles import Troubles
from app.controllers.session import Session
from app.document.records import ImageState
from app.panels.image_model import ImageListModel
from app.storage.project import OpenedImage
from app.storage.settings import Settings
from app.workers.engine_client import CANCELLED, COMPLETED, EngineClient
from app.workers.payloads import EngineInfo, PrefillResult

_AHEAD = 10
"""So many images of the list are pre-filled before the annotator comes to them."""
_NOT_DONE = "prefill not done"
"""Topic of why the model has not found people on the current image."""
_NO_MODEL = "prefill without a model"
_OTHERS_SHOWN = (
    "The model has looked at this image. Another model's predictions are shown: Predict, Predictions of changes that."
)
_SETTLE_MS = 150
"""Images passed faster than this are not pre-filled."""


class Prefill(QObject):
    """Predictions go to the file first, then on screen; labels are never touched, the selection never moves."""

    progress = Signal(int, int, float)
    """Of the big batch: done, total, seconds left (negative: unknown)."""
    ended = Signal()
    """The big batch is over."""
    stored = Signal(int)
    """An image's predictions are in the file, and on screen if it is open."""
    changed = Signal()
    """A batch began or ended, or the automatic switch changed."""

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        model: ImageListModel,
        messages: Messages,
        settings: Settings,
        automatic: bool = True,
    ) -> None:
        super().__init__(session)
        self._session, self._engine, self._model = session, engine, model
        self._messages, self._settings = messages, settings
        self.automatic = automatic and settings.value("prefill_on_opening", True)
        self._all: int | None = None
        self._single: dict[int, int] = {}
        self._until_left: set[int] = set()  # batches of one image that are dropped when another image is opened
        self._on_the_way: set[int] = set()  # images whose predictions are being written: nobody asks for them again
        self._troubles = Troubles()
        self._selected: tuple[int, ...] = ()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._look_at_current)
        session.image_loaded.connect(lambda _: self._settle.start())
        session.selection.image_changed.connect(self._drop_automatic)
        session.closed.connect(self.cancel)
        session.closed.connect(self._troubles.forget)
        session.closed.connect(self._on_the_way.clear)
        engine.ready.connect(self._ready)
        engine.image_done.connect(self._done)
        engine.image_failed.connect(self._failed)
        engine.image_set_aside.connect(self._image_set_aside)
        engine.image_troubled.connect(self._troubled)
        engine.progress.connect(self._progress)
        engine.batch_finished.connect(self._batch_finished)

    @property
    def running(self) -> bool:
        """Whether the big batch runs."""
        return self._all is not None

    @property
    def awaited(self) -> bool:
        """Whether the model is about to say who is on the current image."""
        key = self._session.selection.current_image
        return key in self._single.values() or (self._settle.isActive() and self._wants_prefill(key))

    def toggle_automatic(self) -> None:
        self.automatic = not self.automatic
        self._settings.set_value("prefill_on_opening", self.automatic)
        self.changed.emit()

    def this_image(self) -> None:
        """Pre-fills the current image before everything else."""
        if self._session.selection.current_image not in self._single.values():
            self._ask_for_current("The model looks for people…", harder=False)

    def look_harder(self) -> None:
        """Pre-fills the current image once more, with test-time augmentation: in several sizes, and mirrored."""
        for batch in [one for one, key in self._single.items() if key == self._session.selection.current_image]:
            self._drop(batch)
        self._ask_for_current("The model looks in several sizes and at the mirror image: a moment…", harder=True)

    def _ask_for_current(self, text: str, harder: bool) -> None:
        key = self._session.selection.current_image
        if key is None or self._session.read_only:
            return
        if reason := self._troubles.set_aside(key):
            self._messages.post(reason, "warning", topic=_NOT_DONE)
        else:
            self._messages.settle(_NOT_DONE)
            batch = self._engine.prefill([self._session.image_file(key)], urgent=True, harder=harder)
            self._single[batch] = key
            if harder:
                self._until_left.add(batch)  # it takes long: whoever goes on to another image does not wait for it
            self._messages.post(text, "info", topic="prefill")

    def all_unfinished(self) -> None:
        """Pre-fills every image on which nobody has begun to work and this model has not, in the background."""
        if self._says_running() or not self._session.is_open:
            return
        if self._session.read_only:
            self._messages.post("The project is open for reading only: nothing can be pre-filled.", "info")
            return
        if self._engine.info is None:
            # Nobody knows which images the model has looked at that comes: all of them would be pre-filled again.
            text = "The model is not ready yet: try again as soon as the status bar names it."
            self._messages.post(text, "info", topic=_NO_MODEL)
            return
        # Of the file, not of the list: that says which look is shown of an image, not who else has looked at it.
        model = self._engine.info.hash
        self._session.store.submit(
            lambda project: project.seen_by(model),
            self._begin_unseen,
            lambda error: self._messages.post(f"The pre-fill did not begin: {error}", "error"),
        )

    def _begin_unseen(self, seen: Collection[int]) -> None:
        if not self._says_running():
            untouched = (ImageState.UNSEEN, ImageState.PREDICTED)
            keys = [row.key for row in self._model.records() if row.state in untouched and row.key not in seen]
            self._begin(keys, "Every image is finished, in work, or pre-filled by this model: nothing to pre-fill.")

    def _says_running(self) -> bool:
        if self._all is not None:
            self._messages.post("A pre-fill is running already.", "info")
        return self._all is not None

    @property
    def has_selected(self) -> bool:
        """Whether more than the current image is selected in the list."""
        return len(self._selected) > 1

    def set_selected(self, keys: Sequence[int]) -> None:
        """Says which images are selected in the list."""
        self._selected = tuple(keys)
        self.changed.emit()

    def selected(self) -> None:
        """Pre-fills the images selected in the list, in the background, whatever their state."""
        if not self._says_running():
            self._begin(self._selected, "The selected images cannot be read: nothing to pre-fill.")

    def _begin(self, keys: Sequence[int], nothing: str) -> None:
        sound = [key for key in keys if self._model.damage(key) is None]
        keys = [key for key in sound if not self._troubles.set_aside(key)]
        if not keys:
            aside = next((self._troubles.set_aside(key) for key in sound), "")
            self._messages.post(aside or nothing, "warning" if aside else "info")
            return
        # Those that the engine failed on come last: they must not keep it from the others again.
        keys.sort(key=self._troubles.is_passing)
        self._troubles.begin(sound)
        self._all = self._engine.prefill(self._session.image_files(keys))
        self.progress.emit(0, len(keys), -1.0)
        self.changed.emit()

    def pause(self, paused: bool) -> None:
        if self._all is not None:
            (self._engine.pause if paused else self._engine.resume)(self._all)

    def cancel(self) -> None:
        """Ends all batches; what is done stays. The engine may take a moment longer to stop."""
        for batch in list(self._single):
            self._drop(batch)
            self._messages.settle("prefill")
        if self._all is not None:
            batch, self._all = self._all, None
            self._engine.cancel(batch)
            self.ended.emit()
            self._report(CANCELLED)
        self.changed.emit()

    def _look_at_current(self) -> None:
        key = self._session.selection.current_image
        record = self._session.record(key) if key is not None else None
        if key is None or record is None or self._session.read_only or self._model.damage(key) is not None:
            return
        if (reason := self._troubles.set_aside(key)) and self._wants_prefill(key):
            self._messages.post(reason, "warning", topic=_NOT_DONE)
        elif self._wants_prefill(key):
            if key not in self._single.values():
                batch = self._engine.prefill([self._session.image_file(key)], urgent=True)
                self._single[batch] = key
                self._until_left.add(batch)
        else:
            self._engine.encode_ahead(self._session.image_file(key))
            self._look_ahead()

    def _wants_prefill(self, key: int | None) -> bool:
        record = self._session.record(key) if key is not None else None
        if record is None or not self.automatic:
            return False
        return record.state is ImageState.UNSEEN and not (record.people or record.predictions or record.model)

    def _look_ahead(self) -> None:
        """Pre-fills the images that come next, one after the other, while nobody needs the engine otherwise."""
        row = self._model.row_of(self._session.selection.current_image)
        if row is None or self._all is not None or self._single or not self.automatic or self._session.read_only:
            return
        for key in self._model.keys[row + 1 : row + 1 + _AHEAD]:
            record = self._model.record(key)
            fresh = record is not None and record.state is ImageState.UNSEEN and not (record.people or record.model)
            # Nor one that the engine failed on: this would ask for it for ever.
            barred = key in self._on_the_way or self._troubles.set_aside(key) or self._troubles.is_passing(key)
            if fresh and self._model.damage(key) is None and not barred:
                batch = self._engine.prefill([self._session.image_file(key)])
                self._single[batch] = key
                self._until_left.add(batch)
                return

    def _drop_automatic(self, current: int | None) -> None:
        """Nobody waits for the other images' people any more: the engine is needed for this one's."""
        self._messages.settle(_NOT_DONE)
        for batch in list(self._until_left):
            if self._single.get(batch) != current:
                self._drop(batch)

    def _drop(self, batch: int) -> None:
        """Cancels a single image and forgets it at once: the image may be asked for again before the engine stops."""
        self._until_left.discard(batch)
        self._single.pop(batch, None)
        self._engine.cancel(batch)

    def _ready(self, info: EngineInfo) -> None:
        self._session.set_tau(info.hash, info.tau)
        self._troubles.model_ready(info.hash)
        self._messages.settle(_NO_MODEL)

    def _done(self, batch: int, key: int, result: PrefillResult) -> None:
        if not self._session.is_open or not self._is_mine(batch):
            return
        self._troubles.note_done(key)
        found, tau = result.predictions(1), self._session.tau_of(result.model_hash)

        def stored(image: OpenedImage) -> None:
            self._on_the_way.discard(key)
            record, _, mine = image
            document, shown = self._session.document, self._session.shown_model
            info = self._engine.info
            self._session.note_look(result.model_hash, info.name if info and info.hash == result.model_hash else "")
            if document.is_open(key):
                document.set_predictions(key, mine, result.model_hash)
                document.update_record(record)
            else:
                self._model.update_record(record.showing(shown))
            if key == self._session.selection.current_image:
                self._messages.settle("prefill")
                self._messages.settle(_NOT_DONE)
                if record.showing(shown).model != result.model_hash:
                    self._messages.post(_OTHERS_SHOWN, "info", topic="prefill")
            self.stored.emit(key)

        def failed(error: Exception) -> None:
            self._on_the_way.discard(key)
            self._messages.post(f"The predictions are not saved: {error}", "error")

        self._on_the_way.add(key)
        self._session.store.submit(
            lambda project: project.store_predictions(
                key, result.model_hash, found, result.width, result.height, tau, result.summary
            ),
            stored,
            failed,
        )

    def _failed(self, batch: int, key: int, text: str) -> None:
        if not self._is_mine(batch):
            return
        self._model.set_damaged(key, text)
        if batch == self._all:
            self._troubles.note_damaged(text)
        self._say_of_single(batch, key, text, "photo")

    def _image_set_aside(self, batch: int, key: int, text: str) -> None:
        if self._is_mine(batch):
            self._troubles.note_set_aside(key, text)
            self._say_of_single(batch, key, text)

    def _troubled(self, batch: int, key: int, text: str, again: bool) -> None:
        if not self._is_mine(batch):
            return
        self._troubles.note_passing(key, text)
        if batch == self._all:
            if self._troubles.note_still_to_do(key, text):
                self._messages.post(f"{text} The others go on; it is tried again.", "warning", topic="prefill-trouble")
        elif not again:
            self._say_of_single(batch, key, text)

    def _say_of_single(self, batch: int, key: int, text: str, topic: str = _NOT_DONE) -> None:
        """That an image which was asked for by itself got nothing; nobody waits for those ahead."""
        if batch in self._single:
            if key == self._session.selection.current_image:
                self._messages.settle("prefill")
                self._messages.post(text, "error", topic=topic)
            self.stored.emit(key)

    def _is_mine(self, batch: int) -> bool:
        """Whether it is a batch of the open project."""
        return batch in self._single or batch == self._all

    def _progress(self, batch: int, done: int, total: int, seconds_left: float) -> None:
        if batch == self._all:
            self.progress.emit(done, total, seconds_left)

    def _batch_finished(self, batch: int, status: str) -> None:
        self._until_left.discard(batch)
        if self._single.pop(batch, None) is not None:
            if status == COMPLETED:
                self._look_ahead()
            if status not in (COMPLETED, CANCELLED):
                text = "The model is not available: the pre-fill did not happen."
                self._messages.settle("prefill")
                self._messages.post(text, "error", topic=_NO_MODEL)
        elif batch == self._all:
            self._all = None
            self.ended.emit()
            self._report(status)
        self.changed.emit()

    def _report(self, status: str) -> None:
        self._messages.settle("prefill-trouble")
        self._messages.post(*self._troubles.report(status))
