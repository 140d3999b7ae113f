"""The writer thread: order, callbacks on the GUI thread, and disks that fail."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from storage_builders import MODEL, make_coco, make_joints, make_prediction, write_coco

from app.commands import people
from app.document.document import Document
from app.document.records import Box, Change, Edit, Person
from app.storage import writer_thread
from app.storage.attach import AttachProgress
from app.storage.coco_import import stage_coco
from app.storage.errors import ProjectError, ProjectLockedError
from app.storage.project import OpenedImage, Project
from app.storage.writer import ProjectStore
from app.storage.writer_thread import StoreClosedError
from msarcnn.skeleton import coco17


@pytest.fixture
def store(tmp_path: Path, qtbot: QtBot) -> Iterator[ProjectStore]:
    opened = ProjectStore.create(tmp_path / "p.poses")
    opened.call(lambda project: project.add_images(project.add_root(tmp_path), ["a.jpg", "b.jpg"]))
    yield opened
    opened.close()


def adding(key: int, image: int = 1) -> Edit:
    return Edit(image, "add", (Change(None, Person(key, Box(1, 2, 3, 4), make_joints())),))


def break_writes(store: ProjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the disk is full, until `monkeypatch.undo`."""
    monkeypatch.setattr(writer_thread, "RETRY_SECONDS", (0.05,))

    def full(self: Project, edit: Edit) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(Project, "apply", full)


def test_saved_comes_after_the_commit(store: ProjectStore, qtbot: QtBot) -> None:
    document = Document(coco17())
    store.bind(document)
    document.open_image(*store.call(lambda project: project.load_image(1)))
    committed: list[Any] = []
    counts: list[int] = []
    store.image_saved.connect(committed.append)
    store.saved.connect(counts.append)
    for x in range(5):
        edit = people.add_person(document, 1, Box(x, 0, 5, 5))
        assert edit is not None
        document.apply(edit)
    assert store.pending == 5
    qtbot.waitUntil(lambda: counts[-1:] == [0])
    assert counts == [4, 3, 2, 1, 0]
    assert [record.people for record in committed] == [1, 2, 3, 4, 5]
    assert committed[-1] == document.image(1)
    assert store.call(lambda project: project.load_image(1))[1] == document.people(1)


def test_jobs_run_in_order_elsewhere_and_answer_here(store: ProjectStore, qtbot: QtBot) -> None:
    seen: list[Any] = []
    for number in range(20):
        store.submit(lambda _, n=number: (n, threading.get_ident()), lambda r: seen.append((r, threading.get_ident())))
    qtbot.waitUntil(lambda: len(seen) == 20)
    assert [result[0] for result, _ in seen] == list(range(20))
    here = threading.get_ident()
    assert all(there != here == at for (_, there), at in seen)


