"""Formats through the window: the dialogs ask, a child works, labels on screen stay where they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QDialog, QFileDialog
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, people, trigger

from app.dialogs.effort import EffortDialog
from app.dialogs.export import COCO, OVERLAYS, RESULTS, STATISTICS, YOLO, ExportDialog
from app.dialogs.import_report import ImportReportDialog
from app.dialogs.split import SplitDialog
from app.dialogs.video import VideoDialog
from app.document.records import Box, PredictionStatus
from app.main_window import MainWindow
from app.storage.project import Project

Dialog = TypeVar("Dialog", bound=QDialog)


@pytest.fixture
def window(make_window: WindowMaker, open_in: Opener, coco_file: Path) -> MainWindow:
    window = make_window()
    open_in(window, coco_file)
    return window


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Says what every file dialog returns from now on."""

    def set_answer(path: Path) -> None:
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *_, **__: (str(path), ""))
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(path))

    return set_answer


def dialog_of(window: MainWindow, kind: type[Dialog], qtbot: QtBot) -> Dialog:
    qtbot.waitUntil(lambda: window.findChild(kind) is not None)
    found = window.findChild(kind)
    assert found is not None
    return found


def choose(window: MainWindow, qtbot: QtBot, text: str, done: SignalInstance) -> None:
    """Clicks a button of the message bar and waits for what follows."""
    qtbot.waitUntil(lambda: text in window.message_bar.choice_texts())
    with qtbot.waitSignal(done):
        window.message_bar.choose(text)


def export(window: MainWindow, qtbot: QtBot, kind: str, only: str = "all", source: int | None = None) -> None:
    trigger(window, qtbot, "export_coco")
    dialog = dialog_of(window, ExportDialog, qtbot)
    dialog.format.setCurrentIndex(dialog.format.findData(kind))
    dialog.only.setCurrentIndex(dialog.only.findData(only))
    dialog.source.setCurrentIndex(dialog.source.findData(source))
    with qtbot.waitSignal(window.exporting.ended):
        dialog.go.click()


def test_a_data_set_for_yolo(window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any) -> None:
    answer(tmp_path / "yolo")
    export(window, qtbot, YOLO)
    assert (tmp_path / "yolo/dataset.yaml").is_file()
    assert len(list((tmp_path / "yolo/labels").rglob("*.txt"))) == 4
    assert "1 people on 4 images" in window.message_bar.text and "1 crowd regions" in window.message_bar.text
    assert "It trains by its dataset.yaml from any folder, and may be moved" in window.message_bar.text
    export(window, qtbot, YOLO)
    assert "was not written: there is something in it already" in window.message_bar.text
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([tmp_path / "yolo/dataset.yaml"])
    qtbot.waitUntil(lambda: window.model.total == 4)
    assert sum(record.people for record in window.model.records()) == 1


def test_photos_that_yolo_does_not_know_are_converted_and_said(
    make_window: WindowMaker, open_in: Opener, qtbot: QtBot, tmp_path: Path, photos: Path, answer: Any
) -> None:
    Image.open(photos / "0.jpg").save(photos / "drawn.gif")
    (photos / "broken.gif").write_bytes(b"GIF89a")
    window = make_window()
    open_in(window, photos)
    answer(tmp_path / "yolo")
    export(window, qtbot, YOLO)
    assert len(list((tmp_path / "yolo/images").rglob("drawn.png"))) == 1
    text = window.message_bar.text
    assert "Exported 0 people on 6 images" in text and "1 photo is written as PNG" in text
    assert "1 image is left out, the first: " in text and "broken.gif" in text


def test_lines_that_yolo_loses_are_a_warning_with_their_reasons(
    make_window: WindowMaker, open_in: Opener, qtbot: QtBot, photos: Path
) -> None:
    (photos / "data.yaml").write_text("train: .\nval: val\nkpt_shape: [17, 3]\nnames: [man, woman, dog]\n")
    person = "0.5 0.5 0.2 0.5 " + "0.5 0.5 2 " * 17
    (photos / "0.txt").write_text("\n".join([f"0 {person}", f"1 {person}", f"2 {person}", *["0 0.5 0.5"] * 150]))
    window = make_window()
    open_in(window, photos / "data.yaml")
    qtbot.waitUntil(lambda: "150 people could not be read" in window.message_bar.text)
    assert window.message_bar.property("message") == "warning"
    window.message_bar.choose("Show report…")
    dialog = window.findChild(ImportReportDialog)
    text = dialog.text.toPlainText()
    assert "Taken: 5 images, 2 people" in text and "its folder val (val) is not there" in text
    assert (
        "150 left out: a line has neither a box (5 values) nor a box with 17 joints (56) (0.txt, line 4: 3 values"
        in text
    )
    assert "1 left out: an object of class dog, not a person" in text


