"""A project in parts, and back: nothing is lost, nothing is overwritten silently."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from storage_builders import (
    MODEL,
    import_coco,
    make_coco,
    make_joints,
    make_prediction,
    make_project,
    with_visibility,
    write_coco,
)

from app.document.document import FIRST_OWN_PERSON_KEY, Document
from app.document.records import HUMAN, Box, Change, Edit, ImageState, Joint, Person, PredictionStatus
from app.storage.attach import Overlaps
from app.storage.coco_export import export_coco
from app.storage.errors import ProjectError
from app.storage.looks import summaries_by
from app.storage.project import Project
from app.storage.shipped import default_skeleton
from app.storage.split import split_project


def drawn(key: int, x: float = 0.0) -> Person:
    return Person(key, Box(x, 2, 30, 40), make_joints(origin=HUMAN))


def add(project: Project, image: int, x: float = 0.0) -> Person:
    person = drawn(project.next_person_key, x)
    project.apply(Edit(image, "draw", (Change(None, person),), state=Change(ImageState.UNSEEN, ImageState.IN_PROGRESS)))
    return person


@pytest.fixture
def whole(tmp_path: Path) -> Project:
    """Seven images, a person on the first, all in one root."""
    project = make_project(tmp_path / "whole.poseproj", 7)
    project.identify()
    add(project, 1)
    return project


def parts_of(whole: Project, tmp_path: Path, count: int = 2) -> list[Path]:
    return list(map(Path, split_project(whole.path, tmp_path / "parts", count)["paths"]))


def work_on(part: Path, *drawn_at: tuple[int, float]) -> None:
    """Draws people in a part: image, x."""
    opened = Project.open(part)
    for image, x in drawn_at:
        add(opened, image, x)
    opened.close()


def take(whole: Project, part: Path, choice: Overlaps = "mine") -> Iterator[int]:
    """Takes a part back as the window does, which gives keys that nobody else uses."""
    first = whole.next_person_key
    return whole.take_part(part, choice, range(first, first + whole.part_report(part).people))


def boxes(project: Project, image: int) -> list[float]:
    return [person.box.x for person in project.load_image(image)[1]]


def test_parts_are_blocks_and_hold_everything(whole: Project, tmp_path: Path) -> None:
    paths = parts_of(whole, tmp_path, 3)
    assert [path.name for path in paths] == [f"whole-part{number}.poseproj" for number in (1, 2, 3)]
    shares = []
    for path in paths:
        part = Project.open(path)
        shares.append([row.key for row in part.image_rows()])
        assert part.operation_count() == 0
        part.close()
    assert shares == [[1, 2], [3, 4, 5], [6, 7]]
    part = Project.open(paths[0])
    assert part.load_image(1) == whole.load_image(1)
    part.close()
    whole.apply(Edit(2, "done", state=Change(ImageState.UNSEEN, ImageState.DONE)))
    left = split_project(whole.path, tmp_path / "left", 2, unfinished=True)
    assert left["images"] == [3, 3]


def test_work_on_parts_comes_back(whole: Project, tmp_path: Path) -> None:
    first, second = parts_of(whole, tmp_path)
    one = Project.open(first)
    (person,) = one.load_image(1)[1]
    moved = person.with_joint(3, Joint(99, 98, 1, HUMAN))
    one.apply(Edit(1, "move", (Change(person, moved),), flagged=Change(False, True), note=Change("", "hm")))
    add(one, 2, 5.0)
    one.close()
    two = Project.open(second)
    add(two, 6, 6.0)
    two.apply(Edit(7, "nobody", state=Change(ImageState.UNSEEN, ImageState.DONE_EMPTY)))
    two.close()
    assert whole.part_report(first) == (2, (), (), 2)
    assert list(take(whole, first, "mine")) == [1, 2]
    assert list(take(whole, second, "mine")) == [6, 7]
    record, people, _ = whole.load_image(1)
    assert people == (moved,) and record.flagged and record.note == "hm"
    assert [boxes(whole, image) for image in (2, 6, 7)] == [[5.0], [6.0], []]
    assert whole.image(7).state is ImageState.DONE_EMPTY and whole.image(2).people == 1
    keys = [person.key for image in range(1, 8) for person in whole.load_image(image)[1]]
    assert len(set(keys)) == 3, "both parts gave their first own person the same key"
    assert whole.next_person_key > max(keys)
    assert list(take(whole, first, "mine")) == [1, 2], "taking a part twice changes nothing"
    assert [boxes(whole, image) for image in (1, 2)] == [[0.0], [5.0]]


def test_deleting_in_a_part_deletes_in_the_whole(whole: Project, tmp_path: Path) -> None:
    first, _ = parts_of(whole, tmp_path)
    one = Project.open(first)
    (person,) = one.load_image(1)[1]
    one.apply(Edit(1, "delete", (Change(person, None),)))
    one.close()
    list(take(whole, first, "mine"))
    assert boxes(whole, 1) == []


@pytest.mark.parametrize(
    ("choice", "expected"), [("mine", [0.0, 50.0]), ("theirs", [0.0, 7.0]), ("both", [0.0, 50.0, 7.0])]
)
def test_where_both_have_worked_somebody_decides(
    whole: Project, tmp_path: Path, choice: Overlaps, expected: list[float]
) -> None:
    first, _ = parts_of(whole, tmp_path)
    one = Project.open(first)
    add(one, 1, 7.0)
    add(one, 2, 8.0)
    one.close()
    add(whole, 1, 50.0)
    assert whole.part_report(first).conflicts == ("000000.jpg",)
    list(take(whole, first, choice))
    assert boxes(whole, 1) == expected and boxes(whole, 2) == [8.0]


def test_imported_people_keep_ids_and_unknown_fields(tmp_path: Path) -> None:
    whole = Project.create(tmp_path / "whole.poseproj")
    import_coco(whole, write_coco(tmp_path / "labels.json", make_coco()), tmp_path)
    whole.identify()
    before = export_coco(whole.path, tmp_path / "before.json")
    first, second = parts_of(whole, tmp_path)
    for path in (first, second):
        part = Project.open(path)
        for row in part.image_rows():
            for person in part.load_image(row.key)[1]:
                part.apply(Edit(row.key, "crowd", (Change(person, person.with_box(person.box)),)))
        part.close()
        list(take(whole, path, "mine"))
    after = export_coco(whole.path, tmp_path / "after.json")
    assert json.loads((tmp_path / "after.json").read_text()) == json.loads((tmp_path / "before.json").read_text())
    assert before.people == after.people == 3
    part = Project.open(first)
    (image,) = [row.key for row in part.image_rows()]
    for person in part.load_image(image)[1]:
        part.apply(Edit(image, "delete", (Change(person, None),)))
    part.close()
    list(take(whole, first, "mine"))
    assert export_coco(whole.path, tmp_path / "less.json").people < 3
    whole.close()


def test_what_is_no_part_of_it_is_refused(whole: Project, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other.poseproj")
    other.identify()
    (part,) = split_project(other.path, tmp_path / "parts", 1)["paths"]
    for path in (Path(part), other.path):
        with pytest.raises(ProjectError, match="no part of whole"):
            whole.part_report(path)
    (tmp_path / "x.poseproj").write_text("nonsense")
    with pytest.raises(ProjectError, match=r"x\.poseproj"):
        list(take(whole, tmp_path / "x.poseproj", "mine"))


def test_too_many_parts_and_taken_names_are_refused_and_leave_nothing(whole: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="7 images cannot be divided into 8"):
        split_project(whole.path, tmp_path / "parts", 8)
    (tmp_path / "parts" / "whole-part2.poseproj").write_text("mine")
    with pytest.raises(ProjectError, match="such a file already"):
        split_project(whole.path, tmp_path / "parts", 2)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["whole-part2.poseproj"]


def test_the_child(whole: Project, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "app.storage.split",
        str(whole.path),
        str(tmp_path / "parts"),
        "--parts",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["images"] == [4, 3]
    assert whole.next_person_key > FIRST_OWN_PERSON_KEY
    again = subprocess.run(command, capture_output=True)
    assert again.returncode == 1 and "such a file already" in json.loads(again.stdout)["error"]


def test_people_who_come_have_keys_that_nobody_drawn_meanwhile_gets(whole: Project, tmp_path: Path) -> None:
    first, _ = parts_of(whole, tmp_path)
    work_on(first, (2, 5.0), (3, 6.0))
    document = Document(default_skeleton())
    document.reserve_keys(whole.next_person_key)
    taking = whole.take_part(first, "mine", document.reserve_block(whole.part_report(first).people))
    assert next(taking) == 2
    meanwhile = drawn(document.new_person_key(), 70.0)
    whole.apply(Edit(7, "draw", (Change(None, meanwhile),)))
    assert list(taking) == [3]
    later = drawn(document.new_person_key(), 80.0)
    whole.apply(Edit(1, "draw", (Change(None, later),)))
    assert [boxes(whole, image) for image in (1, 2, 3, 7)] == [[0.0, 80.0], [5.0], [6.0], [70.0]]
    again = Project.open(whole.path, read_only=True)
    assert again.next_person_key == whole.next_person_key > later.key
    again.close()


def test_a_key_of_another_image_is_refused(whole: Project) -> None:
    person = add(whole, 2)
    with pytest.raises(sqlite3.IntegrityError, match="another image"):
        whole.apply(Edit(3, "draw", (Change(None, person),)))
    assert boxes(whole, 2) == [0.0] and boxes(whole, 3) == []


def test_a_take_that_was_broken_off_gives_no_key_twice(whole: Project, tmp_path: Path) -> None:
    first, _ = parts_of(whole, tmp_path)
    work_on(first, (2, 5.0), (3, 6.0))
    taking = take(whole, first)
    next(taking)
    whole.close()  # as a kill would leave it
    again = Project.open(whole.path)
    add(again, 7, 9.0)
    assert [boxes(again, image) for image in (2, 3, 7)] == [[5.0], [], [9.0]]
    assert list(take(again, first)) == [2, 3]
    assert [boxes(again, image) for image in (2, 3, 7)] == [[5.0], [6.0], [9.0]]
    again.close()


def test_one_image_in_two_parts_is_a_conflict(whole: Project, tmp_path: Path) -> None:
    parts = []
    for name, x in (("x", 5.0), ("y", 9.0)):
        (part,) = split_project(whole.path, tmp_path / name, 1)["paths"]
        opened = Project.open(Path(part))
        add(opened, 2, x)
        opened.close()
        parts.append(Path(part))
    assert list(take(whole, parts[0])) == [2]
    assert whole.part_report(parts[1]).conflicts == ("000001.jpg",)
    assert list(take(whole, parts[1])) == []
    assert boxes(whole, 2) == [5.0]
    assert list(take(whole, parts[1], "both")) == [2]
    assert boxes(whole, 2) == [5.0, 9.0]


def test_labels_imported_since_are_a_conflict(tmp_path: Path) -> None:
    whole = Project.create(tmp_path / "whole.poseproj")
    import_coco(whole, write_coco(tmp_path / "labels.json", make_coco()), tmp_path)
    whole.identify()
    (path,) = split_project(whole.path, tmp_path / "parts", 1)["paths"]
    part = Project.open(Path(path))
    image = part.image_rows()[0].key
    add(part, image, 300.0)
    part.close()
    content = make_coco()
    content["info"] = {"description": "later"}
    for annotation in content["annotations"]:
        annotation["bbox"] = [200, 150, 30, 40]
    import_coco(whole, write_coco(tmp_path / "later.json", content), tmp_path)
    before = boxes(whole, image)
    assert 200.0 in before
    assert len(whole.part_report(Path(path)).conflicts) == 1
    assert list(take(whole, Path(path))) == []
    assert boxes(whole, image) == before
    whole.close()


def test_work_done_here_while_a_part_is_taken_stays(whole: Project, tmp_path: Path) -> None:
    first, _ = parts_of(whole, tmp_path)
    work_on(first, (2, 5.0), (3, 6.0))
    taking = take(whole, first)
    assert next(taking) == 2
    person = drawn(whole.next_person_key + 100, 33.0)
    whole.apply(Edit(3, "draw", (Change(None, person),)))
    assert list(taking) == [] and boxes(whole, 3) == [33.0]


def test_taking_both_twice_brings_nobody_twice(whole: Project, tmp_path: Path) -> None:
    first, _ = parts_of(whole, tmp_path)
    one = Project.open(first)
    add(one, 1, 7.0)
    one.close()
    add(whole, 1, 50.0)
    for _ in range(2):
        list(take(whole, first, "both"))
        assert boxes(whole, 1) == [0.0, 50.0, 7.0]
    assert whole.image(1).state is ImageState.IN_PROGRESS


def test_who_changed_after_the_first_take_comes_again(whole: Project, tmp_path: Path) -> None:
    first, _ = parts_of(whole, tmp_path)
    one = Project.open(first)
    person = add(one, 2, 5.0)
    list(take(whole, first))
    one.apply(Edit(2, "move", (Change(person, drawn(person.key, 6.0)),)))
    assert whole.part_report(first).conflicts == ()
    list(take(whole, first))
    assert boxes(whole, 2) == [6.0], "the same person, moved"
    one.apply(Edit(2, "delete", (Change(drawn(person.key, 6.0), None),)))
    one.close()
    list(take(whole, first))
    assert boxes(whole, 2) == []


def test_decisions_about_predictions_marks_and_models_come_back(whole: Project, tmp_path: Path) -> None:
    whole.store_predictions(2, MODEL, [make_prediction(0)], 640, 480, 0.4)
    whole.apply(Edit(2, "mark", flagged=Change(False, True), note=Change("", "look")))
    first, _ = parts_of(whole, tmp_path)
    one = Project.open(first)
    (found,) = one.predictions(2)
    one.apply(Edit(2, "reject", predictions=(Change(found, replace(found, status=PredictionStatus.REJECTED)),)))
    one.apply(Edit(2, "unmark", flagged=Change(True, False), note=Change("look", "")))
    one.store_predictions(3, "another", [with_visibility(make_prediction(1))], 640, 480, 0.3)
    one.apply(Edit(3, "mark", flagged=Change(False, True)))
    one.close()
    list(take(whole, first))
    assert [p.status for p in whole.predictions(2)] == [PredictionStatus.REJECTED]
    record = whole.image(2)
    assert not record.flagged and record.note == "" and record.predictions == 0
    assert whole.predictions(3)[0].joints == with_visibility(make_prediction(1)).joints
    assert [p.model for p in whole.predictions(3)] == ["another"] and whole.image(3).predictions == 1
    assert whole.taus() == {MODEL: 0.4, "another": 0.3}


def test_what_a_model_sees_on_an_image_comes_back_with_the_part(whole: Project, tmp_path: Path) -> None:
    def sees(project: Project, image: int, model: str, value: float) -> None:
        project.store_predictions(image, model, [], 640, 480, 0.5, np.array([value, 1.0], np.float32))

    sees(whole, 1, "before", 0.5)
    first, _ = parts_of(whole, tmp_path)
    sees(whole, 1, "here", 0.25)
    part = Project.open(first)
    sees(part, 1, "before", 2.0)
    sees(part, 1, "there", 4.0)
    part.apply(Edit(1, "flag", flagged=Change(False, True)))
    part.close()
    list(take(whole, first))
    seen = {model: summaries_by(whole._connection, model) for model in ("before", "here", "there")}
    assert [seen["before"][1][0], seen["here"][1][0], seen["there"][1][0]] == [2.0, 0.25, 4.0]
