"""Five hints for the first time: a small card over the canvas that can be skipped."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

HINTS: tuple[tuple[str, str], ...] = (
    (
        "The model proposes",
        "Dashed people are the model's. {accept_and_go_on} makes those that are shown labels and goes to the next "
        "image; the slider in Predictions says how sure it has to be.",
    ),
    (
        "Correct what is wrong",
        "Drag a joint to its place. {cycle_visibility} says visible, occluded or not labelled, {swap_sides} swaps left "
        "and right, {delete} deletes.",
    ),
    (
        "Somebody was missed",
        "{new_person}, then drag a box around the person: the joints appear at once. {place_joints} lets you click "
        "them one after the other.",
    ),
    (
        "Through with an image",
        "{mark_done} marks it done, {mark_empty} says that nobody is there, {next_unfinished} goes to the next one "
        "that is not done.",
    ),
    (
        "Nothing gets lost",
        "{undo} takes back anything, and every change is on the disk already. {keys} shows all keys, {export_coco} "
        "exports, {fine_tune} teaches the model what you have corrected.",
    ),
)
"""Title and text; {action} stands for the action's key."""
_WIDTH, _MARGIN = 400, 18


class Tour(QFrame):
    """Shows one hint after the other at the bottom of its parent."""

    ended = Signal()
    """The last hint was read, or the tour was skipped."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._area = parent
        self._hints: Sequence[tuple[str, str]] = ()
        self._at = 0
        self.title, self.text = QLabel(self), QLabel(self)
        self.title.setProperty("subheading", True)
        self.text.setWordWrap(True)
        self.skip, self.following = QPushButton("Skip", self), QPushButton(self)
        self.following.setProperty("primary", True)
        for button in (self.skip, self.following):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        buttons = QHBoxLayout()
        buttons.addWidget(self.skip)
        buttons.addStretch(1)
        buttons.addWidget(self.following)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 14, 18, 14)
        layout.setSpacing(8)
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.skip.clicked.connect(self._end)
        self.following.clicked.connect(self._next)
        parent.installEventFilter(self)
        self.hide()

    def begin(self, keys: dict[str, str]) -> None:
        """Starts at the first hint; keys: what to write for every action."""
        self._hints = [(title, text.format_map(keys)) for title, text in HINTS]
        self._at = 0
        self._show()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _show(self) -> None:
        title, text = self._hints[self._at]
        self.title.setText(title)
        self.text.setText(text)
        last = self._at == len(self._hints) - 1
        self.following.setText("Done" if last else f"Next ({self._at + 1} of {len(self._hints)})")
        self.skip.setVisible(not last)
        self.show()
        self.raise_()
        self._place()

    def _next(self) -> None:
        self._at += 1
        if self._at < len(self._hints):
            self._show()
        else:
            self._end()

    def _end(self) -> None:
        self.hide()
        self.ended.emit()

    def _place(self) -> None:
        width = min(_WIDTH, self._area.width() - 2 * _MARGIN)
        height = self.heightForWidth(width)
        self.setGeometry(_MARGIN, self._area.height() - height - _MARGIN, width, height)
