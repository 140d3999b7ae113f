"""Which names mean people, as data sets write them."""

import pytest

from msarcnn.person_names import is_person_name, is_thing_name, may_be_the_same

PEOPLE = """
    person, Person , PERSONS, people, Pedestrians, human, man, women, boys, child, Children, rider, player, athletes,
    passersby, person_1, 0: person, tennis-player, TennisPlayer, human body, person_keypoints, person wearing helmet,
    man on a horse, adult_male, young lady, Mensch, MÄNNER, Fußgänger, fussgaenger, FUSSGÄNGER, Frauen, Spielerin,
    personne, piétons, pieton, garçon, persona, niños, peatones, jugadores, mujeres, uomini, bambine, pessoas, crianças,
    personen, mensen, människor, fodgænger, henkilö, człowiek, czlowiek, ludzie, člověk, kişi, KISI, kadın, človek,
    Человек, люди, ребенок, ребёнок, Άνθρωπος, 人, 行人, 人物, 人間, 歩行者, ヒト, 사람, người, orang,
    คน, व्यक्ति, شخص, אדם
"""
THINGS = """
    , 17, _, dog, female dog, car, cat, bicycle, horse, barn, face, hand, skeleton, human head, person_hand,
    pedestrian crossing, child seat, DVD player, no person, non-human, snowman, mannequin, pitcher, manhole,
    personal computer,
    helmet, with person, pose, hund, собака, 犬
"""


@pytest.mark.parametrize("name", [name.strip("\n ") for name in PEOPLE.split(",")])
def test_people(name: str) -> None:
    assert is_person_name(name)


@pytest.mark.parametrize("name", [name.strip("\n ") for name in THINGS.split(",")])
def test_other_things(name: str) -> None:
    assert not is_person_name(name)


@pytest.mark.parametrize(
    "name", ["dog", "Dogs", "polar_bear", "dog pose", "macaque", "antelope", "traffic light", "cars", "face"]
)
def test_names_of_other_things(name: str) -> None:
    assert is_thing_name(name) and not is_person_name(name)


@pytest.mark.parametrize("name", ["person", "dog trainer", "class_0", "skeleton", "target", "pose", ""])
def test_names_that_are_no_things(name: str) -> None:
    assert not is_thing_name(name)


def test_a_supercategory_speaks_where_the_name_says_nothing() -> None:
    assert is_thing_name("ursid", "animal") and is_thing_name("0", "Animals")
    assert not is_thing_name("person", "animal") and not is_thing_name("0", "person")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("person", "human pose", True),
        ("Pedestrians", "people", True),
        ("Mensch", "人", True),
        ("man", "skeleton", True),
        ("target", "child", True),
        ("players", "player_pose", True),
        ("man", "child", False),
        ("person", "child", False),
        ("referee", "player", False),
    ],
)
def test_names_that_may_mean_the_same_people(one: str, other: str, same: bool) -> None:
    assert may_be_the_same(one, other) is same and may_be_the_same(other, one) is same
