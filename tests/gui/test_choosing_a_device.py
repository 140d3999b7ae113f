"""Choosing where the model computes: a real window and engine, a fake GPU."""

from pathlib import Path

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker

from app.main_window import MainWindow


def entries(window: MainWindow) -> dict[str, QAction]:
    """What Predict, Device offers, by text."""
    (menu,) = (menu for menu in window.menuBar().findChildren(QMenu) if menu.title() == "&Device")
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions()}


def started(window: MainWindow, qtbot: QtBot, model: Path) -> None:
    with qtbot.waitSignal(window.engine.devices_found):
        window.engine.start(str(model))


def test_a_device_is_chosen_named_and_remembered(
    make_window: WindowMaker, qtbot: QtBot, gpu: Path, small_model: Path
) -> None:
    window = make_window()
    assert list(entries(window)) == ["Automatic: a GPU if there is one"]
    started(window, qtbot, small_model)
    offered = entries(window)
    automatic, fake, cpu = offered
    assert fake == "Fake GPU (fake:0), 8 GB" and cpu.startswith("CPU, ")
    assert offered[automatic].isChecked() and not offered[fake].isChecked()
    assert window.status.model.text().endswith("Fake GPU (fake:0), 8 GB")
    with qtbot.waitSignal(window.engine.ready):
        offered[cpu].trigger()
    assert window.engine.info is not None and window.engine.info.device == "cpu"
    assert window.status.model.text().endswith(cpu)
    assert window.settings.value("device", "") == "cpu"
    assert entries(window)[cpu].isChecked()
    assert make_window().devices.chosen == "cpu"


def test_a_remembered_device_that_is_gone_is_said_and_stays_in_the_list(
    make_window: WindowMaker, qtbot: QtBot, small_model: Path
) -> None:
    window = make_window()
    window.settings.set_value("device", "cuda:5")
    window = make_window()
    with qtbot.waitSignal(window.engine.noticed):
        started(window, qtbot, small_model)
    assert "cuda:5" in window.message_bar.text and "The CPU computes." in window.message_bar.text
    offered = entries(window)
    assert offered["cuda:5 (not there)"].isChecked()
    assert window.settings.value("device", "") == "cuda:5", "it may be there again the next time"


def test_a_gpu_that_goes_away_becomes_a_message(
    make_window: WindowMaker, open_in: Opener, qtbot: QtBot, gpu: Path, photos: Path, small_model: Path
) -> None:
    window = make_window()
    started(window, qtbot, small_model)
    open_in(window, photos)
    for _ in range(2):
        with qtbot.waitSignal(window.prefill.stored):
            window.prefill.this_image()
        (gpu / "lost").touch()
    qtbot.waitUntil(lambda: "the CPU goes on" in window.message_bar.text)
    qtbot.waitUntil(lambda: "CPU, " in window.status.model.text())
