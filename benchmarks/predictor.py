"""Milliseconds of the three questions to the model, beside torchvision's Keypoint R-CNN in the same run.

    python benchmarks/predictor.py [--runs 10] [--people 1] [--models NAME ...] [--device cpu]

The bundled weights where they are, else random ones (which send nearly every box to the second look, where a preset
has one); one synthetic 640x480 image. The peer, with random weights, keeps as many detections as ours is asked to
estimate. The ratio to the peer at its 800 px is what to compare between machines.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from msarcnn.backbone import fold_frozen_batchnorm
from msarcnn.checkpoint import CheckpointInfo
from msarcnn.devices import Choice, Device, choose_device
from msarcnn.model import build_model
from msarcnn.placed_network import PlacedNetwork
from msarcnn.precision import inference_dtypes
from msarcnn.predictor import Predictor
from msarcnn.presets import DEFAULT_MODEL, PRESETS, preset
from msarcnn.synthetic import make_scene

MODELS = ["msa_rcnn_mobilenet_v2", "msa_rcnn_mobilenet_v2_175", "msa_rcnn_resnet50_fpn"]


def milliseconds(function: Callable[[], object], runs: int) -> tuple[float, float, float]:
    """Median, least and most of several runs after one to warm up."""
    function()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), min(times), max(times)


def untrained(name: str, device: Device) -> Predictor:
    model = build_model(preset(name))
    fold_frozen_batchnorm(model.backbone)
    model.eval().to(device.torch, inference_dtypes(device.torch)[0])
    return Predictor(PlacedNetwork(model, device), CheckpointInfo(model.config))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=list(PRESETS), default=MODELS)
    parser.add_argument("--device", default="cpu", help="a GPU: as the product uses it, the peer in single precision")
    options = parser.parse_args()
    device = choose_device(options.device).device
    torch.manual_seed(0)
    image = make_scene(0, (640, 480)).pixels
    boxes = np.tile(np.array([[100.0, 50.0, 250.0, 400.0]]), (options.people, 1))
    peer = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, box_detections_per_img=options.people)
    peer.eval().to(device.torch)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        whole = milliseconds(lambda: peer([tensor.to(device.torch)])[0]["boxes"].cpu(), options.runs)
    print(f"torchvision Keypoint R-CNN, whole: {whole[0]:.0f} ms ({whole[1]:.0f} to {whole[2]:.0f})")
    for name in options.models:
        predictor = Predictor.load(name, Choice(device)) if name == DEFAULT_MODEL else untrained(name, device)
        (features,) = predictor.encode([image])
        questions = {
            "encode": lambda predictor=predictor: predictor.encode([image]),
            "detect": lambda predictor=predictor, features=features: predictor.detect(features),
            f"estimate {options.people}": lambda predictor=predictor, f=features: predictor.estimate(f, boxes),
        }
        total = 0.0
        for question, function in questions.items():
            median, least, most = milliseconds(function, options.runs)
            total += median
            print(f"{name}, {question}: {median:.0f} ms ({least:.0f} to {most:.0f})")
        print(f"{name}, all three: {total:.0f} ms, {whole[0] / total:.1f} times faster than the peer")


if __name__ == "__main__":
    main()
