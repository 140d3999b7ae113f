"""What single and bfloat16 precision cost here: a training step of the bundled model, in one run.

    python benchmarks/training_step.py [--runs 6]
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python benchmarks/training_step.py --runs 2   # as on AVX2 only

Two drawn 640x480 images with one person each; everything trained, and the heads alone as in the app's fine-tuning.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from msarcnn.checkpoint import load_checkpoint
from msarcnn.dataset import mixed_seed
from msarcnn.model_library import find_model
from msarcnn.precision import has_bf16
from msarcnn.synthetic import make_scene


def make_step(bf16: bool = False, heads: bool = False) -> Callable[[], None]:
    """A function that makes one step: forward, backward, AdamW."""
    network, _ = load_checkpoint(find_model(None))
    network.to(memory_format=torch.channels_last).train()
    network.backbone.requires_grad_(not heads)
    optimizer = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad], 1e-4, fused=True)
    pixels = torch.from_numpy(make_scene(0, (640, 480)).pixels).permute(2, 0, 1).float() / 255
    target = {
        "boxes": torch.tensor([[100.0, 50.0, 250.0, 400.0]]),
        "labels": torch.ones(1, dtype=torch.int64),
        "keypoints": torch.tensor([[[170.0, 200.0, 2.0]] * 17]),
        "keypoint_weights": torch.ones(1, 17),
        "visibility": torch.full((1, 17), 2),
        "ignore_boxes": torch.zeros(0, 4),
    }

    def step() -> None:
        torch.manual_seed(mixed_seed(0))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            losses = network([pixels, pixels], [target, target])
        optimizer.zero_grad(set_to_none=True)
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        optimizer.step()

    return step


def seconds(function: Callable[[], object], runs: int) -> list[float]:
    """The seconds of several runs after one to warm up."""
    function()
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6)
    options = parser.parse_args()
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{capability}; auto chooses {'bf16' if has_bf16(torch.device('cpu')) else 'fp32'}")
    for heads in (False, True):
        for bf16 in (False, True):
            taken = seconds(make_step(bf16, heads), options.runs)
            figures = f"{statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})"
            print(f"{'heads' if heads else 'all':>5}, {'bf16' if bf16 else 'fp32'}: {figures}", flush=True)


if __name__ == "__main__":
    main()
