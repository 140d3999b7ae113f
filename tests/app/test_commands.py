"""Every command: its effect, undo back to exactly the state before, redo to exactly the state after."""

from dataclasses import replace

import pytest
from PySide6.QtGui import QUndoStack
from storage_builders import IMAGE, MODEL, make_document, make_joints, make_prediction, with_visibility

from app.commands import images, joints, people, predictions, stack
from app.document.document import Document, StaleEditError
from app.document.records import (
    HUMAN,
    IMPORTED,
    Box,
    Change,
    Edit,
    ImageRecord,
    ImageState,
    Joint,
    Person,
    PredictedJoint,
    PredictionStatus,
)
from app.storage.visibility import Acceptance

KEY = 7
AREA = 1234.5


def at_40(model: str) -> Acceptance:
    return Acceptance(0.4)


def state(document: Document) -> tuple[object, ...]:
    return document.image(IMAGE), document.people(IMAGE), document.predictions(IMAGE)


def labelled(*own: Joint, crowd: bool = False) -> Document:
    """One imported person with an area of its own; `own` replaces its first joints."""
    document = make_document()
    person = Person(KEY, Box(10, 20, 100, 200), (*own, *make_joints(origin=IMPORTED)[len(own) :]), crowd, AREA, "{}")
    document.open_image(ImageRecord(IMAGE, 1, "a.jpg"), [person], [])
    return document


def done_undone_redone(document: Document, edit: Edit | None) -> Person | None:
    """Pushes the edit, checks undo and redo, and returns the last person afterwards."""
    assert edit is not None
    undo_stack = QUndoStack()
    before = state(document)
    assert stack.push(undo_stack, document, edit)
    after = state(document)
    assert after != before
    undo_stack.undo()
    assert state(document) == before
    undo_stack.redo()
    assert state(document) == after
    assert undo_stack.undoText() == edit.text
    return document.people(IMAGE)[-1] if document.people(IMAGE) else None


def test_add_person() -> None:
    document = make_document()
    person = done_undone_redone(document, people.add_person(document, IMAGE, Box(1, 2, 3, 4)))
    assert person is not None and person.box == Box(1, 2, 3, 4) and person.area is None
    assert person.joints == (Joint(),) * 17
    assert document.image(IMAGE).state is ImageState.IN_PROGRESS
    assert people.add_person(document, IMAGE, Box(1, 2, 0, 4)) is None


def test_adding_somebody_reopens_an_image_with_nobody() -> None:
    document = make_document(state=ImageState.DONE_EMPTY)
    done_undone_redone(document, people.add_person(document, IMAGE, Box(1, 2, 3, 4)))
    assert document.image(IMAGE).state is ImageState.IN_PROGRESS


def test_set_box_scales_an_imported_area() -> None:
    document = labelled()
    person = done_undone_redone(document, people.set_box(document, IMAGE, KEY, Box(10, 20, 50, 200)))
    assert person is not None and person.area == pytest.approx(AREA / 2)
    assert people.set_box(document, IMAGE, KEY, person.box) is None
    assert people.set_box(document, IMAGE, KEY, Box(0, 0, 5, -1)) is None


def test_a_box_that_only_moves_keeps_the_area_to_the_last_digit() -> None:
    document = labelled()
    person = done_undone_redone(document, people.set_box(document, IMAGE, KEY, Box(11.1, 20, 100, 200)))
    assert person is not None and person.area == AREA


def test_move_person_moves_placed_joints() -> None:
    document = labelled(Joint(), Joint(5, 6, 0, MODEL), Joint(7, 8, 0))
    person = done_undone_redone(document, people.move_person(document, IMAGE, KEY, 3, -4))
    assert person is not None
    assert person.joints[:3] == (Joint(), Joint(8, 2, 0, MODEL), Joint(10, 4, 0))
    assert person.joints[3] == Joint(16, 19, 2, IMPORTED)
    assert (person.box, person.area) == (Box(13, 16, 100, 200), AREA)
    assert people.move_person(document, IMAGE, KEY, 0, 0) is None


def test_delete_person() -> None:
    document = labelled()
    assert done_undone_redone(document, people.delete_person(document, IMAGE, KEY)) is None