def test_pictures_of_the_labels(window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any) -> None:
    answer(tmp_path / "pictures")
    export(window, qtbot, OVERLAYS)
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["0.png", "1.png", "2.png", "3.png"]


def results(*entries: tuple[int, float]) -> list[dict[str, Any]]:
    keypoints = [150.0, 60.0, 0.9] * 17
    return [
        {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score, "bbox": [180, 40, 80, 150]}
        for image, score in entries
    ]


def test_predictions_of_another_model_are_accepted_like_ours(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any
) -> None:
    (tmp_path / "other.json").write_text(json.dumps(results((7, 0.9), (9, 0.8), (1234, 0.9))))
    answer(tmp_path / "other.json")
    image = window.session.selection.current_image
    assert image is not None
    person = window.session.document.people(image)[0]
    window.session.selection.select_joint(person.key, 4)
    with qtbot.waitSignal(window.detections.ended):
        trigger(window, qtbot, "import_results")
    qtbot.waitUntil(lambda: len(window.session.document.predictions(image)) == 1)
    assert "2 people on 2 images" in window.message_bar.text and "1 are on images" in window.message_bar.text
    assert window.session.selection.current_image == image
    assert (window.session.selection.person, window.session.selection.joint) == (person.key, 4)
    trigger(window, qtbot, "accept_shown")
    accepted = window.session.document.people(image)[-1]
    assert accepted.box == Box(180, 40, 80, 150) and accepted.labelled_joints == 17
    answer(tmp_path / "again.json")
    export(window, qtbot, RESULTS)
    written = json.loads((tmp_path / "again.json").read_text())
    assert [(entry["image_id"], entry["score"]) for entry in written] == [(7, 0.9), (9, 0.8)]
    assert window.session.document.predictions(image)[0].status is PredictionStatus.ACCEPTED


def test_results_that_do_not_fit_are_refused_in_one_sentence(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any
) -> None:
    (tmp_path / "hands.json").write_text(json.dumps([results((7, 0.9))[0] | {"keypoints": [1.0] * 63}]))
    answer(tmp_path / "hands.json")
    with qtbot.waitSignal(window.detections.ended):
        trigger(window, qtbot, "import_results")
    assert "21 keypoints" in window.message_bar.text and "hands.json" in window.message_bar.text


