"""The whole window on real files, a real project file and real child processes."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, trigger

from app.dialogs.fine_tune import FineTuneDialog, FineTuneSettings, LabelCounts
from app.document.records import HUMAN, Box, ImageState
from app.main_window import MainWindow


def saved(window: MainWindow) -> bool:
    return window.session.store.pending == 0


def test_an_empty_window_tells_what_to_do(make_window: WindowMaker) -> None:
    window = make_window()
    assert window.central.currentWidget() is window.empty
    assert set(window.empty.buttons) == {"folder", "images", "coco", "sample"}


def test_a_folder_opens_with_its_subfolders_and_again_with_its_labels(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    assert [row.path for row in window.model.records()] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "more/4.jpg"]
    assert window.windowTitle().startswith("photos")
    assert window.scene.image_extent() == (320, 240)
    window.editing.add_person(Box(60, 40, 80, 180))
    qtbot.waitUntil(lambda: saved(window))
    window.closing.finish()
    again = make_window()
    open_in(again, photos)
    row = next(iter(again.model.records()))
    assert (row.people, row.state) == (1, ImageState.IN_PROGRESS)
    assert again.settings.recent_projects() == [again.session.path]


def test_a_coco_file_finds_its_images_and_shows_its_people(
    make_window: WindowMaker, open_in: Opener, coco_file: Path
) -> None:
    window = make_window()
    open_in(window, coco_file)
    assert window.model.total == 4
    people = window.session.document.people(current(window))
    assert [person.labelled_joints for person in people] == [17]
    assert window.people.tree.topLevelItemCount() == 1
    window.navigation.next()


def test_a_damaged_image_is_named_and_the_rest_goes_on(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    data = (photos / "1.jpg").read_bytes()
    (photos / "1.jpg").write_bytes(data[: len(data) // 2])
    window = make_window()
    open_in(window, photos)
    window.navigation.next()
    damaged = current(window)
    qtbot.waitUntil(lambda: window.model.damage(damaged) is not None)
    qtbot.waitUntil(lambda: "1.jpg" in window.message_bar.text)
    assert not window.scene.has_photo
    window.navigation.next()
    qtbot.waitUntil(lambda: window.scene.has_photo)
    assert window.message_bar.text == ""
    window.navigation.previous_unfinished()
    assert current(window) != damaged


@pytest.mark.parametrize("name", ["nothing-here", "notes.json", "fake.poseproj"])
def test_what_cannot_be_opened_is_refused_with_a_sentence(
    make_window: WindowMaker, tmp_path: Path, name: str, qtbot: QtBot
) -> None:
    path = tmp_path / name
    if name != "nothing-here":
        path.write_text("this is neither JSON nor a project")
    window = make_window()
    window.open_paths([path])
    qtbot.waitUntil(lambda: path.name in window.message_bar.text)


def test_dragging_on_the_canvas_changes_the_label_and_can_be_undone(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    image = current(window)
    before = window.session.document.people(image)[0]
    view = window.canvas
    place = view.mapFromScene(before.joints[5].x, before.joints[5].y)
    target = place + QPoint(40, 25)
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseMove(view.viewport(), place + QPoint(20, 10))
    QTest.mouseMove(view.viewport(), target)
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=target)
    moved = window.session.document.people(image)[0].joints[5]
    expected = view.mapToScene(target)
    assert moved.origin == HUMAN
    assert abs(moved.x - expected.x()) < 2 and abs(moved.y - expected.y()) < 2
    assert window.session.undo_stack.count() == 1
    qtbot.waitUntil(window.actions_by_id["undo"].isEnabled)
    window.actions_by_id["undo"].trigger()
    assert window.session.document.people(image)[0] == before
    qtbot.waitUntil(lambda: saved(window))


def test_escape_in_the_middle_of_a_drag(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> None:
    window = make_window()
    open_in(window, coco_file)
    before = window.session.document.people(current(window))[0]
    view = window.canvas
    place = view.mapFromScene(before.joints[5].x, before.joints[5].y)
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseMove(view.viewport(), place + QPoint(30, 30))
    window.editing.cancel()
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=place + QPoint(30, 30))
    assert window.session.document.people(current(window))[0] == before
    assert window.session.undo_stack.count() == 0


def test_editing_by_keys(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> None:
    window = make_window()
    open_in(window, coco_file)
    act = {name: action.trigger for name, action in window.actions_by_id.items()}
    document, selection, image = window.session.document, window.session.selection, current(window)
    before = document.people(image)[0]

    def person() -> object:
        return document.people(image)[0]

    selection.person = before.key
    window.conditions.changed.emit()
    act["next_joint"]()
    assert selection.joint == 0
    window.conditions.changed.emit()
    act["nudge_right_far"]()
    act["nudge_up"]()
    assert (document.people(image)[0].joints[0].x, document.people(image)[0].joints[0].y) == (90.0, 59.0)
    assert window.session.undo_stack.count() == 1
    act["cycle_visibility"]()
    assert document.people(image)[0].joints[0].v == 1
    act["delete"]()
    assert document.people(image)[0].joints[0].v == 0
    act["cancel"]()
    act["swap_sides"]()
    assert document.people(image)[0].joints[5].x == before.joints[6].x
    act["delete"]()
    assert document.people(image) == ()
    for _ in range(5):
        window.session.undo_stack.undo()
    assert person() == before


def test_done_empty_and_next_unfinished(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    open_in(window, photos)
    first = current(window)
    window.editing.mark_empty()
    assert window.session.document.image(first).state is ImageState.DONE_EMPTY
    window.navigation.next_unfinished()
    assert current(window) != first
    window.navigation.previous_unfinished()
    assert current(window) != first


def test_drawing_prefilling_accepting_and_the_heatmap(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window(engine=True, automatic_prefill=True)
    open_in(window, photos)
    image, document = current(window), window.session.document
    qtbot.waitUntil(lambda: document.image(image).model != "")
    window.editing.add_person(Box(60, 40, 80, 180))
    key = window.session.selection.person
    assert key is not None
    assert window.session.undo_stack.count() == 1
    qtbot.waitUntil(lambda: document.person(image, key).joints[0].origin != "")
    assert window.session.undo_stack.count() == 1
    window.layers.switch("heatmap", True)
    window.session.selection.joint = 9
    qtbot.waitUntil(lambda: window.scene._heatmap.isVisible())
    window.editing.set_box(key, Box(50, 30, 100, 190))
    window.layers.set_threshold(0.05)
    shown = window.proposals.now().shown
    people = len(document.people(image))
    window.editing.accept_shown()
    assert len(document.people(image)) >= people + (1 if shown else 0)
    while window.session.undo_stack.canUndo():
        window.session.undo_stack.undo()
    assert document.people(image) == ()
    qtbot.waitUntil(lambda: saved(window))


def test_prefilling_everything_and_killing_the_engine_loses_nothing(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    import os
    import signal

    window = make_window(engine=True)
    open_in(window, photos)
    window.editing.add_person(Box(60, 40, 80, 180))
    image = current(window)
    pid = window.engine.pid
    assert pid is not None
    with qtbot.waitSignal(window.prefill.ended):
        window.prefill.all_unfinished()
        os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: sum(row.state is ImageState.PREDICTED for row in window.model.records()) == 4)
    assert len(window.session.document.people(image)) == 1
    assert not window.prefill.running
    info = window.engine.info
    assert info is not None
    assert window.session.path is not None
    with closing(sqlite3.connect(window.session.path)) as connection:
        names = dict(connection.execute("SELECT hash, name FROM model"))
    assert names[info.hash] == info.name != "", "the project knows the model's name, though it was opened afterwards"


def test_export_writes_what_was_drawn(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    person = window.session.document.people(current(window))[0]
    window.editing.move_joint(person.key, 0, 100.5, 70.25)
    out = tmp_path / "out.json"
    with qtbot.waitSignal(window.exporting.ended):
        window.exporting.export(out)
    assert str(out) in window.message_bar.text
    exported = json.loads(out.read_text())
    assert exported["annotations"][0]["keypoints"][:3] == [100.5, 70.25, 2]
    assert exported["info"] == {"description": "test"}


def test_the_fine_tuning_dialog_has_defaults_that_can_start(make_window: WindowMaker) -> None:
    window = make_window()
    dialog = FineTuneDialog(LabelCounts(0, 0, 12, 30), window)
    settings = dialog.settings()
    assert (settings.only, settings.train, settings.batch) == ("labelled", "heads", 2)
    assert settings.lr == pytest.approx(0.0001), "the trainer's own rate for two images a step"
    assert dialog.start_button.isEnabled()
    dialog.batch.setValue(8)
    assert dialog.settings().lr == pytest.approx(0.0004)
    assert not FineTuneDialog(LabelCounts(0, 0, 0, 0), window).start_button.isEnabled()


def test_fine_tuning_refuses_images_that_do_not_say_where_nobody_is(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.models.model_path = small_model
    settings = FineTuneSettings("labelled", 0.0, 1, "heads", 1, 1, 0.001, "cpu")
    window.editing.add_person(Box(60, 40, 80, 180))
    window.fine_tuning.start(settings)
    qtbot.waitUntil(lambda: "neither finished nor pre-filled" in window.message_bar.text)
    assert "Mark those as done on which everybody is labelled" in window.message_bar.text
    assert not window.fine_tuning.running
    trigger(window, qtbot, "mark_done")
    with qtbot.waitSignal(window.trainer.finished) as ended:
        window.fine_tuning.start(settings)
    assert ended.args[0] == "completed", ended.args[2]


def test_fine_tuning_freezes_the_labels_trains_and_offers_the_model(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, coco_file)
    window.models.model_path = small_model
    events: list[str] = []
    window.fine_tuning.logged.connect(lambda event: events.append(event["event"]))
    window.fine_tuning.start(FineTuneSettings("labelled", 0.0, 1, "heads", 1, 1, 0.001, "cpu"))
    with qtbot.waitSignal(window.trainer.finished) as ended:
        pass
    status, model, message = ended.args
    assert status == "completed", message
    assert {"start", "step", "end"} <= set(events)
    assert "The fine-tuning is complete." in window.message_bar.text
    assert Path(model).is_file()


def test_closing_while_training_asks_inline(
    make_window: WindowMaker, open_in: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window()
    open_in(window, photos)
    monkeypatch.setattr(type(window.fine_tuning), "running", property(lambda self: True))
    assert not window.close()
    assert "training run is under way" in window.message_bar.text
    window.message_bar._buttons[0].click()
    assert not window.session.is_open


def test_the_window_process_stays_light() -> None:
    code = (
        "import sys, app.application, app.main_window, app.icons, qtawesome\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'torchvision', 'cv2'}))"
    )
    answer = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_screenshot_can_be_made_without_a_display(photos: Path, tmp_path: Path) -> None:
    import os

    out = tmp_path / "shot.png"
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "QT_QPA_PLATFORM")}
    environment |= {"MSARCNN_DATA_DIR": str(tmp_path / "data"), "MSARCNN_SETTINGS": str(tmp_path / "s.ini")}
    arguments = [str(photos), "--no-prefill", "--screenshot", str(out)]
    code = f"import sys, app.application as a; sys.exit(a.main({arguments!r}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, timeout=60, check=False)
    assert done.returncode == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_saying_where_the_images_are_keeps_the_labels(
    make_window: WindowMaker,
    open_in: Opener,
    coco_file: Path,
    photos: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = make_window()
    open_in(window, coco_file)
    window.editing.add_person(Box(5, 6, 70, 80))
    qtbot.waitUntil(lambda: saved(window))
    project = window.session.path
    assert project is not None
    window.closing.finish()
    moved = photos.rename(photos.with_name("elsewhere"))
    again = make_window()
    open_in(again, project)
    assert "not there any more" in again.message_bar.text
    monkeypatch.setattr(again.opening._asker, "folder", lambda title: moved)
    with qtbot.waitSignal(again.session.opened):
        again.message_bar.choose("Choose folder…")
    qtbot.waitUntil(lambda: again.scene.has_photo)
    assert again.session.path == project
    assert Box(5, 6, 70, 80) in [person.box for person in again.session.document.people(current(again))]
