"""What the window has to tell the user: one door for every part of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

_LEVELS = {"info": logging.INFO, "success": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_MOST_BUTTONS = 6
_MOST_LETTERS = 60
"""On buttons side by side; more leave no room for the question."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, perhaps with choices.

    Attributes:
        level: "info", "success", "warning" or "error".
        choices: Button texts and what they do.
        topic: What it is about; a message is taken away with `Messages.settled(topic)`.
        dismissed: Called when the user takes it away without an answer.
        of_window: It is about the window, its engine or a file elsewhere; any other goes with the open project.
    """

    text: str
    level: str = "info"
    choices: tuple[tuple[str, Callable[[], None]], ...] = ()
    topic: str = ""
    dismissed: Callable[[], None] | None = None
    of_window: bool = False


class Messages(QObject):
    """Collects messages; the message bar shows them, the log keeps them."""

    posted = Signal(object)
    settled = Signal(str)
    listed = Signal(object)
    """Message: somebody wants to see its choices, which are too many for buttons."""
    project_left = Signal()
    """What was asked or said about the project that was open does not hold any more."""

    def post(
        self,
        text: str,
        level: str = "info",
        choices: Sequence[tuple[str, Callable[[], None]]] = (),
        topic: str = "",
        dismissed: Callable[[], None] | None = None,
        of_window: bool = False,
    ) -> None:
        """Shows a sentence; see `Message`."""
        _log.log(_LEVELS[level], "%s", text)
        self.posted.emit(Message(text, level, tuple(choices), topic, dismissed, of_window))

    def ask(
        self,
        text: str,
        choices: Sequence[tuple[str, Callable[[], None]]],
        topic: str,
        dismissed: Callable[[], None] | None = None,
        level: str = "warning",
    ) -> None:
        """Posts a question whose answers may be many or long: these are offered in a list of their own.

        Whoever leaves the list without an answer is asked again.
        """
        if len(choices) > _MOST_BUTTONS or sum(len(words) for words, _ in choices) > _MOST_LETTERS:
            question = Message(text, level, tuple(choices), topic, dismissed)
            choices = [("Choose…", lambda: self.listed.emit(question))]
        self.post(text, level, choices, topic, dismissed)

    def settle(self, topic: str) -> None:
        """Takes a message away that no longer holds."""
        self.settled.emit(topic)

    def leave_project(self) -> None:
        """Takes away what is about the project that was open: an answer to it would be given to the next one."""
        self.project_left.emit()
