"""The open images' labels and predictions, and the single place where they change."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from PySide6.QtCore import QObject, Signal

from app.document.records import Change, Edit, ImageRecord, ImageState, Look, Person, Prediction, PredictionStatus

FIRST_OWN_PERSON_KEY = 1 << 30
"""People made here get keys from here on, imported ones lie below: an import that runs while somebody
draws can never hand out the same key, and both fit Qt's 32-bit int signals."""


Record = TypeVar("Record", Person, Prediction)


class StaleEditError(Exception):
    """An edit does not fit the labels as they are now; nothing was changed."""


class InvalidEditError(ValueError):
    """An edit would store something that is no label: not finite, a wrong joint count, a duplicate key."""


def unbegun_state(state: ImageState, model: str) -> ImageState:
    """`state`, with "unseen" read as "predicted" when any model has looked at the image: undo may come later."""
    return ImageState.PREDICTED if state is ImageState.UNSEEN and model else state


def with_marks(record: ImageRecord, edit: Edit) -> ImageRecord:
    """`record` with the flag and the note as an edit leaves them."""
    flagged = record.flagged if edit.flagged is None else bool(edit.flagged.after)
    note = record.note if edit.note is None else edit.note.after or ""
    return replace(record, flagged=flagged, note=note)


def _same_progress(first: ImageState, second: ImageState) -> bool:
    """A pre-fill moves unseen to predicted at any time; to an edit the two are the same: not begun."""
    unbegun = (ImageState.UNSEEN, ImageState.PREDICTED)
    return first is second or (first in unbegun and second in unbegun)


class SkeletonData(Protocol):
    """What the document and the commands need to know of a skeleton (`msarcnn.skeleton.Skeleton` has it)."""

    @property
    def keypoints(self) -> tuple[str, ...]: ...

    @property
    def placing_order(self) -> tuple[int, ...]: ...

    @property
    def flip_permutation(self) -> tuple[int, ...]: ...


class _OpenImage:
    """An image's records in memory, by key."""

    def __init__(self, record: ImageRecord, people: Iterable[Person], predictions: Iterable[Prediction]) -> None:
        self.record = record
        self.people = {person.key: person for person in people}
        self.predictions = {prediction.key: prediction for prediction in predictions}

    def shown(self) -> tuple[Prediction, ...]:
        """Decided predictions of every model, and the open ones of the model that is shown here."""
        return tuple(
            prediction
            for _, prediction in sorted(self.predictions.items())
            if prediction.status is not PredictionStatus.OPEN or prediction.model == self.record.model
        )

    def recount(self, shown_model: str) -> None:
        """Brings the record's counts up to date, and shows a model's look, or the newest where it has not looked."""
        scores: dict[str, list[float]] = {look.model: [] for look in self.record.looks}
        for prediction in self.predictions.values():
            if prediction.status is PredictionStatus.OPEN and prediction.model in scores:
                scores[prediction.model].append(prediction.score)
        looks = tuple(Look(model, len(of_model), min(of_model, default=None)) for model, of_model in scores.items())
        self.record = replace(self.record, people=len(self.people), looks=looks).showing(shown_model)


