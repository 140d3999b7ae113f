"""Several looks at one image: in other sizes and mirrored, taken together."""

import json

import numpy as np
import pytest
import torch

from msarcnn.augmented import AugmentedModel, mirror_boxes, scaled_size
from msarcnn.checkpoint import CheckpointInfo
from msarcnn.command_line import main
from msarcnn.predictor import Predictor
from msarcnn.presets import preset
from msarcnn.synthetic import write_dataset

BOXES = np.float32([[10, 5, 60, 100], [30, 20, 80, 110]])


@pytest.fixture
def predictor(tiny_model):
    return Predictor.of(tiny_model, CheckpointInfo(tiny_model.config))


def test_the_papers_sizes():
    config = preset("msa_rcnn_resnet50_fpn")
    sizes = [scaled_size(config, scale) for scale in AugmentedModel.__init__.__defaults__[0]]
    assert [shortest for shortest, _ in sizes] == [400, 500, 600, 700, 800, 900, 1000, 1100, 1200]
    assert {longest for _, longest in sizes} == {2000}


def test_one_look_is_the_model_itself(predictor, photo):
    one = AugmentedModel(predictor, scales=(1.0,), mirror=False)
    (alone,), (plain,) = one.predict([photo]), predictor.predict([photo])
    for name in ("boxes", "scores", "keypoints", "confidences", "visibility", "ranks"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(plain, name))
    assert (one.hash, one.tau, one.skeleton) == (predictor.hash, predictor.tau, predictor.skeleton)


def test_a_mirror_image_says_the_same_of_the_other_side(predictor, photo):
    """Mirrored by itself, twice: what is asked of the mirror image's mirror image is what is asked of the image."""
    both = AugmentedModel(predictor, scales=(1.0,), mirror=True)
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    (looks,), (turned,) = both.encode([photo]), both.encode([mirrored])
    flip = torch.tensor(predictor.skeleton.flip_permutation)
    maps, other = both.heatmaps(looks, BOXES), both.heatmaps(turned, mirror_boxes(BOXES, photo.shape[1]))
    torch.testing.assert_close(maps.logits, other.logits[:, flip].flip(-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(maps.visibility, other.visibility[:, flip], rtol=1e-4, atol=1e-5)
    people, others = both.detect(looks), both.detect(turned)
    np.testing.assert_allclose(people.scores, others.scores, rtol=1e-4)


def test_heatmaps_are_the_mean_of_the_looks(predictor, photo):
    both = AugmentedModel(predictor, scales=(0.75, 1.25), mirror=False)
    (looks,) = both.encode([photo])
    single = [predictor.heatmaps(look.features, BOXES).logits for look in looks.looks]
    assert single[0].shape == single[1].shape and not torch.equal(single[0], single[1])
    torch.testing.assert_close(both.heatmaps(looks, BOXES).logits, (single[0] + single[1]) / 2)
    assert looks.nbytes == sum(look.features.nbytes for look in looks.looks)
    assert looks.original_size == photo.shape[:2]


def test_boxes_of_all_looks_meet_in_one_nms(predictor, photo):
    (looks,) = (model := AugmentedModel(predictor, scales=(0.75, 1.0))).encode([photo])
    people = model.detect(looks)
    assert len(people) and (np.diff(people.scores) <= 0).all()
    best = max(predictor.detect(look.features).scores.max() for look in looks.looks)
    assert people.scores[0] == best
    from torchvision.ops import box_iou

    overlaps = box_iou(torch.from_numpy(people.boxes), torch.from_numpy(people.boxes)).fill_diagonal_(0)
    assert overlaps.max() <= predictor.info.config.box_nms


def test_boxes_there_and_back():
    np.testing.assert_array_equal(mirror_boxes(mirror_boxes(BOXES, 90), 90), BOXES)
    assert mirror_boxes(np.float32([[10, 5, 60, 100]]), 90).tolist() == [[30, 5, 80, 100]]


def test_both_commands_look_several_times(tiny_checkpoint, tmp_path, capsys):
    write_dataset(tmp_path, images=1, seed=1, size=(160, 120))
    data = ["--annotations", tmp_path / "annotations.json", "--images", tmp_path / "images"]
    look = ["--tta", "--tta-scales", 0.75, 1]

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, capsys.readouterr()

    assert run("evaluate", *data, "--model", tiny_checkpoint, "--effort", "--json", *look)[0] == 0
    found = []
    for extra in ([], look):
        out = tmp_path / "out.json"
        assert run("predict", *data, "--model", tiny_checkpoint, "--output", out, "--format", "results", *extra)[0] == 0
        found.append(json.loads(out.read_text()))
    assert found[0] and found[1] and found[0] != found[1]
    for wrong, text in (
        (["--tta-scales", 1], "--tta-scales needs --tta"),
        (["--tta", "--tta-scales", 0.01], "factors on the test size from 0.1 to 4"),
        (["--tta", "--ray", "local"], "--tta, --fast and --detector cannot be shared among a cluster yet"),
    ):
        status, said = run("predict", *data, "--model", tiny_checkpoint, "--output", tmp_path / "x.json", *wrong)
        assert status == 2 and text in said.err
