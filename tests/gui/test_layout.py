"""The panels' places: what must be seen at the window's first size, and what becomes of it at others."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QDockWidget, QPushButton
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people, trigger

from app import application
from app.dialogs.choice import ChoiceDialog
from app.dialogs.export import COCO, ExportChoices, ExportDialog, ExportSettings
from app.dialogs.split import SplitDialog
from app.dialogs.video import VideoDialog
from app.main_window import MainWindow
from app.theme import scheme_of


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[str]:
    """Dresses the application as `main.py` does, for one test."""
    before = qapp.style().name(), qapp.font(), qapp.palette(), qapp.styleSheet()
    qapp.setStyle("Fusion")
    font = qapp.font()
    font.setPointSizeF(max(font.pointSizeF(), 10))
    qapp.setFont(font)
    application.apply_scheme(qapp, request.param == "dark")
    yield request.param
    style, font, palette, sheet = before
    qapp.setStyleSheet(sheet)
    qapp.setStyle(style)
    qapp.setPalette(palette)
    qapp.setFont(font)


@pytest.fixture
def window(scheme: str, make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    window.session.selection.person = people(window)[0].key
    qtbot.waitUntil(lambda: window.joints.table.isVisible())
    QApplication.processEvents()
    return window


def docks(window: MainWindow) -> dict[str, QDockWidget]:
    return {dock.objectName(): dock for dock in window.docks.all}


def whole_rows(window: MainWindow) -> int:
    """How many rows of the joints table are seen from top to bottom."""
    table, model = window.joints.table, window.joints.model
    port = table.viewport().rect()
    rows = (table.visualRect(model.index(row, 0)) for row in range(model.rowCount()))
    return sum(row.top() >= 0 and row.bottom() <= port.bottom() for row in rows)


def whole_people(window: MainWindow) -> int:
    """How many rows the list of people has room for."""
    tree = window.people.tree
    item = tree.topLevelItem(0)
    assert item is not None
    return int(tree.viewport().height() // tree.visualItemRect(item).height())


def resize(window: MainWindow, qtbot: QtBot, width: int, height: int) -> None:
    """Gives the window a size and waits until the panels stay where they are."""
    window.resize(width, height)
    seen: list[list[int]] = []

    def settled() -> bool:
        seen.append([dock.height() for dock in window.docks.all])
        return len(seen) > 6 and all(heights == seen[-1] for heights in seen[-6:])

    qtbot.waitUntil(settled)
    assert (window.width(), window.height()) == (width, height)


def test_all_joints_and_several_people_are_seen_at_the_first_size(window: MainWindow) -> None:
    assert (window.width(), window.height()) == (1440, 900)
    assert whole_rows(window) == 17
    assert whole_people(window) >= 5
    for panel in (window.predictions, window.image_list.view.viewport(), window.canvas.viewport()):
        assert not panel.visibleRegion().isEmpty()
    assert window.canvas.width() >= 780


@pytest.mark.parametrize("size", [(1920, 1080), (2560, 1440)])
def test_what_a_larger_window_has_to_spare_goes_to_the_people(
    window: MainWindow, qtbot: QtBot, size: tuple[int, int]
) -> None:
    joints, before = window.joints.height(), whole_people(window)
    resize(window, qtbot, *size)
    assert whole_rows(window) == 17 and window.joints.height() == joints
    assert whole_people(window) > before + 5
    resize(window, qtbot, 1440, 900)
    assert whole_rows(window) == 17 and whole_people(window) == before


def test_a_smaller_window_scrolls_the_joints_and_keeps_the_rest(window: MainWindow, qtbot: QtBot) -> None:
    resize(window, qtbot, 1280, 720)
    assert whole_rows(window) >= 9 and whole_people(window) >= 2
    assert window.predictions.accept.visibleRegion().boundingRect().height() == window.predictions.accept.height()
    assert window.width() == 1280 and window.height() == 720
    resize(window, qtbot, 1440, 900)
    assert whole_rows(window) == 17


def drag_separator(window: MainWindow, way: int) -> None:
    """Drags the line above the joints."""
    joints = docks(window)["joints"]
    place = QPoint(joints.x() + joints.width() // 2, joints.y() - 3)
    QTest.mousePress(window, Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseMove(window, place + QPoint(0, way))
    QTest.qWait(20)  # Qt moves it in a timer
    QTest.mouseRelease(window, Qt.MouseButton.LeftButton, pos=place + QPoint(0, way))
    QTest.qWait(20)


def test_a_height_that_somebody_has_dragged_is_kept(
    window: MainWindow,
    make_window: WindowMaker,
    open_in: Opener,
    coco_file: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = docks(window)["joints"].height()
    drag_separator(window, 60)
    dragged = docks(window)["joints"].height()
    assert dragged == pytest.approx(before - 60, abs=4)
    resize(window, qtbot, 1500, 1000)
    assert docks(window)["joints"].height() == dragged
    window.resizeDocks([docks(window)["images"]], [340], Qt.Orientation.Horizontal)
    window.close()
    # No window is restored larger than its screen, and the screen of tests is small.
    monkeypatch.setattr(MainWindow, "restoreGeometry", lambda self, _: self.resize(1500, 1000))
    again = make_window()
    open_in(again, coco_file)
    resize(again, qtbot, 1500, 1000)
    assert docks(again)["joints"].height() == dragged and docks(again)["images"].width() == 340


def test_the_heatmaps_panel_comes_to_the_front_with_the_heatmap(window: MainWindow, qtbot: QtBot) -> None:
    def front(panel: str) -> bool:
        return not docks(window)[panel].visibleRegion().isEmpty()

    assert front("predictions") and not front("heatmap")
    trigger(window, qtbot, "toggle_heatmap")
    qtbot.waitUntil(lambda: front("heatmap"))
    trigger(window, qtbot, "toggle_heatmap")
    qtbot.waitUntil(lambda: front("predictions"))
    docks(window)["heatmap"].raise_()
    window.heatmap_panel.shown.setFocus()
    for _ in range(2):
        window.heatmap_panel.shown.click()
    qtbot.wait(50)
    assert front("heatmap"), "nobody takes the panel away from under the pointer"


@pytest.mark.parametrize(
    "dialog",
    [
        lambda: SplitDialog(10, 5),
        lambda: ChoiceDialog("Whose?", ["ours", "theirs"], "topic"),
        lambda: VideoDialog(Path("walk.mp4")),
        lambda: ExportDialog(ExportSettings(COCO), ExportChoices(4, ())),
    ],
    ids=["split", "choice", "video", "export"],
)
def test_what_a_dialog_is_for_has_the_accents_colour(scheme: str, dialog: Callable[[], QDialog], qtbot: QtBot) -> None:
    shown = dialog()
    qtbot.addWidget(shown)
    shown.open()
    (button,) = [one for one in shown.findChildren(QPushButton) if one.property("primary")]
    # Beside the text, within the border.
    color = button.grab().toImage().pixelColor(8, button.height() // 2)
    assert color.name() == scheme_of(scheme == "dark").accent
