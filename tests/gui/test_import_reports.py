"""What an import says: why it was refused, what it asks, whom it lost; and the report that stays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people, two_sessions

from app.controllers.import_reports import REPORT
from app.controllers.opening import IMPORT
from app.dialogs.choice import ChoiceDialog
from app.dialogs.import_report import ImportReportDialog
from app.main_window import MainWindow


def change(coco_file: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    content = json.loads(coco_file.read_text())
    edit(content)
    coco_file.write_text(json.dumps(content))
    return coco_file


def import_ended(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.opening._import is None and bool(window.message_bar.text))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [{"id": "one", "file_name": "0.jpg"}], "annotations": []}', "id is wrong"),
        ('{"version": "5.0", "shapes": [], "imagePath": "0.jpg"}', "images is missing"),
        ('[{"image_id": 1, "category_id": 1, "score": 0.5}]', "is a list, not a COCO dataset"),
        ("images: []", "not valid JSON"),
    ],
)
def test_the_reason_of_a_refused_import_is_what_is_read_first(
    make_window: WindowMaker, photos: Path, qtbot: QtBot, content: str, reason: str
) -> None:
    labels = photos / "labels.json"
    labels.write_text(content)
    window = make_window()
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([labels])
    import_ended(window, qtbot)
    qtbot.waitUntil(lambda: reason in window.message_bar.text)
    qtbot.wait(100)  # whatever else has something to say
    assert "labels.json was not imported" in window.message_bar.text and reason in window.message_bar.text


def test_lost_people_are_a_warning_that_stays_with_a_report_that_stays(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    def lose(content: dict[str, Any]) -> None:
        empty = {**content["annotations"][1], "iscrowd": 0, "bbox": [5, 5, 0, 0]}
        content["annotations"] += [{**empty, "id": 100 + index} for index in range(150)]

    window = make_window()
    open_in(window, change(coco_file, lose))
    qtbot.waitUntil(lambda: "150 people could not be read" in window.message_bar.text)
    assert window.message_bar.property("message") == "warning"
    middle = window.message_bar.geometry().center()
    qtbot.waitUntil(lambda: window.central.currentWidget() is window.desk)
    on_top = window.central.childAt(middle)
    assert on_top is window.message_bar or window.message_bar.isAncestorOf(on_top), "nothing lies over it"
    window.message_bar.choose("Show report…")
    dialog = window.findChild(ImportReportDialog)
    assert "150 left out: bbox is empty (annotations[2], annotations[3], " in dialog.text.toPlainText()
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == dialog.text.toPlainText()
    window.opening._asker.save = lambda *_: tmp_path / "report.json"
    dialog.save.click()
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["lost_people"] == 150 and saved["lines"][0]["text"] == "bbox is empty"
    dialog.close()

    # Opened again another day, the report is still there.
    again = make_window()
    window.session.close()
    open_in(again, coco_file)
    again.actions_by_id["import_report"].trigger()
    qtbot.waitUntil(lambda: again.findChild(ImportReportDialog) is not None)
    assert "150 left out: bbox is empty" in again.findChild(ImportReportDialog).text.toPlainText()


def test_who_is_a_person_is_asked_and_the_answer_imports(
    make_window: WindowMaker, coco_file: Path, qtbot: QtBot
) -> None:
    def rename(content: dict[str, Any]) -> None:
        content["categories"] = [{"id": 1, "name": "target"}, {"id": 2, "name": "other thing"}]
        content["annotations"].append({**content["annotations"][0], "id": 3, "category_id": 2})

    window = make_window()
    window.open_paths([change(coco_file, rename)])
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("target", "other thing", "All of them"))
    assert "does not say who is a person: target (2), other thing (1)." in window.message_bar.text
    window.message_bar.choose("target")
    qtbot.waitUntil(lambda: window.model.total == 4 and window.session.current_record() is not None)
    qtbot.waitUntil(lambda: len(people(window)) == 1)


def test_an_order_of_joints_that_is_not_known_is_asked(make_window: WindowMaker, coco_file: Path, qtbot: QtBot) -> None:
    def rename(content: dict[str, Any]) -> None:
        content["categories"][0]["keypoints"] = [f"point {index}" for index in range(17)]

    window = make_window()
    window.open_paths([change(coco_file, rename)])
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("They are in COCO's order",))
    assert "--" not in window.message_bar.text, "no option of the command line"
    window.message_bar.choose(1)
    qtbot.waitUntil(lambda: window.model.total == 4 and window.session.current_record() is not None)
    qtbot.waitUntil(lambda: people(window) != () and people(window)[0].joints[0].x == 80.0)


def test_another_sessions_photos_of_the_same_names_are_not_taken_unasked(
    make_window: WindowMaker, coco_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "both"
    labels = two_sessions(folder, coco_file)
    window = make_window()
    window.open_paths([labels])
    assert window.message_bar.choice_texts() == ("monday", "tuesday")
    window.message_bar.choose("tuesday")
    qtbot.waitUntil(lambda: window.model.total == 4)
    assert list(window.session.roots.values()) == [folder / "tuesday"]
    window.session.close()
    again = make_window()
    with qtbot.waitSignal(again.session.opened):
        again.open_paths([labels])
    assert list(again.session.roots.values()) == [folder / "tuesday"], "asked once, not at every start"

    named = folder / "person_keypoints_monday.json"
    named.write_bytes(labels.read_bytes())
    third = make_window()
    with qtbot.waitSignal(third.session.opened):
        third.open_paths([named])
    assert list(third.session.roots.values()) == [folder / "monday"], "the file is called as its folder is"


def test_merging_asks_whose_photos_are_meant_too(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    labels = two_sessions(tmp_path / "both", coco_file)
    window = make_window()
    open_in(window, tmp_path / "both" / "monday")
    window.merging.take(labels)
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("monday", "tuesday"))
    window.message_bar.choose("tuesday")
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts())
    assert "4 images are new" in window.message_bar.text


def test_many_categories_are_a_list_and_the_answer_imports(
    make_window: WindowMaker, coco_file: Path, qtbot: QtBot
) -> None:
    def many(content: dict[str, Any]) -> None:
        content["categories"] = [{"id": key, "name": f"gadget number {key}"} for key in range(1, 101)]
        person = content["annotations"][0]
        content["annotations"] = [{**person, "id": key, "category_id": key} for key in range(1, 101)]

    window = make_window()
    window.open_paths([change(coco_file, many)])
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("Choose…",))
    assert window.message_bar.height() < window.central.height() / 2
    assert window.message_bar.text.endswith("Whose labels are people's?")
    window.message_bar.choose(1)
    dialog = window.findChild(ChoiceDialog)
    assert dialog.choices.count() == 101 and dialog.isModal()
    dialog.choices.setCurrentRow(41)
    dialog.go.click()
    qtbot.waitUntil(lambda: window.model.total == 4 and window.session.current_record() is not None)
    qtbot.waitUntil(lambda: len(people(window)) == 1)


def test_a_list_of_answers_goes_with_its_question(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    many = [(str(number), lambda: None) for number in range(9)]
    long = [("a folder of a very long name indeed" + words, lambda: None) for words in ("/one", "/two")]
    for answers, end in (
        (many, lambda: window.messages.settle("topic")),
        (long, lambda: open_in(window, photos)),
    ):
        window.messages.ask("Which?", answers, "topic")
        window.message_bar.choose("Choose…")
        assert window.findChildren(ChoiceDialog)[-1].isVisible()
        end()
        assert not any(dialog.isVisible() for dialog in window.findChildren(ChoiceDialog))
        assert window.message_bar.text == ""


def test_a_report_does_not_end_the_question_of_another_file(make_window: WindowMaker) -> None:
    window = make_window()
    window.messages.ask("Whose labels are people's?", [("target", lambda: None)], IMPORT)
    window.messages.post("150 people could not be read.", "warning", topic=REPORT)
    window.message_bar.dismiss()
    assert window.message_bar.choice_texts() == ("target",)
