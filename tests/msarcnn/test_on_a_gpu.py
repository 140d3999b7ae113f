"""What only an NVIDIA GPU shows: `make test-gpu`."""

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo, load_checkpoint
from msarcnn.devices import choose_device, present_devices
from msarcnn.placed_network import PlacedNetwork
from msarcnn.predictor import Predictor
from msarcnn.synthetic import make_scene

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def scenes():
    return [make_scene(index, (640, 480) if index % 3 else (480, 640)).pixels for index in range(9)]


def test_auto_is_the_gpu_and_its_memory_is_known(cuda):
    device = choose_device().device
    assert device.id == "cuda:0" and device.problem() == ""
    assert 0 < device.free_memory() <= device.total_memory()
    assert 0 < device.cache_bytes() <= device.free_memory()
    assert [one.id for one in present_devices()][-1] == "cpu"


def test_the_bundled_model_finds_there_what_it_finds_on_the_cpu(cuda, scenes):
    on_cpu, on_gpu = Predictor.load(device="cpu"), Predictor.load(device="cuda")
    assert on_gpu.batch > 1
    for one, other in zip(on_cpu.predict(scenes), on_gpu.predict(scenes), strict=True):
        for row in np.flatnonzero(one.scores >= 0.5):
            distance = np.abs(other.boxes - one.boxes[row]).max(axis=1)
            same = int(distance.argmin())
            assert distance[same] < 3, "half precision moves a box by little"
            moved = np.linalg.norm(other.keypoints[same] - one.keypoints[row], axis=-1)
            assert np.median(moved) < 0.5


def test_in_single_precision_it_is_the_same(cuda, scenes):
    on_cpu = Predictor.load(device="cpu")
    network = Predictor.load(device="cpu").placed.network.to(cuda)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    device = choose_device("cuda").device
    on_gpu = Predictor(PlacedNetwork(network, device), on_cpu.info)
    for one, other in zip(on_cpu.predict(scenes[1:3]), on_gpu.predict(scenes[1:3]), strict=True):
        sure = one.scores >= 0.5
        np.testing.assert_allclose(other.boxes[: sure.sum()], one.boxes[sure], atol=0.1)
        assert np.median(np.abs(other.keypoints[: sure.sum()] - one.keypoints[sure])) < 0.1


def test_images_done_together_are_as_if_alone(cuda, scenes):
    predictor = Predictor.load(device="cuda")
    together = predictor.predict(scenes)
    predictor.placed.batch = 1
    for one, other in zip(predictor.predict(scenes), together, strict=True):
        sure = int((one.scores >= 0.5).sum())
        np.testing.assert_allclose(other.boxes[:sure], one.boxes[:sure], atol=1)


def test_real_shortage_of_memory_ends_on_the_cpu_and_the_gpu_is_used_again(cuda, tiny_checkpoint, scenes):
    network, info = load_checkpoint(tiny_checkpoint)
    placed = PlacedNetwork(
        network.eval().to(cuda), choose_device("cuda").device, lambda: load_checkpoint(tiny_checkpoint)[0].eval()
    )
    said: list[str] = []
    placed.say = said.append
    predictor = Predictor(placed, info)
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        assert len(predictor.predict(scenes[1:2])) == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(said) == 1 and "short of memory" in said[0]
    assert len(predictor.predict(scenes[1:2])) == 1 and len(said) == 1


def test_two_models_share_the_gpu_and_an_untrained_full_one_answers(cuda, scenes):
    from msarcnn.model import build_model
    from msarcnn.presets import preset

    config = preset("msa_rcnn_resnet50_fpn")
    network = build_model(config).eval().to(cuda, torch.bfloat16)
    full = Predictor(PlacedNetwork(network, choose_device("cuda").device), CheckpointInfo(config))
    light = Predictor.load(device="cuda")
    (features,) = full.encode(scenes[1:2])
    assert full.estimate(features, np.array([[10, 10, 200, 300]])).keypoints.shape == (1, 17, 2)
    assert len(light.predict(scenes[:2])) == 2
