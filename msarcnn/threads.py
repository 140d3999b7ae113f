"""How threads that compute wait for one another on cores that others use, too."""

import sys
from collections.abc import MutableMapping

# OpenMP's threads spin by default: alone that is fastest, but two processes then slow each other down 5 to 17 times,
# since a thread spins on the core that another needs. A thousand turns, some microseconds, bridge the gaps between two
# operations, and no more (measured in docs/benchmarks.md). Other systems' OpenMP has no such number.
_WAITING = ("GOMP_SPINCOUNT", "1000") if sys.platform == "linux" else ("OMP_WAIT_POLICY", "PASSIVE")


def share_cores(environment: MutableMapping[str, str]) -> None:
    """Bounds the spinning of waiting threads, unless the environment says already how they wait.

    Works for a process that has not loaded torch yet, and for its children.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(environment):
        environment[_WAITING[0]] = _WAITING[1]
