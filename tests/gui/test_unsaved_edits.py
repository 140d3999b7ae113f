"""What the window says about edits that the project file does not take."""

import sqlite3
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker

from app.document.records import Box, Change, Edit, Joint, Person
from app.storage.project import Project

IMPOSSIBLE = Edit(99, "Add person", (Change(None, Person(7, Box(1, 2, 3, 4), (Joint(),) * 17)),))
"""There is no image 99."""


def test_an_edit_that_can_never_be_written_is_said_and_found_again(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    project = window.session.path
    assert project is not None
    window.session.store.save(IMPOSSIBLE)
    qtbot.waitUntil(lambda: "cannot be written to the project" in window.message_bar.text)
    assert f"{project}.unsaved.jsonl" in window.message_bar.text
    assert window.status.saved.text() == "1 NOT SAVED, the others are"
    open_in(window, photos / "more")
    assert window.status.saved.text() == "saved"
    assert window.message_bar.text == ""
    open_in(window, photos)
    assert window.message_bar.text.startswith(f"{project}.unsaved.jsonl: 1 edit is in it")


def test_edits_that_were_not_saved_when_another_project_was_opened_are_kept_and_named(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Project, edit: Edit) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    window = make_window()
    open_in(window, photos)
    project = window.session.path
    with monkeypatch.context() as patch:
        patch.setattr(Project, "apply", full)
        window.session.store.save(IMPOSSIBLE)
        qtbot.waitUntil(lambda: "the disk is full" in window.message_bar.text)
        open_in(window, photos / "more")
    assert window.message_bar.text == (
        f"{project}: 1 change was not saved. It is kept in {project}.unsaved.jsonl. Look it up there, and make it "
        "again."
    )


def the_disk_is_full(self: Project, edit: Edit) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def test_what_was_said_of_unsaved_edits_goes_when_they_are_saved(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window()
    open_in(window, photos)
    with monkeypatch.context() as patch:
        patch.setattr(Project, "apply", the_disk_is_full)
        window.editing.mark_done()
        qtbot.waitUntil(lambda: "the disk is full" in window.message_bar.text)
        window.exporting.export(photos / "out.json")
        qtbot.waitUntil(lambda: "not saved yet; see the message" in window.message_bar.text)
        assert not window.close()
        assert window.message_bar.choice_texts() == ("Close without saving them",)
    qtbot.waitUntil(lambda: window.status.saved.text() == "saved")
    assert window.message_bar.text == ""


def test_a_damaged_file_is_said_until_somebody_has_read_it(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.session.not_saved.emit("a.poseproj: it is damaged")
    window.editing.mark_done()
    qtbot.waitUntil(lambda: window.session.store.pending == 0)
    assert window.message_bar.text == "a.poseproj: it is damaged"


def test_the_question_about_a_training_goes_with_it_and_is_asked_of_the_next(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window()
    open_in(window, photos)
    runs = True
    monkeypatch.setattr(type(window.fine_tuning), "running", property(lambda self: runs))
    assert not window.close()
    assert window.message_bar.choice_texts() == ("Keep it running", "Stop it, keep the best")
    runs = False
    window.fine_tuning.changed.emit()
    assert window.message_bar.text == ""
    runs = True
    assert not window.close()
    with monkeypatch.context() as patch:
        patch.setattr(Project, "apply", the_disk_is_full)
        window.editing.mark_done()
        window.message_bar.choose("Keep it running")
        assert window.message_bar.choice_texts() == ("Close without saving them",)
    qtbot.waitUntil(lambda: window.session.store.pending == 0)
    assert window.message_bar.text == ""
    assert not window.close(), "nobody has closed the window: it is asked anew"
    assert window.message_bar.choice_texts() == ("Keep it running", "Stop it, keep the best")


def test_the_status_says_how_much_is_under_way_beside_what_is_set_aside(make_window: WindowMaker) -> None:
    status = make_window().status
    status.show_set_aside(1)
    status.show_saved(5)
    assert status.saved.text() == "1 NOT SAVED, saving 5…"
    status.show_saved(0)
    assert status.saved.text() == "1 NOT SAVED, the others are"
