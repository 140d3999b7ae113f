"""The Ray cluster that `predict --ray` works on: joined or started, divided among workers, and kept quiet.

Ray is an extra and imported only inside of functions; torch is not needed.
"""

import contextlib
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

LOCAL = "local"
"""Instead of an address: a Ray of this machine's cores, for as long as it takes."""
LOADING = -1
"""What `Attempts` counts beside the parts."""
_CORES_A_WORKER = 2
_LOCAL_STORE_BYTES = 512 << 20
_HOST_AND_PORT = re.compile(r"(ray://)?(?P<host>[^/]+):(?P<port>\d{1,5})")
_CONNECTION_SECONDS = 10
_THREAD_SECONDS = 2
_RAISED = re.compile(r"(\w+\.)*\w+(Error|Exception)(: |$)")


class RayUseError(ValueError):
    """Ray is not there, or a cluster cannot do what is asked; the message says what to do."""


def import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise RayUseError(
            f"--ray needs Ray: pip install '.[ray]' (there may be none yet for Python {version}: {error})"
        ) from error
    return ray


@dataclass(frozen=True)
class Workers:
    """How many workers there are, with so many cores and GPUs each."""

    count: int
    cores: int
    gpus: int


def workers_for(nodes: Sequence[tuple[float, float]], device: str, wanted: int | None = None) -> Workers:
    """How a cluster is divided: a worker a GPU where there are GPUs, else one for every two cores.

    Args:
        nodes: Cores and GPUs of every node.
        device: "auto", "cpu" or "cuda".
        wanted: How many workers there have to be.

    Raises RayUseError when the cluster has no place for them.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise RayUseError(
            f"--ray gives every worker a GPU of its own, or cores: --device is auto, cpu or cuda here, not {device}"
        )
    with_gpus = [(int(cores), int(gpus)) for cores, gpus in nodes if gpus >= 1 and cores >= 1]
    if device != "cpu" and with_gpus:
        count = _within(wanted, sum(gpus for _, gpus in with_gpus), "GPUs")
        return Workers(count, max(min(cores // gpus for cores, gpus in with_gpus), 1), 1)
    if device == "cuda":
        raise RayUseError("--device cuda: no node of the Ray cluster has a GPU: leave it out, or use cpu")
    cores_of = [int(cores) for cores, _ in nodes]
    count = _within(max(sum(cores_of) // _CORES_A_WORKER, 1) if wanted is None else wanted, sum(cores_of), "cores")
    share = next(size for size in range(max(cores_of), 0, -1) if sum(cores // size for cores in cores_of) >= count)
    return Workers(count, share, 0)


def _within(wanted: int | None, there: int, what: str) -> int:
    if not there:
        raise RayUseError(f"the Ray cluster has no {what}: add a node to it")
    count = there if wanted is None else wanted
    if not 1 <= count <= there:
        raise RayUseError(f"--ray-workers {count}: the Ray cluster has {there} {what}, so use 1 to {there}")
    return count


class Attempts:
    """Counts how often something was begun, in a process of its own that outlives the workers.

    Ray begins the work of a worker that died again, for ever; a photo that kills whoever reads it must end that, and
    so must a model that does not fit into the memory.
    """

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, part: int) -> int:
        """Counts; returns how often a part, or the loading of the model (`LOADING`), was begun and not ended."""
        self._begun[part] += 1
        return self._begun[part]

    def end(self, part: int) -> None:
        """It went well."""
        self._begun[part] -= 1


@contextlib.contextmanager
def cluster(address: str) -> Iterator[None]:
    """Joins a cluster, or starts a local one; leaves it, or ends it. A Ray that this process has already is used.

    SIGTERM interrupts the block as Ctrl+C does.
    """
    ray = import_ray()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):  # Ray prints what its nodes say
        if ray.is_initialized():
            yield
            return
        before = signal.getsignal(signal.SIGTERM)
        _join(ray, address)
        try:
            _on_sigterm(_interrupt)  # Ray's own handler waits for seconds, and exits
            yield
        finally:
            _on_sigterm(signal.SIG_IGN)
            ray.shutdown()
            _on_sigterm(before)


def _join(ray: Any, address: str) -> None:
    options: dict[str, Any] = {}
    if address == LOCAL:
        options = {"include_dashboard": False, "object_store_memory": _LOCAL_STORE_BYTES}
    # Ray's core calls errors on stderr what are none, workers that end for example, and says there that it is not to.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        if place := _HOST_AND_PORT.fullmatch(address):  # Ray tries for minutes
            socket.create_connection((place["host"].strip("[]"), int(place["port"])), _CONNECTION_SECONDS).close()
        with _stderr_dropped():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise RayUseError(
            f"no Ray cluster at {address} ({cause_of(error)}): start one with `ray start --head`, or use --ray {LOCAL}"
        ) from error


@contextlib.contextmanager
def _stderr_dropped() -> Iterator[None]:
    """Also what is not written by Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def threads_ended() -> Iterator[None]:
    """Waits for the threads that were started in the block, a while.

    Ray Data's do not end with its iterators, but a moment later; one that asks a Ray that is gone ends the process.
    (One that only fetches ahead sleeps for ever after an interruption, and does no harm.)
    """
    before = set(threading.enumerate())
    try:
        yield
    finally:
        latest = time.monotonic() + _THREAD_SECONDS
        for thread in set(threading.enumerate()) - before:
            thread.join(max(latest - time.monotonic(), 0))


def be_quiet(ray: Any) -> None:
    """What Ray Data tells of its plans goes to its log file only."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)


def cause_of(error: BaseException) -> str:
    """What went wrong, from the tracebacks of several processes that Ray puts into an error's text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.match(line) and not line.startswith("ray.")]
    said = _RAISED.sub("", raised[-1]) or raised[-1] if raised else "".join(lines[:1])
    return said.rstrip(".") or type(error).__name__
