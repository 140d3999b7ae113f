"""What half precision costs: a model against itself in single precision, in pixels and AP.

    python benchmarks/half_precision.py --annotations A.json --images DIR [--model M] [--device cpu] [--dtype float16]

A GPU computes in half precision (msarcnn.precision.inference_dtypes). A CPU can do so too, slowly, which is how this
was first measured: the numbers are rounded alike, only the order of sums differs.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch

from msarcnn.coco import read_coco
from msarcnn.dataset import ground_truth, labelled_images
from msarcnn.devices import choose_device
from msarcnn.evaluation import ImageResult, evaluate_results, predict_images, to_coco_results
from msarcnn.oks import box_overlaps
from msarcnn.placed_network import PlacedNetwork
from msarcnn.predictor import Predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["bfloat16", "float16"], default="float16")
    options = parser.parse_args()
    data = read_coco(options.annotations, keep_raw=False, roots=[options.images])
    chosen, truth = labelled_images(data, [options.images]), ground_truth(data)
    device = choose_device(options.device).device
    loaded = Predictor.load(options.model, "cpu")
    results: dict[str, list[ImageResult]] = {}
    for name, dtype in (("float32", torch.float32), (options.dtype, getattr(torch, options.dtype))):
        network = copy.deepcopy(loaded.placed.network).to(device.torch, dtype)
        predictor = Predictor(PlacedNetwork(network, device), loaded.info)
        results[name] = list(predict_images(predictor, chosen, print))
        figures = evaluate_results(truth, to_coco_results(results[name]))
        print(f"{name:>9}: keypoint AP {figures['keypoints']['AP']:.4f}, box AP {figures['bbox']['AP']:.4f}")
    boxes, joints, scores = differences(*results.values())
    print(f"{len(scores)} people with a score of at least 0.3 in single precision, found in both:")
    for what, values in (("box corners, px", boxes), ("joints, px", joints), ("scores", scores)):
        middle, most, all_of_them = np.quantile(values, (0.5, 0.95, 1.0))
        print(f"  {what}: median {middle:.3f}, 95 % below {most:.3f}, most {all_of_them:.3f}")


def differences(single: list[ImageResult], half: list[ImageResult]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Absolute differences over the people of both: of box corners and joints in pixels, and of scores."""
    boxes, joints, scores = [], [], []
    for one, other in zip(single, half, strict=True):
        for row in np.flatnonzero(one.scores >= 0.3):
            box = one.boxes[row]
            overlaps = box_overlaps(other.boxes, [*box[:2], *(box[2:] - box[:2])])
            if len(overlaps) and overlaps.max() >= 0.5:
                same = int(overlaps.argmax())
                boxes.append(np.abs(box - other.boxes[same]))
                joints.append(np.linalg.norm(one.keypoints[row] - other.keypoints[same], axis=-1))
                scores.append(abs(one.scores[row] - other.scores[same]))
    return np.concatenate(boxes), np.concatenate(joints), np.array(scores)


if __name__ == "__main__":
    main()
