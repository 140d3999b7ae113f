"""What the pointer means: pure geometry."""

from dataclasses import replace

import pytest

from app.canvas.hit_test import Handle, Hit, Part, Visible, clipped, handle_places, hit_test, hits, resized
from app.commands.predictions import proposal
from app.document.records import HUMAN, Box, Joint, Person, PredictedJoint, Prediction
from app.storage.visibility import Acceptance

NOWHERE = Joint()
EDGES = ((0, 1),)


def person(key: int, box: Box, *places: tuple[float, float], v: int = 2) -> Person:
    joints = tuple(Joint(x, y, v, HUMAN) for x, y in places)
    return Person(key, box, joints or (NOWHERE, NOWHERE))


BIG = person(1, Box(0, 0, 200, 200), (20, 100), (180, 100))
SMALL = person(2, Box(50, 50, 60, 60), (60, 60), (100, 105))
PREDICTION = Prediction(9, "m", Box(300, 0, 50, 50), 0.8, (PredictedJoint(310, 10, 0.9),) * 2)
SEEN = Visible((BIG, SMALL), (proposal(PREDICTION, Acceptance(0.5)),), None, EDGES)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (61, 61, Hit(Part.JOINT, person=2, joint=0)),
        (100, 100, Hit(Part.JOINT, person=2, joint=1)),
        (200, 30, Hit(Part.EDGE, person=1)),
        (140, 101, Hit(Part.BONE, person=1)),
        (70, 90, Hit(Part.BODY, person=2)),
        (150, 150, Hit(Part.BODY, person=1)),
        (325, 25, Hit(Part.BODY, prediction=9)),
        (349, 25, Hit(Part.EDGE, prediction=9)),
        (250, 250, Hit()),
    ],
)
def test_nearest_meaning_wins(x: float, y: float, expected: Hit) -> None:
    assert hit_test(x, y, 1.0, SEEN) == expected


def test_radius_is_a_screen_radius() -> None:
    assert hit_test(26, 106, 1.0, SEEN).part is Part.JOINT
    assert hit_test(26, 106, 4.0, SEEN).part is not Part.JOINT
    assert hit_test(45, 120, 0.25, SEEN).joint == 0


def test_only_the_selected_person_has_handles() -> None:
    assert hit_test(110, 110, 1.0, Visible((SMALL,), edges=())).part is Part.EDGE
    selected = Visible((SMALL,), selected=2, edges=())
    assert hit_test(50, 110, 1.0, selected) == Hit(Part.HANDLE, person=2, handle=Handle.SW)
    assert hit_test(80, 50, 1.0, selected).handle is Handle.N


def test_coinciding_joints_go_to_the_selected_person() -> None:
    twin = replace(SMALL, key=3)
    assert hit_test(60, 60, 1.0, Visible((SMALL, twin), selected=3)).person == 3
    assert hit_test(60, 60, 1.0, Visible((SMALL, twin), selected=2)).person == 2


def test_hints_and_unlabelled_places_are_there_only_on_the_selected_person() -> None:
    hint = replace(SMALL, joints=(Joint(60, 60, 0, "abc"), Joint(100, 60, 0, "abc")))
    taken_back = replace(SMALL, joints=(Joint(60, 60, 0, HUMAN), NOWHERE))
    for person_seen in (hint, taken_back):
        assert hit_test(60, 60, 1.0, Visible((person_seen,), selected=2)).joint == 0
        assert hit_test(60, 60, 1.0, Visible((person_seen,))) == Hit(Part.BODY, person=2)
    assert hit_test(80, 62, 1.0, Visible((hint,), selected=2, edges=EDGES)).part is Part.BONE
    assert hit_test(80, 62, 1.0, Visible((hint,), edges=EDGES)).part is Part.BODY
    assert hit_test(0, 0, 1.0, Visible((hint,), selected=2)) == Hit()


def test_hidden_layers_are_not_hit_except_on_the_selected_person() -> None:
    bare = Visible((BIG, SMALL), edges=EDGES, boxes=False, skeleton=False)
    assert hit_test(61, 61, 1.0, bare) == Hit(Part.BODY, person=2)
    assert hit_test(200, 30, 1.0, bare).part is Part.BODY
    assert hit_test(61, 61, 1.0, replace(bare, selected=2)).part is Part.JOINT


def test_hits_lists_the_pile() -> None:
    assert [hit.person for hit in hits(75, 95, 1.0, SEEN) if hit.part is Part.BODY] == [2, 1]


def test_resizing_moves_the_named_sides_and_mirrors() -> None:
    box = Box(10, 10, 20, 20)
    assert resized(box, Handle.SE, 50, 40) == Box(10, 10, 40, 30)
    assert resized(box, Handle.N, 99, 0) == Box(10, 0, 20, 30)
    assert resized(box, Handle.W, 40, 99) == Box(30, 10, 10, 20)
    assert resized(box, Handle.E, 10, 0).w == 1.0


def test_clipping_keeps_what_is_on_the_image() -> None:
    assert clipped(Box(-5, -5, 20, 20), 10, 100) == Box(0, 0, 10, 15)
    assert clipped(Box(-5, -5, 20, 20), 0, 0) == Box(-5, -5, 20, 20)


def test_eight_handles() -> None:
    assert set(handle_places(BIG.box)) == set(Handle)
