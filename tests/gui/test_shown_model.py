"""Whose predictions the window shows: the answering model's, until another is chosen."""

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QMenu
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, trigger

from app.dialogs.export import RESULTS, ExportSettings
from app.document.records import Box, Change, Edit, PredictedJoint, Prediction, PredictionStatus
from app.main_window import MainWindow
from app.storage.project import Project
from app.workers.payloads import EngineInfo

A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"


def found(model: str, *scores: float) -> list[Prediction]:
    """People beside each other, 50 x 100 pixels each."""
    joints = (PredictedJoint(10.0, 20.0, 0.9),) * 17
    return [Prediction(0, model, Box(60.0 * at, 0.0, 50.0, 100.0), score, joints) for at, score in enumerate(scores)]


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot) -> MainWindow:
    """On the first image, current, A has found two people and B one since; A one on the second; B nobody on the third,
    where A has found one. B's name is not known, and nobody has chosen."""
    window = make_window()
    open_in(window, photos)
    assert current(window) == 1

    def look(project: Project) -> None:
        project.add_model(A, "R&D")
        for image, model, scores in ((1, A, (0.9, 0.3)), (1, B, (0.6,)), (2, A, (0.8,)), (3, A, (0.4,)), (3, B, ())):
            project.store_predictions(image, model, found(model, *scores), 320, 240)

    window.session.store.call(look)
    with qtbot.waitSignals([window.session.refreshed, window.session.document.image_opened]):
        window.session.refresh(None)
    return window


def menu_of(window: MainWindow) -> QMenu:
    (menu,) = [menu for menu in window.findChildren(QMenu) if menu.title() == "Predictions o&f"]
    menu.aboutToShow.emit()
    return menu


def offered(window: MainWindow) -> list[tuple[str, bool]]:
    return [(entry.text(), entry.isChecked()) for entry in menu_of(window).actions()]


def choose(window: MainWindow, qtbot: QtBot, text: str) -> None:
    (entry,) = [entry for entry in menu_of(window).actions() if entry.text() == text]
    with qtbot.waitSignal(window.session.shown_rows):
        entry.trigger()


def on_screen(window: MainWindow) -> list[float]:
    """Scores of the open predictions of the current image, as in the file or not."""
    shown = window.session.document.predictions(current(window))
    return [one.score for one in shown if one.status is PredictionStatus.OPEN]


def listed(window: MainWindow) -> list[tuple[str, int, float | None]]:
    rows = [window.model.record(key) for key in (1, 2, 3, 4)]
    return [(row.model, row.predictions, row.lowest_confidence) for row in rows if row]


def test_from_one_models_predictions_to_anothers_and_back(window: MainWindow, qtbot: QtBot) -> None:
    newest = [(B, 1, 0.6), (A, 1, 0.8), (B, 0, None), ("", 0, None)]
    of_a = [(A, 2, 0.3), (A, 1, 0.8), (A, 1, 0.4), ("", 0, None)]
    assert (on_screen(window), listed(window)) == ([0.6], newest)
    assert offered(window) == [("Newest", True), ("R&&D", False), (B, False)]
    for text, scores, rows in (("R&&D", [0.9, 0.3], of_a), (B, [0.6], newest), ("R&&D", [0.9, 0.3], of_a)):
        choose(window, qtbot, text)
        assert (on_screen(window), listed(window)) == (scores, rows)
        below = sum(score < window.layers.threshold for score in scores)
        shown = f"{len(scores) - below} shown" + (f"  ·  {below} hidden" if below else "")
        qtbot.waitUntil(lambda shown=shown: window.predictions.counts.text() == shown)
        assert [entry for entry, chosen in offered(window) if chosen] == [text]
    choose(window, qtbot, "Newest")
    assert (on_screen(window), listed(window)) == ([0.6], newest)


def test_labels_selection_and_undo_stay(window: MainWindow, qtbot: QtBot) -> None:
    image, session = current(window), window.session
    trigger(window, qtbot, "accept_shown")
    (person,) = session.document.people(image)
    opened: list[int] = []
    session.document.image_opened.connect(opened.append)
    session.selection.select_joint(person.key, 3)
    choose(window, qtbot, "R&&D")
    assert (session.selection.person, session.selection.joint) == (person.key, 3)
    assert session.undo_stack.count() == 1 and session.document.people(image) == (person,)
    trigger(window, qtbot, "undo")
    assert session.document.people(image) == () and on_screen(window) == [0.9, 0.3]
    choose(window, qtbot, B)
    assert on_screen(window) == [0.6], "open again"
    trigger(window, qtbot, "redo")
    assert on_screen(window) == [] and len(session.document.people(image)) == 1
    assert opened == []
    assert window.session.store.drain()
    record = window.session.store.call(lambda project: project.image(image))
    assert [(look.model, look.predictions) for look in record.looks] == [(A, 2), (B, 0)]


