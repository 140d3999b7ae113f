"""The model's joints for boxes: of a person just drawn, of a box that was changed, or asked for."""

from dataclasses import dataclass

from PySide6.QtCore import QObject

from app.commands import people, stack
from app.commands.predictions import estimated_joints
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.document.records import Box
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult

_TOPIC = "estimate"


@dataclass(frozen=True, slots=True)
class _Wish:
    """Somebody's joints are asked for, in the box as it was then; see `Estimation.request`."""

    image: int
    key: int
    box: Box
    text: str
    merge: bool
    fill: bool


class Estimation(QObject):
    """Asks the engine, and folds the answer into the undo step that caused it.

    The newest box of a person counts, and the newest model: who is still waited for when another one is ready is
    asked for again.
    """

    def __init__(self, session: Session, engine: EngineClient, messages: Messages) -> None:
        super().__init__(session)
        self._session, self._engine, self._messages = session, engine, messages
        self._waiting: dict[int, tuple[int, _Wish]] = {}
        session.set_awaited(lambda: frozenset(wish.image for _, wish in self._waiting.values()))
        engine.ready.connect(lambda _: self._ask_again())
        session.closed.connect(self._drop_all)

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
        if key in self._waiting:
            self._engine.cancel_request(self._waiting.pop(key)[0])
        self._ask(_Wish(image, key, person.box, text, merge, fill))

    def _ask(self, wish: _Wish) -> None:
        def done(result: EstimateResult) -> None:
            self._waiting.pop(wish.key, None)
            self._messages.settle(_TOPIC)
            self._take(wish, result)

        def failed(reason: str) -> None:
            self._waiting.pop(wish.key, None)
            self._messages.post(f"The joints could not be estimated: {reason}", "warning", topic=_TOPIC)

        file = self._session.image_file(wish.image)
        request = self._engine.estimate(file, [wish.box], heatmaps=False, done=done, failed=failed)
        self._waiting[wish.key] = request, wish

    def _take(self, wish: _Wish, result: EstimateResult) -> None:
        document = self._session.document
        joints = estimated_joints(result.joints(0), result.tau, result.model_hash)
        now = document.person(wish.image, wish.key) if document.has_person(wish.image, wish.key) else None
        if now is not None and now.box == wish.box and not now.is_crowd:
            edit = people.set_joints(document, wish.image, wish.key, joints, wish.text, wish.fill)
            stack.push(self._session.undo_stack, document, edit, merge=wish.merge)

    def _ask_again(self) -> None:
        wishes = [wish for _, wish in self._waiting.values()]
        self._drop_all()
        for wish in wishes:
            self._ask(wish)

    def _drop_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for request, _ in waiting.values():
            self._engine.cancel_request(request)
