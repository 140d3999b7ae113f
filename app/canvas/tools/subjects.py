"""Whom a gesture changes: a label, or a proposal, which the change accepts."""

from typing import Protocol

from app.canvas.editor import Editor
from app.canvas.tools.base import Gesture, PointerEvent, Stage
from app.commands.predictions import Proposal
from app.document.records import Box, Person


class Subject(Protocol):
    """Somebody as they were at the press."""

    @property
    def person(self) -> Person: ...

    def holds(self) -> bool:
        """Whether they are still there."""
        ...

    def show(self, person: Person) -> None:
        """Shows what the release would make of them."""
        ...

    def show_box(self, person: Person) -> None:
        """Shows them with another box, into which the model's joints follow."""
        ...

    def move_joint(self, joint: int, x: float, y: float) -> None: ...

    def set_box(self, box: Box) -> None: ...


class Label:
    """A labelled person."""

    def __init__(self, stage: Stage, editor: Editor, key: int) -> None:
        self._stage, self._editor = stage, editor
        self.person = stage.person(key)

    def holds(self) -> bool:
        return self._stage.has_person(self.person.key)

    def show(self, person: Person) -> None:
        self._stage.preview_person(person)

    def show_box(self, person: Person) -> None:
        self._stage.preview_box_of(person)

    def move_joint(self, joint: int, x: float, y: float) -> None:
        self._editor.move_joint(self.person.key, joint, x, y)

    def set_box(self, box: Box) -> None:
        self._editor.set_box(self.person.key, box)


class Proposed:
    """A proposal; until the release it is only shown as the label that it would become."""

    def __init__(self, stage: Stage, editor: Editor, proposal: Proposal) -> None:
        self._stage, self._editor, self._proposal = stage, editor, proposal
        self.person = proposal.person

    def holds(self) -> bool:
        # One that a new pre-fill has found elsewhere is not the one that was pressed.
        now = self._stage.proposal(self._proposal.key)
        return now is not None and now.prediction == self._proposal.prediction

    def show(self, person: Person) -> None:
        self._stage.preview_person(person, proposed=True)

    def show_box(self, person: Person) -> None:
        self._stage.preview_box_of(person, proposed=True)

    def move_joint(self, joint: int, x: float, y: float) -> None:
        self._editor.move_proposed_joint(self._proposal.key, joint, x, y)

    def set_box(self, box: Box) -> None:
        self._editor.set_proposed_box(self._proposal.key, box)


class SubjectGesture(Gesture):
    """A drag of somebody, who may be gone meanwhile."""

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent, subject: Subject) -> None:
        super().__init__(stage, editor, start)
        self.subject, self.person = subject, subject.person

    def holds(self) -> bool:
        return self.subject.holds()
