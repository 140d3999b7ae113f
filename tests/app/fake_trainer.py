"""Stands in for `msarcnn train` where a test needs a trainer that behaves in a certain way at a certain moment.

It keeps to the run folder's interface: pid, control, log.jsonl.
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    arguments = sys.argv[1:]
    run = Path(arguments[arguments.index("--output") + 1])
    behaviour = arguments[arguments.index("--behaviour") + 1]
    steps = int(arguments[arguments.index("--steps") + 1])

    def log(**event: object) -> None:
        with (run / "log.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")

    def end(status: str, model: str | None = None, message: str = "") -> None:
        log(event="end", status=status, model=model, message=message)
        sys.exit(0)

    time.sleep(0.3 if behaviour == "slow start" else 0)
    (run / "checkpoints").mkdir(exist_ok=True)
    (run / "pid").write_text(str(os.getpid()))
    (run / "control").write_text("run")
    print("the trainer was here", flush=True)
    log(event="start", total_steps=steps, folder=str(Path.cwd()), safe_path=sys.flags.safe_path, session=os.getsid(0))
    for step in range(1, steps + 1):
        while (order := (run / "control").read_text()) == "pause" or (order == "cancel" and behaviour == "deaf"):
            time.sleep(0.02)
        if order == "stop":
            end("stopped", "checkpoints/best.safetensors")
        if order == "cancel":
            end("cancelled")
        if behaviour == "crash" and step == 3:
            (run / "checkpoints" / "resume.safetensors").write_bytes(b"")
            raise RuntimeError("not enough memory for a batch of 64")
        log(event="step", step=step, loss=1.0 / step)
        time.sleep(0.02)
    end("completed", "checkpoints/best.safetensors", "done")


if __name__ == "__main__":
    main()