def test_set_joints_touches_only_what_a_model_may() -> None:
    document = labelled(Joint(), Joint(1, 1, 2, "older"), Joint(2, 2, 1, HUMAN))
    estimated = tuple(Joint(100, 100, 2, MODEL) for _ in range(17))
    person = done_undone_redone(document, people.set_joints(document, IMAGE, KEY, estimated, "Estimate"))
    assert person is not None
    assert [joint.origin for joint in person.joints] == [MODEL, MODEL, HUMAN] + [IMPORTED] * 14
    assert people.set_joints(document, IMAGE, KEY + 1, estimated, "late answer") is None


def test_what_an_import_left_unlabelled_is_filled_only_when_asked_for() -> None:
    document = labelled(Joint(origin=IMPORTED), Joint(origin=HUMAN), Joint(1, 1, 1, IMPORTED))
    estimated = tuple(Joint(100, 100, 2, MODEL) for _ in range(17))
    assert people.set_joints(document, IMAGE, KEY, estimated) is None
    edit = people.set_joints(document, IMAGE, KEY, estimated, fill=True)
    person = done_undone_redone(document, edit)
    assert person is not None
    assert [joint.origin for joint in person.joints] == [MODEL, HUMAN] + [IMPORTED] * 15


def test_toggle_crowd() -> None:
    document = labelled()
    person = done_undone_redone(document, people.toggle_crowd(document, IMAGE, KEY))
    assert person is not None and person.is_crowd


def test_a_crowd_keeps_no_guesses() -> None:
    document = labelled(Joint(5, 6, 2, MODEL), Joint(7, 8, 1, HUMAN), Joint(9, 9, 0, MODEL))
    person = done_undone_redone(document, people.toggle_crowd(document, IMAGE, KEY))
    assert person is not None
    assert person.joints[:3] == (Joint(), Joint(7, 8, 1, HUMAN), Joint())


def test_grow_box_to_joints() -> None:
    document = labelled(Joint(5, 300, 1, HUMAN), Joint(-9, -9, 0, MODEL))
    person = done_undone_redone(document, people.grow_box_to_joints(document, IMAGE, KEY))
    assert person is not None and person.box == Box(5, 20, 105, 280)
    assert people.grow_box_to_joints(document, IMAGE, KEY) is None


def test_duplicate_is_a_person_of_its_own() -> None:
    document = labelled()
    person = done_undone_redone(document, people.duplicate(document, IMAGE, KEY))
    assert person is not None and person.key != KEY
    assert (person.raw, person.area, person.box) == ("", None, Box(20, 30, 100, 200))


def test_mirror_is_a_mirror_image_within_the_box() -> None:
    hint = Joint(30, 40, 0, MODEL)
    document = labelled(Joint(20, 50, 2, IMPORTED), hint)
    before = document.person(IMAGE, KEY)
    person = done_undone_redone(document, people.mirror(document, IMAGE, KEY))
    assert person is not None and person.box == before.box
    assert person.joints[0] == Joint(100, 50, 2, HUMAN)  # 10 + 110 - 20
    assert person.joints[2] == replace(hint, x=90)  # the left eye's hint is the right eye's now
    assert person.joints[5] == replace(before.joints[6], x=120 - before.joints[6].x, origin=HUMAN)
    again = done_undone_redone(document, people.mirror(document, IMAGE, KEY))
    assert again is not None
    assert [(j.x, j.y, j.v) for j in again.joints] == [(j.x, j.y, j.v) for j in before.joints]


def test_tighten_box_leaves_room_and_never_grows() -> None:
    document = labelled(*(Joint(50 + index, 100, 2, HUMAN) for index in range(16)), Joint(60, 150, 1, HUMAN))
    person = done_undone_redone(document, people.tighten_box(document, IMAGE, KEY))
    # Joints from 50 to 65 and from 100 to 150: a room of 5 on every side.
    assert person is not None and person.box == Box(45, 95, 25, 60)
    assert people.tighten_box(document, IMAGE, KEY) is None
    document = labelled(*(Joint(0, 100 + index, 2, HUMAN) for index in range(17)))
    assert people.tighten_box(document, IMAGE, KEY) is None, "every joint lies left of the box"
    document = labelled(Joint(50, 100, 2, HUMAN), *(Joint() for _ in range(16)))
    assert people.tighten_box(document, IMAGE, KEY) is None, "one joint has no extent"


