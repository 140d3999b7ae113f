"""The network learns: four drawn images by heart, starting from the bundled weights, with the app's own command."""

import json

from msarcnn.command_line import main
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.synthetic import write_dataset


def test_four_images_are_learnt_by_heart(tmp_path):
    labels = write_dataset(tmp_path, images=4, seed=11, size=(320, 240))
    images, run = tmp_path / "images", tmp_path / "run"
    arguments = ["train", "--annotations", labels, "--images", images, "--val-annotations", labels]
    arguments += ["--val-images", images, "--init", DEFAULT_MODEL, "--output", run, "--iterations", 24]
    arguments += ["--batch", 4, "--lr", 1e-3, "--sizes", 480, "--no-flip", "--color", 0, "--evaluate-every", 1000]
    arguments += ["--warmup", 5]
    assert main([str(argument) for argument in arguments]) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    before, after = (entry for entry in log if entry["event"] == "evaluation")
    assert after["keypoints"]["AP"] >= 0.9, after
    assert after["keypoints"]["AP"] > before["keypoints"]["AP"]
    losses = [entry["loss"] for entry in log if entry["event"] == "step"]
    assert losses[-1] < 0.5 * losses[0]
