"""A child for the tests of `WorkerProcess`: echoes, and dies in every way that it is told."""

import os
import signal
import sys
import time
from pathlib import Path

from app.workers.child import ParentLink


def main() -> None:
    if os.environ.get("ECHO_CHILD_DIES_AT_START"):
        sys.exit(3)
    link = ParentLink()
    print("noise on standard output must not disturb the messages")
    for message in link.messages():
        order = message.get("order")
        if order == "die":
            os.kill(os.getpid(), message["signal"])
        elif order == "raise":
            raise MemoryError
        elif order == "garbage":
            os.write(link._replies.fileno(), b"\xff" * 100)
        elif order == "close pipe":
            os.close(link._replies.fileno())
            time.sleep(60)
        elif order == "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            link.send({"hanging": True})
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            link.send(
                {"echo": message, "pid": os.getpid(), "folder": str(Path.cwd()), "safe_path": sys.flags.safe_path}
            )


if __name__ == "__main__":
    main()