def test_a_prediction_that_is_not_shown_any_more_is_let_go(window: MainWindow, qtbot: QtBot) -> None:
    (mine,) = window.session.document.predictions(current(window))
    window.session.selection.select_proposed_joint(mine.key, 2)
    choose(window, qtbot, B)
    assert (window.session.selection.prediction, window.session.selection.joint) == (mine.key, 2)
    choose(window, qtbot, "R&&D")
    assert window.session.selection.prediction is None


def test_the_list_is_filtered_by_what_is_shown(window: MainWindow, qtbot: QtBot) -> None:
    window.model.set_thumbnail(4, QImage(4, 4, QImage.Format.Format_RGB32))
    window.model.set_damaged(5, "it cannot be read")
    window.image_list.controls.below.setValue(0.5)
    assert list(window.model.keys) == []
    choose(window, qtbot, "R&&D")
    assert list(window.model.keys) == [1, 3]
    assert "2 of 5 images" in window.image_list.count.text()
    window.image_list.controls.below.setValue(0.7)
    choose(window, qtbot, B)
    assert list(window.model.keys) == [1]
    window.image_list.controls.reset()
    window.image_list.controls.predicted.setChecked(True)
    assert list(window.model.keys) == [1, 2]
    assert not window.model.lacks_thumbnail(4) and window.model.damage(5) == "it cannot be read"


def test_the_model_that_answers_is_shown_until_somebody_chooses(window: MainWindow, qtbot: QtBot) -> None:
    def answer(model: str) -> None:
        window.engine.ready.emit(EngineInfo(model, f"name of {model}", 0.5, "cpu"))

    with qtbot.waitSignal(window.session.shown_rows):
        answer(A)
    assert on_screen(window) == [0.9, 0.3] and listed(window)[2] == (A, 1, 0.4)
    choose(window, qtbot, B)
    answer(A)  # restarted
    assert on_screen(window) == [0.6]
    answer(C)
    assert on_screen(window) == [0.6] and offered(window)[0] == ("Newest", True), "C has not looked at anything"
    choose(window, qtbot, "R&&D")
    path = window.session.path
    assert path is not None
    window.session.close()
    assert window.session.shown_model == C and offered(window) == [("Newest", True)]
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([path])
    assert listed(window)[0] == (B, 1, 0.6)


def test_a_choice_while_the_rows_are_read_is_not_lost(window: MainWindow, qtbot: QtBot) -> None:
    path = window.session.path
    assert path is not None
    window.session.close()
    with qtbot.waitSignal(window.session.shown_rows):
        window.session.open_project(path, lambda: (window.session.announce(), window.session.show_model(A)))
    assert listed(window)[0] == (A, 2, 0.3)
    window.session.show_model(B)
    window.session.show_model(A)
    window.session.show_model(B)
    with qtbot.waitSignal(window.session.shown_rows):
        pass
    assert listed(window)[0] == (B, 1, 0.6)


def test_an_edit_of_an_image_that_is_not_open_leaves_its_shown_look(window: MainWindow, qtbot: QtBot) -> None:
    choose(window, qtbot, "R&&D")
    assert not window.session.document.is_open(3)
    with qtbot.waitSignal(window.session.image_saved):
        window.session.document.apply(Edit(3, "flag", flagged=Change(False, True)))
    row = window.model.record(3)
    assert row is not None and row.flagged and listed(window)[2] == (A, 1, 0.4)


def test_the_exported_predictions_are_the_shown_ones(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    def scores(name: str) -> list[float]:
        with qtbot.waitSignal(window.exporting.ended):
            window.exporting.run(tmp_path / name, ExportSettings(RESULTS))
        return [entry["score"] for entry in json.loads((tmp_path / name).read_text())]

    assert scores("newest.json") == [0.6, 0.8]
    choose(window, qtbot, "R&&D")
    assert scores("a.json") == [0.9, 0.3, 0.8, 0.4]


def test_what_somebody_brings_in_is_shown(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(window, qtbot, "R&&D")
    people: list[dict[str, Any]] = [
        {
            "file_name": "0.jpg",
            "category_id": 1,
            "keypoints": [50.0, 60.0, 0.9] * 17,
            "score": 0.7,
            "bbox": [1, 2, 30, 40],
        }
    ]
    results = tmp_path / "theirs.json"
    results.write_text(json.dumps(people))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(results), ""))
    with qtbot.waitSignal(window.session.refreshed):
        trigger(window, qtbot, "import_results")
    qtbot.waitUntil(lambda: on_screen(window) == [0.7])
    assert ("theirs", True) in offered(window)
    choose(window, qtbot, "R&&D")
    assert on_screen(window) == [0.9, 0.3]
