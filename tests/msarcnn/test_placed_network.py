"""A device that runs out of memory, or goes away: a fake one, whose limit the network is asked to keep."""

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from msarcnn.checkpoint_error import CheckpointError
from msarcnn.devices import Choice, Device
from msarcnn.placed_network import PlacedNetwork
from msarcnn.pose_model import FeaturesLostError
from msarcnn.predictor import Predictor

BOXES = np.array([[5, 10, 60, 110], [20, 20, 80, 100]], dtype=np.float32)


class FakeGPU(Device):
    """Computes on the CPU, as long as no more images are encoded at a time than it has room for."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"), "Fake")
        self.__dict__.update(room=100, lost=False, released=0, kept=0, batches=[])

    is_cpu = False
    id = "fake:0"

    def release(self) -> None:
        self.__dict__["released"] += 1

    def problem(self) -> str:
        return "the fake was unplugged" if self.lost else ""

    def watch(self, network: torch.nn.Module, part: str) -> None:
        def check(module: torch.nn.Module, inputs: tuple) -> None:
            if self.lost:
                raise RuntimeError("CUDA error: unspecified launch failure")
            size = len(inputs[0]) if torch.is_tensor(inputs[0]) else 1
            self.batches.append(size)
            if size + self.kept > self.room:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} GiB.\nMore words")

        getattr(network, part).register_forward_pre_hook(check)


@pytest.fixture
def gpu():
    return FakeGPU()


@pytest.fixture
def predictor(tiny_checkpoint, gpu):
    network, info = load_checkpoint(tiny_checkpoint)
    gpu.watch(network, "backbone")
    placed = PlacedNetwork(network.eval(), gpu, lambda: load_checkpoint(tiny_checkpoint)[0].eval())
    placed.batch = 8
    said = placed.__dict__["said"] = []
    placed.say = said.append
    return Predictor(placed, info, "0" * 12)


@pytest.fixture
def photos():
    rng = np.random.default_rng(1)
    return [rng.integers(0, 255, (96, 160, 3), dtype=np.uint8) for _ in range(5)]


def assert_same(found, expected):
    """But for a joint in a thousand: batches of other sizes are rounded otherwise, which may choose between peaks."""
    moved = []
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.confidences, other.confidences, atol=1e-4)
        moved.append(np.abs(one.keypoints - other.keypoints).max(axis=-1).ravel() > 1e-2)
    assert np.concatenate(moved).mean() <= 1e-3


def test_what_is_kept_makes_room_first(predictor, photos, gpu):
    expected = predictor.predict(photos)
    gpu.__dict__.update(room=6, kept=3, batches=[])

    def make_room():
        gpu.__dict__["kept"] = 0

    predictor.placed.make_room = make_room
    assert_same(predictor.predict(photos), expected)
    assert gpu.batches == [5, 5], "the same batch once more"
    assert gpu.released == 1 and predictor.batch == 8 and predictor.placed.said == []


def test_then_fewer_images_are_taken_at_a_time_from_then_on(predictor, photos, gpu):
    expected = predictor.predict(photos)
    gpu.__dict__.update(room=3, batches=[])
    assert_same(predictor.predict(photos), expected)
    assert gpu.batches == [5, 5, 2, 3]
    assert predictor.batch == 3 and predictor.placed.said == []
    gpu.batches.clear()
    predictor.predict(photos)
    assert gpu.batches == [3, 2], "what does not fit is not tried again"


def test_at_last_the_cpu_does_the_image_and_says_so(predictor, photos, gpu):
    expected = predictor.predict(photos)
    gpu.__dict__["room"] = 0
    assert_same(predictor.predict(photos[:2]), expected[:2])
    assert predictor.placed.said == [
        "fake:0 is short of memory (CUDA out of memory. Tried to allocate 1 GiB): the CPU does what does not fit. "
        "Close other programs that use it, or use a smaller model."
    ], "once, not for every photo"
    assert predictor.device == "fake:0", "the next image may fit"
    for room in (8, 0):
        gpu.__dict__["room"] = room
        predictor.predict(photos[:1])
    assert len(predictor.placed.said) == 2, "it had fitted again"


def test_a_question_about_an_encoded_image_goes_to_the_cpu_when_there_is_no_room(predictor, photos, gpu):
    (features,) = predictor.encode(photos[:1])
    expected = predictor.estimate(features, BOXES)
    gpu.watch(predictor.placed.network.roi_heads, "keypoint_head")
    gpu.__dict__["room"] = 0
    poses = predictor.estimate(features, BOXES)
    np.testing.assert_allclose(poses.keypoints, expected.keypoints, atol=1e-2)
    assert len(predictor.placed.said) == 1


def test_a_lost_device_is_said_once_and_the_cpu_goes_on(predictor, photos, gpu):
    expected = predictor.predict(photos)
    (features,) = predictor.encode(photos[:1])
    before = predictor.estimate(features, BOXES)
    gpu.__dict__["lost"] = True
    assert_same(predictor.predict(photos), expected)
    assert_same(predictor.predict(photos), expected)
    assert predictor.placed.said == ["fake:0 does not answer any more: the CPU goes on."]
    assert (predictor.device, predictor.batch) == ("cpu", 1)
    np.testing.assert_allclose(predictor.estimate(features, BOXES).keypoints, before.keypoints, atol=1e-2)


def test_features_of_a_lost_device_are_lost(predictor, photos):
    (features,) = predictor.encode(photos[:1])
    elsewhere = features.to(torch.device("meta"), torch.float32)
    with pytest.raises(FeaturesLostError, match="not used any more"):
        predictor.detect(elsewhere)


def test_other_errors_are_not_taken_for_trouble_with_the_device(predictor, photos):
    class BrokenError(RuntimeError):
        pass

    def checkpoint():
        raise BrokenError("CUDA error: of another kind")

    with pytest.raises(BrokenError):
        predictor.predict(photos[:1], checkpoint)
    assert predictor.placed.said == []


def test_without_another_device_less_is_taken_at_a_time_until_one_does_not_fit(tiny_model, photos, gpu):
    gpu.watch(tiny_model, "backbone")
    placed = PlacedNetwork(tiny_model.eval(), gpu)
    predictor = Predictor(placed, CheckpointInfo(tiny_model.config))
    gpu.__dict__["room"] = 2
    assert len(predictor.predict(photos)) == 5 and placed.batch == 2
    gpu.__dict__["room"] = 0
    with pytest.raises(MemoryError, match="fake:0 is too small for one image"):
        predictor.predict(photos)


def test_the_machines_memory_is_not_the_gpus(predictor, photos, gpu):
    predictor.placed.network.rpn.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError("RAM")))
    with pytest.raises(MemoryError, match="RAM"):
        predictor.predict(photos)
    assert predictor.batch == 8 and gpu.released == 0


def test_stages_are_waited_for_where_they_are_only_queued(predictor, photos, gpu):
    waits, checks = [], []
    gpu.__dict__["wait"] = lambda: waits.append(1)
    predictor.predict(photos[:2], lambda: checks.append(1))
    assert len(waits) == len(checks) > 5
    waits.clear()
    predictor.predict(photos[:2])
    assert waits == [], "nobody asks between the stages"


def test_the_spare_is_the_same_network_or_none(tiny_checkpoint, tiny_model, photos):
    predictor = Predictor.load(tiny_checkpoint, "cpu")
    assert predictor.placed.spare() is not None
    predictor = Predictor.load(tiny_checkpoint, "cpu")
    with torch.no_grad():
        tiny_model.backbone.fpn.layer_blocks[0][0].weight += 1
    save_checkpoint(tiny_checkpoint, tiny_model, CheckpointInfo(tiny_model.config))
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors: it has changed since it was loaded"):
        predictor.placed.spare()


def test_a_gpu_without_room_for_the_model_is_said_and_the_cpu_computes(tiny_checkpoint, gpu, monkeypatch):
    def full(network, device, spare=None):
        if device is gpu:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return PlacedNetwork(network, device, spare)

    monkeypatch.setattr("msarcnn.predictor.PlacedNetwork", full)
    said = []
    predictor = Predictor.load_for(tiny_checkpoint, Choice(gpu), said.append)
    assert predictor.device == "cpu"
    assert said == ["The model cannot be loaded onto fake:0 (CUDA out of memory): the CPU computes."]