def test_errors_go_to_the_callback_or_the_signal(store: ProjectStore, qtbot: QtBot) -> None:
    errors: list[Any] = []
    store.failed.connect(errors.append)
    store.submit(lambda project: project.load_image(99), None, errors.append)
    store.submit(lambda project: 1 // 0)
    qtbot.waitUntil(lambda: len(errors) == 2)
    assert isinstance(errors[0], KeyError)
    assert "division" in errors[1]
    with pytest.raises(KeyError):
        store.call(lambda project: project.image(99))


def test_a_full_disk_is_shown_and_nothing_is_dropped(
    store: ProjectStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    counts: list[int] = []
    loaded: list[OpenedImage] = []
    problems: list[Exception] = []
    store.failed.connect(messages.append)
    store.saved.connect(counts.append)
    break_writes(store, monkeypatch)
    edits = [adding(2000 + index) for index in range(3)]
    for edit in edits:
        store.save(edit)
    qtbot.waitUntil(lambda: any("3 edits are not saved yet: the disk is full" in message for message in messages))
    assert str(store.path) in messages[0]
    assert counts == [] and store.pending == 3
    # Meanwhile images can be looked at, as they are with the edits that wait.
    store.load_image(1, loaded.append)
    store.when_saved(lambda: counts.append(-1), problems.append)
    qtbot.waitUntil(lambda: len(loaded) == 1 and len(problems) == 1)
    assert [person.key for person in loaded[0][1]] == [2000, 2001, 2002]
    assert not store.drain()
    monkeypatch.undo()  # somebody freed some space; the retry comes by itself
    qtbot.waitUntil(lambda: counts == [2, 1, 0])
    assert store.drain() and store.pending == 0
    assert len(store.call(lambda project: project.load_image(1))[1]) == 3
    assert store.call(lambda project: project.operation_count()) == 3


def test_closing_tells_how_many_edits_are_lost(
    store: ProjectStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_writes(store, monkeypatch)
    store.save(adding(2000))
    assert store.close() == 1
    assert store.close() == 1
    with pytest.raises(StoreClosedError):
        store.submit(lambda project: None)


def test_closing_writes_what_is_queued(tmp_path: Path, qtbot: QtBot) -> None:
    store = ProjectStore.create(tmp_path / "q.poses")
    store.call(lambda project: project.add_images(project.add_root(tmp_path), ["a.jpg"]))
    for index in range(50):
        store.save(adding(2000 + index))
    assert store.close() == 0
    project = Project.open(tmp_path / "q.poses")
    assert project.image(1).people == 50
    project.close()


def test_a_load_overtaken_by_an_edit_is_up_to_date(store: ProjectStore, qtbot: QtBot) -> None:
    loaded: list[OpenedImage] = []
    store.load_image(1, loaded.append)
    store.save(adding(2000))
    store.save(adding(2001, image=2))
    qtbot.waitUntil(lambda: len(loaded) == 1)
    assert [person.key for person in loaded[0][1]] == [2000]


def test_when_saved_waits_for_all_edits(store: ProjectStore, qtbot: QtBot) -> None:
    for index in range(10):
        store.save(adding(2000 + index))
    done: list[int] = []
    store.when_saved(lambda: done.append(store.pending))
    qtbot.waitUntil(lambda: done == [0])


def test_edits_go_on_while_an_import_is_attached(store: ProjectStore, qtbot: QtBot, tmp_path: Path) -> None:
    staging = tmp_path / "staging.db"
    stage_coco(write_coco(tmp_path / "s.json", make_coco()), staging, [tmp_path], lambda *_: None)
    states: list[AttachProgress] = []
    done: list[bool] = []
    store.run_batches(
        lambda project: project.attach_staging(staging),
        states.append,
        done.append,
        lambda error: pytest.fail(str(error)),
    )
    store.save(adding(1 << 30))
    qtbot.waitUntil(lambda: done == [True] and store.pending == 0)
    assert states[-1].done == states[-1].total == 6
    assert store.call(lambda project: [row.people for row in project.image_rows()]) == [1, 0, 2, 1]
    staging.unlink()


def test_stopping_an_import(store: ProjectStore, qtbot: QtBot, tmp_path: Path) -> None:
    staging = tmp_path / "staging.db"
    stage_coco(write_coco(tmp_path / "s.json", make_coco()), staging, [tmp_path], lambda *_: None)
    done: list[bool] = []
    stop = store.run_batches(
        lambda project: project.attach_staging(staging),
        lambda _: stop(),
        done.append,
        lambda error: pytest.fail(str(error)),
    )
    qtbot.waitUntil(lambda: done == [False])
    assert [complete for _, _, complete in store.call(lambda project: project.sources())] == [False]


def test_opening_says_why_not(tmp_path: Path, qtbot: QtBot, store: ProjectStore) -> None:
    with pytest.raises(ProjectError, match="no such file"):
        ProjectStore.open(tmp_path / "none.poses")
    assert store.path is not None
    with pytest.raises(ProjectLockedError):
        ProjectStore.open(store.path)
    reader = ProjectStore.open(store.path, read_only=True)
    assert reader.read_only and not store.read_only
    assert reader.call(lambda project: project.image_count()) == 2
    reader.close()


def test_opening_in_the_background(tmp_path: Path, qtbot: QtBot) -> None:
    store = ProjectStore(lambda: Project.create(tmp_path / "r.poses"))
    with qtbot.waitSignal(store.opened):
        pass
    assert store.path == tmp_path / "r.poses"
    store.close()
    broken = ProjectStore(lambda: Project.open(tmp_path / "none.poses"))
    errors: list[Exception] = []
    with qtbot.waitSignal(broken.open_failed) as failure:
        broken.submit(lambda project: None, None, errors.append)
    assert isinstance(failure.args[0], ProjectError)
    qtbot.waitUntil(lambda: len(errors) == 1)
    broken.close()


def test_damage_found_later_is_shown(store: ProjectStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: Project, table: str) -> None:
        raise ProjectError(self.path, "the project file is damaged", "Restore a backup copy.")

    assert store.path is not None
    path = store.path
    store.close()
    monkeypatch.setattr(writer_thread, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(Project, "unchecked_tables", lambda self: ["image", "person"])
    monkeypatch.setattr(Project, "check_table", damaged)
    again = ProjectStore.open(path)
    with qtbot.waitSignal(again.failed) as failure:
        pass
    assert "damaged" in failure.args[0]
    again.close()


def test_predictions_reach_the_document_with_their_keys(store: ProjectStore, qtbot: QtBot) -> None:
    document = Document(coco17())
    store.bind(document)
    document.open_image(*store.call(lambda project: project.load_image(1)))
    found = [make_prediction(0), make_prediction(0, 100)]
    answers: list[OpenedImage] = []
    store.submit(lambda project: project.store_predictions(1, MODEL, found, 640, 480), answers.append)
    qtbot.waitUntil(lambda: len(answers) == 1)
    record, _, stored = answers[0]
    document.update_record(record)
    document.set_predictions(1, stored, MODEL)
    assert document.image(1) == record
    assert document.predictions(1) == stored
