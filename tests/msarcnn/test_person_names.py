"""Which names mean people, as data sets write them."""

import pytest

from msarcnn.person_names import is_person_name

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