def test_paste_gives_people_of_their_own_who_lie_on_the_image_and_hide_nobody() -> None:
    document = labelled()
    copied = document.person(IMAGE, KEY)
    far = replace(copied, key=99, box=Box(600, 470, 100, 200))
    done_undone_redone(document, people.paste(document, IMAGE, [copied, copied, far]))
    _, *pasted = document.people(IMAGE)
    assert [person.box for person in pasted] == [
        Box(20, 30, 100, 200),
        Box(30, 40, 100, 200),
        Box(600, 470, 100, 200),  # the size of this image is not known
    ]
    assert len({person.key for person in document.people(IMAGE)}) == 4
    assert all((person.raw, person.area) == ("", None) for person in pasted)
    assert pasted[0].joints[0] == replace(copied.joints[0], x=copied.joints[0].x + 10, y=copied.joints[0].y + 10)
    small = make_document()
    done_undone_redone(small, people.paste(small, IMAGE, [far]))
    (person,) = small.people(IMAGE)
    assert person.box == Box(540, 280, 100, 200)
    assert person.joints[0].x == far.joints[0].x - 60 and person.joints[0].y == far.joints[0].y - 190
    assert people.paste(small, IMAGE, []) is None


def test_pasting_makes_no_label_beside_the_image() -> None:
    document = make_document()  # 640 x 480
    reaching = Person(
        9, Box(600, 100, 60, 100), (Joint(660, 150, 2, HUMAN), Joint(675, 150, 2, HUMAN), *make_joints()[2:])
    )
    done_undone_redone(document, people.paste(document, IMAGE, [reaching]))
    (person,) = document.people(IMAGE)
    assert person.box == Box(580, 100, 60, 100)
    assert person.joints[:2] == (Joint(640, 150, 2, HUMAN), Joint(655, 150, 0, HUMAN))


@pytest.mark.parametrize(
    ("box", "way"),
    [
        (Box(10, 10, 20, 20), (0, 0)),
        (Box(-5, 90, 20, 20), (5, -10)),
        (Box(-5, -5, 100, 20), (5, 5)),
    ],
)
def test_way_onto_the_image(box: Box, way: tuple[float, float]) -> None:
    fitted = people.fitted(Person(KEY, box, make_joints()), 100, 100)
    assert (fitted.box.x - box.x, fitted.box.y - box.y) == way


def test_somebody_from_a_larger_photo_is_shrunk_onto_a_smaller_one() -> None:
    joints = (Joint(300, 500, 2, HUMAN), *(Joint() for _ in range(16)))
    far = Person(9, Box(200, 100, 400, 800), joints)
    fitted = people.fitted(far, 320, 240)
    assert fitted.box == Box(200, 0, 120, 240), "0.3 of its size"
    assert fitted.joints[0] == Joint(230, 120, 2, HUMAN), "a quarter from the left, half way down, as before"
    assert fitted.joints[1] == Joint()


def test_a_copy_in_a_corner_goes_where_there_is_room() -> None:
    document = make_document()
    corner = people.add_person(document, IMAGE, Box(540, 380, 100, 100))
    done_undone_redone(document, corner)
    for _ in range(6):
        done_undone_redone(document, people.duplicate(document, IMAGE, document.people(IMAGE)[0].key))
    found = [person.box for person in document.people(IMAGE)]
    assert len(set(found)) == 7
    assert all(box.right <= 640 and box.bottom <= 480 for box in found)


def test_what_a_person_set_to_not_labelled_moves_along() -> None:
    document = labelled(Joint(20, 50, 0, HUMAN))
    person = done_undone_redone(document, people.move_person(document, IMAGE, KEY, 5, 7))
    assert person is not None and person.joints[0] == Joint(25, 57, 0, HUMAN)
    person = done_undone_redone(document, people.mirror(document, IMAGE, KEY))
    assert person is not None and person.joints[0] == Joint(105, 57, 0, HUMAN)  # 15 + 115 - 25


def test_flag_and_note_are_undone_like_labels() -> None:
    document = make_document()
    done_undone_redone(document, images.toggle_flag(document, IMAGE))
    done_undone_redone(document, images.set_note(document, IMAGE, " who is behind the car?\n"))
    record = document.image(IMAGE)
    assert record.flagged and record.note == "who is behind the car?" and record.state is ImageState.UNSEEN
    assert images.set_note(document, IMAGE, "who is behind the car?") is None
    done_undone_redone(document, images.toggle_flag(document, IMAGE))
    assert not document.image(IMAGE).flagged