class Document(QObject):
    """Holds the open images; every change of a label goes through `apply`.

    Storage listens to `edited`, views to the other signals. All of it lives on the GUI thread. `revision` is another
    number after everything that changes: what was computed from an earlier one is out of date, whichever signal has
    been heard already.
    """

    edited = Signal(object)
    """Edit: every applied edit, undo and redo included, after memory changed."""
    people_changed = Signal(int, object)
    """int image, frozenset[int] person keys that were added, changed or deleted."""
    predictions_changed = Signal(int)
    image_changed = Signal(int)
    """int image: its record (state, size, counts) changed."""
    image_opened = Signal(int)
    image_closed = Signal(int)
    edit_revealed = Signal(int)
    """int image that an undo or redo touched: to be shown when it is not the current one."""
    edit_refused = Signal(str)
    """str: an undo or redo no longer fits the labels and was dropped; the sentence says why."""

    def __init__(self, skeleton: SkeletonData, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.skeleton = skeleton
        self.revision = 0
        self._shown_model = ""
        self._open: dict[int, _OpenImage] = {}
        self._next_person_key = FIRST_OWN_PERSON_KEY

    def open_image(self, record: ImageRecord, people: Sequence[Person], predictions: Sequence[Prediction]) -> None:
        """Takes an image's records into memory, replacing what was open under its key."""
        opened = _OpenImage(record, people, predictions)
        opened.recount(self._shown_model)
        self._open[record.key] = opened
        self.revision += 1
        self.reserve_keys(max((person.key for person in people), default=0) + 1)
        self.image_opened.emit(record.key)

    def close_image(self, key: int) -> None:
        """Forgets an image's records; a no-op when it is not open."""
        if self._open.pop(key, None) is not None:
            self.revision += 1
            self.image_closed.emit(key)

    @property
    def shown_model(self) -> str:
        """Hash of the model whose open predictions are shown where it has looked; "": always the newest look's."""
        return self._shown_model

    def show_model(self, model: str) -> None:
        """Shows another model's open predictions on the open images and on those to come; nothing is edited by it."""
        if model == self._shown_model:
            return
        self._shown_model = model
        changed = []
        for key, opened in self._open.items():
            before = opened.record.model
            opened.recount(model)
            if opened.record.model != before:
                changed.append(key)
        self.revision += 1
        for key in changed:
            self.predictions_changed.emit(key)
            self.image_changed.emit(key)

    def is_open(self, key: int) -> bool:
        return key in self._open

    def open_images(self) -> tuple[int, ...]:
        """Keys of the open images, in the order of opening."""
        return tuple(self._open)

    def image(self, key: int) -> ImageRecord:
        """Raises KeyError when the image is not open (as do the three below)."""
        return self._open[key].record

    def people(self, key: int) -> tuple[Person, ...]:
        """The image's people by key, which is the order of their making; undo puts one back in its place."""
        return tuple(person for _, person in sorted(self._open[key].people.items()))

    def person(self, image: int, key: int) -> Person:
        return self._open[image].people[key]

    def has_person(self, image: int, key: int) -> bool:
        """Whether the image is open and has this person."""
        return image in self._open and key in self._open[image].people

    def predictions(self, key: int) -> tuple[Prediction, ...]:
        """Decided predictions of every model, and the open ones of the model that is shown here, by key."""
        return self._open[key].shown()

    def prediction(self, image: int, key: int) -> Prediction:
        """Raises KeyError when there is none of that key."""
        return self._open[image].predictions[key]

    def new_person_key(self) -> int:
        """A key that no person of the project ever had."""
        self._next_person_key += 1
        return self._next_person_key - 1

    def reserve_block(self, count: int) -> range:
        """Keys that no person of the project ever had, for work that goes on beside the document's own."""
        first = self._next_person_key
        self._next_person_key += count
        return range(first, first + count)

    def reserve_keys(self, next_person_key: int) -> None:
        """Says which keys are taken: `new_person_key` gives none below this one."""
        self._next_person_key = max(self._next_person_key, next_person_key)

    def check(self, edit: Edit) -> None:
        """Raises what `apply` would raise, and changes nothing."""
        for person in edit.people:
            if person.after is not None:
                self._check_person(person.after)
        opened = self._open.get(edit.image)
        if opened is None:
            return
        _check_changes("person", edit.people, opened.people)
        _check_changes("prediction", edit.predictions, opened.predictions)
        if edit.state and edit.state.before and not _same_progress(edit.state.before, opened.record.state):
            raise StaleEditError(
                f'"{edit.text}": {opened.record.path} is "{opened.record.state}", no longer "{edit.state.before}"'
            )
        for change, now in ((edit.flagged, opened.record.flagged), (edit.note, opened.record.note)):
            if change is not None and change.before != now:
                raise StaleEditError(f'"{edit.text}": flag or note of {opened.record.path} has changed since')

    def apply(self, edit: Edit) -> None:
        """Makes an edit real in memory and tells everybody; storage persists it from the `edited` signal.

        An edit on an image that is not open only passes through to storage.

        Raises:
            StaleEditError: an open record differs from the edit's `before`.
            InvalidEditError: a person would hold numbers that are no label.
        """
        self.check(edit)
        for person in edit.people:
            if person.after is not None:
                self.reserve_keys(person.after.key + 1)
        opened = self._open.get(edit.image)
        if opened is None:
            self.edited.emit(edit)
            return
        _apply_changes(edit.people, opened.people)
        _apply_changes(edit.predictions, opened.predictions)
        before = opened.record
        if edit.state and edit.state.after is not None:
            opened.record = replace(opened.record, state=unbegun_state(edit.state.after, opened.record.model))
        opened.record = with_marks(opened.record, edit)
        opened.recount(self._shown_model)
        self.revision += 1
        self.edited.emit(edit)
        if edit.people:
            keys = frozenset(record.key for change in edit.people for record in (change.before, change.after) if record)
            self.people_changed.emit(edit.image, keys)
        if edit.predictions:
            self.predictions_changed.emit(edit.image)
        if opened.record != before:
            self.image_changed.emit(edit.image)

    def set_predictions(self, image: int, predictions: Sequence[Prediction], model: str | None = None) -> None:
        """Takes over what a model found on an image (from storage, with keys); not undoable.

        Replaces that model's open predictions; accepted and rejected ones stay as they are, and so does what is shown
        where that is another model's look. `model` is only needed when it found nobody. A no-op when the image is not
        open.
        """
        opened = self._open.get(image)
        models = {prediction.model for prediction in predictions} | ({model} if model else set())
        if opened is None or not models:
            return
        decided = {
            key: prediction
            for key, prediction in opened.predictions.items()
            if prediction.status is not PredictionStatus.OPEN or prediction.model not in models
        }
        opened.predictions = {prediction.key: prediction for prediction in predictions} | decided
        before = opened.record
        newest = model or max(predictions, key=lambda prediction: prediction.key).model
        looks = [look for look in before.looks if look.model not in models]
        looks += [Look(other) for other in sorted(models - {newest})]
        opened.record = replace(before, looks=(*looks, Look(newest)), state=unbegun_state(before.state, newest))
        opened.recount(self._shown_model)
        self.revision += 1
        self.predictions_changed.emit(image)
        if opened.record != before:
            self.image_changed.emit(image)

    def update_record(self, record: ImageRecord) -> None:
        """Takes over size and looks from storage.

        The counts follow from what is in memory, and so do flag, note, and the state once work on the image has
        begun: an answer of storage may be older than the last edit.
        """
        opened = self._open.get(record.key)
        if opened is None:
            return
        before = opened.record
        state = record.state if _same_progress(before.state, record.state) else before.state
        opened.record = replace(record, state=state, flagged=before.flagged, note=before.note)
        opened.recount(self._shown_model)
        self.revision += 1
        if opened.record != before:
            self.image_changed.emit(record.key)

    def _check_person(self, person: Person) -> None:
        box = person.box
        numbers = [box.x, box.y, box.w, box.h, *(value for joint in person.joints for value in (joint.x, joint.y))]
        if not all(map(math.isfinite, numbers)):
            raise InvalidEditError(f"person {person.key}: a coordinate is not a finite number")
        if len(person.joints) != len(self.skeleton.keypoints):
            raise InvalidEditError(
                f"person {person.key}: {len(person.joints)} joints, the skeleton has {len(self.skeleton.keypoints)}"
            )
        if any(joint.v not in (0, 1, 2) for joint in person.joints):
            raise InvalidEditError(f"person {person.key}: a visibility other than 0, 1, 2")


def _check_changes(noun: str, changes: Sequence[Change[Record]], current: dict[int, Record]) -> None:
    seen: set[int] = set()
    for change in changes:
        record = change.after if change.before is None else change.before
        if record is None or (change.after is not None and change.after.key != record.key):
            raise InvalidEditError(f"a change of a {noun} must keep its key and have a before or an after")
        key = record.key
        if key in seen:
            raise InvalidEditError(f"{noun} {key} changes twice in one edit")
        seen.add(key)
        if current.get(key) != change.before:
            raise StaleEditError(f"{noun} {key} has changed since; the step no longer fits and was left out")


def _apply_changes(changes: Sequence[Change[Record]], current: dict[int, Record]) -> None:
    for change in changes:
        if change.after is not None:
            current[change.after.key] = change.after
        elif change.before is not None:
            del current[change.before.key]
