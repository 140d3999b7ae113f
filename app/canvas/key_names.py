"""What the keys are called in the hints on the canvas; the canvas itself knows actions only by name."""

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal

_BETWEEN = " · "


class KeyNames(QObject):
    """The first key of every action that has one, as the user has set it."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: Mapping[str, str] = {}

    def set(self, names: Mapping[str, str]) -> None:
        """names: by the action's id."""
        self._names = names
        self.changed.emit()

    def hint(self, text: str) -> str:
        """Returns a hint with keys in it: of "drag · {new_person}: draw" becomes "drag · N: draw".

        A part whose action has no key is left out.
        """
        shown = []
        for part in text.split(_BETWEEN):
            try:
                shown.append(part.format_map(self._names))
            except KeyError:
                continue
        return _BETWEEN.join(shown)
