"""Changing keys: conflicts are told, the actions obey at once, and the next window remembers."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from app.dialogs.fine_tune import FineTuneSettings
from app.dialogs.key_editor import KeyEditor
from app.dialogs.keys import KeysDialog
from app.document.records import ImageState
from app.main_window import MainWindow

Opener = Callable[[MainWindow, Path], None]
WindowMaker = Callable[..., MainWindow]


def keys_of(window: MainWindow, action: str) -> list[str]:
    return [key.toString() for key in window.actions_by_id[action].shortcuts()]


def editor(window: MainWindow) -> KeyEditor:
    window.actions_by_id["change_keys"].trigger()
    found = window.findChild(KeyEditor)
    assert found is not None
    return found


def test_the_table_is_the_default(make_window: WindowMaker) -> None:
    window = make_window()
    for spec in ACTIONS:
        assert keys_of(window, spec.id) == [QKeySequence(key).toString() for key in spec.shortcuts], spec.id
        assert not window.keys.is_changed(spec.id)
    assert "(Ctrl+Z)" in window.actions_by_id["undo"].toolTip()


def test_a_free_key_is_taken_and_remembered(make_window: WindowMaker) -> None:
    window = make_window()
    dialog = editor(window)
    dialog.choose("fit")
    assert not dialog.assign.isEnabled()
    dialog.edit.setKeySequence(QKeySequence("F9"))
    assert dialog.note.text() == "F9 is free."
    dialog.assign.click()
    assert keys_of(window, "fit") == ["F9"] and "(F9)" in window.actions_by_id["fit"].toolTip()
    assert keys_of(make_window(), "fit") == ["F9"]
    dialog.reset.click()
    assert keys_of(window, "fit") == ["F"] and keys_of(make_window(), "fit") == ["F"]


def test_a_conflict_is_told_and_taking_the_key_takes_it_from_the_other(make_window: WindowMaker) -> None:
    window = make_window()
    dialog = editor(window)
    dialog.choose("fit")
    dialog.edit.setKeySequence(QKeySequence("Ctrl+Y"))
    assert "belongs to “Redo”" in dialog.note.text()
    assert keys_of(window, "redo") == ["Ctrl+Shift+Z", "Ctrl+Y"], "nothing has changed yet"
    dialog.add.click()
    assert keys_of(window, "fit") == ["F", "Ctrl+Y"] and keys_of(window, "redo") == ["Ctrl+Shift+Z"]
    dialog.choose("redo")
    dialog.reset.click()
    assert keys_of(window, "redo") == ["Ctrl+Shift+Z", "Ctrl+Y"] and keys_of(window, "fit") == ["F"]


def test_an_action_may_have_no_key(make_window: WindowMaker) -> None:
    window = make_window()
    dialog = editor(window)
    dialog.choose("mark_empty")
    dialog.remove.click()
    assert keys_of(window, "mark_empty") == [] and not dialog.remove.isEnabled()
    assert keys_of(make_window(), "mark_empty") == []
    dialog.reset_all.click()
    assert keys_of(window, "mark_empty") == ["E"]


def test_searching_the_editor(make_window: WindowMaker) -> None:
    window = make_window()
    dialog = editor(window)
    dialog.search.setText("heatmap")
    shown = [name for name in ("toggle_heatmap", "undo") if not dialog._items[name].isHidden()]
    assert shown == ["toggle_heatmap"]


def test_the_sheet_shows_the_keys_as_they_are(make_window: WindowMaker, qtbot: QtBot) -> None:
    window = make_window()
    window.keys.set("fit", ("F9",))
    window.actions_by_id["keys"].trigger()
    sheet = window.findChild(KeysDialog)
    assert sheet is not None
    texts = {label.text() for _, labels in sheet._lines for label in labels}
    assert {"F9", "Fit", "Alt+1"} <= texts


def test_space_on_the_canvas_does_what_it_is_set_to(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    open_in(window, photos)
    window.activateWindow()
    qtbot.waitUntil(lambda: window.isActiveWindow() and window.actions_by_id["mark_empty"].isEnabled())
    image = window.session.selection.current_image
    assert image is not None
    window.canvas.setFocus()
    window.keys.set("accept_and_go_on", ("Ctrl+Return",))
    QTest.keyClick(window.canvas, Qt.Key.Key_Space)
    assert window.session.selection.current_image == image, "now it is nobody's"
    window.keys.set("mark_empty", ("Space",))
    QTest.keyClick(window.canvas, Qt.Key.Key_Space)
    assert window.session.selection.current_image == image
    assert window.session.document.image(image).state is ImageState.DONE_EMPTY


def test_the_hints_name_the_keys_as_they_are(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> None:
    window = make_window()
    open_in(window, coco_file)
    hint = window.status.hint
    assert hint.text().endswith(" · N: new")
    window.keys.set("new_person", ("F9",))
    assert hint.text().endswith(" · F9: new")
    window.keys.set("new_person", ())
    assert hint.text().endswith("right-click: visibility"), "no key, no word about it"
    window.editing.select_person(1)
    window.canvas.place_joints()
    assert hint.text().endswith(" · S: skip · Esc: stop")
    window.keys.set("skip_joint", ("Ctrl+K",))
    assert hint.text().endswith(" · Ctrl+K: skip · Esc: stop")
    assert window.scene.key_names.hint("{accept} accept · {reject} reject") == "Return accept · Backspace reject"


def test_messages_name_the_keys_as_they_are(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    open_in(window, photos)
    window.keys.set("next_image", ("Ctrl+8",))
    window.keys.set("mark_done", ("Ctrl+9",))
    window.editing.set_awaited(lambda: True)
    window.editing.accept_and_go_on()
    assert window.message_bar.text == "The model is still looking at this photo. Ctrl+8 goes on without it."
    settings = FineTuneSettings("labelled", 0.1, 0, "heads", 1, 1, 0.1, "cpu")
    unknown = {"images": 1, "unknown": 1, "roots": []}
    window.fine_tuning._frozen(photos, settings, unknown, "")
    assert "on which everybody is labelled (Ctrl+9), or" in window.message_bar.text
    for action in ("next_image", "mark_done"):
        window.keys.set(action, ())
    window.editing.accept_and_go_on()
    assert window.message_bar.text == "The model is still looking at this photo."
    window.fine_tuning._frozen(photos, settings, unknown, "")
    assert "on which everybody is labelled, or" in window.message_bar.text
