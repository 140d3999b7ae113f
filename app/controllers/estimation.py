"""The model's joints for boxes: of a person just drawn, of a box that was changed, or asked for."""

from PySide6.QtCore import QObject

from app.commands import people, stack
from app.commands.predictions import estimated_joints
from app.controllers.messages import Messages
from app.controllers.session import Session
from app.workers.engine_client import EngineClient
from app.workers.payloads import EstimateResult


class Estimation(QObject):
    """Asks the engine, and folds the answer into the undo step that caused it. The newest box of a person counts."""

    def __init__(self, session: Session, engine: EngineClient, messages: Messages) -> None:
        super().__init__(session)
        self._session, self._engine, self._messages = session, engine, messages
        self._waiting: dict[int, int] = {}

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
        document = self._session.document
        person = document.person(image, key)
        if person.is_crowd or not any(joint.may_be_filled if fill else joint.from_model for joint in person.joints):
            return
        if key in self._waiting:
            self._engine.cancel_request(self._waiting.pop(key))

        def done(result: EstimateResult) -> None:
            self._waiting.pop(key, None)
            joints = estimated_joints(
                result.keypoints[0].tolist(), result.confidences[0].tolist(), result.tau, result.model_hash
            )
            now = document.person(image, key) if document.has_person(image, key) else None
            if now is not None and now.box == person.box and not now.is_crowd:
                edit = people.set_joints(document, image, key, joints, text, fill)
                stack.push(self._session.undo_stack, document, edit, merge=merge)

        def failed(reason: str) -> None:
            self._waiting.pop(key, None)
            self._messages.post(f"The joints could not be estimated: {reason}", "warning", topic="engine")

        self._waiting[key] = self._engine.estimate(
            self._session.image_file(image), [person.box], heatmaps=False, done=done, failed=failed
        )
