"""The keys as the user has them: the table's, and what was changed in the editor."""

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QKeySequence

from app.actions import ACTIONS, ActionSpec
from app.storage.settings import Settings

_GROUP = "keys"
_NONE = "none"
"""Stored for an action that has lost all its keys; an empty text would read as "not changed"."""


class Keys(QObject):
    """Gives the actions their keys. A key belongs to one action: taking it for another takes it from the first."""

    changed = Signal()

    def __init__(self, actions: Mapping[str, QAction], settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._actions, self._settings = actions, settings
        self._specs = {spec.id: spec for spec in ACTIONS}
        self._keys = {spec.id: self._stored(spec) for spec in ACTIONS}
        for spec in ACTIONS:
            self._apply(spec)

    def of(self, action: str) -> tuple[str, ...]:
        """An action's keys in Qt's portable form."""
        return self._keys[action]

    def is_changed(self, action: str) -> bool:
        return self._keys[action] != _normal(self._specs[action].shortcuts)

    def owner(self, key: str, other_than: str = "") -> str | None:
        """The id of the action that has a key; None for a free one."""
        wanted = QKeySequence(key)
        for action, keys in self._keys.items():
            if action != other_than and any(QKeySequence(mine) == wanted for mine in keys):
                return action
        return None

    def trigger(self, key: str) -> None:
        """Does what a key is for, if it is for anything; a disabled action does nothing."""
        owner = self.owner(key)
        if owner is not None:
            self._actions[owner].trigger()

    def names(self) -> dict[str, str]:
        """How the first key of every action that has one is written."""
        native = QKeySequence.SequenceFormat.NativeText
        return {action: QKeySequence(keys[0]).toString(native) for action, keys in self._keys.items() if keys}

    def text(self, action: str) -> str:
        """What the menus call an action."""
        return self._specs[action].text.replace("&", "").rstrip("…")

    def set(self, action: str, keys: tuple[str, ...]) -> None:
        """Gives an action other keys; whoever had one of them has it no more. Kept in the settings."""
        for key in keys:
            owner = self.owner(key, other_than=action)
            if owner is not None:
                self._take(owner, tuple(mine for mine in self._keys[owner] if QKeySequence(mine) != QKeySequence(key)))
        self._take(action, _normal(keys))
        self.changed.emit()

    def reset(self, action: str | None = None) -> None:
        """Gives an action, or all of them, the keys that they had at first."""
        if action is not None:
            self.set(action, self._specs[action].shortcuts)
            return
        for spec in ACTIONS:
            self._take(spec.id, _normal(spec.shortcuts))
        self.changed.emit()

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """(id, menu, text, keys, tooltip) of every action, in the table's order."""
        return [
            (spec.id, spec.menu, self.text(spec.id), "  or  ".join(self._keys[spec.id]), spec.tooltip)
            for spec in ACTIONS
        ]

    def _stored(self, spec: ActionSpec) -> tuple[str, ...]:
        text = self._settings.value(f"{_GROUP}/{spec.id}", "")
        if not text:
            return _normal(spec.shortcuts)
        return () if text == _NONE else _normal(tuple(text.split("  ")))

    def _take(self, action: str, keys: tuple[str, ...]) -> None:
        if keys == self._keys[action]:
            return
        self._keys[action] = keys
        if self.is_changed(action):
            self._settings.set_value(f"{_GROUP}/{action}", "  ".join(keys) or _NONE)
        else:
            self._settings.remove(f"{_GROUP}/{action}")
        self._apply(self._specs[action])

    def _apply(self, spec: ActionSpec) -> None:
        action = self._actions[spec.id]
        action.setShortcuts([QKeySequence(key) for key in self._keys[spec.id]])
        shown = ", ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts())
        action.setToolTip(f"{spec.tooltip} ({shown})" if shown else spec.tooltip)


def _normal(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Keys as Qt writes them, without those that it does not know."""
    written = (QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText) for key in keys)
    return tuple(key for key in written if key)