def test_a_late_answer_of_storage_does_not_take_flag_and_note_back() -> None:
    document = make_document()
    late = document.image(IMAGE)
    edit = images.toggle_flag(document, IMAGE)
    assert edit is not None
    document.apply(edit)
    document.update_record(replace(late, width=64))
    assert document.image(IMAGE).flagged and document.image(IMAGE).width == 64
    with pytest.raises(StaleEditError, match="flag"):
        document.apply(edit)


def test_only_a_finished_image_is_reviewed() -> None:
    document = make_document()
    assert images.mark_reviewed(document, IMAGE) is None
    edit = images.mark_done(document, IMAGE)
    assert edit is not None
    document.apply(edit)
    done_undone_redone(document, images.mark_reviewed(document, IMAGE))
    assert document.image(IMAGE).state is ImageState.REVIEWED


def test_move_joint_makes_it_human_and_visible() -> None:
    document = labelled(Joint(1, 2, 0, MODEL), Joint(3, 4, 1, IMPORTED))
    person = done_undone_redone(document, joints.move_joint(document, IMAGE, KEY, 0, 50, 60))
    assert person is not None and person.joints[0] == Joint(50, 60, 2, HUMAN)
    person = done_undone_redone(document, joints.move_joint(document, IMAGE, KEY, 1, 7, 8))
    assert person is not None and person.joints[1] == Joint(7, 8, 1, HUMAN)


def test_visibility_cycles_and_keeps_the_place() -> None:
    document = labelled(Joint(1, 2, 0, MODEL), Joint())
    for v in (2, 1, 0, 2):
        person = done_undone_redone(document, joints.cycle_visibility(document, IMAGE, KEY, [0]))
        assert person is not None and person.joints[0] == Joint(1, 2, v, HUMAN)
    assert joints.cycle_visibility(document, IMAGE, KEY, [1]) is None  # it has no place yet
    assert joints.set_visibility(document, IMAGE, KEY, [0], 2) is None


def test_delete_joint_is_a_decision() -> None:
    document = labelled(Joint())
    assert joints.delete_joints(document, IMAGE, KEY, [0]) is None
    person = done_undone_redone(document, joints.delete_joints(document, IMAGE, KEY, [3]))
    assert person is not None and person.joints[3] == Joint(origin=HUMAN) and not person.joints[3].from_model


def test_several_joints_become_what_the_one_furthest_behind_becomes() -> None:
    hint, occluded = Joint(1, 2, 0, MODEL), Joint(3, 4, 1, IMPORTED)
    document = labelled(hint, Joint(), occluded, occluded)
    for v in (2, 1, 0):  # not labelled and occluded: both are visible next
        edit = joints.cycle_visibility(document, IMAGE, KEY, [0, 1, 2])
        person = done_undone_redone(document, edit)
        assert person is not None and edit is not None and "3 joints" in edit.text
        assert [joint.v for joint in person.joints[:4]] == [v, 0, v, 1], (
            "the place of none is unknown, and one is not meant"
        )
        assert (person.joints[1], person.joints[2].x, person.joints[2].y) == (Joint(), 3, 4)


def test_several_joints_move_together() -> None:
    document = labelled(Joint(10, 20, 0, MODEL), Joint(), Joint(30, 40, 1, IMPORTED))
    person = done_undone_redone(document, joints.move_joints(document, IMAGE, KEY, {0: (15, 15), 2: (35, 35)}))
    assert person is not None
    assert person.joints[:3] == (Joint(15, 15, 2, HUMAN), Joint(), Joint(35, 35, 1, HUMAN))
    assert joints.move_joints(document, IMAGE, KEY, {0: (15, 15)}) is None
    assert joints.placed(person, [0, 1, 2]) == {0: person.joints[0], 2: person.joints[2]}


def test_several_joints_are_deleted_at_once() -> None:
    document = labelled(Joint(1, 2, 2, MODEL), Joint(), Joint(3, 4, 1, MODEL))
    person = done_undone_redone(document, joints.delete_joints(document, IMAGE, KEY, [0, 1]))
    assert person is not None and person.joints[:3] == (Joint(origin=HUMAN), Joint(), Joint(3, 4, 1, MODEL))


