"""Which model answers, and the library of those that could."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices

from app.controllers.asker import Asker
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.storage.settings import Settings
from app.workers.engine_client import EngineClient
from app.workers.library_client import LibraryClient, ModelEntry, in_megabytes
from app.workers.payloads import EngineInfo

_FILES = "Models (*.safetensors *.pth *.pt)"
_COCO = "coco"
_OFFERED = "coco_offered"
_GPUS = ("cuda", "mps")
_LOADING, _REFUSED, _LIBRARY = "model", "model refused", "model library"
"""Topics. A refusal stays when a model is ready: that is another one."""


class Models(QObject):
    """The model in use, the models that could be, and what becomes of them."""

    asked = Signal()
    """The library's dialog shall open."""
    listed = Signal(object)
    """tuple of ModelEntry: the library, read anew."""
    answering = Signal(object)
    """Path | None: this model answers now; None is the bundled one."""
    in_use_changed = Signal(str)
    """Hash of the model that answers."""
    said = Signal(str)
    """A sentence for the dialog; "" takes it away."""
    download_progress = Signal(str, int, int)
    """Name, bytes that are here, all bytes (0: not known)."""
    download_ended = Signal(str)
    progress = Signal(str, int, int)
    """The download for the status bar: what, how far, of how much."""
    ended = Signal()

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        library: LibraryClient,
        messages: Messages,
        settings: Settings,
        asker: Asker,
    ) -> None:
        super().__init__(session)
        self._session, self._engine, self._library = session, engine, library
        self._messages, self._settings, self._asker = messages, settings, asker
        self.model_path: Path | None = None
        self.known: tuple[ModelEntry, ...] = ()
        """As the library was read last."""
        self.arrived = (0, 0)
        """Of the download that is under way: bytes that are here, all bytes (0: not known)."""
        self.shown = False
        """Whether the dialog is open: it says then what there is to say."""
        self._offering = False
        self._chosen = False
        session.opened.connect(self._remember_name)
        engine.ready.connect(self._ready)
        engine.refused.connect(self._refused)
        library.listed.connect(self._read)
        library.progress.connect(self._show_progress)
        library.downloaded.connect(self._downloaded)
        library.download_ended.connect(self._download_ended)
        library.added.connect(lambda _: library.refresh())
        library.removed.connect(lambda _: library.refresh())
        library.failed.connect(lambda text: self._tell(text, "error"))

    # The model in use

    def start_engine(self) -> None:
        """Starts the engine with the model that was used last; when its file is gone it says so."""
        stored = self._settings.value("model", "")
        self.model_path = Path(stored) if stored and Path(stored).is_file() else None
        if stored and self.model_path is None:
            cure = "Put it back and start again, or choose another; until then the bundled model answers."
            text = f"{stored}: the file of the model that was used last is gone. {cure}"
            self._messages.post(text, "warning", topic=_REFUSED, of_window=True)
        self._engine.start(str(self.model_path) if self.model_path else None)

    @property
    def in_use(self) -> str:
        """Hash of the model that answers; "" while none does."""
        return self._engine.info.hash if self._engine.info is not None else ""

    @property
    def name_in_use(self) -> str:
        """What the library calls the model that answers, else what its file says."""
        info = self._engine.info
        if info is None:
            return self.model_path.stem if self.model_path else "the bundled model"
        return next((entry.title for entry in self.known if entry.hash == info.hash), info.name)

    def ask_model(self) -> None:
        if path := self._asker.file("Use a model", _FILES):
            self.use(path)

    def use(self, path: Path) -> None:
        """Lets a model file answer from now on; the running one stays until it does."""
        self._load(path)

    def use_bundled(self) -> None:
        self._load(None)

    def use_entry(self, entry: ModelEntry) -> None:
        """Lets a model of the library answer from now on."""
        self._load(None if entry.kind == "bundled" else entry.path)

    def _load(self, path: Path | None) -> None:
        self._chosen = True
        self._engine.load(str(path) if path else None)
        name = path.name if path else "the bundled model"
        self._messages.settle(_REFUSED)
        self._messages.settle(_LIBRARY)
        self._messages.post(f"Loading {name}…", "info", topic=_LOADING)
        self.said.emit(f"Loading {name}…")

    def _ready(self, info: EngineInfo) -> None:
        self._messages.settle(_LOADING)
        self.said.emit("")
        path = Path(info.model) if info.model else None
        if path != self.model_path or self._chosen:
            self.model_path, self._chosen = path, False
            self._settings.set_value("model", str(path or ""))
        self.in_use_changed.emit(info.hash)
        self.answering.emit(path)
        self._remember_name()
        self.offer_download_once(info.device)

    def _remember_name(self) -> None:
        """Lets the project know what the answering model is called: its labels only have the hash."""
        info = self._engine.info
        if info is not None and self._session.is_open and not self._session.read_only:
            # Failing is no news: it is remembered again the next time.
            self._session.store.submit(
                lambda project: project.add_model(info.hash, info.name), failed=lambda error: None
            )

    def _refused(self, model: str, reason: str) -> None:
        text = f"{model or 'The bundled model'} cannot be used: {reason}"
        self._messages.settle(_LOADING)
        self._messages.post(text, "error", topic=_REFUSED, of_window=True)
        self.said.emit(text)

    # The library

    def show(self) -> None:
        """Opens the library, read anew."""
        self.asked.emit()
        self._library.refresh()

    def refresh(self) -> None:
        self._library.refresh()

    @property
    def downloading(self) -> str:
        """Name of the model that is on its way here; "" when none is."""
        return self._library.downloading

    def download(self, name: str) -> None:
        """Brings a model here, or the rest of it."""
        if self._library.downloading:
            self._tell("A model is being downloaded already: wait for it, or cancel it.", "info")
            return
        self.said.emit("")
        self._library.download(name)
        self.arrived = (0, 0)
        self.download_progress.emit(name, 0, 0)

    def cancel(self) -> None:
        self._library.cancel()

    def ask_file(self) -> None:
        """Asks for a model file and adds it to the library, where it is."""
        if path := self._asker.file("Add a model", _FILES):
            self.said.emit("")
            self._library.add(path)

    def add_fine_tuned(self, path: Path, title: str) -> None:
        """Lets the library know a model that was made here."""
        self._library.add(path, title, fine_tuned=True)

    def remove(self, name: str) -> None:
        """Deletes a download, or forgets a file."""
        self.said.emit("")
        self._library.remove(name)

    def show_in_folder(self, path: Path) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent))):
            self._tell(f"No program here opens folders. The file is {path}", "info")

    def close(self) -> None:
        self._library.close()

    def offer_download_once(self, device: str) -> None:
        """Offers the larger model to whom it would be fast, unless it is here or was offered before."""
        if device.startswith(_GPUS) and not self._settings.value(_OFFERED, False):
            self._offering = True
            self._library.refresh()

    def _read(self, entries: tuple[ModelEntry, ...]) -> None:
        self.known = entries
        self.listed.emit(entries)
        coco = next((entry for entry in entries if entry.name == _COCO), None)
        if self._offering and coco is not None:
            self._offering = False
            if coco.path is None:
                self._offer(coco)

    def _offer(self, coco: ModelEntry) -> None:
        self._settings.set_value(_OFFERED, True)
        figure = coco.figures.get("keypoint_ap")
        judged = f" (joints AP {figure:.3f} on {coco.figures_on})" if figure else ""
        text = f"This computer has a GPU, so that a larger model than the bundled one is practical{judged}."
        download = f"Download {coco.title} ({in_megabytes(coco.size or 0)})…"
        choices = [(download, self._take_offer), ("Not now", _nothing)]
        self._messages.post(text, "info", choices, _LIBRARY, of_window=True)

    def _take_offer(self) -> None:
        self.show()
        self.download(_COCO)

    def _show_progress(self, name: str, done: int, total: int) -> None:
        self.arrived = (done, total)
        self.download_progress.emit(name, done, total)
        title = next((entry.title for entry in self.known if entry.name == name), name)
        self.progress.emit(f"Downloading {title}, MB", done >> 20, total >> 20)

    def _downloaded(self, entry: ModelEntry) -> None:
        choices = [("Use it", lambda: self.use_entry(entry))] if entry.usable else []
        self._tell(f"{entry.title} is here.", "success", choices)

    def _download_ended(self, name: str) -> None:
        self.download_ended.emit(name)
        self.ended.emit()
        self._library.refresh()

    def _tell(self, text: str, level: str, choices: Sequence[tuple[str, Callable[[], None]]] = ()) -> None:
        """Where it is seen: in the dialog while that is open, else over the photo."""
        if self.shown:
            self.said.emit(text)
        else:
            self._messages.post(text, level, choices, topic=_LIBRARY, of_window=True)


def _nothing() -> None:
    """An answer that changes nothing."""
