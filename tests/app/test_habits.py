"""What a project's labels say about visibility, read from a real file."""

from dataclasses import replace
from pathlib import Path

import pytest
from storage_builders import MODEL, make_prediction, make_project, with_visibility

from app.commands import images, joints, predictions
from app.document.document import Document
from app.document.records import Edit
from app.storage import habits as habits_module
from app.storage.habits import learnt_habits
from app.storage.project import Project
from app.storage.visibility import Acceptance, accepted_v, said_by_model

FOUND = with_visibility(make_prediction(1))


class Labeller:
    """Accepts what was found on an image, and goes on from there."""

    def __init__(self, project: Project, image: int) -> None:
        self.project, self.image = project, image
        self.document = Document(project.skeleton)
        self.document.reserve_keys(project.next_person_key)
        project.store_predictions(image, MODEL, [FOUND], 640, 480, 0.5)
        self.document.open_image(*project.load_image(image))
        found = self.document.predictions(image)[0]
        self.do(predictions.accept(self.document, image, [found.key], lambda _: Acceptance(0.5)))
        self.person = self.document.people(image)[0].key

    def do(self, edit: Edit | None) -> None:
        assert edit is not None
        self.document.apply(edit)
        self.project.apply(edit)

    def set_v(self, indices: list[int], v: int) -> None:
        self.do(joints.set_visibility(self.document, self.image, self.person, indices, v))


def test_what_is_only_accepted_teaches_nothing_not_even_when_it_is_finished(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poseproj")
    image = project.image_rows()[0].key
    labeller = Labeller(project, image)
    labeller.do(images.mark_done(labeller.document, image))
    assert learnt_habits(project) == {}
    place = labeller.document.people(image)[0].joints[1]
    labeller.do(joints.move_joint(labeller.document, image, labeller.person, 1, place.x + 1, place.y))
    assert learnt_habits(project) == {}, "the place was wrong, and v as it was shown"
    labeller.set_v([1], 2)
    habits = learnt_habits(project)
    assert list(habits) == [MODEL] and habits[MODEL].people == 1 and len(habits[MODEL].factors) == 17
    project.close()


def test_the_newest_that_were_worked_on_are_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "p.poseproj", images=6)
    rows = [row.key for row in project.image_rows()]
    for image in (rows[5], rows[0], rows[3]):
        Labeller(project, image).set_v([1], 2)
    assert project.images_worked_on(2) == [rows[3], rows[0]]
    monkeypatch.setattr(habits_module, "MOST_PEOPLE", 2)
    assert learnt_habits(project)[MODEL].people == 2
    project.close()


def test_joints_that_are_left_out_here_are_proposed_as_hints(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poseproj", images=8)
    expected = accepted_v(FOUND.joints, Acceptance(0.5))
    left_out = [index for index, v in enumerate(expected) if v == 2][:3]
    for row in project.image_rows():
        Labeller(project, row.key).set_v(left_out, 0)
    habit = learnt_habits(project)[MODEL]
    assert habit.people == 8, "somebody put a joint of theirs right"
    now = accepted_v(FOUND.joints, Acceptance(0.5, habit))
    assert now == [0 if index in left_out else v for index, v in enumerate(expected)]
    project.close()
    again = Project.open(tmp_path / "p.poseproj")
    assert learnt_habits(again) == {MODEL: habit}
    again.close()


def test_silent_models_and_those_that_found_somebody_else_learn_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p.poseproj")
    first, second = (row.key for row in project.image_rows()[:2])
    labeller = Labeller(project, first)
    labeller.set_v([1], 2)
    project.store_predictions(first, "silent", [make_prediction(1, model="silent")], 640, 480, 0.5)
    assert list(learnt_habits(project)) == [MODEL]
    elsewhere = Labeller(project, second)
    elsewhere.set_v([1], 2)
    other = replace(FOUND, model="other", box=replace(FOUND.box, x=200))
    project.store_predictions(second, "other", [other], 640, 480, 0.5)
    assert list(learnt_habits(project)) == [MODEL], "nobody is labelled there"
    assert learnt_habits(project)[MODEL].people == 2
    project.close()


def test_a_habit_is_for_models_that_tell_v() -> None:
    silent = make_prediction(1).joints
    assert not said_by_model(silent)
    assert accepted_v(silent, Acceptance(0.4)) == [0] * 8 + [2] * 9
