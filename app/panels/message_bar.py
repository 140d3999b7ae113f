"""One message over the canvas, instead of a modal box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

_STAY_MS = 6000
_MOST_WAITING = 20


@dataclass(frozen=True, eq=False, slots=True)
class _Shown:
    text: str
    level: str
    choices: tuple[tuple[str, Callable[[], None]], ...]
    topic: str
    dismissed: Callable[[], None] | None
    of_window: bool

    @property
    def stays(self) -> bool:
        """Whether it waits for somebody, instead of going by itself."""
        return bool(self.choices) or self.level not in ("info", "success")


_MOST_LETTERS = 600
_LAST_LETTERS = 100


def shortened(text: str) -> str:
    """Leaves the middle of a long text out: a file may have hundreds of names to list, and the question stands last."""
    if len(text) <= _MOST_LETTERS:
        return text
    return f"{text[: _MOST_LETTERS - _LAST_LETTERS]} … {text[-_LAST_LETTERS:]}"


class MessageBar(QFrame):
    """Floats at the top of its parent. Information goes by itself; what asks or warns stays until dismissed.

    A later message lies over one that stays, which comes back when that has gone.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._area = parent
        self._label = QLabel(self)
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._buttons: list[QPushButton] = []
        close = QToolButton(self)
        close.setText("✕")
        close.setToolTip("Dismiss this message")
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.clicked.connect(self.dismiss)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(14, 6, 8, 6)
        self._row.setSpacing(8)
        self._row.addWidget(self._label, 1)
        self._row.addWidget(close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._take_away)
        self._shown: _Shown | None = None
        self._waiting: list[_Shown] = []
        """Those that stay, the newest last."""
        parent.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence that is shown; empty when the bar is hidden."""
        return "" if self.isHidden() else self._label.text()

    def waits_about(self, *topics: str) -> bool:
        """Whether something that asks or warns about one of these is shown, or covered."""
        return any(one.topic in topics for one in self._waiting)

    def choice_texts(self) -> tuple[str, ...]:
        """The answers that can be given now."""
        return tuple(button.text() for button in self._buttons) if not self.isHidden() else ()

    def choose(self, answer: int | str) -> None:
        """Gives an answer by its place, from 1, or by its text; nothing happens when there is no such one."""
        texts = self.choice_texts()
        at = texts.index(answer) if answer in texts else answer - 1 if isinstance(answer, int) else -1
        if 0 <= at < len(texts):
            self._buttons[at].click()

    def show_message(
        self,
        text: str,
        level: str = "info",
        choices: Sequence[tuple[str, Callable[[], None]]] = (),
        topic: str = "",
        dismissed: Callable[[], None] | None = None,
        of_window: bool = False,
    ) -> None:
        """Shows one sentence, over those that stay.

        Args:
            text: The sentence.
            level: "info", "success", "warning" or "error".
            choices: Button texts and what they do; a click also dismisses the message.
            topic: Names what the message is about, so that `dismiss_topic` can take just that away; an earlier one
                about the same is replaced.
            dismissed: Called when the user takes the message away without an answer.
            of_window: `dismiss_project` leaves it.
        """
        message = _Shown(text, level, tuple(choices), topic, dismissed, of_window)
        self._waiting = [one for one in self._waiting if one.text != text and (not topic or one.topic != topic)]
        if message.stays:
            self._waiting = [*self._waiting[-_MOST_WAITING:], message]
        self._show(message)

    def _show(self, message: _Shown) -> None:
        self._shown = message
        text = shortened(message.text)
        self._label.setText(text)
        self._label.setToolTip(message.text if text != message.text else "")
        self.setProperty("message", message.level)
        self.style().unpolish(self)
        self.style().polish(self)
        for button in self._buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self._buttons = [self._button(label, action) for label, action in message.choices]
        for number, button in enumerate(self._buttons, 1):
            button.setToolTip(f"Alt+{number}")
        for button in self._buttons:
            self._row.insertWidget(self._row.count() - 1, button)
        self._timer.stop()
        if not message.stays:
            self._timer.start(_STAY_MS)
        self.show()
        self.raise_()
        self._place()

    def dismiss(self) -> None:
        """The user takes the message away; what it covered is shown again."""
        gone = self._shown
        self._take_away()
        if gone is not None and gone.dismissed is not None:
            gone.dismissed()

    def _take_away(self) -> None:
        self._timer.stop()
        self._waiting = [one for one in self._waiting if one is not self._shown]
        self._shown = None
        if self._waiting:
            self._show(self._waiting[-1])
        else:
            self.hide()

    def dismiss_topic(self, topic: str) -> None:
        """Takes away what is about `topic`, covered or not; nobody is told."""
        self._waiting = [one for one in self._waiting if one.topic != topic]
        if self._shown and self._shown.topic == topic:
            self._take_away()

    def dismiss_project(self) -> None:
        """Takes away what asks or warns about the project that was open, covered or not; nobody is told."""
        self._waiting = [one for one in self._waiting if one.of_window]
        if self._shown and self._shown.stays and not self._shown.of_window:
            self._take_away()

    def clear(self) -> None:
        """Takes everything away."""
        self._waiting.clear()
        self._take_away()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _button(self, label: str, action: Callable[[], None]) -> QPushButton:
        button = QPushButton(label, self)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)

        def chosen() -> None:
            self._take_away()
            action()

        button.clicked.connect(chosen)
        return button

    def _place(self) -> None:
        parent = self._area
        width = min(parent.width() - 32, 820)
        height = max(self._row.totalHeightForWidth(width), 40)
        self.setGeometry((parent.width() - width) // 2, 14, width, height)
