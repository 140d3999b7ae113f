"""Who is a person in a COCO file, in which order joints stand, and what is asked instead of guessed."""

import json
from pathlib import Path
from typing import Any

import pytest

from msarcnn.coco import CocoDataset, CocoError, CocoQuestionError, Reading, read_coco
from msarcnn.skeleton import coco17

NAMES = list(coco17().keypoints)
POINTS = [float(value) for index in range(17) for value in (index + 10, 2 * index + 5, 2)]


def person(key: int, category: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": key, "image_id": 7, "category_id": category, "bbox": [5, 4, 40, 60], "area": 100, "iscrowd": 0,
        "keypoints": POINTS, "num_keypoints": 17, **fields,
    }  # fmt: skip


def box(key: int, category: int, x: float = 0, **fields: Any) -> dict[str, Any]:
    labels = person(key, category, bbox=[x, 2, 50, 70], num_keypoints=0, **fields)
    del labels["keypoints"]
    return labels


def read(
    folder: Path, categories: list[dict[str, Any]], people: list[dict[str, Any]], reading: Reading | None = None
) -> CocoDataset:
    image = {"id": 7, "file_name": "a.jpg", "width": 300, "height": 200}
    path = folder / "a.json"
    path.write_text(json.dumps({"images": [image], "annotations": people, "categories": categories}))
    return read_coco(path, reading=reading)


def category(key: int, name: str, joints: list[str] | None = None) -> dict[str, Any]:
    return {"id": key, "name": name, **({"keypoints": joints} if joints else {})}


def notes(dataset: CocoDataset) -> str:
    return "\n".join(map(str, dataset.notes))


