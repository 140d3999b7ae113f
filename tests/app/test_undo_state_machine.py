"""Undo and redo against a plain model: edits, undo, redo, pre-fill, save, reopening in any order."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PySide6.QtGui import QUndoStack
from storage_builders import MODEL, import_coco, make_coco, make_joints, make_prediction, write_coco

from app.commands import images, joints, people, predictions, stack
from app.document.document import Document
from app.document.records import Box, Edit, ImageState, Person, Prediction
from app.storage.project import Project
from app.storage.visibility import Acceptance
from msarcnn.skeleton import coco17

places = st.floats(-5, 700, allow_nan=False, width=32)
sides = st.floats(0.5, 300, allow_nan=False, width=32)
boxes = st.builds(Box, places, places, sides, sides)
which = st.integers(0, 5)


def move_all(document: Document, image: int, key: int, some: set[int]) -> Edit | None:
    return joints.move_joints(document, image, key, {index: (3.0 * index, 40.0) for index in some})


State = tuple[tuple[Person, ...], tuple[Prediction, ...], bool]


class UndoMachine(RuleBasedStateMachine):
    """The model: a list of whole states, and a place in it. Undo is one step back, redo one forward."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.project = Project.create(self.folder / "p.poses")
        import_coco(self.project, write_coco(self.folder / "s.json", make_coco()), self.folder)
        self.undo_stack = QUndoStack()
        self.waiting: list[Edit] = []
        self.document = Document(coco17())
        self.document.edited.connect(self.waiting.append)
        self.document.reserve_keys(self.project.next_person_key)
        self.image = 1
        self.open_image()
        self.history: list[dict[int, State]] = []
        self.at = 0

    def teardown(self) -> None:
        self.undo_stack.clear()
        self.project.close()
        shutil.rmtree(self.folder)

    def open_image(self) -> None:
        for image in (1, 2):
            self.document.open_image(*self.project.load_image(image))

    def state(self) -> dict[int, State]:
        """What undo promises to restore; whether work has begun, not which of the states before that."""
        unbegun = (ImageState.UNSEEN, ImageState.PREDICTED)
        return {
            image: (
                self.document.people(image),
                self.document.predictions(image),
                self.document.image(image).state in unbegun,
                self.document.image(image).flagged,
                self.document.image(image).note,
            )
            for image in (1, 2)
        }

    @initialize()
    def begin(self) -> None:
        for image in (1, 2):
            found = [make_prediction(0, 80.0 * index, 0.9 - index / 10) for index in range(4)]
            _, _, stored = self.project.store_predictions(image, MODEL, found, 640, 480)
            self.document.set_predictions(image, stored)
        self.history = [self.state()]

    def push(self, edit: Edit | None, merge: bool = False) -> None:
        count = self.undo_stack.count()
        if not stack.push(self.undo_stack, self.document, edit, merge):
            return
        if merge and self.undo_stack.count() == count and self.at == count:
            self.history[self.at] = self.state()
            return
        self.history[self.at + 1 :] = [self.state()]
        self.at += 1

    def person(self, index: int) -> int | None:
        keys = [person.key for person in self.document.people(self.image)]
        return keys[index % len(keys)] if keys else None

    @rule(box=boxes, joined=st.booleans())
    def draw(self, box: Box, joined: bool) -> None:
        edit = people.add_person(self.document, self.image, box)
        self.push(edit)
        if joined and edit is not None and edit.people[0].after is not None:
            key = edit.people[0].after.key
            self.push(people.set_joints(self.document, self.image, key, make_joints()), merge=True)

    @rule(index=which, box=boxes)
    def resize(self, index: int, box: Box) -> None:
        key = self.person(index)
        if key is not None:
            self.push(people.set_box(self.document, self.image, key, box))

    @rule(index=which, dx=places, dy=places)
    def move(self, index: int, dx: float, dy: float) -> None:
        key = self.person(index)
        if key is not None:
            self.push(people.move_person(self.document, self.image, key, dx, dy))

    @rule(index=which, joint=st.integers(0, 16), x=places, y=places)
    def drag(self, index: int, joint: int, x: float, y: float) -> None:
        key = self.person(index)
        if key is not None:
            self.push(joints.move_joint(self.document, self.image, key, joint, x, y))

    @rule(
        index=which,
        some=st.sets(st.integers(0, 16), min_size=1),
        command=st.sampled_from([joints.cycle_visibility, joints.delete_joints, joints.swap_left_right, move_all]),
    )
    def change_joints(self, index: int, some: set[int], command: Any) -> None:
        key = self.person(index)
        if key is not None:
            self.push(command(self.document, self.image, key, some))

    @rule(
        index=which,
        command=st.sampled_from(
            [
                people.delete_person,
                people.toggle_crowd,
                people.duplicate,
                people.grow_box_to_joints,
                people.tighten_box,
                people.mirror,
                joints.swap_left_right,
            ]
        ),
    )
    def change_person(self, index: int, command: Any) -> None:
        key = self.person(index)
        if key is not None:
            self.push(command(self.document, self.image, key))

    @rule(threshold=st.sampled_from([0.0, 0.75]))
    def accept(self, threshold: float) -> None:
        self.push(predictions.accept_all(self.document, self.image, threshold, lambda _: Acceptance(0.4)))

    @rule(index=which)
    def reject(self, index: int) -> None:
        shown = self.document.predictions(self.image)
        self.push(predictions.reject(self.document, self.image, shown[index % len(shown)].key))

    @rule(command=st.sampled_from([images.mark_done, images.mark_empty, images.mark_reviewed, images.reopen]))
    def mark(self, command: Any) -> None:
        self.push(command(self.document, self.image))

    @rule()
    def flag(self) -> None:
        self.push(images.toggle_flag(self.document, self.image))

    @rule(text=st.sampled_from(["", "blurred", "who is \u2018he\u2019?"]))
    def note(self, text: str) -> None:
        self.push(images.set_note(self.document, self.image, text))

    @rule()
    def copy_from_the_other_image(self) -> None:
        copied = self.document.people(3 - self.image)
        if len(self.document.people(self.image)) < 12:
            self.push(people.paste(self.document, self.image, copied))

    @precondition(lambda self: self.undo_stack.canUndo())
    @rule()
    def undo(self) -> None:
        self.undo_stack.undo()
        self.at -= 1

    @precondition(lambda self: self.undo_stack.canRedo())
    @rule()
    def redo(self) -> None:
        self.undo_stack.redo()
        self.at += 1

    @rule()
    def other_image(self) -> None:
        self.image = 3 - self.image

    @rule()
    def save(self) -> None:
        while self.waiting:
            self.project.apply(self.waiting.pop(0))
        self.undo_stack.setClean()

    @rule()
    def save_and_reopen(self) -> None:
        """The undo stack lives on: its steps must fit what comes back from the disk, to the last digit."""
        self.save()
        self.project.close()
        self.project = Project.open(self.folder / "p.poses")
        self.open_image()

    @invariant()
    def document_equals_the_model(self) -> None:
        if self.history:
            assert self.state() == self.history[self.at]
            assert self.undo_stack.index() == self.at


UndoMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestUndo = UndoMachine.TestCase
