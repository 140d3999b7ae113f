"""Asks the user for places on the disk: the window's file dialogs, or a test."""

from pathlib import Path
from typing import Protocol


class Asker(Protocol):
    """Each returns None, or nothing, when the user changes their mind."""

    def folder(self, title: str) -> Path | None: ...

    def files(self, title: str, kinds: str) -> list[Path]: ...

    def file(self, title: str, kinds: str) -> Path | None: ...

    def save(self, title: str, start: Path, kinds: str) -> Path | None: ...
