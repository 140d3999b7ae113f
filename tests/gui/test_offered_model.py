"""A finished run's model stays on offer: in the bar, in the panel, and when its project is opened again."""

import json
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.controllers import places
from app.main_window import MainWindow
from app.panels.message_bar import MessageBar

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


def finished_run(project: Path, model: Path, status: str = "completed") -> Path:
    """A run of a project that ended while no window was open; returns its best model."""
    run = places.runs_of(project) / "20260102-030405"
    best = run / "checkpoints" / "best.safetensors"
    best.parent.mkdir(parents=True)
    best.write_bytes(model.read_bytes())
    end = {"event": "end", "status": status, "model": "checkpoints/best.safetensors", "message": ""}
    (run / "log.jsonl").write_text(json.dumps({"event": "start"}) + "\n" + json.dumps(end) + "\n")
    return best


def close_and_open(window: MainWindow, make_window: WindowMaker, open_in: Opener, photos: Path) -> MainWindow:
    window.closing.finish()
    window.hide()
    again = make_window()
    open_in(again, photos)
    return again


def test_a_run_that_ended_without_the_window_offers_its_model_until_it_is_used(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    assert window.training.use.isHidden()
    project = window.session.path
    assert project is not None
    best = finished_run(project, small_model)
    window = close_and_open(window, make_window, open_in, photos)
    assert str(best) in window.message_bar.text
    (button,) = window.message_bar._buttons
    assert button.text() == "Use this model"
    assert not window.training.use.isHidden()
    window.messages.post("Something else.", "info")
    assert window.message_bar.text == "Something else."
    window.message_bar.dismiss()
    assert str(best) in window.message_bar.text
    with qtbot.waitSignal(window.engine.ready):
        window.training.use.click()
    assert window.models.model_path == best
    assert window.training.use.isHidden()
    assert str(best) not in window.message_bar.text
    with qtbot.waitSignal(window.engine.ready):
        window.models.use_bundled()
    assert window.models.model_path is None
    window = close_and_open(window, make_window, open_in, photos)
    assert window.training.use.isHidden()
    assert window.message_bar.text == ""


def test_a_model_in_use_and_a_run_without_one_are_not_offered(
    make_window: WindowMaker, open_in: Opener, photos: Path, small_model: Path
) -> None:
    window = make_window()
    open_in(window, photos)
    project = window.session.path
    assert project is not None
    best = finished_run(project, small_model)
    window.session.close()
    window.models.model_path = best
    open_in(window, photos)
    assert window.training.use.isHidden()
    window.session.close()
    window.models.model_path = None
    best.unlink()
    open_in(window, photos)
    assert window.training.use.isHidden()


def test_a_model_that_is_refused_stays_on_offer(
    make_window: WindowMaker, open_in: Opener, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = make_window(engine=True)
    before = window.models.model_path
    open_in(window, photos)
    project = window.session.path
    assert project is not None
    broken = tmp_path / "broken"
    broken.write_bytes(b"not a model")
    finished_run(project, broken)
    window.session.close()
    assert window.training.use.isHidden()
    open_in(window, photos)
    with qtbot.waitSignal(window.engine.refused):
        window.training.use.click()
    assert not window.training.use.isHidden()
    assert window.models.model_path == before


def test_a_question_comes_back_after_what_covered_it(qtbot: QtBot) -> None:
    area = QWidget()
    qtbot.addWidget(area)
    bar = MessageBar(area)
    area.show()
    asked: list[str] = []
    bar.show_message("Use it?", "success", [("Yes", lambda: asked.append("yes"))], topic="model")
    bar.show_message("A photo is damaged.", "error", topic="photo")
    assert bar.text == "A photo is damaged." and bar._buttons == []
    bar.dismiss_topic("photo")
    assert bar.text == "Use it?"
    bar.show_message("Saved.", "info")
    bar.dismiss_topic("model")
    assert bar.text == "Saved."
    bar.dismiss()
    assert bar.text == ""
    bar.show_message("Use it?", choices=[("Yes", lambda: asked.append("yes"))], topic="model")
    bar.show_message("The model is there.", topic="model")
    bar.dismiss()
    assert bar.text == ""
    bar.show_message("Use it?", choices=[("Yes", lambda: asked.append("yes"))])
    bar.show_message("Go on?", choices=[("No", lambda: asked.append("no"))])
    bar._buttons[0].click()
    assert (bar.text, asked) == ("Use it?", ["no"]), "the earlier question still waits"
    bar.show_message("Saved.", "info")
    bar.clear()
    assert bar.text == ""
    told: list[str] = []
    bar.show_message("Whose?", choices=[("Ours", lambda: None)], topic="merge", dismissed=lambda: told.append("merge"))
    bar.show_message("Done?", choices=[("OK", lambda: None)])
    bar.choose("OK")
    assert bar.text == "Whose?" and told == []
    bar.dismiss()
    assert bar.text == "" and told == ["merge"], "taken away without an answer"
    bar.show_message("Whose?", choices=[("Ours", lambda: None)], topic="merge", dismissed=lambda: told.append("again"))
    bar.choose("Ours")
    assert told == ["merge"]