RIGHT_FIRST = ["nose"] + [
    f"{side}{part}" for part in ("Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    for side in ("right", "left")
]  # fmt: skip


def test_other_spellings_are_sorted_by_their_meaning(tmp_path: Path) -> None:
    (labels,) = read(tmp_path, [category(1, "person", RIGHT_FIRST)], [person(1)]).people
    # The file's second joint, at 11, is the right eye: the skeleton's third.
    assert labels.keypoints[:3, 0].tolist() == [10, 12, 11]
    assert labels.keypoints[7:9, 0].tolist() == [18, 17]


@pytest.mark.parametrize("names", [[f"kp{index}" for index in range(17)], [*NAMES[:16], "nose"]])
def test_an_order_that_is_not_understood_is_asked(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(CocoQuestionError, match="17 joints of person in an order that is not known") as caught:
        read(tmp_path, [category(1, "person", names)], [person(1)])
    assert caught.value.about == "joints"
    (choice,) = caught.value.choices
    (labels,) = read(tmp_path, [category(1, "person", names)], [person(1)], choice[1]).people
    assert labels.keypoints.ravel().tolist() == POINTS


def test_an_order_of_another_number_of_joints_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CocoQuestionError, match="21 joints") as caught:
        read(tmp_path, [category(1, "person", [f"kp{index}" for index in range(21)])], [person(1)])
    assert caught.value.choices == () and "joints-in-coco-order" not in str(caught.value)


def test_fewer_joints_are_read_where_they_are_known(tmp_path: Path) -> None:
    crowdpose = [*NAMES[5:], "head", "neck"]
    labels = person(1, keypoints=POINTS[:42], num_keypoints=14, keypoint_sources="h" * 14)
    dataset = read(tmp_path, [category(1, "person", crowdpose)], [labels])
    assert not dataset.people[0].keypoints[:5].any()
    assert dataset.people[0].keypoints[5:].ravel().tolist() == POINTS[:36]
    assert dataset.people[0].num_keypoints == 12 and dataset.people[0].keypoint_sources == "-----" + "h" * 12
    assert "num_keypoints" not in notes(dataset)
    assert "not shown: head, neck" in notes(dataset) and "has no nose, left_eye" in notes(dataset)


def test_joints_without_names_are_taken_as_cocos_with_a_warning(tmp_path: Path) -> None:
    dataset = read(tmp_path, [category(1, "person")], [person(1)])
    assert dataset.people[0].num_keypoints == 17
    assert [note.warns for note in dataset.notes if "does not name its joints" in note.text] == [True]
    assert read(tmp_path, [category(1, "person")], [box(1, 1)]).notes == []


@pytest.mark.parametrize("name", ["people", "Pedestrian", "human", "personne", "Mensch", "人", "man", "player"])
def test_people_have_many_names(tmp_path: Path, name: str) -> None:
    dataset = read(tmp_path, [category(3, "dog"), category(4, name)], [box(1, 4), box(2, 3)])
    assert [one.id for one in dataset.people] == [1] and [one.id for one in dataset.others] == [2]


def test_roboflows_root_is_no_rival(tmp_path: Path) -> None:
    categories = [category(0, "person"), category(1, "person", NAMES)]
    dataset = read(tmp_path, categories, [person(1), person(2)])
    assert len(dataset.people) == 2 and dataset.person is not None and dataset.person.id == 1


def test_man_and_woman_are_both_people(tmp_path: Path) -> None:
    categories = [category(1, "man", NAMES), category(2, "woman", RIGHT_FIRST)]
    dataset = read(tmp_path, categories, [person(1, 2), person(2, 1), person(3, 2)])
    assert [(one.id, one.category_id) for one in dataset.people] == [(1, 2), (2, 1), (3, 2)]
    assert [one.keypoints[1, 0] for one in dataset.people] == [12, 11, 12]
    assert [one.name for one in dataset.categories] == ["woman", "man"]
    assert "several categories are people: woman (2), man (1)" in notes(dataset)


def test_boxes_of_people_and_joints_of_skeletons_are_one_person(tmp_path: Path) -> None:
    categories = [category(1, "person"), category(2, "skeleton", NAMES)]
    labels = [box(1, 1), box(2, 1, x=200), person(3, 2, bbox=[0, 0, 0, 0])]
    dataset = read(tmp_path, categories, labels)
    assert [one.id for one in dataset.people] == [2, 3]
    assert [one.id for one in dataset.others] == [1]
    assert "whose joints are in another category" in notes(dataset)


def test_the_same_box_in_both_categories_is_one_person_though_no_joint_is_labelled(tmp_path: Path) -> None:
    categories = [category(1, "person"), category(2, "skeleton", NAMES)]
    hidden = {**box(4, 2, x=100), "keypoints": [0] * 51}
    labels = [box(1, 1, x=101), box(2, 1, x=130), person(3, 2), hidden]
    dataset = read(tmp_path, categories, labels)
    assert [one.id for one in dataset.people] == [2, 3, 4] and [one.id for one in dataset.others] == [1]


@pytest.mark.parametrize(("boxes", "joints", "people"), [("man", "child", [1, 2]), ("man", "pose", [2])])
def test_a_childs_joints_in_a_mans_box_are_another_person(
    tmp_path: Path, boxes: str, joints: str, people: list[int]
) -> None:
    dataset = read(tmp_path, [category(1, boxes), category(2, joints, NAMES)], [box(1, 1), person(2, 2)])
    assert [one.id for one in dataset.people] == people


def test_an_animal_with_17_joints_is_no_person(tmp_path: Path) -> None:
    dataset = read(tmp_path, [category(1, "dog", NAMES), category(2, "person")], [person(1), box(2, 2)])
    assert [one.id for one in dataset.people] == [2] and [one.id for one in dataset.others] == [1]


def test_joints_make_a_person_of_a_category_of_any_other_name(tmp_path: Path) -> None:
    dataset = read(tmp_path, [category(1, "class_0", NAMES), category(2, "ball")], [person(1), box(2, 2)])
    assert [one.id for one in dataset.people] == [1]


def test_who_is_a_person_is_asked_where_nothing_says_it(tmp_path: Path) -> None:
    categories = [category(1, "target"), category(2, "car"), category(3, "thing")]
    labels = [box(1, 1), box(2, 2), box(3, 3)]
    with pytest.raises(CocoQuestionError, match=r"target \(1\), thing \(1\); say it with --people") as caught:
        read(tmp_path, categories, labels)
    assert [text for text, _ in caught.value.choices] == ["target", "thing", "All of them"]
    dataset = read(tmp_path, categories, labels, caught.value.choices[0][1])
    assert [one.id for one in dataset.people] == [1]
    with pytest.raises(CocoError, match="none called 'persn'; choose among: target, car, thing"):
        read(tmp_path, categories, labels, Reading(people=("persn",)))


def test_a_file_of_other_things_has_no_people(tmp_path: Path) -> None:
    dataset = read(tmp_path, [category(2, "car"), category(3, "unused")], [box(2, 2)])
    assert dataset.people == [] and dataset.person is None and len(dataset.others) == 1


CROWDPOSE = [*NAMES[5:], "head", "neck"]
UNNAMED = [f"new-point-{index}" for index in range(17)]


def test_joints_of_a_child_of_an_unused_root_are_asked_about(tmp_path: Path) -> None:
    categories = [category(0, "person"), category(1, "0", UNNAMED)]
    with pytest.raises(CocoQuestionError, match=r"who is a person: 0 \(2\); say it with --people NAME") as caught:
        read(tmp_path, categories, [person(1), person(2)])
    assert [text for text, _ in caught.value.choices] == ["0", "Only person"]
    child, nobody = (reading for _, reading in caught.value.choices)
    with pytest.raises(CocoQuestionError, match="17 joints of 0 in an order that is not known") as caught:
        read(tmp_path, categories, [person(1), person(2)], child)
    dataset = read(tmp_path, categories, [person(1), person(2)], caught.value.choices[0][1])
    assert [one.num_keypoints for one in dataset.people] == [17, 17]
    assert read(tmp_path, categories, [person(1)], nobody).people == []


@pytest.mark.parametrize("joints", [None, UNNAMED])
def test_joints_beside_people_are_asked_about(tmp_path: Path, joints: list[str] | None) -> None:
    categories = [category(1, "person"), category(2, "target", joints), category(3, "gate", ["a", "b"])]
    labels = [box(1, 1), person(2, 2), person(3, 3, keypoints=[1, 2, 2, 3, 4, 2])]
    with pytest.raises(
        CocoQuestionError, match=r"people, too: target \(1\); say it with --people person --people N"
    ) as caught:
        read(tmp_path, categories, labels)
    assert [text for text, _ in caught.value.choices] == ["person, target", "Only person"]
    both, one = (reading for _, reading in caught.value.choices)
    assert [one.id for one in read(tmp_path, categories, labels, one).people] == [1]
    dataset = read(tmp_path, categories, labels, Reading(both.people, coco_order=True))
    assert [one.id for one in dataset.people] == [2] and [one.id for one in dataset.others] == [1, 3]


@pytest.mark.parametrize("boxes", [[], [box(2, 1)]])
def test_whoever_has_some_of_the_joints_is_a_person(tmp_path: Path, boxes: list[dict[str, Any]]) -> None:
    categories = [category(1, "person"), category(2, "pose", CROWDPOSE)]
    labels = person(1, 2, keypoints=POINTS[:42], num_keypoints=14)
    dataset = read(tmp_path, categories, [labels, *boxes])
    assert [(one.id, one.num_keypoints) for one in dataset.people] == [(1, 12)]
    assert len(dataset.others) == len(boxes)
    assert "pose is taken to be people, since it has their joints" in notes(dataset)
    assert "pose has no nose" in notes(dataset)


@pytest.mark.parametrize(
    ("name", "above", "joints"),
    [
        ("macaque", "", NAMES),
        ("ursid", "animal", NAMES),
        ("spielbock", "", [*NAMES[:13], "left_front_paw", "right_front_paw", "root_of_tail", "neck"]),
    ],
)
def test_animals_with_peoples_joints_are_no_people_and_not_hidden_either(
    tmp_path: Path, name: str, above: str, joints: list[str]
) -> None:
    animals = {**category(1, name, joints), "supercategory": above}
    with pytest.raises(CocoQuestionError) as caught:
        read(tmp_path, [animals], [person(1)])
    assert [text for text, _ in caught.value.choices] == [name]
    assert len(read(tmp_path, [animals], [person(1)], Reading(people=(name,))).people) == 1
    dataset = read(tmp_path, [animals, category(2, "person", NAMES)], [person(1), person(2, 2)])
    assert [one.id for one in dataset.people] == [2]
    assert f"though they have the same joints: {name} (1)" in notes(dataset)


def test_poses_that_are_called_as_things_are_asked_about(tmp_path: Path) -> None:
    poses = [category(1, "warrior", NAMES), category(2, "camel pose", NAMES), category(3, "downward dog", NAMES)]
    labels = [person(key, key) for key in (1, 2, 3)]
    with pytest.raises(CocoQuestionError) as caught:
        read(tmp_path, poses, labels)
    answers = dict(caught.value.choices)
    assert list(answers) == ["warrior, camel pose", "warrior, downward dog", "All of them", "Only warrior"]
    assert len(read(tmp_path, poses, labels, answers["All of them"]).people) == 3


@pytest.mark.parametrize("above", ["fall-monitor", "table", "animal-free"])
def test_the_name_of_a_project_makes_no_thing_of_people(tmp_path: Path, above: str) -> None:
    fallen = {**category(1, "fallen", NAMES), "supercategory": above}
    assert len(read(tmp_path, [fallen], [person(1)]).people) == 1


def test_nobody_labelled_as_a_person_beside_boxes_of_no_name_is_said(tmp_path: Path) -> None:
    dataset = read(tmp_path, [category(0, "person"), category(1, "0")], [box(1, 1)])
    (note,) = dataset.notes
    assert note.warns and note.text == "nobody is labelled as person; taken as other things than people: 0 (1)"
    assert read(tmp_path, [category(0, "person"), category(1, "car")], [box(1, 1)]).notes == []


def test_blank_names_of_joints_are_none(tmp_path: Path) -> None:
    dataset = read(tmp_path, [category(1, "person", [""] * 17)], [person(1)])
    assert dataset.people[0].num_keypoints == 17 and "does not name its joints" in notes(dataset)
    with pytest.raises(CocoQuestionError, match="21 joints"):
        read(tmp_path, [category(1, "person", [" "] * 21)], [person(1)])
