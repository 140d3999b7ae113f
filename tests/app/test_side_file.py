"""Edits that can never be written: said, kept beside the project, and in nobody's way."""

import errno
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from storage_builders import make_joints

from app.document.records import Box, Change, Edit, Person
from app.storage import side_file, writer_thread
from app.storage.errors import ReadOnlyProjectError
from app.storage.project import Project
from app.storage.side_file import SideFile, may_pass
from app.storage.writer import ProjectStore


@pytest.fixture
def store(tmp_path: Path, qtbot: QtBot) -> Iterator[ProjectStore]:
    opened = ProjectStore.create(tmp_path / "p.poses")
    opened.call(lambda project: project.add_images(project.add_root(tmp_path), ["a.jpg", "b.jpg"]))
    yield opened
    opened.close()


def adding(key: int, image: int = 1) -> Edit:
    return Edit(image, "add", (Change(None, Person(key, Box(1, 2, 3, 4), make_joints())),))


NO_IMAGE = adding(2001, image=99)
ELSEWHERE = adding(2000, image=2)
"""Its person is on image 1 already."""
HUGE = adding(1 << 70)
NO_TEXT = Edit(1, "note", note=Change("", "half a letter: \ud83d"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (NO_IMAGE, "KeyError: 99"),
        (ELSEWHERE, "person 2000 is on another image already"),
        (HUGE, "too large"),
        (NO_TEXT, "surrogate"),
    ],
    ids=["no image", "integrity", "overflow", "encoding"],
)
def test_an_edit_that_can_never_be_written_is_kept_and_blocks_nothing(
    store: ProjectStore, qtbot: QtBot, edit: Edit, reason: str
) -> None:
    asides: list[tuple[int, str]] = []
    counts: list[int] = []
    store.set_aside.connect(lambda count, text: asides.append((count, text)))
    store.saved.connect(counts.append)
    with qtbot.assertNotEmitted(store.failed):
        for one in (adding(2000), edit, adding(3000)):
            store.save(one)
        qtbot.waitUntil(lambda: counts == [2, 1, 0])
    side = store.path.with_name("p.poses.unsaved.jsonl") if store.path else Path()
    ((count, text),) = asides
    assert count == 1 and str(side) in text and str(store.path) in text and reason in text
    assert f"“{edit.text}”" in text and "nothing is lost" not in text
    assert store.drain() and store.pending == 0
    people = [person.key for person in store.call(lambda project: project.load_image(1))[1]]
    assert people == [2000, 3000]
    (line,) = lines(side)
    assert reason in line["reason"] and line["image"]["key"] == edit.image
    assert line["image"]["path"] == {1: "a.jpg", 2: "b.jpg"}.get(edit.image, "")
    assert line["edit"]["text"] == edit.text
    if edit.people:
        kept = line["edit"]["people"][0]["after"]
        assert kept["box"] == {"x": 1, "y": 2, "w": 3, "h": 4} and len(kept["joints"]) == 17
    else:
        assert line["edit"]["note"]["after"] == "half a letter: \ud83d"


def test_whoever_opens_the_project_again_is_told(store: ProjectStore, qtbot: QtBot) -> None:
    path = store.path
    assert path is not None and store.notes == ()
    for edit in (NO_IMAGE, NO_TEXT):
        store.save(edit)
    assert store.drain()
    store.close()
    again = ProjectStore.open(path)
    (note,) = again.notes
    assert note.startswith(f"{path}.unsaved.jsonl: 2 edits are in it")
    again.save(NO_IMAGE)
    assert again.drain()
    assert len(lines(path.with_name("p.poses.unsaved.jsonl"))) == 3
    again.close()


