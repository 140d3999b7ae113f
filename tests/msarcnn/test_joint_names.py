"""Spellings of joints, and the orders that they stand in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msarcnn.joint_names import JointOrder, joint_named, joint_order, own_order
from msarcnn.skeleton import coco17

COCO = coco17().keypoints

SPELLINGS = {
    "camel": lambda side, part: f"{side}{part.capitalize()}",
    "pascal": lambda side, part: f"{side.capitalize()}{part.capitalize()}",
    "behind": lambda side, part: f"{part}_{side}",
    "letter": lambda side, part: f"{side[0]}_{part}",
    "capitals": lambda side, part: f"{side} {part}".upper(),
    "openpose": lambda side, part: f"{side[0].upper()}{part.capitalize()}",
    "run together": lambda side, part: f"{side}{part}",
    "letter behind": lambda side, part: f"{part.capitalize()}-{side[0].upper()}",
    "numbered": lambda side, part: f"7. {side} {part} joint",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=list(SPELLINGS))
def test_spellings_are_recognised(spelling):
    for name in COCO[1:]:
        side, part = name.split("_")
        assert joint_named(spelling(side, part), coco17()) == name
    assert joint_named("Nose", coco17()) == joint_named("nose_keypoint", coco17()) == "nose"


@pytest.mark.parametrize(
    "name",
    ["", "neck", "eye", "left", "left_eye_inner", "left_hand", "mid_hip", "left_left_eye", "left_right_eye", "hippo",
     "left_nose", "kp_3", "17", "left eye right ear", "leftover", "нос"],
)  # fmt: skip
def test_other_names_are_not_guessed(name):
    assert joint_named(name, coco17()) is None


def test_right_before_left_is_another_order():
    names = ["nose"] + [f"{part}{side}" for part in ("Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
                        for side in ("Right", "Left")]  # fmt: skip
    order = joint_order(names, coco17())
    assert order is not None and order.places == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    assert not order.is_own and own_order(coco17()).is_own


def test_fewer_and_other_joints_are_placed_where_they_are_known():
    order = joint_order([*COCO[5:], "top_head", "neck"], coco17())
    assert order == JointOrder((None,) * 5 + tuple(range(12)), 14)
    assert order.read(list("abcdefghijklmn"), "-") == list("-----abcdefghijkl")
    assert order.write(list("01234ABCDEFGHIJKL"), list("abcdefghijklmn")) == list("ABCDEFGHIJKLmn")


@pytest.mark.parametrize("names", [(), [f"kp{n}" for n in range(17)], ["nose"] * 17, COCO[:7], [*COCO[:16], "nose"]])
def test_an_order_that_is_not_understood_is_none(names):
    assert joint_order(names, coco17()) is None


@given(st.permutations(COCO), st.sampled_from(sorted(SPELLINGS)))
def test_reading_what_was_written_gives_it_back(names, spelling):
    spelt = [name if name == "nose" else SPELLINGS[spelling](*name.split("_")) for name in names]
    order = joint_order(spelt, coco17())
    assert order is not None
    assert order.read(names, "") == list(COCO)
    assert order.write(list(COCO), [""] * 17) == names