def test_swap_left_right() -> None:
    document = labelled()
    before = document.person(IMAGE, KEY)
    person = done_undone_redone(document, joints.swap_left_right(document, IMAGE, KEY))
    assert person is not None
    assert person.joints[0] == before.joints[0]
    assert person.joints[5] == replace(before.joints[6], origin=HUMAN)
    assert person.joints[6] == replace(before.joints[5], origin=HUMAN)


def test_left_and_right_of_some_joints_only() -> None:
    document = labelled()
    before = document.person(IMAGE, KEY)
    person = done_undone_redone(document, joints.swap_left_right(document, IMAGE, KEY, [6, 7, 0]))
    assert person is not None
    assert person.joints[5] == replace(before.joints[6], origin=HUMAN), "one of a pair means both"
    assert person.joints[8] == replace(before.joints[7], origin=HUMAN)
    changed = [index for index in range(17) if person.joints[index] != before.joints[index]]
    assert set(changed) == {5, 6, 7, 8}
    assert joints.swap_left_right(document, IMAGE, KEY, [0]) is None, "the nose has no other side"


def test_accept_copies_into_the_labels() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1)])
    person = done_undone_redone(document, predictions.accept(document, IMAGE, [1], acceptance_of=at_40))
    assert person is not None
    assert [joint.v for joint in person.joints] == [0] * 8 + [2] * 9
    assert person.joints[0] == Joint(0.0, 0.0, 0, MODEL)
    assert document.predictions(IMAGE)[0].status is PredictionStatus.ACCEPTED
    assert predictions.accept(document, IMAGE, [1], acceptance_of=at_40) is None


def test_moving_a_proposals_joint_accepts_it() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1), make_prediction(2, 10, 0.8)])
    person = done_undone_redone(document, predictions.accept_moved(document, IMAGE, 1, 3, 7.5, 8.5, at_40))
    assert person is not None
    assert person.joints[3] == Joint(7.5, 8.5, 2, HUMAN)
    assert [joint.v for joint in person.joints] == [0, 0, 0, 2, 0, 0, 0, 0] + [2] * 9
    assert document.predictions(IMAGE)[0].status is PredictionStatus.ACCEPTED
    for key in (1, 2):
        assert predictions.accept_moved(document, IMAGE, key, 3, 1, 1, at_40) is None, "it is labelled"


def test_a_proposals_joint_that_is_moved_stays_as_visible_as_it_was_proposed() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [with_visibility(make_prediction(1))])
    person = done_undone_redone(document, predictions.accept_moved(document, IMAGE, 1, 4, 7.5, 8.5, at_40))
    assert person is not None and person.joints[4] == Joint(7.5, 8.5, 1, HUMAN)


def test_changing_a_proposals_box_accepts_it() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1)])
    box = Box(1, 2, 30, 40)
    person = done_undone_redone(document, predictions.accept_resized(document, IMAGE, 1, box, at_40))
    assert person is not None and person.box == box
    assert [joint.v for joint in person.joints] == [0] * 8 + [2] * 9
    assert document.predictions(IMAGE)[0].status is PredictionStatus.ACCEPTED
    assert predictions.accept_resized(document, IMAGE, 1, box, at_40) is None, "it is accepted"


def test_accepting_never_makes_a_second_label() -> None:
    document = make_document()
    found = [
        make_prediction(1),
        make_prediction(2, 10, 0.8),
        make_prediction(3, 200, 0.7),
        make_prediction(4, 400, 0.2),
    ]
    document.set_predictions(IMAGE, found)
    edit = predictions.accept_all(document, IMAGE, threshold=0.5, acceptance_of=at_40)
    assert edit is not None and edit.text == "Accept 2 predictions"
    done_undone_redone(document, edit)
    assert [p.box.x for p in document.people(IMAGE)] == [0.0, 200.0]
    assert predictions.is_comparison(found[1], document.people(IMAGE))
    assert predictions.accept(document, IMAGE, [2], acceptance_of=at_40) is None


def test_reject() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1)])
    done_undone_redone(document, predictions.reject(document, IMAGE, 1))
    assert document.image(IMAGE).predictions == 0
    assert predictions.reject(document, IMAGE, 1) is None


