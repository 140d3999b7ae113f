"""Every row of the action table: triggered in a real window, seen to work, and undone where it changes labels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QFileDialog
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people, trigger

from app.actions import ACTIONS
from app.canvas.layers import SWITCHES
from app.document.records import Box, ImageState, PredictedJoint, Prediction, PredictionStatus
from app.main_window import MainWindow
from app.workers.payloads import EngineInfo

Check = Callable[[MainWindow], object]
MODEL = "0123456789ab"


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    """The first image: a labelled person, selected with its third joint, and two open predictions beside it."""
    window = make_window()
    open_in(window, coco_file)
    image = window.session.selection.current_image
    assert image is not None
    joints = tuple(PredictedJoint(200.0 + 2 * index, 60.0 + 9 * index, 0.9) for index in range(17))
    found = [
        Prediction(1, MODEL, Box(190, 50, 60, 170), 0.9, joints),
        Prediction(2, MODEL, Box(5, 5, 40, 60), 0.6, joints),
    ]

    def store(project: Any) -> Any:
        project.add_model(MODEL, "a model")
        return project.store_predictions(image, MODEL, found, 320, 240, 0.5)

    record, _, stored = window.session.store.call(store)
    window.session.document.set_predictions(image, stored, MODEL)
    window.session.document.update_record(record)
    window.session.selection.select_joint(window.session.document.people(image)[0].key, 2)
    return window


def state(window: MainWindow) -> tuple[object, ...]:
    """Everything that an undo step may change on the current image."""
    image = window.session.selection.current_image
    assert image is not None
    document = window.session.document
    return document.image(image), document.people(image), document.predictions(image)


def on_first_image(window: MainWindow, qtbot: QtBot) -> None:
    def there() -> bool:
        return (
            window.session.current_record() is not None
            and next(iter(window.session.rows)) == window.session.selection.current_image
        )

    if not there():
        trigger(window, qtbot, "previous_image")
        qtbot.waitUntil(there)


# Rows that change labels


def record(window: MainWindow) -> Any:
    return state(window)[0]


def selected_prediction(window: MainWindow) -> None:
    window.session.selection.prediction = window.proposals.now().shown[0].key


def click(window: MainWindow, x: float, y: float) -> None:
    QTest.mouseClick(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=window.canvas.mapFromScene(x, y))


def drag(window: MainWindow, start: tuple[float, float], end: tuple[float, float]) -> None:
    viewport, points = window.canvas.viewport(), [window.canvas.mapFromScene(*point) for point in (start, end)]
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=points[0])
    for step in range(1, 6):
        QTest.mouseMove(viewport, points[0] + (points[1] - points[0]) * step / 5)
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=points[1])


@dataclass(frozen=True)
class Edits:
    """What an action does to the labels.

    Attributes:
        seen: Says whether the first image is as it should be afterwards.
        first: Brought about before.
        then: What the user does after the trigger (a gesture).
    """

    seen: Check
    first: Check = lambda window: None
    then: Check = lambda window: None


def moved(dx: float, dy: float) -> Edits:
    """The selected joint moves from where the file has it."""
    return Edits(
        lambda window: (people(window)[0].joints[2].x, people(window)[0].joints[2].y) == (86.0 + dx, 76.0 + dy)
    )


def without_joint(window: MainWindow) -> None:
    window.editing.delete()
    window.session.selection.person = people(window)[0].key


EDITS = {
    "mark_done": Edits(lambda window: record(window).state is ImageState.DONE),
    "mark_empty": Edits(
        lambda window: record(window).state is ImageState.DONE_EMPTY,
        first=lambda window: (window.session.selection.__setattr__("joint", None), window.editing.delete()),
    ),
    "flag_image": Edits(lambda window: record(window).flagged),
    "mark_reviewed": Edits(
        lambda window: record(window).state is ImageState.REVIEWED, first=lambda window: window.editing.mark_done()
    ),
    "reopen_image": Edits(
        lambda window: not record(window).state.finished, first=lambda window: window.editing.mark_done()
    ),
    "new_person": Edits(
        lambda window: len(people(window)) == 2 and people(window)[1].box.w == pytest.approx(60, abs=2),
        then=lambda window: drag(window, (230, 30), (290, 200)),
    ),
    "place_joints": Edits(
        lambda window: people(window)[0].joints[2].x == pytest.approx(150, abs=1),
        first=without_joint,
        then=lambda window: click(window, 150, 100),
    ),
    "paste_person": Edits(lambda window: len(people(window)) == 2, first=lambda window: window.clipboard.copy()),
    "duplicate": Edits(lambda window: people(window)[1].labelled_joints == 17),
    "delete": Edits(lambda window: people(window)[0].joints[2].v == 0),
    "cycle_visibility": Edits(lambda window: people(window)[0].joints[2].v == 1),
    "swap_sides": Edits(lambda window: people(window)[0].joints[1].x == 86.0),
    "mirror": Edits(lambda window: people(window)[0].joints[0].x == 2 * 60 + 100 - 80),
    "toggle_crowd": Edits(lambda window: people(window)[0].is_crowd),
    "grow_box": Edits(
        lambda window: people(window)[0].box.x == people(window)[0].joints[2].x,
        first=lambda window: window.editing.nudge((-91, 0)),
    ),
    "tighten_box": Edits(lambda window: people(window)[0].box.w < 100),
    **{
        f"nudge_{name}{far}": moved(dx * length, dy * length)
        for far, length in (("", 1), ("_far", 10))
        for name, dx, dy in (("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1))
    },
    "accept": Edits(lambda window: len(people(window)) == 2, first=selected_prediction),
    "reject": Edits(
        lambda window: [one.status for one in state(window)[2]].count(PredictionStatus.REJECTED) == 1,
        first=selected_prediction,
    ),
    "accept_shown": Edits(lambda window: len(people(window)) == 3),
    "accept_and_go_on": Edits(lambda window: len(people(window)) == 3),
}


@pytest.mark.parametrize("name", EDITS)
def test_it_changes_the_labels_and_is_undone_and_redone(window: MainWindow, qtbot: QtBot, name: str) -> None:
    action = EDITS[name]
    qtbot.waitUntil(lambda: len(window.proposals.now().shown) == 2)
    action.first(window)
    before, steps = state(window), window.session.undo_stack.index()
    trigger(window, qtbot, name)
    action.then(window)
    on_first_image(window, qtbot)
    assert action.seen(window)
    after = state(window)
    assert after != before and window.session.undo_stack.index() == steps + 1
    trigger(window, qtbot, "undo")
    on_first_image(window, qtbot)
    assert state(window) == before
    trigger(window, qtbot, "redo")
    on_first_image(window, qtbot)
    assert state(window) == after
    assert window.session.store.drain()
    assert window.session.store.call(lambda project: project.load_image(record(window).key))[1] == people(window)


# Rows that show, select or go somewhere


@dataclass(frozen=True)
class Shows:
    """What an action shows: `read` differs before and after, and undoing has nothing to do."""

    read: Check
    first: Check = lambda window: None


def selection(window: MainWindow) -> object:
    chosen = window.session.selection
    return chosen.current_image, chosen.person, chosen.joint


def focused(window: MainWindow) -> object:
    return window.focusWidget()


def shown_dialogs(window: MainWindow) -> int:
    return sum(dialog.isVisible() for dialog in window.findChildren(QDialog))


def two_people(window: MainWindow) -> None:
    window.editing.duplicate()
    window.session.selection.person = people(window)[0].key


def nine_people(window: MainWindow) -> None:
    for _ in range(8):
        window.editing.duplicate()
    window.session.selection.person = people(window)[0].key


def on_second_image(window: MainWindow) -> None:
    window.navigation.next()


def four_choices(window: MainWindow) -> None:
    choices = [(f"answer {number}", partial(window.setProperty, f"answer {number}", True)) for number in range(1, 5)]
    window.message_bar.show_message("Which?", choices=choices)


def adjusted(window: MainWindow) -> object:
    return window.layers.adjustments


SHOWS = {
    "next_image": Shows(selection),
    "previous_image": Shows(selection, first=on_second_image),
    "next_unfinished": Shows(selection),
    "previous_unfinished": Shows(selection, first=on_second_image),
    "note": Shows(focused),
    "cancel": Shows(selection),
    "fit": Shows(
        lambda window: window.canvas.screen_scale, first=lambda window: window.canvas.zoom_to(7.0, QPoint(9, 9))
    ),
    "one_to_one": Shows(lambda window: window.canvas.screen_scale),
    **{f"toggle_{layer}": Shows(lambda window, layer=layer: window.layers.shows(layer)) for layer in SWITCHES},
    "next_panel": Shows(focused),
    "previous_panel": Shows(focused),
    "search_images": Shows(focused),
    "brighter": Shows(adjusted),
    "darker": Shows(adjusted),
    "lighten_shadows": Shows(adjusted),
    "deepen_shadows": Shows(adjusted),
    "reset_photo": Shows(adjusted, first=lambda window: window.layers.brighten(0.3)),
    "skip_joint": Shows(
        lambda window: window.canvas.placing,
        first=lambda window: (without_joint(window), window.canvas.place_joints()),
    ),
    "copy_person": Shows(lambda window: window.clipboard.filled),
    "next_joint": Shows(selection),
    "previous_joint": Shows(selection),
    "next_person": Shows(selection, first=two_people),
    "previous_person": Shows(selection, first=two_people),
    "select_person_1": Shows(selection, first=lambda window: (nine_people(window), window.editing.select_person(2))),
    **{f"select_person_{number}": Shows(selection, first=nine_people) for number in range(2, 10)},
    "auto_prefill": Shows(lambda window: window.prefill.automatic),
    "refine": Shows(lambda window: not window.estimation.refines),
    "snapshot": Shows(lambda window: window.message_bar.text),
    "effort": Shows(shown_dialogs),
    "import_report": Shows(shown_dialogs),
    "keys": Shows(shown_dialogs),
    "change_keys": Shows(shown_dialogs),
    "about": Shows(shown_dialogs),
    "export_coco": Shows(shown_dialogs),
    "split": Shows(shown_dialogs),
    "fine_tune": Shows(shown_dialogs),
    "models": Shows(shown_dialogs),
    "tour": Shows(lambda window: window.tour.isVisible()),
    "open_sample": Shows(lambda window: window.session.path),
    "bundled_model": Shows(lambda window: window.message_bar.text),
    **{
        f"answer_{number}": Shows(lambda window, number=number: window.property(f"answer {number}"), first=four_choices)
        for number in range(1, 5)
    },
    "dismiss_message": Shows(
        lambda window: window.message_bar.text, first=lambda window: window.message_bar.show_message("something")
    ),
    "close_window": Shows(lambda window: window.isVisible()),
}


@pytest.mark.parametrize("name", SHOWS)
def test_it_shows_something_else_and_leaves_the_labels_alone(window: MainWindow, qtbot: QtBot, name: str) -> None:
    action = SHOWS[name]
    action.first(window)
    qtbot.waitUntil(lambda: window.session.current_record() is not None)
    steps = window.session.undo_stack.index()
    before = action.read(window)
    trigger(window, qtbot, name)
    qtbot.waitUntil(lambda: action.read(window) != before)
    assert window.session.undo_stack.index() == steps


# Rows that ask for a file

ASKS = (
    "open_folder",
    "open_images",
    "open_coco",
    "open_yolo",
    "open_video",
    "open_project",
    "import_results",
    "merge",
    "load_model",
)


@pytest.mark.parametrize("name", ASKS)
def test_it_asks_for_a_file_and_a_cancelled_question_changes_nothing(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[str] = []

    def ask(parent: object, title: str, *rest: object, **more: object) -> tuple[Any, str]:
        asked.append(title)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", ask)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *given: (ask(*given) and [], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *given: ask(*given)[0])
    before, path = state(window), window.session.path
    trigger(window, qtbot, name)
    qtbot.waitUntil(lambda: len(asked) == 1)
    qtbot.wait(50)
    assert (state(window), window.session.path) == (before, path)


# Rows that ask the model


def all_selected(window: MainWindow) -> None:
    window.image_list.view.selectAll()


ENGINE = {
    "prefill_image": ((1,), lambda window: None),
    "look_harder": ((1,), lambda window: None),
    "prefill_all": ((3, 4), lambda window: None),
    "prefill_selected": ((1, 2, 3, 4), all_selected),
}
"""The places in the list of the images that are asked about, and what comes before: 1 and 2 are labelled."""


@pytest.mark.parametrize("name", ENGINE)
def test_it_asks_the_model_and_leaves_the_labels_alone(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    places, first = ENGINE[name]
    asked: list[int] = []

    def prefill(images: Any, urgent: bool = False, harder: bool = False) -> int:
        asked.extend(image.key for image in images)
        return 1

    monkeypatch.setattr(window.engine, "prefill", prefill)
    monkeypatch.setattr(type(window.engine), "info", EngineInfo("0123456789ab", "a model", 0.5, "cpu"))
    first(window)
    before, steps = people(window), window.session.undo_stack.index()
    trigger(window, qtbot, name)
    keys = list(window.session.rows)
    qtbot.waitUntil(lambda: asked == [keys[place - 1] for place in places])
    assert (people(window), window.session.undo_stack.index()) == (before, steps)


ELSEWHERE = {
    "undo": "every test of the first table",
    "redo": "every test of the first table",
    "paste_previous": "test_labelling_verbs",
    "reestimate": "test_labelling_verbs",
    "next_place": "test_asking_the_model",
    "previous_place": "test_asking_the_model",
    "show_maps": "test_heatmap_views",
    "audit": "test_audit_window",
    "stop_training": "test_resuming",
    "cancel_training": "test_resuming",
}
"""Rows that need an engine or a trainer and have a test of their own in another file."""


def test_no_row_is_forgotten() -> None:
    tested = {*EDITS, *SHOWS, *ASKS, *ENGINE, *ELSEWHERE}
    assert tested == {spec.id for spec in ACTIONS}
    files = {name: (Path(__file__).parent / f"{where}.py") for name, where in ELSEWHERE.items() if "test_" in where}
    for name, file in files.items():
        assert f'"{name}"' in file.read_text(encoding="utf-8"), f"{file.name} does not trigger {name}"
