"""The order in which to label a project's images, by a real file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from storage_builders import MODEL, make_joints, make_prediction, make_project, with_visibility

from app.document.records import Change, Edit, ImageState, Person, PredictedJoint, Prediction
from app.storage.looks import summaries_by
from app.storage.order_images import main
from app.storage.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p.poseproj", images=5)


def found(confidence: float, score: float = 0.9) -> Prediction:
    joints = tuple(PredictedJoint(float(index), 1.0, confidence) for index in range(17))
    return replace(make_prediction(1), score=score, joints=joints)


def look(project: Project, image: int, *people: Prediction, summary: tuple[float, ...] | None = None) -> None:
    seen = None if summary is None else np.array(summary, np.float32)
    project.store_predictions(image, MODEL, people, 640, 480, 0.5, seen)


def order(capsys: pytest.CaptureFixture[str], project: Project, *arguments: str) -> tuple[list[int], int]:
    assert main([str(project.path), *arguments]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["open"] <= line["known"] <= len(line["images"])
    return line["images"], line["known"]


def test_the_most_work_is_first_and_what_nobody_looked_at_last(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    look(project, 4)
    look(project, 1, found(0.9))
    look(project, 3, found(0.5), found(0.6))
    look(project, 2, found(0.7))
    assert order(capsys, project, "--by", "work") == ([3, 2, 1, 4, 5], 4)
    assert order(capsys, project, "--by", "work", "--model", "another") == ([1, 2, 3, 4, 5], 0)


def test_what_is_decided_is_no_work_any_more(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    look(project, 1, with_visibility(make_prediction(1)))
    look(project, 2, found(0.9))
    assert order(capsys, project, "--by", "work")[0][:2] == [1, 2]
    (prediction,) = project.predictions(1)
    rejected = replace(prediction, status=type(prediction.status).REJECTED)
    project.apply(Edit(1, "reject", (), (Change(prediction, rejected),)))
    assert order(capsys, project, "--by", "work")[0][:2] == [2, 1]


def test_finished_images_and_people_who_are_labelled_are_no_work(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    look(project, 1, found(0.3))
    look(project, 2, found(0.6))
    look(project, 3, found(0.9))
    project.apply(Edit(1, "done", state=Change(project.image(1).state, ImageState.DONE)))
    assert order(capsys, project, "--by", "work") == ([2, 3, 1, 4, 5], 3)
    by_hand = Person(project.next_person_key, make_prediction(1).box, make_joints())
    project.apply(Edit(2, "draw", (Change(None, by_hand),)))
    assert order(capsys, project, "--by", "work")[0] == [3, 2, 1, 4, 5]


def test_the_most_different_is_first_and_finished_images_count(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for image, place in ((1, 0.0), (2, 4.0), (3, 5.0), (4, 11.0)):
        look(project, image, summary=(place, 1.0))
    assert order(capsys, project, "--by", "difference") == ([3, 4, 1, 2, 5], 4)
    project.apply(Edit(4, "done", state=Change(project.image(4).state, ImageState.DONE)))
    assert order(capsys, project, "--by", "difference") == ([1, 3, 2, 4, 5], 4)


def test_a_second_look_without_a_summary_keeps_it_and_a_new_one_replaces_it(project: Project) -> None:
    look(project, 1, summary=(1.0, 2.0))
    look(project, 1, found(0.9))
    assert summaries_by(project._connection, MODEL)[1].tolist() == [1.0, 2.0]
    look(project, 1, summary=(0.5, 0.25))
    assert summaries_by(project._connection, MODEL)[1].tolist() == [0.5, 0.25]
    assert summaries_by(project._connection, "another") == {}


def test_a_project_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.poseproj"), "--by", "work"]) == 1
    assert "none.poseproj" in json.loads(capsys.readouterr().out)["error"]


def test_an_empty_project_has_an_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = make_project(tmp_path / "empty.poseproj", images=0)
    assert order(capsys, empty, "--by", "difference") == ([], 0)
