"""The document: signals, validation, counts, and what must not change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from storage_builders import IMAGE, MODEL, make_document, make_joints, make_prediction

from app.commands import images, people, predictions
from app.document.document import FIRST_OWN_PERSON_KEY, Document, InvalidEditError, StaleEditError
from app.document.records import (
    Box,
    Change,
    Edit,
    ImageRecord,
    ImageState,
    Joint,
    Look,
    Person,
    PredictionStatus,
)
from app.document.selection import Selection
from app.storage.visibility import Acceptance


def recorded(document: Document) -> list[tuple[Any, ...]]:
    """Everything the document says, in order."""
    calls: list[tuple[Any, ...]] = []

    def listener(name: str) -> Callable[..., None]:
        return lambda *values: calls.append((name, *values))

    for name in ("edited", "people_changed", "predictions_changed", "image_changed", "image_opened", "image_closed"):
        getattr(document, name).connect(listener(name))
    return calls


def add(document: Document) -> Person:
    edit = people.add_person(document, IMAGE, Box(10, 10, 50, 100), make_joints())
    assert edit is not None
    document.apply(edit)
    return document.people(IMAGE)[-1]


def test_signals_come_after_memory_changed_and_name_what_changed() -> None:
    document = make_document()
    calls = recorded(document)
    person = add(document)
    names = [call[0] for call in calls]
    assert names == ["edited", "people_changed", "image_changed"]
    assert calls[1] == ("people_changed", IMAGE, frozenset({person.key}))
    assert document.image(IMAGE).people == 1
    assert document.image(IMAGE).state is ImageState.IN_PROGRESS


def test_an_edit_and_its_inverse_leave_nothing() -> None:
    document = make_document()
    before = (document.image(IMAGE), document.people(IMAGE))
    edit = people.add_person(document, IMAGE, Box(0, 0, 5, 5))
    assert edit is not None
    document.apply(edit)
    document.apply(edit.inverse())
    assert (document.image(IMAGE), document.people(IMAGE)) == before


def test_a_deleted_person_comes_back_in_its_place() -> None:
    document = make_document()
    first, second = add(document), add(document)
    edit = people.delete_person(document, IMAGE, first.key)
    assert edit is not None
    document.apply(edit)
    assert document.people(IMAGE) == (second,)
    document.apply(edit.inverse())
    assert document.people(IMAGE) == (first, second)


def test_stale_edits_are_refused_and_change_nothing() -> None:
    document = make_document()
    person = add(document)
    edit = people.move_person(document, IMAGE, person.key, 1, 1)
    assert edit is not None
    document.apply(edit)
    calls = recorded(document)
    with pytest.raises(StaleEditError, match="changed since"):
        document.apply(edit)
    with pytest.raises(StaleEditError):
        document.apply(Edit(IMAGE, "x", state=Change(ImageState.DONE, ImageState.REVIEWED)))
    assert calls == []


@pytest.mark.parametrize(
    "person",
    [
        Person(5, Box(float("nan"), 0, 1, 1), make_joints()),
        Person(5, Box(0, 0, 1, 1), make_joints()[:16]),
        Person(5, Box(0, 0, 1, 1), (*make_joints()[:16], Joint(float("inf"), 0, 2))),
        Person(5, Box(0, 0, 1, 1), (*make_joints()[:16], Joint(0, 0, 3))),
    ],
)
def test_what_is_no_label_is_refused(person: Person) -> None:
    document = make_document()
    with pytest.raises(InvalidEditError):
        document.apply(Edit(IMAGE, "x", (Change(None, person),)))
    assert document.people(IMAGE) == ()


def test_changing_a_record_twice_in_one_edit_is_refused() -> None:
    document = make_document()
    person = Person(5, Box(0, 0, 1, 1), make_joints())
    with pytest.raises(InvalidEditError, match="twice"):
        document.apply(Edit(IMAGE, "x", (Change(None, person), Change(None, person))))
    with pytest.raises(InvalidEditError, match="keep its key"):
        document.apply(Edit(IMAGE, "x", (Change(person, replace(person, key=6)),)))


def test_edits_on_images_that_are_not_open_only_pass_through() -> None:
    document = make_document()
    calls = recorded(document)
    edit = Edit(77, "x", (Change(None, Person(5, Box(0, 0, 1, 1), make_joints())),))
    document.apply(edit)
    assert calls == [("edited", edit)]


def test_keys_are_never_given_twice() -> None:
    document = make_document()
    assert document.new_person_key() == FIRST_OWN_PERSON_KEY
    document.reserve_keys(FIRST_OWN_PERSON_KEY + 50)
    assert document.new_person_key() == FIRST_OWN_PERSON_KEY + 50
    document.reserve_keys(3)
    assert document.new_person_key() == FIRST_OWN_PERSON_KEY + 51
    document.open_image(ImageRecord(2, 1, "b"), [Person(FIRST_OWN_PERSON_KEY + 90, Box(0, 0, 1, 1), make_joints())], ())
    assert document.new_person_key() == FIRST_OWN_PERSON_KEY + 91


def test_opening_and_closing() -> None:
    document = make_document()
    calls = recorded(document)
    document.close_image(IMAGE)
    document.close_image(IMAGE)
    assert not document.is_open(IMAGE)
    assert calls == [("image_closed", IMAGE)]
    with pytest.raises(KeyError):
        document.image(IMAGE)


def test_prefill_replaces_open_predictions_of_its_model_only() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1), make_prediction(2, 200)])
    assert document.image(IMAGE).state is ImageState.PREDICTED
    rejection = predictions.reject(document, IMAGE, 1)
    assert rejection is not None
    document.apply(rejection)
    assert document.image(IMAGE).state is ImageState.PREDICTED
    document.set_predictions(IMAGE, [make_prediction(3, 300, 0.4)])
    assert [(p.key, p.status) for p in document.predictions(IMAGE)] == [
        (1, PredictionStatus.REJECTED),
        (3, PredictionStatus.OPEN),
    ]
    record = document.image(IMAGE)
    assert (record.predictions, record.lowest_confidence) == (1, 0.4)
    document.set_predictions(IMAGE, [make_prediction(4, 400, model="other")])
    assert [p.key for p in document.predictions(IMAGE)] == [1, 4]  # 3 is kept, but belongs to the earlier model
    assert document.prediction(IMAGE, 3).score == 0.4
    document.set_predictions(IMAGE, [], "other")
    assert document.image(IMAGE).predictions == 0


def shown(document: Document) -> tuple[list[int], str, int, float | None]:
    """Keys of the open predictions that are shown, and what the record says of them."""
    keys = [p.key for p in document.predictions(IMAGE) if p.status is PredictionStatus.OPEN]
    record = document.image(IMAGE)
    return keys, record.model, record.predictions, record.lowest_confidence


def test_another_models_predictions_are_shown_and_the_first_ones_again() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1, 0, 0.8), make_prediction(2, 200, 0.3)], MODEL)
    assert shown(document) == ([1, 2], MODEL, 2, 0.3)
    document.set_predictions(IMAGE, [make_prediction(3, 0, 0.7, "other")], "other")
    assert shown(document) == ([3], "other", 1, 0.7), "nobody has chosen: the newest look"
    calls: list[tuple[str, int]] = []
    document.predictions_changed.connect(lambda image: calls.append(("predictions", image)))
    document.image_changed.connect(lambda image: calls.append(("image", image)))
    revision = document.revision
    document.show_model(MODEL)
    assert shown(document) == ([1, 2], MODEL, 2, 0.3) and document.revision != revision
    document.show_model(MODEL)
    document.show_model("other")
    assert shown(document) == ([3], "other", 1, 0.7)
    document.show_model("has not looked here")
    assert shown(document) == ([3], "other", 1, 0.7)
    assert calls == [("predictions", IMAGE), ("image", IMAGE)] * 2


def test_a_later_look_of_another_model_does_not_take_the_shown_ones_away() -> None:
    document = make_document()
    document.show_model(MODEL)
    document.set_predictions(IMAGE, [make_prediction(1, model="other")], "other")
    assert shown(document)[0] == [1], "MODEL has not looked"
    document.set_predictions(IMAGE, [], MODEL)
    assert shown(document) == ([], MODEL, 0, None), "it has looked, and found nobody"
    document.set_predictions(IMAGE, [make_prediction(2, model="third")], "third")
    assert shown(document) == ([], MODEL, 0, None)
    document.show_model("")
    assert shown(document)[0] == [2]
    assert [look.model for look in document.image(IMAGE).looks] == ["other", MODEL, "third"]


def test_undo_after_another_models_predictions_were_shown() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1), make_prediction(2, 200)], MODEL)
    document.set_predictions(IMAGE, [make_prediction(3, 400, model="other")], "other")
    document.show_model(MODEL)
    edit = predictions.accept(document, IMAGE, [1], lambda _: Acceptance(0.4))
    assert edit is not None
    document.apply(edit)
    assert shown(document)[:3] == ([2], MODEL, 1)
    document.show_model("other")
    document.apply(edit.inverse())
    assert shown(document)[:3] == ([3], "other", 1)
    assert [p.status for p in document.predictions(IMAGE)] == [PredictionStatus.OPEN]
    document.show_model(MODEL)
    assert shown(document)[:3] == ([1, 2], MODEL, 2)


def test_a_prefill_between_undo_and_redo_is_no_obstacle() -> None:
    document = make_document()
    edit = people.add_person(document, IMAGE, Box(0, 0, 5, 5))
    assert edit is not None
    document.apply(edit)
    document.set_predictions(IMAGE, [make_prediction(1)])
    document.apply(edit.inverse())
    assert document.image(IMAGE).state is ImageState.PREDICTED
    document.apply(edit)
    assert document.image(IMAGE).state is ImageState.IN_PROGRESS


def test_a_late_record_of_storage_does_not_take_back_the_state() -> None:
    document = make_document()
    looks = (Look("another"), Look(MODEL))
    late = replace(document.image(IMAGE), width=640, height=480, state=ImageState.PREDICTED, looks=looks)
    done = images.mark_done(document, IMAGE)
    assert done is not None
    document.apply(done)
    document.update_record(late)
    record = document.image(IMAGE)
    assert (record.state, record.width, record.model) == (ImageState.DONE, 640, MODEL)


def test_merged_edits_are_one_step() -> None:
    document = make_document()
    person = add(document)
    first = people.move_person(document, IMAGE, person.key, 5, 0)
    assert first is not None
    document.apply(first)
    second = people.move_person(document, IMAGE, person.key, -5, 0)
    assert second is not None
    document.apply(second)
    assert first.merged_with(second).people == ()


def test_selection_follows_what_disappears() -> None:
    document = make_document()
    selection = Selection()
    selection.follow(document)
    changes: list[int] = []
    selection.changed.connect(lambda: changes.append(1))
    selection.current_image = IMAGE
    person = add(document)
    selection.select_joint(person.key, 4)
    assert (selection.person, selection.joint) == (person.key, 4)
    document.set_predictions(IMAGE, [make_prediction(1, 300)])
    selection.prediction = 1
    assert (selection.person, selection.joint) == (None, None)
    document.set_predictions(IMAGE, [], MODEL)
    assert selection.prediction is None
    document.set_predictions(IMAGE, [make_prediction(2, 300, model="other")], "other")
    selection.select_proposed_joint(2, 4)
    document.show_model("has not looked here")
    assert (selection.prediction, selection.joint) == (2, 4)
    document.show_model(MODEL)
    assert (selection.prediction, selection.joint) == (None, None)
    selection.person = person.key
    deletion = people.delete_person(document, IMAGE, person.key)
    assert deletion is not None
    document.apply(deletion)
    assert selection.person is None
    count = len(changes)
    selection.person = None
    selection.joint = 3  # without a person there is no joint
    selection.clear()
    assert selection.joint is None and len(changes) == count
    selection.current_image = None
    assert len(changes) == count + 1
