"""Every change of the current image's labels that a key, a menu or a gesture asks for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PySide6.QtCore import QObject, QTimer

from app.canvas.hit_test import nearest_on_image
from app.canvas.proposals import Proposals
from app.canvas.scene import PoseScene
from app.canvas.tools.move_box import kept_inside
from app.commands import images, joints, people, predictions, stack
from app.commands.stack import InvalidEditError, StaleEditError
from app.controllers.estimation import Estimation
from app.controllers.messages import Messages
from app.controllers.navigation import Navigation
from app.controllers.session import Session
from app.document.records import Box, Edit, Joint, Person

_NUDGE_PAUSE_MS = 600
"""Nudges within this time are one undo step."""


class Editing(QObject):
    """Reads the selection, makes an edit, pushes it. Implements the canvas's `Editor`."""

    def __init__(
        self,
        session: Session,
        scene: PoseScene,
        proposals: Proposals,
        estimation: Estimation,
        navigation: Navigation,
        messages: Messages,
    ) -> None:
        super().__init__(session)
        self._session, self._scene, self._proposals, self._estimation = session, scene, proposals, estimation
        self._navigation, self._messages = navigation, messages
        self._document, self._selection = session.document, session.selection
        self._cancel: Callable[[], bool] = lambda: False
        self._let_go: Callable[[], None] = lambda: None
        self._awaited: Callable[[], bool] = lambda: False
        self._nudging = QTimer(self)
        self._nudging.setSingleShot(True)
        self._nudging.setInterval(_NUDGE_PAUSE_MS)

    def set_cancel(self, cancel: Callable[[], bool], let_go: Callable[[], None]) -> None:
        """Says how to interrupt the pointer.

        Args:
            cancel: Ends the gesture under way, else the tool; returns whether there was something to end.
            let_go: Ends the gesture only.
        """
        self._cancel, self._let_go = cancel, let_go

    def set_awaited(self, awaited: Callable[[], bool]) -> None:
        """Says how to learn whether the model is still looking at the current image."""
        self._awaited = awaited

    # What the canvas's gestures ask for

    def add_person(self, box: Box) -> None:
        """A new person at once; the joints come from the engine and belong to the same undo step."""
        image = self._image()
        added = self._add(people.add_person(self._document, image, box))
        if added is not None:
            self._estimation.request(image, added, "Draw person")

    def set_box(self, person: int, box: Box) -> None:
        image = self._image()
        if self._document.has_person(image, person):
            edit = people.set_box(self._document, image, person, box)
            if self._push(edit):
                self._estimation.request(image, person, "Change box")

    def move_person(self, person: int, dx: float, dy: float) -> None:
        if self._document.has_person(self._image(), person):
            self._push(people.move_person(self._document, self._image(), person, dx, dy))

    def move_joint(self, person: int, joint: int, x: float, y: float) -> None:
        if self._document.has_person(self._image(), person):
            self._correct(
                person, joints.move_joint(self._document, self._image(), person, joint, *self._on_image(x, y))
            )

    def move_joints(self, person: int, places: Mapping[int, tuple[float, float]]) -> None:
        if self._document.has_person(self._image(), person):
            self._correct(person, joints.move_joints(self._document, self._image(), person, places))

    def move_proposed_joint(self, prediction: int, joint: int, x: float, y: float) -> None:
        """Accepts a proposal with one joint moved; both are one undo step."""
        place, acceptance_of = self._on_image(x, y), self._session.acceptance_of
        edit = predictions.accept_moved(self._document, self._image(), prediction, joint, *place, acceptance_of)
        added = self._add(edit, joint)
        if edit and added is not None:
            self._estimation.refine(edit.image, added, edit.text)

    def set_proposed_box(self, prediction: int, box: Box) -> None:
        """Accepts a proposal with another box; the model's joints for it belong to the same undo step."""
        edit = predictions.accept_resized(self._document, self._image(), prediction, box, self._session.acceptance_of)
        added = self._add(edit)
        if edit and added is not None:
            self._estimation.request(edit.image, added, edit.text)

    def place_joint(self, person: int, joint: int, x: float, y: float, v: int) -> None:
        if self._document.has_person(self._image(), person):
            self._correct(person, joints.move_joint(self._document, self._image(), person, joint, x, y, v))

    def set_visibility(self, person: int, joint: int, v: int) -> None:
        if self._document.has_person(self._image(), person):
            self._push(joints.set_visibility(self._document, self._image(), person, [joint], v))

    def cycle_joints(self, person: int, indices: Sequence[int]) -> None:
        if self._document.has_person(self._image(), person):
            self._push(joints.cycle_visibility(self._document, self._image(), person, indices))

    # Actions on the selection

    def undo(self) -> None:
        self._let_go()
        self._session.undo_stack.undo()

    def redo(self) -> None:
        self._let_go()
        self._session.undo_stack.redo()

    def cancel(self) -> None:
        """Esc: the gesture, else the joint, else the person."""
        if self._cancel():
            return
        if self._selection.joint is not None:
            self._selection.joint = None
        else:
            self._selection.clear()

    def delete(self) -> None:
        person, selected = self._selection.person, self._selection.joints
        if person is not None and selected:
            self._push(joints.delete_joints(self._document, self._image(), person, selected))
        else:
            self._on_person(people.delete_person)

    def cycle_visibility(self) -> None:
        if self._selection.person is not None and self._selection.joints:
            self.cycle_joints(self._selection.person, self._selection.joints)

    def swap_left_right(self) -> None:
        only = self._selection.joints if len(self._selection.joints) > 1 else ()
        self._on_person(partial(joints.swap_left_right, only=only))

    def toggle_crowd(self) -> None:
        self._on_person(people.toggle_crowd)

    def mirror(self) -> None:
        self._on_person(people.mirror)

    def grow_box(self) -> None:
        self._on_person(people.grow_box_to_joints)

    def tighten_box(self) -> None:
        self._on_person(people.tighten_box)

    def duplicate(self) -> None:
        if self._selection.person is not None:
            self._add(people.duplicate(self._document, self._image(), self._selection.person))

    def paste(self, copied: Sequence[Person], text: str) -> None:
        """New people like `copied`; the first of them is selected."""
        self._add(people.paste(self._document, self._image(), copied, text))

    def nudge(self, way: tuple[float, float]) -> None:
        """Moves the selected joints, else the whole person, by (dx, dy) pixels, but not off the image."""
        key, selected = self._selection.person, self._selection.joints
        if key is None:
            return
        image, person = self._image(), self._document.person(self._image(), key)
        moved = joints.placed(person, selected)
        if selected and not moved:
            return
        merge = self._nudging.isActive()
        self._nudging.start()
        reach = people.span(moved.values()) if selected else people.reach(person)
        dx, dy = kept_inside(reach, *way, self._scene.image_extent())
        if selected:
            places = {index: (joint.x + dx, joint.y + dy) for index, joint in moved.items()}
            edit = joints.move_joints(self._document, image, key, places)
        else:
            edit = people.move_person(self._document, image, key, dx, dy)
        self._push(edit, merge)

    def step_joint(self, step: int) -> None:
        """Selects the next joint that has a place, of the selected person or proposal, in the skeleton's order."""
        shown = self._selected_joints()
        selected = self._selection.joint
        start = selected if selected is not None else (-1 if step > 0 else 0)
        ways = ((start + step * count) % len(shown) for count in range(1, len(shown) + 1))
        following = next((index for index in ways if shown[index].has_place), None)
        if following is not None:
            self._selection.joint = following

    def _selected_joints(self) -> Sequence[Joint]:
        person, prediction = self._selection.person, self._selection.prediction
        if person is not None:
            return self._document.person(self._image(), person).joints
        proposal = self._scene.proposal(prediction) if prediction is not None else None
        return proposal.person.joints if proposal is not None else ()

    def step_person(self, step: int) -> None:
        keys = [person.key for person in self._document.people(self._image())]
        if keys:
            current = self._selection.person
            place = keys.index(current) + step if current in keys else (0 if step > 0 else -1)
            self._selection.person = keys[place % len(keys)]

    def select_person(self, number: int) -> None:
        """Selects the n-th person of the image, from 1."""
        shown = self._document.people(self._image())
        if number <= len(shown):
            self._selection.person = shown[number - 1].key

    # Actions on predictions

    def accept(self) -> None:
        key, joint = self._selection.prediction, self._selection.joint
        if key is None:
            return
        self._add(predictions.accept(self._document, self._image(), [key], self._session.acceptance_of), joint)

    def reject(self) -> None:
        key = self._selection.prediction
        if key is not None:
            following = [shown.key for shown in self._proposals.now().shown if shown.key != key]
            self._push(predictions.reject(self._document, self._image(), key))
            if following:
                self._selection.prediction = following[0]

    def accept_shown(self) -> None:
        """Accepts what is on screen, and nothing that the threshold or the switch hides."""
        keys = self._proposals.now().accepted
        self._push(predictions.accept(self._document, self._image(), keys, self._session.acceptance_of))

    def accept_and_go_on(self) -> None:
        """Space: everything shown becomes a label; a photo that the model is still looking at is not left behind."""
        if self._awaited() and not self._proposals.now().shown:
            way = self._scene.key_names.hint(" {next_image} goes on without it.")
            self._messages.post(f"The model is still looking at this photo.{way}", "info", topic="prefill")
            return
        self.accept_shown()
        self._navigation.next()

    # Actions on the image

    def mark_done(self) -> None:
        self._push(images.mark_done(self._document, self._image()))

    def mark_empty(self) -> None:
        self._push(images.mark_empty(self._document, self._image()))

    def mark_reviewed(self) -> None:
        self._push(images.mark_reviewed(self._document, self._image()))

    def reopen(self) -> None:
        self._push(images.reopen(self._document, self._image()))

    def toggle_flag(self) -> None:
        self._push(images.toggle_flag(self._document, self._image()))

    def set_note(self, image: int, note: str) -> None:
        """Writes a note; the image may have been left meanwhile."""
        if self._document.is_open(image):
            self._push(images.set_note(self._document, image, note))

    def _on_person(self, command: Callable[..., Edit | None]) -> None:
        if self._selection.person is not None:
            self._push(command(self._document, self._image(), self._selection.person))

    def _correct(self, person: int, edit: Edit | None) -> None:
        """Pushes an edit that puts joints of somebody right; the model's beside them follow in the same undo step."""
        if edit and self._push(edit):
            self._estimation.refine(edit.image, person, edit.text)

    def _add(self, edit: Edit | None, joint: int | None = None) -> int | None:
        """Pushes an edit that begins with a new person, and selects that one, perhaps with a joint; returns the key."""
        if edit and self._push(edit) and (added := edit.people[0].after):
            self._selection.person = added.key
            self._selection.joint = joint
            return added.key
        return None

    def _on_image(self, x: float, y: float) -> tuple[float, float]:
        return nearest_on_image(x, y, self._scene.image_extent())

    def _image(self) -> int:
        """Key of the current image; actions are disabled while there is none."""
        image = self._selection.current_image
        if image is None:
            raise LookupError("no image is open")
        return image

    def _push(self, edit: Edit | None, merge: bool = False) -> bool:
        if edit is not None and self._session.read_only:
            text = "This project is open read-only: its labels cannot be changed here."
            self._messages.post(text, "warning", topic="read-only")
            return False
        try:
            return stack.push(self._session.undo_stack, self._document, edit, merge)
        except (StaleEditError, InvalidEditError) as error:
            self._messages.post(f"That step does not fit the labels as they are now: {error}", "warning")
            return False
