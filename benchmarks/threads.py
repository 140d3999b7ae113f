"""How waiting OpenMP threads should wait: alone, and beside other work on the same cores.

    python benchmarks/threads.py [--rounds 3]

One process with the bundled model answers about a drawn 640x480 image and makes training steps, under each way of
waiting: alone, beside one busy process, and beside a second process that computes under the same setting. Rounds are
interleaved; printed are medians of the rounds' medians in milliseconds (least to most). Ratios count, not milliseconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict

SETTINGS = {
    "as it comes": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    **{f"GOMP_SPINCOUNT={count}": {"GOMP_SPINCOUNT": str(count)} for count in (100, 1000, 3000, 10_000, 30_000)},
}
NEIGHBOURS = ("alone", "beside a busy process", "beside itself")


def measure(steps: int) -> dict[str, float]:
    """Median milliseconds of each kind of work, in this process."""
    import numpy as np
    from training_step import make_step, seconds

    from msarcnn.predictor import Predictor
    from msarcnn.synthetic import make_scene

    image = make_scene(0, (640, 480)).pixels
    predictor = Predictor.load()
    (features,) = predictor.encode([image])
    box = np.array([[100.0, 50.0, 250.0, 400.0]])
    work = {
        "encode": (lambda: predictor.encode([image]), 2 * steps),
        "detect": (lambda: predictor.detect(features), 2 * steps),
        "estimate": (lambda: predictor.estimate(features, box), 2 * steps),
        "training step": (make_step(), steps),
    }
    return {kind: statistics.median(seconds(function, runs)) * 1000 for kind, (function, runs) in work.items()}


def child(command: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    code = [sys.executable, "-c", command] if command != "work" else [sys.executable, __file__, "--work"]
    return subprocess.Popen(code, env=clean | environment, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> dict[str, float]:
    output, _ = process.communicate(timeout=900)
    return dict(json.loads(output.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(measure(options.steps)))
        return
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for neighbour in NEIGHBOURS:
            for name in options.only:
                others = []
                if neighbour == "beside a busy process":
                    others = [child("while True: pass", {})]
                processes = [child("work", SETTINGS[name]) for _ in range(1 + (neighbour == "beside itself"))]
                for process in processes:
                    for kind, value in answer(process).items():
                        found[neighbour, name, kind].append(value)
                for other in others:
                    other.kill()
    kinds = ("encode", "detect", "estimate", "training step")
    for neighbour in NEIGHBOURS:
        print(f"\n{neighbour}: " + ", ".join(kinds))
        for name in options.only:
            values = [found[neighbour, name, kind] for kind in kinds]
            cells = (f"{statistics.median(v):.0f} ({min(v):.0f} to {max(v):.0f})" for v in values)
            print(f"  {name:<22} {' | '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
