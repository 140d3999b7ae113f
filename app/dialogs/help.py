"""Opens the F1 sheet and the about box."""

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import PySide6
from PySide6.QtWidgets import QWidget

from app.dialogs.about import AboutDialog
from app.dialogs.keys import KeysDialog


class Help:
    """Dialogs that only show something.

    rows are those of the F1 sheet; facts gives further (name, value) pairs for the about box when it opens.
    """

    def __init__(
        self,
        parent: QWidget,
        rows: Sequence[tuple[str, str, str, str]],
        facts: Callable[[], Sequence[tuple[str, str]]],
    ) -> None:
        self._parent, self._rows, self._facts = parent, rows, facts

    def show_keys(self) -> None:
        KeysDialog(self._rows, self._parent).show()

    def show_about(self) -> None:
        versions = [
            ("Version", _version("msarcnn-pose-labeller")),
            ("Python", platform.python_version()),
            ("Qt for Python", PySide6.__version__),
            ("torch", _version("torch")),
            ("System", platform.platform()),
        ]
        AboutDialog([*versions, *self._facts()], self._parent).show()


def _version(package: str) -> str:
    """Reads the installed version without importing the package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
