"""The fine-tune dialog says what the trainer will do, about the images that are chosen."""

import json
from pathlib import Path

import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.dialogs.fine_tune import FineTuneDialog, LabelCounts
from msarcnn.config import fine_tuning_defaults


@pytest.fixture
def dialog(qtbot: QtBot) -> FineTuneDialog:
    """Six finished images with 9 people, 200 labelled ones with 600."""
    dialog = FineTuneDialog(LabelCounts(6, 9, 200, 600))
    qtbot.addWidget(dialog)
    return dialog


def test_steps_run_across_the_end_of_a_pass(dialog: FineTuneDialog) -> None:
    """Five images, two a step, thirty times: 150 image places, 75 steps and not 90."""
    assert dialog.settings().epochs == 30
    assert dialog.summary.text().startswith("5 images to learn from, 1 held out, 9 people on them: 75 steps.")
    dialog.val_fraction.setValue(50)
    assert dialog.summary.text().startswith("3 images to learn from, 3 held out, 9 people on them: 45 steps.")
    dialog.batch.setValue(64)
    dialog.epochs.setValue(1)
    assert ": 1 step." in dialog.summary.text()


def test_defaults_follow_the_images_that_are_chosen(dialog: FineTuneDialog) -> None:
    def shown() -> tuple[str, int]:
        return dialog.settings().train, dialog.settings().epochs

    few, many = fine_tuning_defaults(6, 9), fine_tuning_defaults(200, 600)
    assert (few.train, many.train) == ("heads", "all") and few.epochs != many.epochs
    assert shown() == (few.train, few.epochs)
    dialog.only.setCurrentIndex(1)
    assert shown() == (many.train, many.epochs)
    assert dialog.summary.text().startswith("160 images to learn from, 40 held out, 600 people on them: 640 steps.")
    dialog.only.setCurrentIndex(0)
    assert shown() == (few.train, few.epochs)


def test_what_somebody_has_chosen_stays(dialog: FineTuneDialog) -> None:
    dialog.epochs.setValue(7)
    dialog.train.setCurrentIndex(1)
    dialog.train.activated.emit(1)
    dialog.only.setCurrentIndex(1)
    dialog.only.setCurrentIndex(0)
    assert (dialog.settings().train, dialog.settings().epochs) == ("all", 7)


def test_the_trainer_makes_as_many_steps_as_the_dialog_says(tmp_path: Path, small_model: Path) -> None:
    from msarcnn.command_line import main

    keypoints = [value for index in range(17) for value in (8.0 + index, 6.0 + 2 * index, 2)]
    for index in range(4):
        Image.new("RGB", (64, 48), (40 * index, 90, 120)).save(tmp_path / f"{index}.jpg")
    labels = tmp_path / "labels.json"
    images = [{"id": index + 1, "file_name": f"{index}.jpg", "width": 64, "height": 48} for index in range(4)]
    person = {"category_id": 1, "bbox": [4, 4, 40, 40], "area": 1600, "iscrowd": 0, "keypoints": keypoints}
    annotations = [{"id": index + 1, "image_id": index + 1, **person} for index in range(4)]
    categories = [{"id": 1, "name": "person"}]
    labels.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    run = tmp_path / "run"
    arguments = ["train", "--annotations", str(labels), "--images", str(tmp_path), "--init", str(small_model)]
    arguments += ["--val-fraction", "0.25", "--epochs", "3", "--batch", "2", "--train", "heads", "--output", str(run)]
    assert main(arguments) == 0
    start = next(json.loads(line) for line in (run / "log.jsonl").read_text().splitlines() if '"start"' in line)
    assert (start["images"], start["val_images"], start["total_steps"]) == (3, 1, 4)
    dialog = FineTuneDialog(LabelCounts(4, 4, 4, 4))
    dialog.val_fraction.setValue(25)
    dialog.epochs.setValue(3)
    assert dialog.summary.text().startswith("3 images to learn from, 1 held out, 4 people on them: 4 steps.")
    dialog.deleteLater()


def test_the_device_is_the_one_that_the_model_computes_on(qtbot: QtBot) -> None:
    dialog = FineTuneDialog(LabelCounts(4, 4, 4, 4))
    qtbot.addWidget(dialog)
    assert dialog.settings().device == "auto"
    dialog.show_devices([("auto", "Automatic", False), ("cuda:0", "NVIDIA", True), ("cpu", "CPU", False)])
    assert dialog.settings().device == "cuda:0"
    assert dialog.device.currentText() == "NVIDIA"
