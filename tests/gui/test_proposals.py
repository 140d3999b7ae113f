"""What a model proposes: what is drawn, what is promised, and what accepting makes of it are the same."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, people, trigger

from app.commands import predictions
from app.document.records import Box, Person, PredictedJoint, Prediction
from app.main_window import MainWindow
from app.workers.payloads import EngineInfo

MODEL, RUNNING = "0123456789ab", "ba9876543210"
JOINTS = tuple(PredictedJoint(190.0 + 20 * (index % 4), 40.0 + 30 * (index // 4), 0.9) for index in range(17))
FOUND = Prediction(9, MODEL, Box(180, 30, 80, 150), 0.8, JOINTS)


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot) -> MainWindow:
    """An image on which nobody is labelled; what there is to read of it has been read."""
    window = make_window()
    open_in(window, photos)
    qtbot.waitUntil(lambda: window.session.document.image(current(window)).width == 320)
    return window


def propose(window: MainWindow, *found: Prediction, tau: float = 0.5) -> None:
    """Lets a model find people on the current image, as a pre-fill or an import of results would."""
    image = current(window)

    def store(project: object) -> object:
        project.add_model(MODEL, "a model")  # type: ignore[attr-defined]
        return project.store_predictions(image, MODEL, found, 320, 240, tau)  # type: ignore[attr-defined]

    record, _, stored = window.session.store.call(store)  # type: ignore[misc]
    window.session.set_tau(MODEL, tau)
    window.session.document.set_predictions(image, stored, MODEL)
    window.session.document.update_record(record)


def pixel(window: MainWindow, x: float, y: float) -> QColor:
    """What the canvas shows at a place of the photo."""
    shot = window.canvas.viewport().grab().toImage()
    return shot.pixelColor(window.canvas.mapFromScene(x, y) * shot.devicePixelRatio())


@pytest.mark.parametrize(
    ("confidence", "tau", "running", "labelled"),
    [(0.4, 0.5, 0.3, 0), (0.6, 0.5, 0.9, 17)],
    ids=["doubtful to its own model, sure to the running one", "sure to its own model only"],
)
def test_a_joint_that_is_drawn_as_sure_becomes_a_label(
    window: MainWindow, confidence: float, tau: float, running: float, labelled: int
) -> None:
    window.engine.ready.emit(EngineInfo(RUNNING, "another", running, "cpu"))
    joints = tuple(replace(joint, confidence=confidence) for joint in JOINTS)
    propose(window, replace(FOUND, joints=joints), tau=tau)
    place = joints[0].x, joints[0].y
    with_joints = pixel(window, *place)
    window.layers.switch("skeleton", False)
    drawn = with_joints != pixel(window, *place)
    assert drawn == (labelled > 0)
    window.layers.switch("skeleton", True)
    window.editing.accept_shown()
    assert people(window)[0].labelled_joints == labelled


def test_the_table_says_what_accepting_makes_of_each_joint(window: MainWindow) -> None:
    joints = (replace(JOINTS[0], confidence=0.3), *JOINTS[1:])
    propose(window, replace(FOUND, joints=joints))
    window.session.selection.prediction = window.scene.shown_predictions()[0].key
    model = window.joints.model
    assert [model.data(model.index(row, 3)) for row in (0, 1)] == ["hint", "visible"]


def test_a_threshold_that_becomes_known_is_drawn_and_accepted(window: MainWindow) -> None:
    propose(window, FOUND)
    place = JOINTS[0].x, JOINTS[0].y
    sure = pixel(window, *place)
    window.session.set_tau(MODEL, 0.95)
    assert pixel(window, *place) != sure
    window.editing.accept_shown()
    assert people(window)[0].labelled_joints == 0


# What the pointer costs


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[Box]:
    """Fills with the boxes that are compared with the labels."""
    compared: list[Box] = []
    is_label_of = predictions.is_label_of

    def noted(box: Box, labels: Iterable[Person]) -> bool:
        compared.append(box)
        return is_label_of(box, labels)

    monkeypatch.setattr(predictions, "is_label_of", noted)
    return compared


def test_a_move_of_the_pointer_compares_no_boxes(window: MainWindow, qtbot: QtBot, comparisons: list[Box]) -> None:
    propose(window, FOUND)
    hint(window, qtbot)
    comparisons.clear()
    for x in range(20, 60):
        QTest.mouseMove(window.canvas.viewport(), QPoint(x, 50))
        QApplication.processEvents()
    assert comparisons == []
    assert window.canvas.pose_scene.visible().proposals[0].prediction.box == FOUND.box


@pytest.mark.parametrize(
    "change",
    [
        lambda window: window.editing.add_person(FOUND.box),
        lambda window: window.layers.set_threshold(0.9),
        lambda window: window.layers.switch("predictions", False),
        lambda window: window.editing.mark_empty(),
        lambda window: window.session.document.set_predictions(current(window), [], MODEL),
        lambda window: window.session.document.close_image(current(window)),
        lambda window: window.navigation.next(),
    ],
    ids=["a label", "the threshold", "the switch", "the state", "a pre-fill", "closing", "another image"],
)
def test_the_list_follows_everything_that_decides_about_it(
    window: MainWindow, change: Callable[[MainWindow], None]
) -> None:
    propose(window, FOUND)
    assert len(window.scene.visible().proposals) == 1
    seen: list[int] = []
    # Whoever hears of a change first finds the list right already.
    for signal in (window.session.document.edited, window.layers.changed, window.session.selection.image_changed):
        signal.connect(lambda *_: seen.append(len(window.proposals.now().shown)))
    change(window)
    assert set(seen) <= {0} and window.scene.visible().proposals == ()


# What the hint beside the people promises


def hint(window: MainWindow, qtbot: QtBot) -> str:
    qtbot.waitUntil(lambda: not window.proposals._timer.isActive())  # it is counted once a round of the event loop
    return window.people.empty.text()


def test_the_hint_counts_what_space_accepts(window: MainWindow, qtbot: QtBot) -> None:
    twin = replace(FOUND, key=10, box=Box(182, 32, 80, 150), score=0.7)
    propose(window, FOUND, twin, replace(FOUND, key=11, box=Box(10, 10, 50, 90), score=0.2))
    assert "1 proposed. Space accepts it" in hint(window, qtbot)
    assert window.predictions.counts.text() == "2 shown  ·  1 hidden"
    window.editing.accept_shown()
    assert len(people(window)) == 1


def test_nothing_is_promised_while_predictions_are_switched_off(window: MainWindow, qtbot: QtBot) -> None:
    propose(window, FOUND)
    assert "1 proposed" in hint(window, qtbot) and window.predictions.accept.isEnabled()
    trigger(window, qtbot, "toggle_predictions")
    assert "proposed" not in hint(window, qtbot) and not window.predictions.accept.isEnabled()
    assert window.predictions.counts.text() == "0 shown  ·  1 hidden"
    window.editing.accept_shown()
    assert people(window) == ()


def test_nothing_is_promised_on_a_finished_image(window: MainWindow, qtbot: QtBot) -> None:
    propose(window, FOUND)
    trigger(window, qtbot, "mark_empty")
    assert "proposed" not in hint(window, qtbot) and not window.predictions.accept.isEnabled()
    trigger(window, qtbot, "undo")
    assert "1 proposed" in hint(window, qtbot)


def test_nothing_is_promised_where_labels_cannot_be_changed(
    window: MainWindow, make_window: WindowMaker, qtbot: QtBot
) -> None:
    propose(window, FOUND)
    path = window.session.path
    assert path is not None
    window.closing.finish()
    reader = make_window()
    with qtbot.waitSignal(reader.session.opened, timeout=20_000):
        reader.opening.open_project(path, read_only=True)
    qtbot.waitUntil(lambda: len(reader.scene.shown_predictions()) == 1, timeout=20_000)
    assert "accepts" not in hint(reader, qtbot)
