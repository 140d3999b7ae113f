"""What the program remembers between sessions, outside of projects."""

from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QByteArray, QSettings

T = TypeVar("T", bool, int, float, str)

RECENT_COUNT = 10


class Settings:
    """Typed access to QSettings; a value of another type than asked for counts as missing."""

    def __init__(self, settings: QSettings | None = None) -> None:
        """Without argument the user's own; tests give one with a file of theirs."""
        self._settings = settings or QSettings("MSA R-CNN", "Pose Labeller")

    def value(self, name: str, default: T) -> T:
        """A switch or number by name, of the type of `default`."""
        stored = self._settings.value(name)
        kind = type(default)
        if isinstance(stored, str) and kind is bool:  # INI files know only text
            return kind(stored == "true")
        try:
            return kind(stored) if stored is not None else default
        except (TypeError, ValueError):
            return default

    def set_value(self, name: str, value: bool | int | float | str) -> None:
        self._settings.setValue(name, value)

    def remove(self, name: str) -> None:
        """Forgets a value: it has its default again."""
        self._settings.remove(name)

    def bytes_value(self, name: str) -> QByteArray:
        """An opaque value such as a window's geometry; empty when there is none."""
        stored = self._settings.value(name)
        return stored if isinstance(stored, QByteArray) else QByteArray()

    def set_bytes(self, name: str, value: QByteArray) -> None:
        self._settings.setValue(name, value)

    def recent_projects(self) -> list[Path]:
        """The latest first; files that are gone are left out."""
        return [path for path in map(Path, self._recent_texts()) if path.is_file()]

    def add_recent_project(self, path: Path) -> None:
        """Puts a project at the top of the recent ones."""
        text = str(path.absolute())
        others = [other for other in self._recent_texts() if other != text]
        self._settings.setValue("recent_projects", [text, *others][:RECENT_COUNT])

    def sync(self) -> None:
        """Writes to the disk now."""
        self._settings.sync()

    def _recent_texts(self) -> list[str]:
        stored = self._settings.value("recent_projects")
        if isinstance(stored, str):  # an INI file gives a list of one back as text
            return [stored] if stored else []
        return [text for text in stored if isinstance(text, str)] if isinstance(stored, list) else []