def test_an_edit_that_cannot_even_be_kept_waits_and_nobody_says_that_nothing_is_lost(
    store: ProjectStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_thread, "RETRY_SECONDS", (0.05,))
    with monkeypatch.context() as patch:
        patch.setattr(side_file.os, "fsync", refuse)
        with qtbot.waitSignal(store.failed) as failure:
            store.save(NO_IMAGE)
        assert "KeyError: 99" in failure.args[0] and "No space left" in failure.args[0]
        assert "are lost when the program ends" in failure.args[0]
        assert store.path and store.path.with_name("p.poses.unsaved.jsonl").read_bytes() == b"", "no half lines"
    with qtbot.waitSignal(store.set_aside):
        pass
    assert store.pending == 0


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_edits_that_wait_for_a_full_disk_are_kept_when_the_project_is_closed(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "another disk"
    store = ProjectStore(lambda: Project.create(tmp_path / "q.poses"), elsewhere=elsewhere)
    store.call(lambda project: project.add_images(project.add_root(tmp_path), ["a.jpg"]))

    def full(self: Project, edit: Edit) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    append = side_file._append

    def full_there(path: Path, text: bytes) -> None:
        if path.parent == tmp_path:
            refuse()
        append(path, text)

    monkeypatch.setattr(Project, "apply", full)
    monkeypatch.setattr(side_file, "_append", full_there)
    for key in (1, 2):
        store.save(adding(key))
    assert store.close() == 2
    assert store.left_in and store.left_in.parent == elsewhere and store.left_in.name.endswith(".poses.unsaved.jsonl")
    assert [line["edit"]["people"][0]["after"]["key"] for line in lines(store.left_in)] == [1, 2]
    assert {line["project"] for line in lines(store.left_in)} == {str(tmp_path / "q.poses")}
    again = ProjectStore(lambda: Project.open(tmp_path / "q.poses"), elsewhere=elsewhere)
    with qtbot.waitSignal(again.opened):
        pass
    assert str(store.left_in) in again.notes[0]
    again.close()


def coded(kind: type[sqlite3.Error], code: int) -> sqlite3.Error:
    error = kind("x")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_FULL), True),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_IOERR_WRITE), True),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_BUSY), True),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_READONLY_DIRECTORY), True),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_ERROR), False),
        (coded(sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT_UNIQUE), False),
        (coded(sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT), False),
        (sqlite3.ProgrammingError("type is not supported"), False),
        (OSError(errno.EIO, "x"), True),
        (MemoryError(), True),
        (ReadOnlyProjectError(Path("p")), True),
        (ValueError("x"), False),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


def test_whatever_an_edit_holds_can_be_kept(store: ProjectStore, tmp_path: Path) -> None:
    strange = replace(adding(1), text=object())  # type: ignore[arg-type]
    path = store.call(lambda project: SideFile(project.path).keep([strange], "strange", project))
    assert lines(path)[0]["edit"]["text"].startswith("<object")


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_none_of_it(store: ProjectStore, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    assert store.path is not None
    side = SideFile(store.path)
    path = store.call(lambda project: side.keep([NO_IMAGE], "a reason", project))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def keep(project: Project) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
        try:
            side.keep([NO_TEXT], "a reason", project)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with pytest.raises(OSError):
        store.call(keep)
    assert path.read_bytes() == before
    store.call(lambda project: side.keep([NO_TEXT], "a reason", project))
    assert len(lines(path)) == 2


def test_projects_of_one_name_have_side_files_of_their_own(store: ProjectStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "unsaved"
    folders = [tmp_path / "one", tmp_path / "two"]
    sides = [SideFile(folder / "part-1.poseproj", elsewhere) for folder in folders]
    for folder in folders:
        folder.write_text("no folder, so that nothing can be written in it")
    kept = store.call(lambda project: sides[0].keep([NO_IMAGE], "a reason", project))
    assert kept.parent == elsewhere and kept.name.startswith("part-1") and kept.name.endswith(".poseproj.unsaved.jsonl")
    (note,) = sides[0].notes()
    assert note.startswith(f"{kept}: 1 edit is in it")
    assert sides[1].notes() == ()
