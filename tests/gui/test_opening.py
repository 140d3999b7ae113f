"""What is opened together, and what is refused before it becomes part of a project."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot
from window_helpers import Opener, WindowMaker, two_sessions

from app.controllers import opening
from app.controllers.messages import Message
from app.controllers.places import SUFFIX
from app.dialogs.choice import ChoiceDialog


def test_labels_dropped_with_their_folder_are_opened_with_it(
    make_window: WindowMaker, coco_file: Path, photos: Path, qtbot: QtBot
) -> None:
    moved = photos.rename(photos.parents[1] / f"{photos.parent.name}-far-away")
    window = make_window()
    for paths in ([moved, coco_file], [coco_file, moved]):
        with qtbot.waitSignal(window.session.opened):
            window.open_paths(paths)
        assert list(window.session.roots.values()) == [moved]
        assert [row.path for row in window.model.records()] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["photos/0.jpg", "notes.txt"], "notes.txt"),
        (["notes.txt"], "notes.txt"),
        (["photos", "notes.txt"], "notes.txt"),
        (["a.json", "b.json"], "a.json"),
        (["photos/0.jpg", "a.json"], "a.json"),
        (["photos", "photos/more", "a.json"], "a.json"),
        ([f"mine{SUFFIX}", "photos"], f"mine{SUFFIX}"),
        (["photos", f"mine{SUFFIX}"], f"mine{SUFFIX}"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    make_window: WindowMaker, photos: Path, names: list[str], named: str, qtbot: QtBot
) -> None:
    for name in ("notes.txt", "a.json", "b.json", f"mine{SUFFIX}"):
        (photos.parent / name).write_text("{}")
    window = make_window()
    window.open_paths([photos.parent / name for name in names])
    assert window.message_bar.text.startswith(f"{named}: ")
    qtbot.wait(200)
    assert not window.session.is_open


def test_what_a_folder_holds_and_cannot_be_taken_is_named(
    make_window: WindowMaker, open_in: Opener, photos: Path
) -> None:
    (photos / "link.jpg").symlink_to("/etc/hostname")
    window = make_window()
    said: list[Message] = []
    window.messages.posted.connect(said.append)
    open_in(window, photos)
    assert window.model.total == 5
    assert any("link.jpg" in message.text and "1 file" in message.text for message in said)


def test_photos_that_cannot_be_read_are_counted_with_the_cure(
    make_window: WindowMaker, open_in: Opener, tmp_path: Path, photos: Path, qtbot: QtBot
) -> None:
    (tmp_path / "telephone").mkdir()
    for index in range(3):
        (tmp_path / f"telephone/IMG_{index}.HEIC").write_bytes(b"x")
        (photos / f"scan_{index}.jp2").write_bytes(b"x")
    window = make_window()
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([tmp_path / "telephone"])
    text = "3 HEIC photos are not read (the first: IMG_0.HEIC): convert them to JPEG, or install pillow-heif"
    assert window.message_bar.text.startswith(text)
    assert window.message_bar.property("message") == "warning", "it stays"
    open_in(window, photos)
    assert window.model.total == 5
    assert window.message_bar.text.startswith("3 JPEG 2000 photos are not read (the first: scan_0.jp2)")
    window.open_paths([tmp_path / "telephone/IMG_1.HEIC"])
    assert window.message_bar.text.startswith("1 HEIC photo is not read (the first: IMG_1.HEIC): convert it to JPEG")


def test_the_projects_opened_last_are_in_the_menu(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot
) -> None:
    window = make_window()
    (recent,) = [menu for menu in window.findChildren(QMenu) if menu.title() == "&Recent projects"]
    recent.aboutToShow.emit()
    assert [(entry.text(), entry.isEnabled()) for entry in recent.actions()] == [("None yet", False)]
    open_in(window, photos)
    project = window.session.path
    open_in(window, photos / "more")
    recent.aboutToShow.emit()
    assert [entry.text() for entry in recent.actions()] == ["&1 more", "&2 photos"]
    with qtbot.waitSignal(window.session.opened):
        recent.actions()[1].trigger()
    assert window.session.path == project


def test_the_photo_that_was_named_is_the_one_shown(make_window: WindowMaker, open_in: Opener, photos: Path) -> None:
    window = make_window()
    for name in ("1.jpg", "3.jpg", "0.jpg"):
        open_in(window, photos / name)
        record = window.session.record(window.session.selection.current_image or 0)
        assert record is not None and record.path == name, "earlier ones are in the same project"
    assert window.model.total == 3
    open_in(window, photos)
    assert window.model.total == 5


def test_whose_photos_is_asked_until_the_labels_are_here(
    make_window: WindowMaker, coco_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    labels = two_sessions(tmp_path / "both", coco_file)
    content = json.loads(labels.read_text())
    content["categories"][0]["keypoints"] = [f"point {index}" for index in range(17)]
    labels.write_text(json.dumps(content))
    window = make_window()
    window.open_paths([labels])
    window.message_bar.choose("monday")
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("They are in COCO's order",))
    window.session.close()
    window.open_paths([labels])
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("monday", "tuesday"))
    assert not window.session.is_open
    window.message_bar.choose("tuesday")
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("They are in COCO's order",))
    window.message_bar.choose(1)
    qtbot.waitUntil(lambda: window.model.total == 4)
    assert list(window.session.roots.values()) == [tmp_path / "both" / "tuesday"]


def chooses(window_answers: list[Path], asked: list[str]) -> Callable[[str], Path | None]:
    def folder(title: str) -> Path | None:
        asked.append(title)
        return window_answers.pop(0) if window_answers else None

    return folder


def far_from(photos: Path, coco_file: Path) -> Path:
    """The labels where no photos are near."""
    alone = photos.parent / "far" / "away" / coco_file.name
    alone.parent.mkdir(parents=True)
    return coco_file.rename(alone)


def test_nobody_is_asked_where_the_photos_of_a_healthy_project_are(
    make_window: WindowMaker, coco_file: Path, photos: Path, open_in: Opener, qtbot: QtBot
) -> None:
    labels = far_from(photos, coco_file)
    window = make_window()
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([labels], photos)
    window.session.close()
    open_in(window, labels)
    qtbot.wait(100)
    assert window.message_bar.text == ""


def test_where_the_photos_are_can_be_said_as_soon_as_it_is_asked_and_until_it_is_known(
    make_window: WindowMaker, coco_file: Path, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = far_from(photos, coco_file)
    window = make_window()
    asked: list[str] = []
    for _ in range(2):
        window.session.close()
        window.open_paths([labels])
        qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("Choose folder…",))
        assert "its images were not found near it" in window.message_bar.text
        monkeypatch.setattr(window.opening._asker, "folder", chooses([], asked))
        window.message_bar.choose(1)
        assert window.message_bar.choice_texts() == ("Choose folder…",), "asked until it is answered"
    monkeypatch.setattr(window.opening._asker, "folder", chooses([photos], asked))
    with qtbot.waitSignal(window.session.opened):
        window.message_bar.choose(1)
    qtbot.waitUntil(lambda: window.scene.has_photo)
    assert list(window.session.roots.values()) == [photos] and len(asked) == 3
    assert window.message_bar.text == ""


def test_where_the_photos_are_is_asked_after_other_questions_about_the_labels(
    make_window: WindowMaker, coco_file: Path, photos: Path, qtbot: QtBot
) -> None:
    labels = far_from(photos, coco_file)
    content = json.loads(labels.read_text())
    content["categories"][0]["keypoints"] = [f"point {index}" for index in range(17)]
    labels.write_text(json.dumps(content))
    window = make_window()
    window.open_paths([labels])
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("They are in COCO's order",))
    qtbot.waitUntil(lambda: window.session.is_open and window.central.currentWidget() is window.desk)
    window.message_bar.choose(1)
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("Choose folder…",))


def test_a_folder_that_the_project_has_already_is_refused_and_asked_again(
    make_window: WindowMaker, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.jpg").write_bytes((photos / "0.jpg").read_bytes())
    window = make_window()
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([photos, other])
    photos.rename(tmp_path / "moved")
    project = window.session.path
    window.session.close()
    assert project is not None
    window.open_paths([project])
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() == ("Choose folder…",))
    (tmp_path / "empty").mkdir()
    answers = [other, tmp_path / "empty", tmp_path / "moved"]
    monkeypatch.setattr(window.opening._asker, "folder", chooses(answers, []))
    for reason in ("already is an image folder", "none of the images that it expects is in"):
        window.message_bar.choose("Choose folder…")
        qtbot.waitUntil(lambda reason=reason: reason in window.message_bar.text)
        assert window.status.saved.text() == "saved"
        window.message_bar.dismiss()
    with qtbot.waitSignal(window.session.opened):
        window.message_bar.choose("Choose folder…")
    assert set(window.session.roots.values()) == {other, tmp_path / "moved"}
    assert window.message_bar.text == ""


def test_no_images_is_said_whatever_waits_that_is_not_the_reason(
    make_window: WindowMaker, tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    window = make_window()
    window.open_paths([tmp_path / "notes.txt"])
    assert window.message_bar.text.startswith("notes.txt: ")
    window.engine.gave_up.emit("The pose engine stopped.")
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([tmp_path / "empty"])
    assert "no images here" in window.message_bar.text
    window.message_bar.dismiss()
    assert window.message_bar.choice_texts() == ("Start it again",)
    window.message_bar.dismiss()
    assert window.message_bar.text == "", "the error about another file has gone"


def test_a_listing_ends_for_everybody_when_something_else_is_opened(
    make_window: WindowMaker, open_in: Opener, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window()
    open_in(window, photos / "more")
    real = opening.list_photos

    def slow(folder: Path) -> object:
        time.sleep(0.5)
        return real(folder)

    monkeypatch.setattr(opening, "list_photos", slow)
    project = window.session.path
    assert project is not None
    window.open_paths([photos])
    qtbot.waitUntil(lambda: window.job_strip.text == "Looking for images")
    open_in(window, project)
    assert window.job_strip.isHidden()


def test_an_opened_project_leaves_the_question_about_other_labels(
    make_window: WindowMaker, coco_file: Path, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    labels = two_sessions(tmp_path / "both", coco_file)
    window = make_window()
    with qtbot.waitSignal(window.session.opened):
        window.open_paths([photos])
        window.open_paths([labels])
    assert window.message_bar.choice_texts() == ("monday", "tuesday")


def test_folders_of_one_name_are_told_apart_and_many_are_in_a_list(
    make_window: WindowMaker, open_in: Opener, coco_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    for name in ("one/img", "two/img"):
        two_sessions(tmp_path / name, coco_file)
    window = make_window()
    open_in(window, tmp_path / "one/img/monday")
    window.session.close()
    roots = [tmp_path / name / "monday" for name in ("one/img", "two/img")]
    with qtbot.waitSignal(window.session.opened):
        window.open_paths(roots)
    labels = tmp_path / "far" / "away" / "labels.json"
    labels.parent.mkdir(parents=True)
    labels.write_bytes(coco_file.read_bytes())
    window.merging.take(labels)
    qtbot.waitUntil(lambda: window.message_bar.choice_texts() != ())
    assert window.message_bar.choice_texts() == ("one/img/monday", "two/img/monday")
    window.message_bar.choose("two/img/monday")
    qtbot.waitUntil(lambda: "Merge" in window.message_bar.choice_texts())
    window.session.close()

    many = tmp_path / "many"
    for index in range(9):
        two_sessions(many, coco_file)
        (many / "monday").rename(many / f"day {index}")
    labels = many / "labels.json"
    (many / "tuesday").rename(tmp_path / "rest")
    window.open_paths([labels])
    assert window.message_bar.choice_texts() == ("Choose…",)
    window.message_bar.choose(1)
    dialog = window.findChild(ChoiceDialog)
    assert [dialog.choices.item(row).text() for row in range(9)] == [f"day {index}" for index in range(9)]
    dialog.reject()
    assert window.message_bar.choice_texts() == ("Choose…",), "asked until somebody has chosen"
    window.message_bar.choose(1)
    dialog = window.findChildren(ChoiceDialog)[-1]
    dialog.choices.setCurrentRow(7)
    with qtbot.waitSignal(window.session.opened):
        dialog.accept()
    assert list(window.session.roots.values()) == [many / "day 7"]
