"""Opens the F1 sheet and the about box."""

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import PySide6
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from app.dialogs.about import AboutDialog
from app.dialogs.key_editor import KeyEditor, KeyTable
from app.dialogs.keys import KeysDialog


class Help:
    """Dialogs that only show something.

    facts gives further (name, value) pairs for the about box when it opens.
    """

    def __init__(self, parent: QWidget, facts: Callable[[], Sequence[tuple[str, str]]]) -> None:
        self._parent, self._facts = parent, facts
        self._keys: KeyTable | None = None

    def set_keys(self, keys: KeyTable) -> None:
        """Says which keys there are; after the actions were made, which name this object's methods."""
        self._keys = keys

    def show_keys(self) -> None:
        """The F1 sheet: every action that has a key."""
        if self._keys:
            rows = [(menu, text, keys, tooltip) for _, menu, text, keys, tooltip in self._keys.rows() if keys]
            _show(KeysDialog(rows, self._parent))

    def change_keys(self) -> None:
        if self._keys:
            _show(KeyEditor(self._keys, self._parent))

    def show_about(self) -> None:
        versions = [
            ("Version", _version("msarcnn-pose-labeller")),
            ("Python", platform.python_version()),
            ("Qt for Python", PySide6.__version__),
            ("torch", _version("torch")),
            ("System", platform.platform()),
        ]
        _show(AboutDialog([*versions, *self._facts()], self._parent))


def _show(dialog: QDialog) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()


def _version(package: str) -> str:
    """Reads the installed version without importing the package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
