"""The model's joints for boxes: of a person just drawn, of a box that is or was changed, or asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand

from app.commands import people, stack
from app.commands.label_edit import person_edit
from app.commands.predictions import estimated_joints
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.document.records import Box, Joint, Person
from app.storage.settings import Settings
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult

_TOPIC = "estimate"
_SMALLEST = 2.0
"""Pixels a side of a box that is asked about while it is dragged."""
_AT_ITS_PLACE = 0.02
"""Of a box's longer side: a joint that is no further from the model's place is where the model has put it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What an answer is about: a box, and the joints that somebody has placed there; the others have v = 0."""

    image: int
    box: Box
    known: tuple[Joint, ...]


@dataclass(frozen=True, slots=True)
class _Wish:
    """Somebody's joints are asked for, in the box as it was then; see `Estimation.request`."""

    key: int
    place: _Place
    text: str
    step: QUndoCommand | None
    """What the answer is taken back with; None: with itself."""
    fill: bool
    around: frozenset[int] | None = None
    """The joints that are asked for; None: all."""


class Estimation(QObject):
    """Asks the engine, and folds the answer into the undo step that caused it.

    The newest box of a person counts, and the newest model: who is still waited for when another one is ready is
    asked for again. While a box is dragged the joints follow it: one box is asked about at a time, then the newest one.
    What is known of it when it is let go is not asked for again.
    """

    followed = Signal(object)
    """The model's joints [K] for the box that is being dragged, as it was a moment ago."""

    changed = Signal()
    """Whether joints follow."""

    def __init__(self, session: Session, engine: EngineClient, messages: Messages, settings: Settings) -> None:
        super().__init__(session)
        self._session, self._engine, self._messages, self._settings = session, engine, messages, settings
        self.refines = settings.value("joints_follow", True)
        self._waiting: dict[int, tuple[int | None, _Wish]] = {}
        """By person: the request, None where it is the one that follows the box."""
        self._following: tuple[_Place, int] | None = None
        """What is asked about a box that is or was dragged, and the request."""
        self._drag = 0
        """How many drags of boxes have ended."""
        self._wanted: _Place | None = None
        self._known: tuple[_Place, EstimateResult] | None = None
        session.set_awaited(lambda: frozenset(wish.place.image for _, wish in self._waiting.values()))
        engine.ready.connect(lambda _: self._ask_again())
        session.closed.connect(self._drop_all)
        session.selection.image_changed.connect(lambda _: self._forget_followed())

    @property
    def busy(self) -> bool:
        """Whether an answer about labels is waited for."""
        return bool(self._waiting)

    def reestimate(self) -> None:
        """The selected person's joints anew, except those that a person placed."""
        key, image = self._session.selection.person, self._session.selection.current_image
        if key is None or image is None:
            return
        person = self._session.document.person(image, key)
        if not any(joint.may_be_filled for joint in person.joints):
            self._messages.post("Every joint of this person was placed by hand or imported: nothing to re-estimate.")
            return
        self.request(image, key, "Re-estimate joints", merge=False, fill=True)

    def request(self, image: int, key: int, text: str, merge: bool = True, fill: bool = False) -> None:
        """Asks for the joints in a person's box as it is now.

        Args:
            image: The person's image.
            key: The person.
            text: What the undo step is called, if it becomes one of its own.
            merge: Fold the answer into the step before, which drew or changed the box.
            fill: Also place the joints that an import left without a label.
        """
        person = self._session.document.person(image, key)
        if person.is_crowd or not any(joint.may_be_filled if fill else joint.from_model for joint in person.joints):
            return
        self._cancel(self._waiting.pop(key, (None, None))[0])
        step = stack.newest(self._session.undo_stack) if merge else None
        self._ask(_Wish(key, self._place(image, person), text, step, fill))

    def refine(self, image: int, key: int, text: str) -> None:
        """Somebody has put a joint right: the joints beside those that are known are asked for again.

        Only those that the model which answers has placed: another one would be of another mind about all of them.
        """
        info, person = self._engine.info, self._session.document.person(image, key)
        request, wish = self._waiting.get(key, (None, None))
        if wish is not None and wish.around is None:  # all of them are on their way already
            self._cancel(request)
            del self._waiting[key]
            self._ask(replace(wish, place=self._place(image, person)))
            return
        skeleton = self._session.skeleton
        pairs = (*skeleton.edges, *skeleton.flip_pairs)
        beside = {near for pair in pairs for one, near in (pair, pair[::-1]) if _is_known(person.joints[one])}
        around = frozenset(index for index in beside if info and person.joints[index].origin == info.hash)
        if self.refines and around and not person.is_crowd:
            self._cancel(request)
            self._waiting.pop(key, None)
            step = stack.newest(self._session.undo_stack)
            self._ask(_Wish(key, self._place(image, person), text, step, fill=False, around=around))

    def toggle_refining(self) -> None:
        """Whether the model's joints follow those that somebody puts right."""
        self.refines = not self.refines
        self._settings.set_value("joints_follow", self.refines)
        self.changed.emit()

    def follow(self, person: Person) -> None:
        """Asks for the joints in a box that is being dragged, unless somebody placed all of them; see `followed`."""
        image, box = self._session.selection.current_image, person.box
        if image is None or person.is_crowd or min(box.w, box.h) < _SMALLEST:
            return
        if any(joint.from_model for joint in person.joints):
            self._wanted = self._place(image, person)
            self._follow()

    def stop_following(self) -> None:
        """The box is let go, or the drag cancelled: what is under way is for nobody, unless `request` waits for it."""
        self._drag += 1
        self._wanted = None

    def _follow(self) -> None:
        if self._following is not None or self._wanted is None:
            return
        place, self._wanted = self._wanted, None
        drag = self._drag

        def done(result: EstimateResult) -> None:
            self._following, self._known = None, (place, result)
            wish = self._let_go(place)
            if wish is not None:
                self._take(wish, result)
                return
            if drag == self._drag:
                self.followed.emit(self._joints(result))
            self._follow()

        def failed(reason: str) -> None:
            self._following = None  # it is said when the box is let go, and asked for once more
            wish = self._let_go(place)
            if wish is not None:
                self._ask(wish)

        self._following = place, self._send(place, done, failed)

    def _send(self, place: _Place, done: Callable[[EstimateResult], None], failed: Callable[[str], None]) -> int:
        file, known = self._session.image_file(place.image), place.known or None
        return self._engine.estimate(file, [place.box], heatmaps=False, done=done, failed=failed, known=known)

    def _let_go(self, place: _Place) -> _Wish | None:
        """Who waits for what was asked about a box while it was dragged."""
        for number, wish in self._waiting.values():
            if number is None and wish.place == place:
                del self._waiting[wish.key]
                return wish
        return None

    def _forget_followed(self) -> None:
        """Nobody drags any more; who waits for the answer that is under way still gets it."""
        self._wanted = self._known = None
        waiting = [wish.place for request, wish in self._waiting.values() if request is None]
        if self._following is not None and self._following[0] not in waiting:
            self._engine.cancel_request(self._following[1])
            self._following = None

    def _ask(self, wish: _Wish) -> None:
        if self._known is not None and self._known[0] == wish.place:
            result = self._known[1]
            self._forget_followed()
            self._take(wish, result)
            return
        if self._following is not None and self._following[0] == wish.place:
            self._wanted = None
            self._waiting[wish.key] = None, wish
            return
        self._forget_followed()

        def done(result: EstimateResult) -> None:
            self._waiting.pop(wish.key, None)
            self._messages.settle(_TOPIC)
            self._take(wish, result)

        def failed(reason: str) -> None:
            self._waiting.pop(wish.key, None)
            if wish.around is None:  # nobody has asked for joints that follow
                self._messages.post(f"The joints could not be estimated: {reason}", "warning", topic=_TOPIC)

        self._waiting[wish.key] = self._send(wish.place, done, failed), wish

    def _take(self, wish: _Wish, result: EstimateResult) -> None:
        document, image, undo_stack = self._session.document, wish.place.image, self._session.undo_stack
        now = document.person(image, wish.key) if document.has_person(image, wish.key) else None
        if now is None or now.box != wish.place.box or now.is_crowd:
            return
        if wish.around is not None:
            self._take_around(wish, wish.around, now, result)
            return
        edit = people.set_joints(document, image, wish.key, self._joints(result), wish.text, wish.fill)
        stack.push(undo_stack, document, edit, merge=wish.step is not None, into=wish.step)

    def _take_around(self, wish: _Wish, around: frozenset[int], now: Person, result: EstimateResult) -> None:
        """Joints follow that are where the model has put them, if what it was told is still so; their v stays.

        Who has undone the correction, or gone on to something else, has not asked for anything.
        """
        if result.unaware is None or _known(now) != wish.place.known:
            return
        near = _AT_ITS_PLACE * max(now.box.w, now.box.h)
        followed = now
        for index in around:
            joint, place = now.joints[index], result.unaware[0, index].tolist()
            itself = joint.origin == result.model_hash and max(abs(joint.x - place[0]), abs(joint.y - place[1])) <= near
            if itself:
                x, y = result.keypoints[0, index].tolist()
                followed = followed.with_joint(index, replace(joint, x=x, y=y))
        edit = person_edit(self._session.document, wish.place.image, wish.text, followed)
        if edit and stack.foldable(self._session.undo_stack, edit, wish.step):
            stack.push(self._session.undo_stack, self._session.document, edit, merge=True, into=wish.step)

    def _ask_again(self) -> None:
        wishes = [wish for _, wish in self._waiting.values() if wish.around is None]  # another model's stay
        self._drop_all()  # also what is known of a box: another model said it
        for wish in wishes:
            self._ask(wish)

    def _drop_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._forget_followed()
        for request, _ in waiting.values():
            self._cancel(request)

    def _cancel(self, request: int | None) -> None:
        if request is not None:
            self._engine.cancel_request(request)

    def _place(self, image: int, person: Person) -> _Place:
        return _Place(image, person.box, _known(person) if self.refines else ())

    def _joints(self, result: EstimateResult) -> tuple[Joint, ...]:
        acceptance = replace(self._session.acceptance_of(result.model_hash), tau=result.tau)
        return estimated_joints(result.joints(0), acceptance, result.model_hash)


def _is_known(joint: Joint) -> bool:
    return joint.v > 0 and not joint.from_model


def _known(person: Person) -> tuple[Joint, ...]:
    """The joints that somebody has placed, without the others' places; nothing where nobody has."""
    joints = tuple(joint if _is_known(joint) else Joint() for joint in person.joints)
    return joints if any(joint.v for joint in joints) else ()