def test_what_the_list_shows_is_exported_by_itself(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any
) -> None:
    window.image_list.search.setText("1.jpg")
    qtbot.waitUntil(lambda: len(window.model.keys) == 1)
    answer(tmp_path / "one.json")
    trigger(window, qtbot, "export_coco")
    dialog = dialog_of(window, ExportDialog, qtbot)
    assert "(1)" in dialog.only.itemText(dialog.only.findData("listed"))
    dialog.reject()
    qtbot.waitUntil(lambda: window.findChild(ExportDialog) is None)
    export(window, qtbot, COCO, only="listed")
    written = json.loads((tmp_path / "one.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["1.jpg"]
    assert [person["id"] for person in written["annotations"]] == [2]


def test_of_two_imported_files_each_comes_back_by_itself(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, coco_file: Path, answer: Any
) -> None:
    content = json.loads(coco_file.read_text())
    content["images"] = [{"id": 7, "file_name": "4.jpg", "width": 320, "height": 240, "camera": "left"}]
    content["annotations"] = content["annotations"][:1]
    other = coco_file.with_name("other.json")
    other.write_text(json.dumps(content))
    answer(other)
    trigger(window, qtbot, "merge")
    choose(window, qtbot, "Merge", window.merging.ended)
    answer(tmp_path / "back.json")
    export(window, qtbot, COCO, source=2)
    back = json.loads((tmp_path / "back.json").read_text())
    assert back["images"] == content["images"], "its own ids and fields"
    assert back["annotations"] == content["annotations"]
    trigger(window, qtbot, "export_coco")
    dialog = dialog_of(window, ExportDialog, qtbot)
    dialog.format.setCurrentIndex(dialog.format.findData(YOLO))
    assert dialog.source.currentData() == 2 and dialog.settings().source is None, "only COCO has this choice"


def test_merging_asks_whose_labels_stay(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, coco_file: Path, answer: Any
) -> None:
    content = json.loads(coco_file.read_text())
    content["annotations"][0]["bbox"] = [62, 40, 100, 180]
    content["info"] = {"description": "theirs"}
    theirs = coco_file.with_name("theirs.json")
    theirs.write_text(json.dumps(content))
    answer(theirs)
    image = window.session.selection.current_image
    assert image is not None
    trigger(window, qtbot, "merge")
    choose(window, qtbot, "Theirs", window.merging.ended)
    qtbot.waitUntil(lambda: window.session.document.people(image)[0].box.x == 62)
    assert len(window.session.document.people(image)) == 1 and window.session.selection.current_image == image
    assert "1 person came for 1 label that was here" in window.message_bar.text
    trigger(window, qtbot, "merge")
    qtbot.waitUntil(lambda: "is here already" in window.message_bar.text)


def test_people_measured_in_another_frame_are_said_to_be_left_out(
    window: MainWindow, qtbot: QtBot, coco_file: Path, answer: Any
) -> None:
    content = json.loads(coco_file.read_text())
    Image.new("RGB", (400, 400)).save(coco_file.parents[1] / "photos/0.jpg")
    content["images"][0] |= {"width": 400, "height": 400}
    content["annotations"][0]["bbox"] = [300, 300, 60, 60]
    theirs = coco_file.with_name("theirs.json")
    theirs.write_text(json.dumps(content))
    answer(theirs)
    trigger(window, qtbot, "merge")
    qtbot.waitUntil(lambda: "0 people are new, 1 here already. 1 person of it is left out" in window.message_bar.text)
    choose(window, qtbot, "Merge", window.merging.ended)
    assert "0 people came, 1 did not. 1 person of it is left out" in window.message_bar.text
    assert "(0.jpg)" in window.message_bar.text
    report = window.session.store.call(lambda project: project.kept_report())
    assert report is not None and report.lost_people == 1 and report.lines[0].places == ["0.jpg"]


def test_labels_from_elsewhere_are_about_the_photos_of_this_project(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, coco_file: Path, answer: Any
) -> None:
    content = json.loads(coco_file.read_text())
    content["annotations"][0]["bbox"] = [200, 40, 60, 120]
    elsewhere = tmp_path / "downloads"
    (elsewhere / "copies").mkdir(parents=True)
    (elsewhere / "theirs.json").write_text(json.dumps(content))
    (elsewhere / "copies/0.jpg").write_bytes((coco_file.parents[1] / "photos/0.jpg").read_bytes())
    answer(elsewhere / "theirs.json")
    trigger(window, qtbot, "merge")
    choose(window, qtbot, "Merge", window.merging.ended)
    qtbot.waitUntil(lambda: len(window.session.document.people(next(iter(window.session.rows)))) == 2)
    assert window.model.total == 4, "no image came a second time"


def test_a_photo_is_shown_as_the_labels_that_come_are_measured(
    make_window: WindowMaker, open_in: Opener, qtbot: QtBot, tmp_path: Path, coco_file: Path, answer: Any
) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    sideways = Image.Exif()
    sideways[0x0112] = 6
    Image.new("RGB", (600, 400), "teal").save(folder / "s.jpg", exif=sideways)
    window = make_window()
    open_in(window, folder)
    assert (window.scene.shown_pixels().width(), window.scene.shown_pixels().height()) == (400, 600)
    content = json.loads(coco_file.read_text())
    content["images"] = [{"id": 7, "file_name": "s.jpg", "width": 600, "height": 400}]
    content["annotations"] = [{**content["annotations"][0], "bbox": [450, 40, 100, 180], "keypoints": [0] * 51}]
    stored = folder / "stored.json"
    stored.write_text(json.dumps(content))
    answer(stored)
    trigger(window, qtbot, "merge")
    choose(window, qtbot, "Merge", window.merging.ended)
    qtbot.waitUntil(lambda: window.scene.shown_pixels().width() == 600)
    assert window.scene.shown_pixels().height() == 400 and people(window)[0].box.x == 450


def test_split_and_back(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, make_window: WindowMaker, answer: Any
) -> None:
    parts = tmp_path / "parts"
    answer(parts)
    parts.mkdir()
    trigger(window, qtbot, "split")
    dialog = dialog_of(window, SplitDialog, qtbot)
    dialog.only_unfinished.setChecked(False)
    assert "About 2 images each" in dialog.note.text()
    with qtbot.waitSignal(window.splitting.ended):
        dialog.go.click()
    first, second = sorted(parts.iterdir())
    with qtbot.waitSignal(window.session.opened):
        pass_on = window.session.path
        window.open_paths([first])
    qtbot.waitUntil(lambda: window.session.current_record() is not None)
    window.editing.add_person(Box(200, 40, 60, 120))
    assert pass_on is not None
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([pass_on])
    answer(first)
    with qtbot.waitSignal(window.merging.ended):
        trigger(window, qtbot, "merge")
    people = window.session.store.call(lambda project: sum(row.people for row in project.image_rows()))
    assert people == 3, "the two of the file, and the one drawn in the part"
    answer(second)
    trigger(window, qtbot, "merge")
    qtbot.waitUntil(lambda: "nothing was done in this part" in window.message_bar.text)


def test_another_project_comes_like_a_coco_file(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, photos: Path, answer: Any
) -> None:
    other = Project.create(tmp_path / "other.poseproj")
    other.add_images(other.add_root(photos), ["0.jpg", "4.jpg"])
    other.close()
    answer(tmp_path / "other.poseproj")
    trigger(window, qtbot, "merge")
    choose(window, qtbot, "Merge", window.merging.ended)
    qtbot.waitUntil(lambda: window.model.total == 5)


def test_frames_of_a_video_become_photos(window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any) -> None:
    from msarcnn.opencv import cv2

    video = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    answer(video)
    trigger(window, qtbot, "open_video")
    dialog = dialog_of(window, VideoDialog, qtbot)
    dialog.every.setValue(2)
    answer(tmp_path / "frames")
    with qtbot.waitSignal(window.videos.ended):
        dialog.chosen.emit(dialog.settings())
    assert len(list((tmp_path / "frames").glob("walk_*.jpg"))) == 3
    choose(window, qtbot, "Open them", window.session.opened)
    qtbot.waitUntil(lambda: window.model.total == 3)


def test_a_broken_video_is_refused(window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nonsense" * 50)
    answer(tmp_path / "x.mp4")
    trigger(window, qtbot, "open_video")
    dialog = dialog_of(window, VideoDialog, qtbot)
    answer(tmp_path / "frames")
    with qtbot.waitSignal(window.videos.ended):
        dialog.chosen.emit(dialog.settings())
    assert "x.mp4" in window.message_bar.text and not (tmp_path / "frames").exists()


def test_the_effort_report(window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any) -> None:
    window.editing.add_person(Box(200, 40, 60, 120))
    trigger(window, qtbot, "effort")
    dialog = dialog_of(window, EffortDialog, qtbot)
    columns = [dialog.table.horizontalHeaderItem(at).text() for at in range(dialog.table.columnCount())]
    drawn = dialog.table.item(0, columns.index("Drawn"))
    assert drawn is not None and drawn.text() == "1"
    answer(tmp_path / "effort.csv")
    dialog.save.click()
    qtbot.waitUntil(lambda: (tmp_path / "effort.csv").is_file())


def test_statistics_count_what_is_on_screen(window: MainWindow, qtbot: QtBot, tmp_path: Path, answer: Any) -> None:
    answer(tmp_path / "s.csv")
    window.editing.duplicate()
    export(window, qtbot, STATISTICS)
    assert "Exported" in window.message_bar.text
    rows = (tmp_path / "s.csv").read_text().splitlines()
    people = len(window.session.document.people(next(iter(window.session.rows))))
    assert f"people,all,{people}" in rows and "people,crowd regions,1" in rows
