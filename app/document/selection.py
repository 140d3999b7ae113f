"""What is selected: one image, and on it a person with perhaps some joints, or a prediction."""

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal

from app.document.document import Document
from app.document.records import PredictionStatus


class Selection(QObject):
    """The one selection of the window. Every setter that changes something emits `changed`."""

    changed = Signal()
    image_changed = Signal(object)
    """int | None: the new current image; `changed` follows."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._image: int | None = None
        self._person: int | None = None
        self._joints: tuple[int, ...] = ()
        self._prediction: int | None = None
        self._waits = False

    @property
    def current_image(self) -> int | None:
        """Key of the image on the canvas. Setting another one clears the rest."""
        return self._image

    @current_image.setter
    def current_image(self, key: int | None) -> None:
        if key == self._image:
            return
        self._image = key
        self._person = self._prediction = None
        self._joints = ()
        self._waits = False
        self.image_changed.emit(key)
        self.changed.emit()

    @property
    def person(self) -> int | None:
        """Key of the selected person. Setting it clears joint and prediction."""
        return self._person

    @person.setter
    def person(self, key: int | None) -> None:
        self._select(key, (), None if key is not None else self._prediction)

    @property
    def joint(self) -> int | None:
        """0-based index of the selected joint of the selected person or prediction; None without either.

        Of several it is the one that was selected last. Setting it selects that one alone.
        """
        return self._joints[-1] if self._joints else None

    @joint.setter
    def joint(self, index: int | None) -> None:
        somebody = self._person is not None or self._prediction is not None
        self._select(self._person, (index,) if somebody and index is not None else (), self._prediction)

    @property
    def joints(self) -> tuple[int, ...]:
        """The selected joints of the selected person in the order of selecting them; of a prediction one at most."""
        return self._joints

    @property
    def prediction(self) -> int | None:
        """Key of the selected prediction. Setting it clears person and joint."""
        return self._prediction

    @prediction.setter
    def prediction(self, key: int | None) -> None:
        if key is not None:
            self._select(None, (), key)
        elif self._prediction is not None:  # else a person may be selected, whose joint perhaps waits for its place
            self._select(None, (), None)

    def clear(self) -> None:
        """Deselects person, joint and prediction; the image stays."""
        self._select(None, (), None)

    def select_joint(self, person: int, joint: int) -> None:
        """Selects a person and one of its joints in one step."""
        self._select(person, (joint,), None)

    def select_joints(self, person: int, joints: Iterable[int]) -> None:
        """Selects a person and some of its joints, each named once; without any the person alone."""
        self._select(person, tuple(joints), None)

    def select_proposed_joint(self, prediction: int, joint: int) -> None:
        """Selects a prediction and one of its joints in one step."""
        self._select(None, (joint,), prediction)

    def pick_joint(self, person: int, joint: int) -> None:
        """Selects a joint in order to place it, if it has no place: the next click on the photo says where it is."""
        self._select(person, (joint,), None, waits=True)

    @property
    def waits_for_place(self) -> bool:
        """Whether the selected joint was picked, and neither its person nor the selection has changed since."""
        return self._waits

    def follow(self, document: Document) -> None:
        """Lets go of people and predictions that an edit takes away."""

        def people_changed(image: int, keys: frozenset[int]) -> None:
            if image != self._image or self._person is None:
                return
            if not document.has_person(image, self._person):
                self.person = None
            elif self._person in keys:
                self._waits = False  # a joint that was deleted, or an undone one, is not asking for another place

        def predictions_changed(image: int) -> None:
            if image == self._image and self._prediction is not None:
                shown = {p.key for p in document.predictions(image) if p.status is PredictionStatus.OPEN}
                if self._prediction not in shown:
                    self.prediction = None

        document.people_changed.connect(people_changed)
        document.image_opened.connect(lambda image: people_changed(image, frozenset()))
        document.image_opened.connect(predictions_changed)
        document.predictions_changed.connect(predictions_changed)

    def _select(self, person: int | None, joints: tuple[int, ...], prediction: int | None, waits: bool = False) -> None:
        self._waits = waits
        if (person, joints, prediction) != (self._person, self._joints, self._prediction):
            self._person, self._joints, self._prediction = person, joints, prediction
            self.changed.emit()
