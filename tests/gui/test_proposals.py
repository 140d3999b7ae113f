"""What a model proposes: what is drawn, what is promised, and what accepting makes of it are the same."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, current, people, trigger

from app.commands import predictions
from app.document.records import HUMAN, Box, Joint, Person, PredictedJoint, Prediction, PredictionStatus
from app.main_window import MainWindow
from app.workers.payloads import EngineInfo

LEFT = Qt.MouseButton.LeftButton
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
    window.session.selection.prediction = window.proposals.now().shown[0].key
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
    with qtbot.waitSignal(reader.session.opened):
        reader.opening.open_project(path, read_only=True)
    qtbot.waitUntil(lambda: len(reader.proposals.now().shown) == 1)
    assert "accepts" not in hint(reader, qtbot)
    reader.session.selection.prediction = reader.proposals.now().shown[0].key
    (written,) = reader.scene._proposed._scores._written
    assert written[0].text == "0.80"


# A proposal's joints


def press(window: MainWindow, place: PredictedJoint) -> None:
    QTest.mousePress(window.canvas.viewport(), LEFT, pos=window.canvas.mapFromScene(place.x, place.y))


def drag_to(window: MainWindow, x: float, y: float) -> None:
    """As the window system says it: with the button held."""
    place, viewport = QPointF(window.canvas.mapFromScene(x, y)), window.canvas.viewport()
    none = Qt.KeyboardModifier.NoModifier
    move = QMouseEvent(QEvent.Type.MouseMove, place, viewport.mapToGlobal(place), Qt.MouseButton.NoButton, LEFT, none)
    QApplication.sendEvent(viewport, move)


def release(window: MainWindow, x: float, y: float) -> None:
    QTest.mouseRelease(window.canvas.viewport(), LEFT, pos=window.canvas.mapFromScene(x, y))


def drag(window: MainWindow, joint: int, x: float, y: float) -> None:
    press(window, JOINTS[joint])
    drag_to(window, (JOINTS[joint].x + x) / 2, (JOINTS[joint].y + y) / 2)
    drag_to(window, x, y)
    release(window, x, y)


def doubtful(*indices: int) -> Prediction:
    """The prediction with some joints below the threshold of 0.5."""
    joints = tuple(replace(joint, confidence=0.2 if index in indices else 0.9) for index, joint in enumerate(JOINTS))
    return replace(FOUND, joints=joints)


def test_dragging_a_proposals_joint_accepts_it_in_one_step(window: MainWindow, qtbot: QtBot) -> None:
    propose(window, doubtful(3, 4))
    image, document = current(window), window.session.document
    before = (document.image(image), document.people(image), document.predictions(image))
    drag(window, 9, 230, 200)
    (person,) = people(window)
    assert person.joints[9] == Joint(pytest.approx(230, abs=1), pytest.approx(200, abs=1), 2, HUMAN)
    for index in (0, 3, 4, 8, 16):
        v = 0 if index in (3, 4) else 2
        assert person.joints[index] == Joint(JOINTS[index].x, JOINTS[index].y, v, MODEL), (
            "the others as accepting has it"
        )
    assert document.predictions(image)[0].status is PredictionStatus.ACCEPTED
    selection = window.session.selection
    assert (selection.person, selection.joint, selection.prediction) == (person.key, 9, None)
    assert window.session.undo_stack.count() == 1
    trigger(window, qtbot, "undo")
    assert (document.image(image), document.people(image), document.predictions(image)) == before
    trigger(window, qtbot, "redo")
    assert people(window) == (person,)


def test_a_hint_of_the_selected_proposal_is_dragged_too(window: MainWindow) -> None:
    propose(window, doubtful(9))
    press(window, JOINTS[9])
    release(window, JOINTS[9].x, JOINTS[9].y)
    assert window.session.selection.joint is None, "only on the selected proposal are hints seen and hit"
    drag(window, 9, 230, 200)
    assert people(window)[0].joints[9].v == 2


def test_escape_in_the_middle_leaves_the_proposal_as_it_was(window: MainWindow, qtbot: QtBot) -> None:
    propose(window, FOUND)
    key = window.proposals.now().shown[0].key
    window.session.selection.select_proposed_joint(key, 9)
    shot = window.canvas.viewport().grab().toImage()
    press(window, JOINTS[9])
    drag_to(window, 230, 200)
    assert window.canvas.viewport().grab().toImage() != shot, "the drag is seen"
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    release(window, 230, 200)
    assert people(window) == () and window.session.undo_stack.count() == 0
    assert [found.key for found in window.proposals.now().shown] == [key]
    assert (window.session.selection.prediction, window.session.selection.joint) == (key, 9)
    assert window.canvas.viewport().grab().toImage() == shot


@pytest.mark.parametrize("how", ["accept", "reject", "threshold", "prefill"])
def test_a_proposal_that_goes_away_is_let_go(window: MainWindow, how: str) -> None:
    propose(window, FOUND)
    press(window, JOINTS[9])
    drag_to(window, 230, 200)
    if how == "threshold":
        window.layers.set_threshold(0.95)
    elif how == "prefill":
        propose(window, replace(FOUND, joints=JOINTS[::-1]))
    else:
        getattr(window.editing, how)()
    steps, labels = window.session.undo_stack.count(), people(window)
    drag_to(window, 240, 210)
    release(window, 240, 210)
    assert (window.session.undo_stack.count(), people(window)) == (steps, labels)


def test_clicks_tab_and_the_table_select_a_proposals_joints(window: MainWindow, qtbot: QtBot) -> None:
    propose(window, doubtful(1))
    key, selection = window.proposals.now().shown[0].key, window.session.selection
    press(window, JOINTS[0])
    release(window, JOINTS[0].x, JOINTS[0].y)
    assert (selection.prediction, selection.person, selection.joint) == (key, None, 0)
    assert people(window) == () and window.joints.table.currentIndex().row() == 0
    for name, joint in (("next_joint", 1), ("next_joint", 2), ("previous_joint", 1)):
        trigger(window, qtbot, name)
        assert (selection.prediction, selection.joint) == (key, joint)
    window.joints.table.setCurrentIndex(window.joints.model.index(7, 0))
    assert (selection.prediction, selection.joint) == (key, 7)
    trigger(window, qtbot, "cancel")
    assert (selection.prediction, selection.joint) == (key, None)
    assert not window.actions_by_id["cycle_visibility"].isEnabled(), "that is about labels"


def test_accepting_with_a_joint_selected_keeps_it_selected(window: MainWindow, qtbot: QtBot) -> None:
    propose(window, FOUND)
    window.session.selection.select_proposed_joint(window.proposals.now().shown[0].key, 7)
    trigger(window, qtbot, "accept")
    assert (window.session.selection.person, window.session.selection.joint) == (people(window)[0].key, 7)


def test_dragging_where_labels_cannot_be_changed_says_so(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    propose(window, FOUND)
    monkeypatch.setattr(type(window.session), "read_only", property(lambda _: True))
    drag(window, 9, 230, 200)
    assert people(window) == () and "read-only" in window.message_bar.text
    assert len(window.proposals.now().shown) == 1


def test_proposals_are_shown_as_this_projects_people_are_labelled(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    found = replace(FOUND, joints=tuple(replace(joint, visibility=(0.45, 0.05, 0.5)) for joint in JOINTS))
    window.session.show_model(MODEL)
    assert not window.predictions.habit.isVisible()
    for labelled in range(4):
        propose(window, found)
        assert labelled or [joint.v for joint in window.proposals.now().shown[0].person.joints] == [2] * 17
        window.editing.accept_shown()
        window.session.selection.select_joints(people(window)[0].key, range(5))
        trigger(window, qtbot, "delete")
        trigger(window, qtbot, "mark_done")
        trigger(window, qtbot, "next_image")
        qtbot.waitUntil(lambda: window.session.current_record() is not None)
    qtbot.waitUntil(lambda: window.habits._learnt is not None)
    assert "4 people" not in window.predictions.habit.text(), "nothing changes under a hand"
    trigger(window, qtbot, "previous_image")
    trigger(window, qtbot, "next_image")
    qtbot.waitUntil(lambda: window.session.current_record() is not None)
    assert "4 people here" in window.predictions.habit.text()
    propose(window, found)
    assert [joint.v for joint in window.proposals.now().shown[0].person.joints] == [0] * 5 + [2] * 12
    window.session.close()
    assert window.session.acceptance_of(MODEL).habit is None
