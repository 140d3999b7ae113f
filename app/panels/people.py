"""The dock with the people of the current image."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from app.document.document import Document
from app.document.records import HUMAN, IMPORTED, Joint, Person
from app.document.selection import Selection

_VISIBILITY = {0: "–", 1: "occluded", 2: "visible"}
_KEY = Qt.ItemDataRole.UserRole


class PeoplePanel(QWidget):
    """A row a person with its joints below; what is selected here is selected on the canvas, and the other way."""

    joint_activated = Signal(int, int)
    """Person key, joint index: double click, cycles the visibility."""
    clicked = Signal()
    """A row was clicked with the mouse; its keys work on the canvas."""

    def __init__(
        self, document: Document, selection: Selection, names: Sequence[str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._selection = document, selection
        self._names = [name.replace("_", " ") for name in names]
        self._items: dict[int, QTreeWidgetItem] = {}
        self._filling = False
        self.tree = QTreeWidget(self)
        self.tree.setColumnCount(3)
        self.tree.setHeaderLabels(["Person", "State", "By"])
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setUniformRowHeights(True)
        self.tree.setIndentation(14)
        header = self.tree.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(False)
        self.empty = QLabel(self)
        self.empty.setWordWrap(True)
        self.show_proposed(0)
        self.empty.setProperty("muted", True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 8, 4)
        layout.addWidget(self.tree)
        layout.addWidget(self.empty)
        self.tree.currentItemChanged.connect(self._picked)
        self.tree.itemDoubleClicked.connect(self._activated)
        self.tree.itemClicked.connect(lambda *_: self.clicked.emit())
        self.tree.itemDoubleClicked.connect(lambda *_: self.clicked.emit())
        document.image_opened.connect(self._image_touched)
        document.people_changed.connect(self._people_changed)
        selection.image_changed.connect(lambda _: self.refill())
        selection.changed.connect(self._selection_changed)
        self.refill()

    def show_proposed(self, count: int) -> None:
        """Says what to do while nobody is labelled; count is how many predictions are shown."""
        if count:
            it = "it" if count == 1 else "them"
            self.empty.setText(f"Nobody is labelled yet.\n{count} proposed: Space accepts {it} and goes on.")
        else:
            self.empty.setText("Nobody is labelled here yet.\nN draws a person, P asks the model.")

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
        for index, joint in enumerate(person.joints):
            child = QTreeWidgetItem(item, [self._names[index], "", ""])
            child.setData(0, _KEY, (person.key, index))
            self._fill_joint(child, joint)
        item.setData(0, _KEY, (person.key, None))
        self._fill_person(item, number, person)
        return item

    def _fill_person(self, item: QTreeWidgetItem, number: int, person: Person) -> None:
        item.setText(0, f"Person {number}" + (" (crowd)" if person.is_crowd else ""))
        item.setText(1, f"{person.labelled_joints} of {len(person.joints)}")

    def _fill_joint(self, item: QTreeWidgetItem, joint: Joint) -> None:
        item.setText(1, "hint" if joint.v == 0 and joint.placed else _VISIBILITY[joint.v])
        item.setText(2, _origin_word(joint))

    def _people_changed(self, image: int, keys: frozenset[int]) -> None:
        if image != self._selection.current_image:
            return
        known = all(key in self._items and self._document.has_person(image, key) for key in keys)
        if not known:
            self.refill()
            return
        numbers = {key: number for number, key in enumerate(self._items, 1)}
        for key in keys:
            item, person = self._items[key], self._document.person(image, key)
            self._fill_person(item, numbers[key], person)
            for index, joint in enumerate(person.joints):
                row = item.child(index)
                if row:
                    self._fill_joint(row, joint)

    def _image_touched(self, image: int) -> None:
        if image == self._selection.current_image:
            self.refill()

    def _selection_changed(self) -> None:
        if self._filling:
            return
        self._filling = True
        item = self._items.get(self._selection.person) if self._selection.person is not None else None
        if item and self._selection.joint is not None:
            item = item.child(self._selection.joint)
        # A None item is how Qt says "no current item"; the stubs do not know it.
        self.tree.setCurrentItem(item)  # type: ignore[arg-type]
        self._filling = False

    def _picked(self, item: QTreeWidgetItem | None, _previous: QTreeWidgetItem | None) -> None:
        if self._filling or item is None:
            return
        person, joint = item.data(0, _KEY)
        if joint is None:
            self._selection.person = person
        else:
            self._selection.select_joint(person, joint)

    def _activated(self, item: QTreeWidgetItem, _column: int) -> None:
        person, joint = item.data(0, _KEY)
        if joint is not None:
            self.joint_activated.emit(person, joint)


def _origin_word(joint: Joint) -> str:
    if joint.origin == HUMAN:
        return "you"
    if joint.origin == IMPORTED:
        return "imported"
    return "model" if joint.origin else ""
