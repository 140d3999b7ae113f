"""What the window has to tell the user: one door for every part of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

_LEVELS = {"info": logging.INFO, "success": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, perhaps with choices.

    Attributes:
        level: "info", "success", "warning" or "error".
        choices: Button texts and what they do.
        topic: What it is about; a message is taken away with `Messages.settled(topic)`.
        dismissed: Called when the user takes it away without an answer.
    """

    text: str
    level: str = "info"
    choices: tuple[tuple[str, Callable[[], None]], ...] = ()
    topic: str = ""
    dismissed: Callable[[], None] | None = None


class Messages(QObject):
    """Collects messages; the message bar shows them, the log keeps them."""

    posted = Signal(object)
    settled = Signal(str)

    def post(
        self,
        text: str,
        level: str = "info",
        choices: Sequence[tuple[str, Callable[[], None]]] = (),
        topic: str = "",
        dismissed: Callable[[], None] | None = None,
    ) -> None:
        """Shows a sentence; see `Message`."""
        _log.log(_LEVELS[level], "%s", text)
        self.posted.emit(Message(text, level, tuple(choices), topic, dismissed))

    def settle(self, topic: str) -> None:
        """Takes a message away that no longer holds."""
        self.settled.emit(topic)
