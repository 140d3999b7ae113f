"""Questions for places, asked with the platform's own dialogs; what follows from the answer is decided elsewhere."""

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from app.storage.settings import Settings

_LAST = "last_folder"


class FileAsker:
    """Asks over a window, and starts where the last answer was. Every method returns None or [] for "Cancel"."""

    def __init__(self, parent: QWidget, settings: Settings) -> None:
        self._parent, self._settings = parent, settings

    def folder(self, title: str) -> Path | None:
        chosen = QFileDialog.getExistingDirectory(self._parent, title, self._start())
        return self._remember(chosen, Path(chosen)) if chosen else None

    def files(self, title: str, kinds: str) -> list[Path]:
        chosen, _ = QFileDialog.getOpenFileNames(self._parent, title, self._start(), kinds)
        return [self._remember(name, Path(name).parent) for name in chosen]

    def file(self, title: str, kinds: str) -> Path | None:
        chosen, _ = QFileDialog.getOpenFileName(self._parent, title, self._start(), kinds)
        return self._remember(chosen, Path(chosen).parent) if chosen else None

    def save(self, title: str, start: Path, kinds: str) -> Path | None:
        """Asks where to write; the platform's dialog has asked about replacing an existing file."""
        chosen, _ = QFileDialog.getSaveFileName(self._parent, title, str(start), kinds)
        return Path(chosen) if chosen else None

    def _start(self) -> str:
        return self._settings.value(_LAST, str(Path.home()))

    def _remember(self, chosen: str, folder: Path) -> Path:
        self._settings.set_value(_LAST, str(folder))
        return Path(chosen)
