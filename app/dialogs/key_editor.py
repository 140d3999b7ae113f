"""The editor of keys: choose an action, press its new key; a conflict is shown before anything changes."""

from typing import Protocol

from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtGui import QFont, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

_ID = Qt.ItemDataRole.UserRole


class KeyTable(Protocol):
    """What the editor needs of app.keys.Keys."""

    @property
    def changed(self) -> SignalInstance: ...

    def of(self, action: str) -> tuple[str, ...]: ...

    def is_changed(self, action: str) -> bool: ...

    def owner(self, key: str, other_than: str = "") -> str | None: ...

    def text(self, action: str) -> str: ...

    def set(self, action: str, keys: tuple[str, ...]) -> None: ...

    def reset(self, action: str | None = None) -> None: ...

    def rows(self) -> list[tuple[str, str, str, str, str]]: ...


class KeyEditor(QDialog):
    """Every action with its keys; changes hold at once and are kept."""

    def __init__(self, keys: KeyTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Change keys")
        self.resize(720, 640)
        self._keys = keys
        self._items: dict[str, QTreeWidgetItem] = {}
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Search actions and keys")
        self.search.setClearButtonEnabled(True)
        self.search.setProperty("field", True)
        self.tree = QTreeWidget(self)
        self.tree.setHeaderLabels(["Action", "Keys"])
        self.tree.setUniformRowHeights(True)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setStretchLastSection(False)
        self.edit = QKeySequenceEdit(self)
        self.edit.setMaximumSequenceLength(1)
        self.edit.setClearButtonEnabled(True)
        self.assign = QPushButton("Use this key", self)
        self.add = QPushButton("Add as second key", self)
        self.remove = QPushButton("No key", self)
        self.reset = QPushButton("Default", self)
        self.reset_all = QPushButton("All defaults", self)
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self._fill()
        line = QHBoxLayout()
        line.addWidget(QLabel("New key", self))
        line.addWidget(self.edit, 1)
        for button in (self.assign, self.add, self.remove, self.reset):
            button.setAutoDefault(False)
            line.addWidget(button)
        self.reset_all.setAutoDefault(False)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        close.addButton(self.reset_all, QDialogButtonBox.ButtonRole.ResetRole)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.tree, 1)
        layout.addLayout(line)
        layout.addWidget(self.note)
        layout.addWidget(close)
        self.search.textChanged.connect(self._filter)
        self.tree.currentItemChanged.connect(lambda *_: self._chosen())
        self.edit.keySequenceChanged.connect(lambda _: self._show_conflict())
        self.assign.clicked.connect(lambda: self._set(()))
        self.add.clicked.connect(lambda: self._set(self._keys.of(self._action() or "")))
        self.remove.clicked.connect(lambda: self._keys.set(self._action() or "", ()))
        self.reset.clicked.connect(lambda: self._keys.reset(self._action()))
        self.reset_all.clicked.connect(lambda: self._keys.reset())
        keys.changed.connect(self._refresh)
        self._chosen()

    def choose(self, action: str) -> None:
        """Selects an action's row."""
        self.tree.setCurrentItem(self._items[action])

    def _fill(self) -> None:
        groups: dict[str, QTreeWidgetItem] = {}
        for action, menu, text, keys, tooltip in self._keys.rows():
            name = menu.replace("/", " · ")
            if name not in groups:
                groups[name] = QTreeWidgetItem(self.tree, [name])
                groups[name].setExpanded(True)
                groups[name].setFlags(Qt.ItemFlag.ItemIsEnabled)
            item = QTreeWidgetItem(groups[name], [text, keys])
            item.setData(0, _ID, action)
            item.setToolTip(0, tooltip)
            self._items[action] = item
        self.tree.resizeColumnToContents(1)
        self._refresh()

    def _refresh(self) -> None:
        for action, _, _, keys, _ in self._keys.rows():
            item = self._items[action]
            item.setText(1, keys)
            font = QFont(self.tree.font())
            font.setBold(self._keys.is_changed(action))
            item.setFont(1, font)
        self._chosen()

    def _filter(self, text: str) -> None:
        for item in self._items.values():
            words = f"{item.text(0)} {item.text(1)} {item.toolTip(0)}".lower()
            item.setHidden(text.lower() not in words)
        for index in range(self.tree.topLevelItemCount()):
            group = self.tree.topLevelItem(index)
            if group is not None:
                group.setHidden(all(child.isHidden() for child in self._items.values() if child.parent() is group))

    def _action(self) -> str | None:
        item = self.tree.currentItem()
        return item.data(0, _ID) if item is not None else None

    def _chosen(self) -> None:
        action = self._action()
        self.edit.clear()
        self.edit.setEnabled(action is not None)
        self.remove.setEnabled(action is not None and bool(self._keys.of(action)))
        self.reset.setEnabled(action is not None and self._keys.is_changed(action))
        self._show_conflict()

    def _pressed(self) -> str:
        return self.edit.keySequence().toString(QKeySequence.SequenceFormat.PortableText)

    def _show_conflict(self) -> None:
        action, key = self._action(), self._pressed()
        self.assign.setEnabled(bool(action and key))
        self.add.setEnabled(bool(action and key and self._keys.of(action)))
        owner = self._keys.owner(key, other_than=action or "") if key else None
        self.note.setProperty("warning", owner is not None)
        self.note.style().unpolish(self.note)
        self.note.style().polish(self.note)
        if action is None:
            self.note.setText("Choose an action, then press the key that it shall have.")
        elif owner is not None:
            self.note.setText(f"{key} belongs to “{self._keys.text(owner)}”, which would lose it.")
        else:
            self.note.setText(f"{key} is free." if key else "")

    def _set(self, kept: tuple[str, ...]) -> None:
        action, key = self._action(), self._pressed()
        if action and key:
            self._keys.set(action, (*(mine for mine in kept if mine != key), key))
