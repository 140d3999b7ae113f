"""A child for the tests of `ChildJob`."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    behaviour = sys.argv[1]
    for done in range(3):
        print(json.dumps({"done": done, "folder": str(Path.cwd())}), flush=True)
    print("what a library prints")
    if behaviour == "error":
        print(json.dumps({"error": "photos.json: no such file; choose another"}))
        sys.exit(1)
    if behaviour == "raise":
        raise ValueError("something unforeseen")
    if behaviour == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(json.dumps({"deaf": True}), flush=True)
    if behaviour in ("wait", "deaf"):
        time.sleep(60)
    sys.stdout.write(json.dumps({"last": "without an end of line"}))


if __name__ == "__main__":
    main()
