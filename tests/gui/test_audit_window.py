"""Labels that may be wrong: a real child looks through the project, and the window goes from one to the next."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from small_models import save_small_model
from window_helpers import Opener, WindowMaker, current, people, trigger

from app.dialogs.audit import AuditWindow
from app.document.records import Box, PredictedJoint, Prediction
from app.main_window import MainWindow
from app.storage.audit_marks import Suspect
from app.workers.payloads import EngineInfo

BOX = Box(60, 40, 100, 180)


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


def answers_with(monkeypatch: pytest.MonkeyPatch, window: MainWindow, model: str) -> None:
    info = EngineInfo("0123456789ab", "a model", 0.5, "cpu", model)
    monkeypatch.setattr(type(window.engine), "info", property(lambda _: info))


def shown(window: MainWindow) -> AuditWindow:
    (dialog,) = window.findChildren(AuditWindow)
    return dialog


def rows(dialog: AuditWindow) -> list[list[str]]:
    table = dialog.table
    return [
        [item.text() if (item := table.item(row, column)) else "" for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def suspect(window: MainWindow, kind: str, suspicion: float, image: int = 0, joints: tuple[int, ...] = ()) -> Suspect:
    """About the first person of one of the images, or about nobody."""
    keys = list(window.session.rows)
    known = () if kind == "person" else (people(window)[0].key,)
    return Suspect(keys[image], kind, f"{kind} it is", suspicion, known, joints, (60, 40, 100, 180))


def give(window: MainWindow, qtbot: QtBot, suspects: list[Suspect]) -> AuditWindow:
    """The window with findings, as if somebody had looked."""
    window.auditing._suspects, window.auditing._result = suspects, {"images": 4, "problems": []}
    trigger(window, qtbot, "audit")
    return shown(window)


def test_a_person_labelled_twice_is_found_and_once_called_right_never_again(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_with(monkeypatch, window, str(save_small_model(tmp_path / "small.safetensors", 3)))
    window.editing.add_person(BOX)
    first, second = people(window)
    trigger(window, qtbot, "audit")
    dialog = shown(window)
    qtbot.waitUntil(lambda: "suspicions on 2 images" in dialog.status.text())
    twice = [row for row in rows(dialog) if row[2] == "labelled twice"]
    assert [row[1] for row in twice] == ["1.00"] and twice[0][4] == "0.jpg"
    dialog.kinds.setCurrentText("labelled twice")
    assert len(rows(dialog)) == 1 and window.session.selection.person == second.key
    picture = dialog.table.item(0, 0)
    assert picture is not None and not picture.icon().isNull(), "whom it is about is seen in the list"
    QTest.keyClick(dialog, Qt.Key.Key_R)
    assert dialog.kinds.currentText() == "Everything" and "labelled twice" not in {row[2] for row in rows(dialog)}
    dialog.again.click()
    qtbot.waitUntil(lambda: dialog.status.text() == "Looking through the labels…")
    qtbot.waitUntil(lambda: "suspicions on 2 images" in dialog.status.text())
    assert "labelled twice" not in {row[2] for row in rows(dialog)}, "it is kept in the project"
    assert {person.key for person in people(window)} == {first.key, second.key}, "nothing was changed"


def test_the_main_window_follows_the_list(window: MainWindow, qtbot: QtBot) -> None:
    person = people(window)[0]
    dialog = give(
        window,
        qtbot,
        [
            suspect(window, "miss", 0.9, joints=(9,)),
            suspect(window, "person", 0.8, image=2),
            suspect(window, "inversion", 0.7, joints=(5, 6)),
        ],
    )
    assert (window.session.selection.person, window.session.selection.joint) == (person.key, 9)
    assert rows(dialog)[0] == ["", "0.90", "miss it is", "left wrist", "0.jpg"]
    QTest.keyClick(dialog.table, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: current(window) == list(window.session.rows)[2])
    assert window.session.selection.person is None
    QTest.keyClick(dialog.table, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: window.session.selection.joints == (5, 6))
    assert window.session.selection.person == person.key, "both, for the key that exchanges them"
    dialog.right.click()
    assert [row[1] for row in rows(dialog)] == ["0.90", "0.80"]
    assert dialog.table.currentRow() == 1, "the next one, or the last that is left"


def test_somebody_who_is_not_labelled_is_selected_where_the_model_proposes_them(
    window: MainWindow, qtbot: QtBot
) -> None:
    joints = tuple(PredictedJoint(70.0, 50.0 + index, 0.9) for index in range(17))
    elsewhere = Prediction(8, "0123456789ab", Box(200, 40, 60, 120), 0.9, joints)
    there = Prediction(9, "0123456789ab", Box(62, 42, 100, 180), 0.9, joints)
    window.session.selection.person = people(window)[0].key
    window.editing.delete()
    window.session.document.set_predictions(current(window), [elsewhere, there], "0123456789ab")
    keys = list(window.session.rows)
    give(window, qtbot, [Suspect(keys[0], "person", "not labelled", 0.9, (), (), (60, 40, 100, 180))])
    assert window.session.selection.prediction == 9


def test_somebody_who_was_deleted_meanwhile_is_not_selected(window: MainWindow, qtbot: QtBot) -> None:
    found = suspect(window, "miss", 0.9, joints=(9,))
    window.session.selection.person = people(window)[0].key
    window.editing.delete()
    give(window, qtbot, [found])
    assert window.session.selection.person is None and window.session.selection.joint is None


def test_another_project_starts_with_an_empty_list(
    window: MainWindow, qtbot: QtBot, open_in: Opener, photos: Path
) -> None:
    dialog = give(window, qtbot, [suspect(window, "miss", 0.9, joints=(9,))])
    open_in(window, photos)
    assert rows(dialog) == [] and dialog.status.text() == "" and not dialog.right.isEnabled()


def test_a_model_that_is_not_ready_or_cannot_be_read_is_said(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger(window, qtbot, "audit")
    assert "not ready" in shown(window).status.text()
    answers_with(monkeypatch, window, str(tmp_path / "gone.safetensors"))
    shown(window).again.click()
    qtbot.waitUntil(lambda: "could not be looked through" in window.message_bar.text)
    assert "gone.safetensors" in window.message_bar.text


def test_a_look_can_be_cancelled(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_with(monkeypatch, window, str(save_small_model(tmp_path / "small.safetensors", 3)))
    trigger(window, qtbot, "audit")
    qtbot.waitUntil(lambda: window.auditing._job is not None)
    window.auditing.cancel()
    qtbot.waitUntil(lambda: shown(window).status.text() == "Cancelled.")
    assert rows(shown(window)) == []
