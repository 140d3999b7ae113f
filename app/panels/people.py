"""The dock with the people of the current image."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from app.document.document import Document
from app.document.records import Person
from app.document.selection import Selection

_KEY = Qt.ItemDataRole.UserRole


class PeoplePanel(QWidget):
    """A row a person; what is selected here is selected on the canvas, and the other way."""

    clicked = Signal()
    """A row was clicked with the mouse; its keys work on the canvas."""

    def __init__(self, document: Document, selection: Selection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document, self._selection = document, selection
        self._items: dict[int, QTreeWidgetItem] = {}
        self._filling = False
        self.tree = QTreeWidget(self)
        self.tree.setHeaderLabels(["Person", "Joints"])
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setUniformRowHeights(True)
        self.tree.setRootIsDecorated(False)
        header = self.tree.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(False)
        self.empty = QLabel(self)
        self.empty.setWordWrap(True)
        self.show_proposed(0, "")
        self.empty.setProperty("muted", True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 8, 4)
        layout.addWidget(self.tree)
        layout.addWidget(self.empty)
        self.tree.currentItemChanged.connect(self._picked)
        self.tree.itemClicked.connect(lambda *_: self.clicked.emit())
        document.image_opened.connect(self._image_touched)
        document.people_changed.connect(self._people_changed)
        selection.image_changed.connect(lambda _: self.refill())
        selection.changed.connect(self._selection_changed)
        self.refill()

    def show_proposed(self, count: int, what_to_do: str) -> None:
        """Says what to do while nobody is labelled; count is how many people accepting would make labels."""
        proposed = f"{count} proposed. " if count else ""
        self.empty.setText(f"Nobody is labelled here yet.\n{proposed}{what_to_do}".strip())

    def refill(self) -> None:
        """Shows the current image's people."""
        self._filling = True
        self.tree.clear()
        self._items.clear()
        image = self._selection.current_image
        people = self._document.people(image) if image is not None and self._document.is_open(image) else ()
        for number, person in enumerate(people, 1):
            self._items[person.key] = self._row(number, person)
        self.tree.setVisible(bool(people))
        self.empty.setVisible(not people)
        self._filling = False
        self._selection_changed()

    def _row(self, number: int, person: Person) -> QTreeWidgetItem:
        item = QTreeWidgetItem(self.tree)
        item.setData(0, _KEY, person.key)
        self._fill_person(item, number, person)
        return item

    def _fill_person(self, item: QTreeWidgetItem, number: int, person: Person) -> None:
        item.setText(0, f"Person {number}" + (" (crowd)" if person.is_crowd else ""))
        item.setText(1, f"{person.labelled_joints} of {len(person.joints)}")

    def _people_changed(self, image: int, keys: frozenset[int]) -> None:
        if image != self._selection.current_image:
            return
        known = all(key in self._items and self._document.has_person(image, key) for key in keys)
        if not known:
            self.refill()
            return
        numbers = {key: number for number, key in enumerate(self._items, 1)}
        for key in keys:
            self._fill_person(self._items[key], numbers[key], self._document.person(image, key))

    def _image_touched(self, image: int) -> None:
        if image == self._selection.current_image:
            self.refill()

    def _selection_changed(self) -> None:
        if self._filling:
            return
        self._filling = True
        item = self._items.get(self._selection.person) if self._selection.person is not None else None
        # A None item is how Qt says "no current item"; the stubs do not know it.
        self.tree.setCurrentItem(item)  # type: ignore[arg-type]
        self._filling = False

    def _picked(self, item: QTreeWidgetItem | None, _previous: QTreeWidgetItem | None) -> None:
        if not self._filling and item is not None:
            self._selection.person = item.data(0, _KEY)
