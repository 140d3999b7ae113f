"""Qt without a display, decided before anything imports it; and what only some machines have."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

import msarcnn  # noqa: F401  (decides how threads wait, before any test imports torch)

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Nobody's own models are seen or changed by a test; what torchvision publishes is asked once.
os.environ["MSARCNN_HOME"] = tempfile.mkdtemp(prefix="msarcnn-tests-")
atexit.register(shutil.rmtree, os.environ["MSARCNN_HOME"], ignore_errors=True)

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Only `make test-gpu` (-m gpu) sees GPUs: everything else is to give the same on every machine."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


LONGEST = (
    "test_overfit",
    "test_ranks",
    "test_main",
    "test_ray",
    "test_cpn",
    "test_loop_survives_kills",
    "test_real_window",
)
"""Files that take a minute or so: begun first, or one process would be left with the last of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are shared out in this order; within a file nothing changes."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


PATIENCE_MS = 120_000
"""What a busy machine may need for anything: only a test that fails waits so long."""


class PatientBot(QtBot):
    """Waits for what must come; pytest-qt's own five seconds are too few to start a process beside other work."""

    def waitUntil(self, callback: Any, *, timeout: int = 0) -> None:
        super().waitUntil(callback, timeout=max(timeout, PATIENCE_MS))

    def waitSignal(self, signal: Any, *, timeout: int = 0, raising: bool = True, **options: Any) -> Any:
        """raising=False asks whether it comes within the timeout."""
        patience = max(timeout, PATIENCE_MS) if raising else timeout
        return super().waitSignal(signal, timeout=patience, raising=raising, **options)

    def waitSignals(self, signals: Any, *, timeout: int = 0, **options: Any) -> Any:
        return super().waitSignals(signals, timeout=max(timeout, PATIENCE_MS), **options)

    def until_still(self, count: Callable[[], int], quiet_ms: int = 1000) -> int:
        """Waits until a count has not changed for a while; returns it."""
        before = -1
        while count() != before:
            before = count()
            self.wait(quiet_ms)
        return before


@pytest.fixture
def qtbot(qapp: object, request: pytest.FixtureRequest) -> QtBot:
    """pytest-qt's, with more patience."""
    return PatientBot(request)


def missing(what: str) -> None:
    """Skips a test with a reason; where everything must be there (CI) it fails instead."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def coco_photos() -> Path:
    """Folder of real COCO photos (`images`) and labels (`annotations`), which never are part of the product."""
    path = SHARED / "data" / "coco"
    if not path.is_dir():
        missing("the development machines' real photos are not here")
    return path


@pytest.fixture(scope="session")
def xvfb_path() -> str:
    """The virtual display's program."""
    path = shutil.which("Xvfb")
    if path is None:
        missing("Xvfb is not installed (Debian package xvfb)")
    return str(path)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that steers the fake GPU (tests/fake_gpu) of engines started from now on."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    monkeypatch.setenv("FAKE_GPU", str(folder))
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", f"{here / 'fake_gpu'}{os.pathsep}{here.parent}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder
