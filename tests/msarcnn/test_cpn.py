"""CPN behind a detector: crops, heat and losses by hand; trained, judged and asked by the usual commands."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models import resnet50

from msarcnn.augmented import looking
from msarcnn.checkpoint import CheckpointError, CheckpointInfo, load_checkpoint, read_checkpoint, save_checkpoint
from msarcnn.command_line import main
from msarcnn.config import ConfigError, TrainConfig
from msarcnn.cpn import CPN, HEAT_SCALE, decode_heat, gaussians
from msarcnn.crop_config import CROP_PRESETS, CropConfig
from msarcnn.crop_start import any_origin_of
from msarcnn.crops import CropDataset, Frame, cut, moved
from msarcnn.dataset import read_labelled_images
from msarcnn.model_files import file_hash
from msarcnn.model_library import ModelLibrary
from msarcnn.pose_model import Heatmaps
from msarcnn.predictor import Predictor
from msarcnn.skeleton import coco17
from msarcnn.synthetic import write_dataset
from msarcnn.top_down import TopDown, load_pose_model

TINY = CropConfig(width=64, height=96, channels=16)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CPN(TINY).eval()


@pytest.fixture(scope="module")
def tiny_cpn(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("cpn") / "cpn.safetensors"
    save_checkpoint(path, network, CheckpointInfo(TINY))
    return path


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, images=3, seed=1, size=(160, 120))
    return folder


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# -- crops -----------------------------------------------------------------------------------------


def test_a_crop_holds_the_box_with_its_surroundings_in_the_networks_shape():
    config = CropConfig()
    tall = Frame.around(np.array([10.0, 20, 50, 220]), config)
    # 260 high by 1.3, so 195 wide.
    assert (tall.x, tall.y, tall.width) == (30, 120, 195)
    assert tall.corners(config).tolist() == [30 - 97.5, 120 - 130, 30 + 97.5, 120 + 130]
    assert Frame.around(np.array([0.0, 0, 200, 10]), config).width == 240


def test_pixels_land_where_the_matrix_says():
    pixels = np.zeros((96, 64, 3), np.uint8)
    pixels[40, 10] = 200
    same = Frame(32, 48, 64)
    assert np.array_equal(cut(pixels, same, TINY), pixels)
    turned = replace(same, angle=90)
    # A quarter turn clockwise about (32, 48): 21.5 left of it becomes 21.5 above, 7.5 above becomes 7.5 right.
    assert moved(np.array([10.5, 40.5]), turned.matrix(TINY)) == pytest.approx([39.5, 26.5])
    assert cut(pixels, turned, TINY)[26, 39, 0] == 200
    mirrored = replace(same, mirrored=True)
    assert moved(np.array([10.5, 40.5]), mirrored.matrix(TINY)) == pytest.approx([53.5, 40.5])
    assert cut(pixels, mirrored, TINY)[40, 53, 0] == 200


def test_what_is_made_smaller_is_averaged():
    board = ((np.indices((384, 256)).sum(axis=0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    small = cut(board, Frame(128, 192, 256), TINY)
    inner = small[4:-4, 4:-4]
    assert inner.min() >= 120 and inner.max() <= 135


def test_a_crop_beyond_the_photo_is_the_mean_colour():
    assert (cut(np.zeros((20, 20, 3), np.uint8), Frame(500, 500, 30), TINY) == (124, 116, 104)).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(30, 90), st.floats(30, 90), st.floats(40, 300), st.floats(-180, 180), st.booleans())
def test_a_mark_is_cut_where_its_point_is_moved(x, y, width, angle, mirrored):
    pixels = np.zeros((120, 120, 3), np.uint8)
    row, column = 60, 50
    side = max(round(width / 64), 1) + 3  # a mark that survives being made smaller
    pixels[row - side : row + side + 1, column - side : column + side + 1] = 255
    frame = Frame(x, y, width, angle, mirrored)
    place = moved(np.array([column + 0.5, row + 0.5]), frame.matrix(TINY))
    if not (6 < place[0] < 58 and 6 < place[1] < 90):
        return
    seen = cut(pixels, frame, TINY).astype(float)[..., 0]
    bright = seen * (np.abs(seen - 124) > 12)  # without what lies beyond the photo
    near = bright[int(place[1]), int(place[0])]
    assert near > 200


def test_a_sample_is_the_same_every_time_and_a_mirror_image_has_its_sides_swapped(people):
    images, _ = read_labelled_images([people / "annotations.json"], [people / "images"])
    config = TrainConfig(jitter=(0.8, 1.25), rotation=30)
    samples = CropDataset(images, config, TINY, coco17())
    assert len(samples) == sum(int((image.keypoint_weights > 0).any(axis=1).sum()) for image in images)
    first, again, other = samples[(3, 0)], samples[(3, 0)], samples[(4, 0)]
    assert torch.equal(first.image, again.image) and torch.equal(first.target["keypoints"], again.target["keypoints"])
    assert not torch.equal(first.image, other.image)
    assert first.image.shape == (3, 96, 64) and first.target["keypoints"].shape == (1, 17, 3)
    plain = TrainConfig(color=0)
    found = [CropDataset(images, replace(plain, seed=seed), TINY, coco17())[(0, 0)] for seed in range(8)]
    straight = next(one for one in found if torch.equal(one.image, found[0].image))
    mirrored = next(one for one in found if not torch.equal(one.image, found[0].image))
    assert torch.equal(straight.image.flip(-1), mirrored.image)
    swapped = straight.target["keypoints"][:, list(coco17().flip_permutation)].clone()
    swapped[..., 0] = 64 - swapped[..., 0]
    assert torch.allclose(swapped, mirrored.target["keypoints"], atol=1e-3)


def test_joints_outside_of_the_crop_are_not_taught_and_unreadable_photos_are_said(people, tmp_path):
    images, _ = read_labelled_images([people / "annotations.json"], [people / "images"])
    close = CropDataset(images, TrainConfig(jitter=(0.3, 0.3)), TINY, coco17())[(0, 0)].target
    whole = CropDataset(images, TrainConfig(jitter=(1.5, 1.5)), TINY, coco17())[(0, 0)].target
    assert 0 < (close["keypoint_weights"] > 0).sum() < (whole["keypoint_weights"] > 0).sum()
    gone = [replace(images[0], root=tmp_path)]
    assert "left out of the training" in CropDataset(gone, TrainConfig(), TINY, coco17())[(0, 0)].problem


# -- heat ------------------------------------------------------------------------------------------


def test_heat_is_one_where_the_joint_is():
    heat = gaussians(torch.tensor([[[2.7, 1.2]]]), (4, 5), 1.0)[0, 0]
    assert heat.shape == (4, 5) and heat[1, 2] == 1
    assert heat[1, 3].item() == pytest.approx(np.exp(-0.5)) == heat[2, 2].item()


@settings(max_examples=30, deadline=None)
@given(st.floats(1, 14.99), st.floats(1, 22.99))
def test_heat_is_read_within_three_quarters_of_a_cell(x, y):
    points, peaks = decode_heat(gaussians(torch.tensor([[[x, y]]]), (24, 16), 1.4))
    assert peaks.item() == 1
    assert abs(points[0, 0, 0].item() * 16 - x) <= 0.76 and abs(points[0, 0, 1].item() * 24 - y) <= 0.76


def test_heat_is_read_a_quarter_of_a_cell_towards_the_second():
    heat = torch.zeros(1, 1, 4, 8)
    heat[0, 0, 2, 3], heat[0, 0, 2, 5] = 0.9, 0.4
    points, peaks = decode_heat(heat)
    assert points[0, 0].tolist() == pytest.approx([3.75 / 8, 2.5 / 4]) and peaks.item() == pytest.approx(0.9)


def test_the_losses_by_hand(network, monkeypatch):
    """Heat of nothing everywhere: a joint's error is its Gaussian squared, on average."""
    empty = torch.zeros(1, 17, 24, 16)
    monkeypatch.setattr(CPN, "forward", lambda self, crops: ([empty] * 4, empty))
    keypoints = torch.full((1, 17, 3), 2.0)
    keypoints[0, :, 0], keypoints[0, :, 1] = 32.0, 48.0
    weights = torch.zeros(1, 17)
    weights[0, :10] = 1
    weights[0, 9] = 0.5
    found = network.losses([torch.zeros(3, 96, 64)], [{"keypoints": keypoints, "keypoint_weights": weights}])
    errors = [
        HEAT_SCALE * float(gaussians(torch.tensor([[[8.0, 12.0]]]), (24, 16), spread).square().mean())
        for spread in TINY.spreads
    ]
    assert found["loss_global"].value.item() == pytest.approx(sum(errors), rel=1e-4)
    assert found["loss_refine"].value.item() == pytest.approx(errors[-1], rel=1e-4), "eight of them, all as hard"
    assert found["loss_global"].terms.item() == 9.5 and found["loss_refine"].terms.item() in (7.5, 8)
    nothing = network.losses([torch.zeros(3, 96, 64)], [{"keypoints": keypoints, "keypoint_weights": weights * 0}])
    assert [mean.value.item() for mean in nothing.values()] == [0, 0]


def test_it_learns_where_the_joints_of_a_crop_are(people):
    images, _ = read_labelled_images([people / "annotations.json"], [people / "images"])
    sample = CropDataset(images, TrainConfig(color=0, flip=False), TINY, coco17())[(0, 0)]
    torch.manual_seed(0)
    network = CPN(TINY).train()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    values = []
    for _ in range(25):
        losses = network.losses([sample.image] * 2, [sample.target] * 2)
        total = sum(mean.value for mean in losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert values[-1] < 0.35 * values[0]


# -- a model among the others ----------------------------------------------------------------------


def test_cpn_50_has_as_many_parameters_as_published(capsys):
    facts = json.loads(run(capsys, "summary", "--model", "cpn50", "--json")[1])
    assert round(sum(facts["parts"].values()) / 1e6, 1) == 27.0
    assert facts["heatmaps"] == ["people", 17, 64, 48]


def test_it_is_a_pose_model_behind_a_detector(tiny_cpn, tiny_checkpoint, photo):
    model = load_pose_model(tiny_cpn, tiny_checkpoint, "cpu", pytest.fail)
    assert isinstance(model, TopDown) and len(model.hash) == 12
    assert model.hash != load_pose_model(tiny_checkpoint, None, "cpu", pytest.fail).hash
    features = model.encode([photo])[0]
    boxes = np.array([[10.0, 10, 50, 90], [-20.0, 5, 200, 400]])
    maps = model.heatmaps(features, boxes)
    assert maps.logits.shape == (2, 17, 24, 16)
    poses = model.decode(maps, boxes)
    frame = Frame.around(boxes[0], TINY).corners(TINY)
    inside = (poses.keypoints[0] >= frame[:2]) & (poses.keypoints[0] <= frame[2:])
    assert poses.keypoints.shape == (2, 17, 2) and inside.all()
    assert len(model.heatmaps(features, boxes[:0]).logits) == 0
    given = model.find(features, proposals=boxes)
    assert given.keypoints.shape[1:] == (17, 2) and len(given.ranks) == len(given)
    with pytest.raises(ValueError, match="finite corners"):
        model.heatmaps(features, np.array([[10.0, 10, 10, 20]]))
    with pytest.raises(ConfigError, match="--tta"):
        looking(model, [1.0])


def test_a_hot_cell_is_found_where_it_lies_in_the_photo(tiny_cpn, tiny_checkpoint):
    model = load_pose_model(tiny_cpn, tiny_checkpoint, "cpu", pytest.fail)
    box = np.array([[40.0, 40, 80, 120]])
    frame = Frame.around(box[0], TINY)
    heat = torch.full((1, 17, 24, 16), 1e-6)
    heat[:, :, 6, 4], heat[:, :, 6, 5] = 0.8, 0.5
    point = model.decode(Heatmaps(heat.log()), box).keypoints[0, 0]
    scale = frame.width / 16
    corner = frame.corners(TINY)[:2]
    assert point == pytest.approx([corner[0] + 4.75 * scale, corner[1] + 6.5 * scale], abs=1e-3)


def test_what_needs_a_whole_network_says_so(capsys, tiny_cpn, tiny_checkpoint, tmp_path, people):
    assert read_checkpoint(tiny_cpn)[1].config == TINY
    for ask in (lambda: load_checkpoint(tiny_cpn), lambda: Predictor.load(tiny_cpn, "cpu")):
        with pytest.raises(CheckpointError, match="is a network on crops, which needs a detector"):
            ask()
    with pytest.raises(ConfigError, match="finds people by itself"):
        load_pose_model(tiny_checkpoint, tiny_checkpoint, "cpu", pytest.fail)
    data = ["--annotations", people / "annotations.json", "--images", people / "images"]
    for wrong, said in (
        (["evaluate", *data, "--model", tiny_checkpoint, "--detector", tiny_checkpoint], "--detector is for a network"),
        (["evaluate", *data, "--model", tiny_cpn, "--detector", tiny_cpn], "is a network on crops"),
        (["train", *data, "--output", tmp_path / "a", "--init", tiny_cpn, "--model", DEFAULT], "different networks"),
        (["train", *data, "--output", tmp_path / "b", "--init", tiny_checkpoint, "--detector", "x"], "--detector"),
        (["train", *data, "--output", tmp_path / "c", "--init", tiny_checkpoint, "--rotation", 9], "--rotation"),
        (["train", *data, "--output", tmp_path / "d", "--init", tiny_cpn, "--train", "heads"], "learns as a whole"),
        (["calibrate", *data, "--model", tiny_cpn, "--output", tmp_path / "c.safetensors"], "is a network on crops"),
        (["train", *data, "--output", tmp_path / "e", "--init", tiny_cpn, "--detector", tiny_cpn], "itself"),
        (["train", *data, "--output", tmp_path / "f", "--init", tiny_cpn, "--sizes", 64], "--sizes is nothing for"),
        (["train", *data, "--output", tmp_path / "g", "--init", tiny_cpn, "--checkpoint-activations"], "leave it out"),
    ):
        status, _, errors = run(capsys, *wrong)
        assert status == 2 and said in errors, errors


DEFAULT = "msa_rcnn_mobilenet_v2"


def test_it_is_trained_resumed_judged_and_asked_by_the_usual_commands(
    capsys, monkeypatch, people, tiny_cpn, tiny_checkpoint, tmp_path
):
    data = ["--annotations", people / "annotations.json", "--images", people / "images"]
    held = ["--val-annotations", people / "annotations.json", "--val-images", people / "images"]
    common = ["--detector", tiny_checkpoint, "--device", "cpu", "--batch", 3, "--iterations", 4, "--log-every", 1]
    common += ["--rotation", 20, "--jitter", 0.8, 1.2, "--checkpoint-every", 2, "--lr", 1e-3]
    common += ["--accumulate", 2, "--optimizer", "sgd"]  # whose state is smaller than AdamW's
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    status, _, errors = run(capsys, "train", *data, *held, "--output", whole, "--init", tiny_cpn, *common)
    assert status == 0, errors
    events = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert set(steps[-1]["losses"]) == {"global", "refine"} and len(steps) == 4
    assert [event["step"] for event in events if event["event"] == "evaluation"] == [0, 4]
    real = CPN.losses

    def short(self, images, targets):
        if (broken / "checkpoints" / "resume.safetensors").exists():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, images, targets)

    monkeypatch.setattr(CPN, "losses", short)
    status, _, errors = run(capsys, "train", *data, *held, "--output", broken, "--init", tiny_cpn, *common)
    assert status == 2 and "out of memory" in errors
    monkeypatch.setattr(CPN, "losses", real)
    status, _, errors = run(capsys, "train", "--output", broken, "--resume")
    assert status == 0, errors
    events = [json.loads(line) for line in (broken / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 2, 3, 4]
    best, again = (read_checkpoint(folder / "checkpoints" / "best.safetensors") for folder in (whole, broken))
    assert best[0].keys() == again[0].keys() and all(torch.equal(best[0][name], again[0][name]) for name in best[0])
    assert best[1].lineage["detector"] == file_hash(tiny_checkpoint)
    trained = whole / "checkpoints" / "best.safetensors"
    status, out, _ = run(capsys, "evaluate", *data, "--model", trained, "--detector", tiny_checkpoint, "--json")
    assert status == 0 and {"keypoints", "bbox"} <= json.loads(out).keys()
    found = tmp_path / "found.json"
    status, _, errors = run(
        capsys, "predict", people / "images", "--output", found, "--model", trained, "--detector", tiny_checkpoint,
        "--threshold", 0,
    )  # fmt: skip
    assert status == 0, errors
    assert all(len(one["keypoints"]) == 51 for one in json.loads(found.read_text())["annotations"])


def test_the_trunk_starts_from_a_classifier(tmp_path, capsys, people):
    weights = resnet50(weights=None).state_dict()
    torch.save(weights, tmp_path / "resnet50.pth")
    origin = any_origin_of(None, "cpn50", str(tmp_path / "resnet50.pth"))
    assert origin.config == CROP_PRESETS["cpn50"]
    start = origin.start()
    assert torch.equal(start.model.backbone["body"].conv1.weight, weights["conv1.weight"])
    assert "resnet50.pth" in start.report
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="not torchvision's weights of a resnet50"):
        any_origin_of(None, "cpn50", str(tmp_path / "other.pth"))


