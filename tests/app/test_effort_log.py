"""The effort figures, counted by hand; on a real project file at the end."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from storage_builders import MODEL, make_joints, make_prediction, make_project

from app.document.records import HUMAN, Box, Change, Edit, Joint, Person, PredictionStatus
from app.storage.effort_log import IDLE, SESSION_PAUSE, EffortCounter, EffortRow, Operation, effort_rows, table_row
from app.storage.errors import ProjectError
from app.storage.project import Project
from app.storage.rows import edit_to_json

ANN, BEN = "ann", "ben"
START = 1_000_000.0
PERSON = Person(7, Box(0, 0, 50, 100), make_joints())
OPEN = make_prediction(3)
ACCEPTED = replace(OPEN, status=PredictionStatus.ACCEPTED)


class Log:
    """Operations as the writer would log them."""

    def __init__(self) -> None:
        self.counter = EffortCounter({OPEN.key: MODEL})

    def add(self, seconds: float, edit: Edit, author: str = ANN) -> None:
        self.counter.add(Operation(START + seconds, author, edit.image, *edit_to_json(edit)))

    def row(self, model: str = MODEL) -> EffortRow:
        (row,) = [row for row in self.counter.rows() if row.model == model]
        return row


def accepting() -> Edit:
    return Edit(1, "Accept", (Change(None, PERSON),), (Change(OPEN, ACCEPTED),))


def moved(person: Person, index: int, x: float = 400.0) -> Person:
    return person.with_joint(index, Joint(x, 20.0, 2, HUMAN))


def changing(before: Person, after: Person, image: int = 1) -> Edit:
    return Edit(image, "change", (Change(before, after),))


def test_an_accepted_person_is_untouched_until_a_joint_moves() -> None:
    log = Log()
    log.add(0, accepting())
    row = log.row()
    assert (row.accepted, row.untouched, row.people, row.images, row.drawn, row.seconds) == (1, 1, 1, 1, 0, 0.0)
    edit = changing(PERSON, moved(PERSON, 4))
    log.add(10, edit)
    row = log.row()
    assert (row.accepted, row.untouched, row.joints_moved, row.seconds) == (1, 0, 1, 10.0)
    assert row.seconds_per_person == 10.0
    log.add(12, edit.inverse())
    assert log.row().untouched == 0, "the undo does not unmove the joint: somebody touched it"


def test_a_proposal_accepted_by_dragging_its_joint_is_accepted_then_corrected() -> None:
    log = Log()
    edit = Edit(1, "Accept and move joint", (Change(None, moved(PERSON, 4)),), (Change(OPEN, ACCEPTED),))
    log.add(0, edit)
    row = log.row()
    assert (row.accepted, row.untouched, row.joints_moved, row.people, row.drawn) == (1, 0, 1, 1, 0)
    log.add(5, edit.inverse())
    row = log.row()
    assert (row.accepted, row.untouched, row.people, row.deleted) == (0, 0, 0, 0)


def test_an_accepting_undone_counts_for_nothing() -> None:
    log = Log()
    log.add(0, accepting())
    log.add(1, accepting().inverse())
    row = log.row()
    assert (row.accepted, row.untouched, row.deleted, row.people) == (0, 0, 0, 0)
    log.add(2, accepting())
    row = log.row()
    assert (row.accepted, row.untouched, row.deleted, row.people, row.drawn) == (1, 1, 0, 1, 0)


def test_drawing_changing_deleting() -> None:
    log = Log()
    drawn = Person(9, Box(0, 0, 10, 10), (Joint(),) * 17)
    estimated = replace(drawn, joints=make_joints())
    larger = replace(estimated, box=Box(0, 0, 20, 20))
    occluded = larger.with_joint(0, replace(larger.joints[0], v=1, origin=HUMAN))
    log.add(0, Edit(1, "Draw person", (Change(None, drawn),)))
    log.add(1, changing(drawn, estimated))  # the model's answer: nobody moved these joints
    log.add(2, changing(estimated, larger))
    log.add(3, changing(larger, occluded))
    log.add(4, Edit(1, "Delete person", (Change(occluded, None),)))
    rows = {row.model: row for row in log.counter.rows()}
    assert rows[""].drawn == 1, "no model had placed a joint when the box was drawn"
    row = rows[MODEL]
    assert (row.boxes_changed, row.joints_moved, row.visibility_set, row.deleted, row.people) == (1, 0, 1, 1, 0)
    log.add(5, Edit(1, "Delete person", (Change(None, occluded),)))
    row = log.row()
    assert (row.deleted, row.people, row.drawn) == (0, 1, 0), "the deletion is undone"


def test_a_deletion_undone_long_afterwards_counts_for_nothing() -> None:
    log = Log()
    log.add(0, Edit(1, "Draw person", (Change(None, PERSON),)))
    log.add(1, Edit(1, "Delete person", (Change(PERSON, None),)))
    log.add(2 + SESSION_PAUSE, Edit(1, "Delete person", (Change(None, PERSON),)))
    assert [row.deleted for row in log.counter.rows()] == [0, 0]


def test_rejecting() -> None:
    log = Log()
    rejected = replace(OPEN, status=PredictionStatus.REJECTED)
    log.add(0, Edit(2, "Reject", (), (Change(OPEN, rejected),)))
    assert log.row().rejected == 1
    log.add(1, Edit(2, "Reject", (), (Change(rejected, OPEN),)))
    assert log.row().rejected == 0


def test_pauses_split_sessions_and_idle_time_does_not_count() -> None:
    log = Log()
    person = PERSON
    times = [0.0, 20.0, 20.0 + IDLE, 21.0 + 2 * IDLE, 30.0 + 2 * IDLE + SESSION_PAUSE, 40.0 + 2 * IDLE + SESSION_PAUSE]
    for index, seconds in enumerate(times):
        changed = moved(person, index)
        log.add(seconds, changing(person, changed, image=1 + index % 2))
        person = changed
    log.add(25.0, Edit(5, "Mark done"), author=BEN)
    first, ben, second = sorted(log.counter.rows(), key=lambda row: (row.started, row.author))
    assert (first.seconds, first.joints_moved, first.images) == (20.0 + IDLE, 4, 2)
    assert (second.seconds, second.joints_moved) == (10.0, 2)
    assert (ben.author, ben.images, ben.people, ben.seconds_per_person) == (BEN, 1, 0, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    project = make_project(tmp_path / "p.poses")
    _, _, stored = project.store_predictions(1, MODEL, [make_prediction(0)], 640, 480)
    accepted = replace(stored[0], status=PredictionStatus.ACCEPTED)
    project.apply(Edit(1, "Accept", (Change(None, PERSON),), (Change(stored[0], accepted),)))
    project.apply(changing(PERSON, moved(PERSON, 2)))
    project.close()
    return tmp_path / "p.poses"


def test_a_project_is_read_while_it_is_open(path: Path) -> None:
    project = Project.open(path)
    (row,) = effort_rows(path)
    assert (row.model, row.accepted, row.untouched, row.joints_moved, row.people) == (MODEL, 1, 0, 1, 1)
    assert row.author == project.author and table_row(row)[2] == MODEL
    project.add_model(MODEL, "a model")
    (row,) = effort_rows(path)
    assert table_row(row)[2] == f"a model {MODEL}"
    project.close()


def test_the_child_writes_json_and_csv(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "effort.csv"
    command = [sys.executable, "-P", "-m", "app.storage.effort_log", str(path), "--csv", str(out)]
    result = msgspec.json.decode(subprocess.run(command, check=True, capture_output=True).stdout)
    with out.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == result["header"] and len(rows) == len(result["rows"]) == 1
    assert dict(zip(header, rows[0], strict=True))["joints moved"] == "1"
    failed = subprocess.run([*command[:4], str(tmp_path / "none.poses")], capture_output=True)
    assert failed.returncode == 1 and b"there is no such file" in failed.stdout


def test_what_is_no_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.poses").write_text("nonsense")
    with pytest.raises(ProjectError, match=r"x\.poses"):
        effort_rows(tmp_path / "x.poses")
