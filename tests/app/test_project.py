"""The project file, on real SQLite files: identity, refusal of what is not ours, full disks and killed writers."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from storage_builders import (
    MODEL,
    find_image,
    import_coco,
    make_coco,
    make_joints,
    make_prediction,
    make_project,
    with_visibility,
    write_coco,
)

from app.document.document import FIRST_OWN_PERSON_KEY
from app.document.records import Box, Change, Edit, ImageState, Joint, Person, PredictionStatus
from app.storage import schema
from app.storage.errors import ProjectError, ProjectLockedError, ReadOnlyProjectError
from app.storage.project import Project
from msarcnn.skeleton import coco17

KILLS = 10


def person(key: int = FIRST_OWN_PERSON_KEY, x: float = 0.1) -> Person:
    return Person(key, Box(x, 2, 30, 40.5), make_joints())


def adding(image: int, new: Person) -> Edit:
    return Edit(image, "add", (Change(None, new),), state=Change(ImageState.UNSEEN, ImageState.IN_PROGRESS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "day one.poses"


def test_what_is_stored_is_there_after_reopening(path: Path) -> None:
    project = make_project(path)
    record = project.apply(adding(2, person()))
    assert (record.people, record.state) == (1, ImageState.IN_PROGRESS)
    project.update_image_size(2, 640, 480)
    before = project.load_image(2)
    project.close()
    project = Project.open(path)
    assert project.load_image(2) == before
    assert before[1] == (person(),)
    assert project.next_person_key == FIRST_OWN_PERSON_KEY + 1
    rows = project.image_rows()
    assert [(row.key, row.path, row.people) for row in rows] == [
        (1, "000000.jpg", 0),
        (2, "000001.jpg", 1),
        (3, "000002.jpg", 0),
    ]
    project.close()


def test_flag_and_note_are_stored_and_logged(path: Path) -> None:
    project = make_project(path)
    flag = Edit(2, "Flag image", flagged=Change(False, True))
    assert project.apply(flag).flagged
    assert project.apply(Edit(2, "Change note", note=Change("", "blurred"))).note == "blurred"
    project.close()
    project = Project.open(path)
    assert (project.image(2).flagged, project.image(2).note) == (True, "blurred")
    assert [row.flagged for row in project.image_rows()] == [False, True, False]
    assert not project.apply(flag.inverse()).flagged
    project.close()
    with sqlite3.connect(path) as connection:
        log = connection.execute("SELECT before, after FROM operation ORDER BY id").fetchall()
    assert [json.loads(after) for _, after in log] == [{"flagged": True}, {"note": "blurred"}, {"flagged": False}]


def test_keys_of_deleted_people_are_not_used_again(path: Path) -> None:
    project = make_project(path)
    edit = adding(1, person())
    project.apply(edit)
    project.apply(edit.inverse())
    assert project.load_image(1)[1] == () and project.image(1).state is ImageState.UNSEEN
    project.close()
    project = Project.open(path)
    assert project.next_person_key == FIRST_OWN_PERSON_KEY + 1
    project.close()


def test_image_identity_is_root_and_path(path: Path, tmp_path: Path) -> None:
    project = make_project(path)
    other = project.add_root(tmp_path / "other")
    assert project.add_root(tmp_path / "other") == other
    assert project.add_images(other, ["000000.jpg", "ü/日本.png"]) == 2
    assert project.add_images(other, ["000000.jpg", "new.jpg"]) == 1
    assert find_image(project, "000000.jpg", other) != find_image(project, "000000.jpg")
    project.relocate_root(other, tmp_path / "moved")
    assert project.roots() == {1: tmp_path, other: tmp_path / "moved"}
    with pytest.raises(ProjectError, match="already"):
        project.relocate_root(other, tmp_path)
    with pytest.raises(ProjectError, match=r"\\udcff is not valid text"):
        project.add_root(tmp_path / "\udcff")
    with pytest.raises(KeyError):
        project.load_image(99)
    project.close()


def test_predictions_are_replaced_but_decisions_are_remembered(path: Path) -> None:
    project = make_project(path)
    found = [make_prediction(0, x, score) for x, score in ((0, 0.9), (100, 0.8), (200, 0.3))]
    record, _, stored = project.store_predictions(1, MODEL, found, 640, 480)
    assert (record.state, record.predictions, record.lowest_confidence) == (ImageState.PREDICTED, 3, 0.3)
    assert (record.width, record.height, record.model) == (640, 480, MODEL)
    assert [replace(p, key=0) for p in stored] == found
    rejected = replace(stored[0], status=PredictionStatus.REJECTED)
    project.apply(Edit(1, "reject", predictions=(Change(stored[0], rejected),)))
    _, _, again = project.store_predictions(1, MODEL, [*found, make_prediction(0, 400)], 640, 480)
    assert [p.key for p in again[:2]] == [p.key for p in stored[1:]] and len(again) == 3
    assert project.image(1).predictions == 3
    record, _, others = project.store_predictions(1, "another", found[:1], 640, 480)
    assert len(others) == 1 and record.predictions == 1
    assert len(project.predictions(1)) == 5
    project.close()


def test_what_a_model_says_of_visibility_is_kept(path: Path) -> None:
    project = make_project(path)
    found = [with_visibility(make_prediction(0)), make_prediction(0, 100)]
    _, _, stored = project.store_predictions(1, MODEL, found, 640, 480)
    assert [replace(one, key=0) for one in stored] == found
    project.close()
    assert [replace(one, key=0) for one in Project.open(path).predictions(1)] == found


def test_a_prefill_keeps_the_size_that_labels_were_made_for(path: Path) -> None:
    project = make_project(path)
    project.update_image_size(1, 480, 640)
    record, _, _ = project.store_predictions(1, MODEL, [], 640, 480)
    assert (record.width, record.height) == (480, 640)
    record, _, _ = project.store_predictions(2, MODEL, [], 640, 480)
    assert (record.width, record.height) == (640, 480)
    rows = project.image_rows()
    assert [(row.width, row.height, row.model) for row in rows] == [(480, 640, MODEL), (640, 480, MODEL), (0, 0, "")]
    project.close()


def test_a_models_threshold_is_stored_with_its_predictions(path: Path) -> None:
    project = make_project(path)
    project.store_predictions(1, MODEL, [], 640, 480, tau=0.25)
    project.store_predictions(2, MODEL, [], 640, 480)
    project.store_predictions(2, "another", [], 640, 480)
    assert project.taus() == {MODEL: 0.25}
    project.add_model(MODEL, "its name")
    assert project.taus() == {MODEL: 0.25}
    project.close()


def test_one_window_writes_the_other_reads(path: Path) -> None:
    project = make_project(path)
    with pytest.raises(ProjectLockedError) as error:
        Project.open(path)
    assert error.value.pid == os.getpid()
    reader = Project.open(path, read_only=True)
    project.apply(adding(1, person()))
    assert reader.read_only and reader.load_image(1)[1] == (person(),)
    with pytest.raises(ReadOnlyProjectError):
        reader.apply(adding(1, person(FIRST_OWN_PERSON_KEY + 1)))
    with pytest.raises(ReadOnlyProjectError):
        reader.attach_staging(path)
    reader.close()
    project.close()
    Project.open(path).close()


def test_the_lock_of_a_dead_process_is_taken_over(path: Path) -> None:
    make_project(path).close()
    code = "import os, sys, pathlib; from app.storage.project import Project\n"
    code += "project = Project.open(pathlib.Path(sys.argv[1])); os._exit(0)"
    subprocess.run([sys.executable, "-P", "-c", code, str(path)], check=True)
    assert path.with_name(path.name + ".lock").exists()
    project = Project.open(path)
    assert not project.read_only
    project.close()


def test_creating_never_overwrites(path: Path) -> None:
    make_project(path).close()
    content = path.read_bytes()
    with pytest.raises(ProjectError, match="exists"):
        Project.create(path)
    assert path.read_bytes() == content
    with pytest.raises(ProjectError, match="cannot be created"):
        Project.create(path.parent / "no folder" / "x.poses")


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()


def newer(path: Path) -> None:
    make_project(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 999 WHERE key = 'schema_version'")
    connection.close()


def scrambled(path: Path) -> None:
    project = make_project(path, images=2000)
    project.close()
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):  # all pages but the first
        content[start : start + 64] = random.Random(start).randbytes(64)
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    make_project(path, images=2000).close()
    path.write_bytes(path.read_bytes()[:20000])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "not a project file"),
        (lambda path: path.write_text('{"images": []}'), "not a project file"),
        (foreign, "another program"),
        (newer, "newer version"),
        (scrambled, "damaged"),
        (cut_off, "damaged"),
    ],
)
def test_what_cannot_be_opened_says_why_and_stays_as_it_is(path: Path, make: Any, reason: str) -> None:
    make(path)
    before = path.read_bytes() if path.exists() else None
    for read_only in (False, True):
        with pytest.raises(ProjectError, match=reason) as error:
            Project.open(path, read_only)
        assert str(path) in str(error.value)
    assert (path.read_bytes() if path.exists() else None) == before
    assert not path.with_name(path.name + "-journal").exists()


def test_large_files_are_checked_table_by_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(path, images=3000)
    assert project.unchecked_tables() == []
    monkeypatch.setattr(schema, "CHECKED_ON_OPEN_BYTES", 0)
    tables = project.unchecked_tables()
    assert {"image", "person", "operation"} <= set(tables)
    for table in tables:
        project.check_table(table)
    project.close()


def test_a_full_disk_loses_nothing_and_the_retry_succeeds(path: Path) -> None:
    project = make_project(path)
    pages = project._connection.execute("PRAGMA page_count").fetchone()[0]
    project._connection.execute(f"PRAGMA max_page_count = {pages}")
    stored: list[Person] = []
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for index in range(200):
            new = person(FIRST_OWN_PERSON_KEY + index)
            project.apply(adding(1, new))
            stored.append(new)
    assert project.load_image(1)[1] == tuple(stored)
    assert project.operation_count() == len(stored)
    project._connection.execute("PRAGMA max_page_count = 1000000")
    project.apply(adding(1, person(FIRST_OWN_PERSON_KEY + len(stored))))
    assert len(project.load_image(1)[1]) == len(stored) + 1
    project.close()


def test_the_pragmas_of_a_reliable_file(path: Path) -> None:
    project = make_project(path)
    wanted = {"journal_mode": "delete", "synchronous": 3, "trusted_schema": 0, "cell_size_check": 1, "mmap_size": 0}
    assert {name: project._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
    project.close()


def test_every_query_of_an_edit_uses_an_index(path: Path) -> None:
    project = make_project(path)
    for sql in (
        "SELECT id FROM person WHERE image_id = 1 AND deleted = 0 ORDER BY id",
        "SELECT count(*), min(score) FROM prediction WHERE image_id = 1 AND status = 'open'",
        "SELECT model FROM looked WHERE image_id = 1 ORDER BY number",
        "UPDATE looked SET predictions = 0 WHERE image_id = 1",
        "SELECT id FROM image WHERE root_id = 1 AND path = 'x'",
        "SELECT 1 FROM source_image WHERE image_id = 1",
    ):
        plan = " ".join(row[3] for row in project._connection.execute(f"EXPLAIN QUERY PLAN {sql}"))
        assert "SEARCH" in plan and "SCAN" not in plan, plan
    project.close()


def replayed(connection: sqlite3.Connection) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """People by image and key, and image states, from the operation log alone; checks that it has no gap."""
    people: dict[str, dict[str, Any]] = {}
    states: dict[str, str] = {}
    for image, before, after in connection.execute("SELECT image_id, before, after FROM operation ORDER BY id"):
        current = people.setdefault(str(image), {})
        old, new = json.loads(before), json.loads(after)
        assert states.get(str(image), "unseen") == old["state"]
        states[str(image)] = new["state"]
        for key, data in old["people"].items():
            assert current.get(key) == data
        for key, data in new["people"].items():
            current.pop(key, None)
            if data is not None:
                current[key] = data
    return people, states


def test_kill_9_loses_no_acknowledged_edit(path: Path) -> None:
    make_project(path).close()
    storm = Path(__file__).with_name("edit_storm.py")
    chance = random.Random(20)
    for round_number in range(KILLS):
        command = [sys.executable, "-P", str(storm), str(path), str(round_number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            acknowledged = child.stdout.readline()
            time.sleep(chance.random() * 0.2)
            child.kill()
            for line in child.stdout:
                acknowledged = line if line.endswith("\n") else acknowledged
        project = Project.open(path)  # rolls a broken transaction back
        assert project.operation_count() >= int(acknowledged)
        people, states = replayed(project._connection)
        for row in project.image_rows():
            record, present, _ = project.load_image(row.key)
            logged = people.get(str(row.key), {})
            assert {str(p.key) for p in present} == set(logged)
            for key, data in project._connection.execute("SELECT id, data FROM person WHERE image_id = ?", (row.key,)):
                assert json.loads(data) == logged[str(key)]
            assert record.state.value == states.get(str(row.key), "unseen")
            assert record.people == len(logged)
        project.close()


def test_imported_people_survive_delete_and_undo_and_a_second_import(path: Path, tmp_path: Path) -> None:
    project = Project.create(path)
    source = write_coco(tmp_path / "s.json", make_coco())
    _, progress = import_coco(project, source, tmp_path)
    assert (progress.images_added, progress.people_added, progress.people_skipped) == (2, 3, 0)
    image = find_image(project, "a one.jpg")
    before = project.load_image(image)
    deletion = Edit(image, "delete", (Change(before[1][0], None),))
    project.apply(deletion)
    assert project.load_image(image)[1] == ()
    _, progress = import_coco(project, source, tmp_path)
    assert (progress.people_added, progress.people_skipped) == (0, 3)
    changed = make_coco(info={"description": "another digest"})
    _, progress = import_coco(project, write_coco(tmp_path / "t.json", changed), tmp_path)
    assert (progress.images_added, progress.people_added, progress.people_skipped) == (0, 0, 3)
    project.apply(deletion.inverse())
    assert project.load_image(image)[1] == before[1]
    project.close()


def test_an_import_joins_an_opened_folder_and_keeps_what_was_labelled(path: Path, tmp_path: Path) -> None:
    project = Project.create(path)
    root = project.add_root(tmp_path)
    project.add_images(root, ["a one.jpg", "unlabelled.jpg"])
    mine = replace(person(), box=Box(12, 12, 99, 149))
    project.apply(adding(1, mine))
    _, progress = import_coco(project, write_coco(tmp_path / "s.json", make_coco()), tmp_path)
    assert (progress.images_added, progress.people_added, progress.people_skipped) == (1, 2, 1)
    assert project.load_image(1)[1] == (mine,)
    assert project.image_count() == 3
    project.close()


def test_a_broken_off_import_goes_on_where_it_stopped(path: Path, tmp_path: Path) -> None:
    from app.storage.coco_import import stage_coco

    project = Project.create(path)
    staging = tmp_path / "staging.db"
    stage_coco(write_coco(tmp_path / "s.json", make_coco()), staging, [tmp_path], lambda stage, done, total: None)
    steps = project.attach_staging(staging, batch=1)
    for _ in range(4):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert [complete for _, _, complete in project.sources()] == [False]
    assert [step.done for step in project.attach_staging(staging, batch=1)] == [5, 6]
    assert [complete for _, _, complete in project.sources()] == [True]
    assert sum(row.people for row in project.image_rows()) == 3
    project.close()


def test_half_a_staging_file_is_not_attached(path: Path, tmp_path: Path) -> None:
    from app.storage.staging import create_staging

    create_staging(tmp_path / "half.db").close()
    project = make_project(path)
    with pytest.raises(ProjectError, match="unfinished"):
        next(project.attach_staging(tmp_path / "half.db"))
    with pytest.raises(ProjectError, match="cannot be read"):
        next(project.attach_staging(tmp_path / "none.db"))
    project.apply(adding(1, replace(person(), joints=(Joint(),) * 17)))
    project.close()


def test_a_project_says_which_joints_its_people_have(tmp_path: Path) -> None:
    own = coco17()
    other = msgspec.structs.replace(own, name="other", keypoints=("snout", *own.keypoints[1:]))
    with closing(Project.create(tmp_path / "own.poseproj")) as project:
        assert project.skeleton == own
    path = tmp_path / "other.poseproj"
    with closing(Project.create(path, other)) as project:
        assert project.skeleton == other
    with closing(Project.open(path, skeleton=other)) as project:
        assert project.skeleton.keypoints[0] == "snout"
    before = path.read_bytes()
    with pytest.raises(ProjectError, match=r"other joints \(17: snout, left_eye, .*\) than this program shows"):
        Project.open(path)
    assert path.read_bytes() == before
    with closing(Project.open(path, skeleton=other)):
        pass  # the lock was given back


def test_a_skeleton_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "one.poseproj"
    Project.create(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '{}' WHERE key = 'skeleton'")
    with pytest.raises(ProjectError, match=r"is damaged \(its skeleton cannot be read.*restore a backup copy"):
        Project.open(path)