def test_labels_without_joints_teach_it_nothing_and_epochs_are_of_people(capsys, people, tiny_cpn, tmp_path):
    content = json.loads((people / "annotations.json").read_text())
    count = sum(one["num_keypoints"] > 0 for one in content["annotations"])
    start = ["--images", people / "images", "--init", tiny_cpn, "--device", "cpu", "--batch", 2, "--optimizer", "sgd"]
    whole = ["train", "--annotations", people / "annotations.json", *start, "--output", tmp_path / "whole"]
    assert run(capsys, *whole, "--epochs", 1)[0] == 0
    assert json.loads((tmp_path / "whole" / "config.json").read_text())["train"]["iterations"] == -(-count // 2)
    for one in content["annotations"]:
        one.update(keypoints=[0] * 51, num_keypoints=0)
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    boxes = ["train", "--annotations", tmp_path / "boxes.json", *start, "--output", tmp_path / "boxes"]
    status, _, errors = run(capsys, *boxes, "--iterations", 1)
    assert status == 2 and "nobody has a labelled joint" in errors


def test_a_step_that_is_left_out_leaves_no_trace_in_the_statistics(capsys, monkeypatch, people, tiny_cpn, tmp_path):
    real = CPN.forward

    def poisoned(self, crops):
        return real(self, crops * float("nan"))

    monkeypatch.setattr(CPN, "forward", poisoned)
    data = ["--annotations", people / "annotations.json", "--images", people / "images", "--batch", 2]
    arguments = ["train", *data, "--init", tiny_cpn, "--output", tmp_path / "run", "--iterations", 2]
    assert run(capsys, *arguments, "--device", "cpu", "--optimizer", "sgd")[0] == 0
    before, after = (read_checkpoint(path)[0] for path in (tiny_cpn, tmp_path / "run/checkpoints/best.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_library_knows_it_and_the_app_does_not_offer_it(capsys, tiny_cpn, home, tmp_path):
    assert run(capsys, "models", "add", tiny_cpn, "--name", "peer")[0] == 0
    (entry,) = [one for one in ModelLibrary().entries() if one.name == "peer"]
    assert not entry.usable and "needs a detector" in entry.problem
    half = tmp_path / "half.safetensors"
    assert run(capsys, "halve", tiny_cpn, half)[0] == 0
    state, info = read_checkpoint(half)
    assert info.config == TINY and {value.dtype for value in state.values()} == {torch.float16, torch.int64}