def test_estimated_joints() -> None:
    places = [PredictedJoint(1.0, 2.0, 0.5)] * 8 + [PredictedJoint(1.0, 2.0, 0.1)] * 9
    found = predictions.estimated_joints(places, Acceptance(0.5), MODEL)
    assert found[0] == Joint(1.0, 2.0, 2, MODEL) and found[16] == Joint(1.0, 2.0, 0, MODEL)


def test_a_model_that_tells_visibility_apart_is_believed_whatever_its_confidence() -> None:
    said = [(0.1, 0.8, 0.1), (0.9, 0.05, 0.05), (0.1, 0.2, 0.7)]
    places = [PredictedJoint(1.0, 2.0, 0.01, v) for v in said]
    assert [joint.v for joint in predictions.estimated_joints(places, Acceptance(0.5), MODEL)] == [1, 0, 2]


def test_image_states() -> None:
    document = make_document()
    done_undone_redone(document, images.mark_empty(document, IMAGE))
    assert document.image(IMAGE).state is ImageState.DONE_EMPTY
    done_undone_redone(document, images.reopen(document, IMAGE))
    assert images.reopen(document, IMAGE) is None
    done_undone_redone(document, images.mark_done(document, IMAGE))
    assert images.mark_done(document, IMAGE) is None
    assert images.mark_empty(labelled(), IMAGE) is None


def test_drawing_a_box_and_the_joints_that_arrive_are_one_step() -> None:
    document = make_document()
    undo_stack = QUndoStack()
    empty = state(document)
    drawn = people.add_person(document, IMAGE, Box(0, 0, 10, 10))
    stack.push(undo_stack, document, drawn)
    assert drawn is not None and drawn.people[0].after is not None
    key = drawn.people[0].after.key
    undo_stack.setClean()  # saved in between: must not keep the two apart
    stack.push(undo_stack, document, people.set_joints(document, IMAGE, key, make_joints()), merge=True)
    assert undo_stack.count() == 1
    full = state(document)
    undo_stack.undo()
    assert state(document) == empty
    undo_stack.redo()
    assert state(document) == full


def test_a_merge_without_a_fitting_step_is_a_step_of_its_own() -> None:
    document = labelled()
    undo_stack = QUndoStack()
    stack.push(undo_stack, document, images.mark_done(document, IMAGE), merge=True)
    stack.push(undo_stack, document, people.move_person(document, IMAGE, KEY, 1, 1), merge=True)
    assert undo_stack.count() == 2
    undo_stack.undo()
    stack.push(undo_stack, document, people.move_person(document, IMAGE, KEY, 2, 2), merge=True)
    assert (undo_stack.count(), undo_stack.index()) == (2, 2)


def test_a_stale_edit_is_refused_before_it_gets_on_the_stack() -> None:
    document = labelled()
    undo_stack = QUndoStack()
    edit = people.move_person(document, IMAGE, KEY, 1, 1)
    assert stack.push(undo_stack, document, edit)
    with pytest.raises(StaleEditError):
        stack.push(undo_stack, document, edit)
    assert not stack.push(undo_stack, document, None)
    assert undo_stack.count() == 1


def test_undo_tells_which_image_it_touched_and_drops_what_no_longer_fits() -> None:
    document = make_document()
    document.set_predictions(IMAGE, [make_prediction(1)])
    undo_stack = QUndoStack()
    revealed: list[int] = []
    refused: list[str] = []
    document.edit_revealed.connect(revealed.append)
    document.edit_refused.connect(refused.append)
    stack.push(undo_stack, document, predictions.reject(document, IMAGE, 1))
    assert revealed == []
    undo_stack.undo()
    assert revealed == [IMAGE]
    document.set_predictions(IMAGE, [], MODEL)
    undo_stack.redo()
    assert len(refused) == 1 and revealed == [IMAGE]
    assert not undo_stack.canRedo()


def test_undo_has_no_depth_limit_and_works_on_closed_images() -> None:
    document = labelled()
    undo_stack = QUndoStack()
    passed: list[Edit] = []
    for step in range(500):
        stack.push(undo_stack, document, joints.move_joint(document, IMAGE, KEY, 0, step, step))
    document.close_image(IMAGE)
    document.edited.connect(passed.append)
    while undo_stack.canUndo():
        undo_stack.undo()
    assert len(passed) == 500
    first = passed[-1].people[0]
    assert isinstance(first, Change) and first.after is not None and first.after.joints[0].origin == IMPORTED
