"""Drawn labels: colours where they belong, hollow where occluded, and nothing where there is nothing."""

import numpy as np
import pytest

from msarcnn.overlay import DrawnPerson, draw_people
from msarcnn.skeleton import coco17

SKELETON = coco17()
GREY = np.full((200, 300, 3), 128, np.uint8)
LEFT_WRIST, RIGHT_WRIST, LEFT_ELBOW = 9, 10, 7
LEFT, RIGHT = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


def person(**joints: tuple[float, float, int]) -> DrawnPerson:
    places = [(0.0, 0.0, 0)] * 17
    for name, place in joints.items():
        places[SKELETON.keypoints.index(name)] = place
    return DrawnPerson((20, 20, 200, 150), places)


def test_joints_and_bones_have_the_colour_of_their_side() -> None:
    picture = draw_people(GREY, [person(left_wrist=(60.5, 100.5, 2), left_elbow=(160.5, 100.5, 2))], SKELETON)
    assert tuple(picture[100, 60]) == LEFT and tuple(picture[100, 110]) == LEFT
    assert tuple(picture[150, 110]) == (128, 128, 128)
    picture = draw_people(GREY, [person(right_wrist=(60.5, 100.5, 2))], SKELETON)
    assert tuple(picture[100, 60]) == RIGHT and (GREY == 128).all(), "the photo itself is not drawn on"


def test_an_occluded_joint_is_hollow_and_an_unlabelled_one_not_there() -> None:
    picture = draw_people(GREY, [person(left_wrist=(60.5, 100.5, 1), left_elbow=(160.5, 100.5, 0))], SKELETON)
    assert tuple(picture[100, 60]) == (128, 128, 128) and (picture[95:106, 55:66] != 128).any()
    assert (picture[90:111, 150:171] == 128).all()


def test_a_box_is_drawn_where_it_is_and_may_reach_out() -> None:
    picture = draw_people(GREY, [person(), DrawnPerson((-50, -50, 100, 1000), person().joints, crowd=True)], SKELETON)
    assert (picture[100, 18:22] != 128).any() and (picture[100, 48:52] != 128).any()
    assert (picture[100, 60:200] == 128).all()
    assert (draw_people(GREY, [], SKELETON) == GREY).all()


@pytest.mark.parametrize("side", [1e7, 3e8, 1e200])
def test_huge_boxes_and_joints_are_drawn_as_far_as_the_picture_goes(side: float) -> None:
    joints = list(person(left_wrist=(side, 100.5, 2), left_elbow=(160.5, 100.5, 1), nose=(-side, side, 1)).joints)
    picture = draw_people(GREY, [DrawnPerson((100.5, -side / 2, side, side), joints)], SKELETON)
    assert picture.shape == GREY.shape
    assert (picture[5, 98:103] != 128).any(), "its left edge crosses the picture"
    assert tuple(picture[100, 250]) == LEFT, "the bone to the joint far to the right"
