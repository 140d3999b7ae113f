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
