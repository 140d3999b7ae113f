"""The engine for real: a spawned process with a small random model, killed in the middle of its work."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from process_checks import alive, worker_threads
from PySide6.QtCore import QCoreApplication, Qt
from pytestqt.qtbot import QtBot
from small_models import save_small_model

from app.document.records import HUMAN, Box, Joint, PredictionStatus
from app.workers.batches import MOST_TROUBLES_IN_A_ROW
from app.workers.engine_client import CANCELLED, COMPLETED, FAILED, EngineClient
from app.workers.payloads import EngineInfo, EstimateResult, ImageFile, PrefillResult
from app.workers.process import RestartPolicy

PATIENT = RestartPolicy(most_deaths=100, first_delay=0.0, longest_delay=0.0)
BOXES = [Box(10, 20, 100, 150), Box(50.5, 30.25, 60, 60)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two small models with random weights."""
    folder = tmp_path_factory.mktemp("models")
    first, second = (str(save_small_model(folder / f"{seed}.safetensors", seed)) for seed in (0, 1))
    return first, second


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 good images and a damaged one."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(12):
        pixels = rng.integers(0, 255, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).resize((320, 240)).save(folder / f"{index:02}.jpg")
    (folder / "damaged.jpg").write_bytes((folder / "00.jpg").read_bytes()[:2000])
    return folder


def files(photos: Path, *indices: int) -> list[ImageFile]:
    return [ImageFile(100 + index, f"{index:02}.jpg", str(photos)) for index in indices or range(12)]


@pytest.fixture(scope="module")
def shared_engine(qapp: QCoreApplication, models: tuple[str, str]) -> Iterator[EngineClient]:
    client = EngineClient(policy=PATIENT)
    client.start(models[0])
    yield client
    pid = client.pid
    client.close()
    assert pid is None or not alive(pid)
    assert worker_threads() == []


@pytest.fixture
def engine(shared_engine: EngineClient, qtbot: QtBot, models: tuple[str, str]) -> EngineClient:
    """The shared engine, ready with the first model."""
    qtbot.waitUntil(lambda: shared_engine.info is not None)
    assert shared_engine.info
    return shared_engine


class Answers:
    """Collects what an estimate's callbacks get."""

    def __init__(self) -> None:
        self.done: list[EstimateResult] = []
        self.failed: list[str] = []

    @property
    def count(self) -> int:
        return len(self.done) + len(self.failed)


class BatchLog:
    """Collects a batch's signals in order."""

    def __init__(self, engine: EngineClient) -> None:
        self.events: list[tuple[str, tuple]] = []
        for name in ("image_done", "image_failed", "image_set_aside", "image_troubled", "progress", "batch_finished"):
            getattr(engine, name).connect(lambda *values, name=name: self.events.append((name, values)))

    def of(self, name: str, batch: int) -> list[tuple]:
        return [values[1:] for kind, values in self.events if kind == name and values[0] == batch]

    def status(self, batch: int) -> str | None:
        found = self.of("batch_finished", batch)
        assert len(found) <= 1
        return found[0][0] if found else None


def ask(
    qtbot: QtBot,
    engine: EngineClient,
    image: ImageFile,
    boxes: list[Box],
    heatmaps: bool = False,
    model: str | None = None,
) -> Answers:
    answers = Answers()
    engine.estimate(image, boxes, heatmaps, answers.done.append, answers.failed.append, model)
    qtbot.waitUntil(lambda: answers.count == 1)
    return answers


def kill(engine: EngineClient, number: int = signal.SIGKILL) -> None:
    assert engine.pid
    os.kill(engine.pid, number)


# -- plain answers


def test_ready_says_which_model(engine: EngineClient) -> None:
    info = engine.info
    assert info
    assert len(info.hash) == 12
    assert 0 < info.tau < 1
    assert info.device == "cpu"


def test_prefill_gives_predictions_in_order_with_progress(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos, 0, 1, 2))
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    done = log.of("image_done", batch)
    assert [key for key, _ in done] == [100, 101, 102]
    assert [(count, total) for count, total, _ in log.of("progress", batch)] == [(1, 3), (2, 3), (3, 3)]
    assert log.of("progress", batch)[-1][2] == 0.0
    result: PrefillResult = done[0][1]
    assert (result.width, result.height) == (320, 240)
    assert engine.info
    assert result.model_hash == engine.info.hash
    assert len(result) > 0
    predictions = result.predictions(7)
    assert [prediction.key for prediction in predictions] == list(range(7, 7 + len(result)))
    first = predictions[0]
    assert first.status == PredictionStatus.OPEN
    assert first.model == engine.info.hash
    assert len(first.joints) == 17
    assert first.box.right == pytest.approx(float(result.boxes[0, 2]), abs=1e-3)
    assert all(0 <= joint.confidence <= 1 for joint in first.joints)
    scores = [prediction.score for prediction in predictions]
    assert scores == sorted(scores, reverse=True)


def test_looking_harder_finds_people_in_several_sizes(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    results = []
    for harder in (False, True, True):
        batch = engine.prefill(files(photos, 0), urgent=True, harder=harder)
        qtbot.waitUntil(lambda batch=batch: log.status(batch) is not None)
        results.append(log.of("image_done", batch)[0][1])
    once, harder_once, again = results
    assert once.model_hash == harder_once.model_hash and len(harder_once)
    assert once.scores.tolist() != harder_once.scores.tolist()
    np.testing.assert_array_equal(harder_once.boxes, again.boxes)


def test_damaged_image_is_named_and_the_batch_goes_on(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    outside = ImageFile(2, "../elsewhere.jpg", str(photos))
    batch = engine.prefill([ImageFile(1, "damaged.jpg", str(photos)), outside, *files(photos, 0)])
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    failed = dict(log.of("image_failed", batch))
    assert set(failed) == {1, 2}
    assert "damaged.jpg" in failed[1]
    assert [key for key, _ in log.of("image_done", batch)] == [100]


def test_empty_batch_completes(qtbot: QtBot, engine: EngineClient) -> None:
    log = BatchLog(engine)
    batch = engine.prefill([])
    assert log.status(batch) is None
    qtbot.waitUntil(lambda: log.status(batch) == COMPLETED)


def test_estimate_of_any_boxes_with_heatmaps(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    answers = ask(qtbot, engine, files(photos, 3)[0], BOXES, heatmaps=True)
    (result,) = answers.done
    assert result.boxes == tuple(BOXES)
    assert result.keypoints.shape == (2, 17, 2)
    assert result.confidences.shape == (2, 17)
    assert result.heatmaps is not None
    assert result.heatmaps.dtype == np.float16
    np.testing.assert_allclose(result.heatmaps.astype(np.float64).sum((2, 3)), 1, atol=0.02)
    assert engine.info
    assert (result.model_hash, result.tau) == (engine.info.hash, engine.info.tau)
    assert result.levels is None, "nobody has asked"
    again = ask(qtbot, engine, files(photos, 3)[0], BOXES)
    assert again.done[0].heatmaps is None
    told = Answers()
    engine.estimate(files(photos, 3)[0], BOXES, False, told.done.append, told.failed.append, levels_of=9)
    qtbot.waitUntil(lambda: told.count == 1)
    levels = told.done[0].levels
    assert levels is not None and levels.shape == (4, 16, 16) and np.isfinite(levels).all()
    known, beside = [Joint()] * 9 + [Joint(70, 90, 2, HUMAN)] + [Joint()] * 7, Answers()
    engine.estimate(files(photos, 3)[0], BOXES[:1], False, beside.done.append, beside.failed.append, known=known)
    qtbot.waitUntil(lambda: beside.count == 1)
    moved = np.abs(beside.done[0].keypoints[0] - result.keypoints[0]).max(axis=-1) > 1
    assert {7, 10} & set(np.flatnonzero(moved)) and set(np.flatnonzero(moved)) <= {7, 10}, "its neighbours only"
    np.testing.assert_allclose(again.done[0].keypoints, result.keypoints, atol=1e-3)


def test_estimate_that_cannot_be_done_says_why(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    empty_box = ask(qtbot, engine, files(photos, 3)[0], [Box(5, 5, 0, 10)])
    assert "03.jpg" in empty_box.failed[0]
    damaged = ask(qtbot, engine, ImageFile(1, "damaged.jpg", str(photos)), BOXES)
    assert "damaged.jpg" in damaged.failed[0]


def test_cancelled_estimate_is_never_answered(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    image = files(photos, 4)[0]
    dropped, kept = Answers(), Answers()
    for _ in range(5):
        request = engine.estimate(image, BOXES, False, dropped.done.append, dropped.failed.append)
        engine.cancel_request(request)
    request = engine.estimate(image, BOXES, False, kept.done.append, kept.failed.append)
    qtbot.waitUntil(lambda: kept.count == 1)
    engine.cancel_request(request)
    qtbot.wait(100)
    assert (dropped.count, len(kept.done)) == (0, 1)


def test_a_raising_callback_stops_nothing(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    def broken(result: EstimateResult) -> None:
        raise KeyError("a mistake in the window")

    image = files(photos, 4)[0]
    with qtbot.captureExceptions() as exceptions:
        engine.estimate(image, BOXES, False, broken, broken)  # type: ignore[arg-type]
        assert ask(qtbot, engine, image, BOXES).done
    assert [kind for kind, _, _ in exceptions] == [KeyError]


def test_interactive_requests_do_not_wait_for_the_batch(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: len(log.of("progress", batch)) >= 1)
    engine.encode_ahead(files(photos, 5)[0])
    assert ask(qtbot, engine, files(photos, 6)[0], BOXES).done
    assert log.status(batch) is None
    qtbot.waitUntil(lambda: log.status(batch) == COMPLETED)
    engine.encode_ahead(None)
    assert len(log.of("image_done", batch)) == 12


# -- cancelling, pausing, ordering


def test_cancelled_batch_says_so_promptly(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: len(log.of("progress", batch)) >= 2)
    engine.cancel(batch)
    done = len(log.of("image_done", batch))
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == CANCELLED
    qtbot.wait(200)
    assert len(log.of("image_done", batch)) == done < 12
    assert log.events[-1][0] == "batch_finished"
    assert ask(qtbot, engine, files(photos, 0)[0], BOXES).done


@pytest.mark.parametrize("images", [0, 3])
def test_a_batch_cancelled_at_once_is_not_complete(
    qtbot: QtBot, engine: EngineClient, photos: Path, images: int
) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos, *range(images)) if images else [])
    engine.cancel(batch)
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    qtbot.wait(100)
    assert log.status(batch) == CANCELLED
    assert log.of("image_done", batch) == []


def test_paused_batch_waits_and_goes_on(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: len(log.of("progress", batch)) >= 1)
    engine.pause(batch)
    assert qtbot.until_still(lambda: len(log.of("image_done", batch))) < 12, "what was under way came to its end"
    engine.resume(batch)
    qtbot.waitUntil(lambda: log.status(batch) == COMPLETED)
    assert len(log.of("image_done", batch)) == 12


def test_urgent_images_come_first(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos, *range(11)))
    urgent = engine.prefill(files(photos, 11), urgent=True)
    qtbot.waitUntil(lambda: log.status(batch) == COMPLETED)
    order = [values[1] for name, values in log.events if name == "image_done"]
    assert order.index(111) <= 2
    assert log.status(urgent) == COMPLETED


# -- deaths


def test_killed_engine_comes_back_and_the_batch_goes_on(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    unwanted = engine.prefill(files(photos), urgent=True)
    qtbot.waitUntil(lambda: len(log.of("progress", unwanted)) >= 1)
    begin = time.monotonic()
    with qtbot.waitSignal(engine.failed) as blocker:
        kill(engine)
    assert time.monotonic() - begin < 60, "long before it would be taken to hang"
    assert "SIGKILL" in blocker.args[0]
    assert engine.info is None
    engine.cancel(unwanted)  # works without an engine, too
    qtbot.waitUntil(lambda: log.status(unwanted) == CANCELLED)
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    assert sorted(key for key, _ in log.of("image_done", batch)) == list(range(100, 112))


def test_requests_at_death_fail_with_a_message_and_later_ones_wait(
    qtbot: QtBot, engine: EngineClient, photos: Path
) -> None:
    os.kill(engine.pid or 0, signal.SIGSTOP)  # so that the request is surely under way
    lost, later = Answers(), Answers()
    engine.estimate(files(photos, 7)[0], BOXES, False, lost.done.append, lost.failed.append)
    with qtbot.waitSignal(engine.failed) as blocker:
        kill(engine, signal.SIGSEGV)
        os.kill(engine.pid or 0, signal.SIGCONT)
    assert "SIGSEGV" in blocker.args[0]
    assert (lost.done, len(lost.failed)) == ([], 1)
    engine.estimate(files(photos, 7)[0], BOXES, False, later.done.append, later.failed.append)
    qtbot.waitUntil(lambda: later.count == 1)
    assert later.done


FAULTY = """
import os, pathlib, signal
from app.workers import image_reading
sound = image_reading.read_image
here = pathlib.Path(__file__).parent
def read_image(request):
    name = pathlib.Path(os.fsdecode(request["path"])).stem
    if (here / f"deadly-{name}").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (here / f"scarce-{name}").exists() or (here / "scarce").exists():
        (here / f"scarce-{name}").unlink(missing_ok=True)
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes.\\nC++ frames")
    return sound(request)
image_reading.read_image = read_image
"""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a file `scarce-NAME` lets memory be short once for an image, `scarce` always for all of them,
    and `deadly-NAME` kills the engine that reads it; for engines started from now on."""
    folder = tmp_path / "faults"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(FAULTY)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{Path(__file__).parents[2]}")
    return folder


@pytest.fixture
def faulty(qtbot: QtBot, faults: Path, models: tuple[str, str]) -> Iterator[EngineClient]:
    client = EngineClient(policy=PATIENT)
    with qtbot.waitSignal(client.ready):
        client.start(models[0])
    yield client
    client.close()


def test_an_image_for_which_memory_was_short_is_no_damaged_one_and_is_tried_again(
    qtbot: QtBot, faulty: EngineClient, faults: Path, photos: Path
) -> None:
    (faults / "scarce-01").touch()
    log = BatchLog(faulty)
    batch = faulty.prefill([ImageFile(1, "damaged.jpg", str(photos)), *files(photos, 1, 2, 3)])
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    assert [key for key, _ in log.of("image_failed", batch)] == [1]
    ((key, text, again),) = log.of("image_troubled", batch)
    assert (key, again) == (101, True)
    assert "01.jpg: the model ran out of memory" in text and "Close other programs" in text and "C++" not in text
    assert [key for key, _ in log.of("image_done", batch)] == [102, 103, 101]
    assert [count for count, _, _ in log.of("progress", batch)] == [1, 2, 3, 4]


def test_an_engine_that_fails_on_every_image_ends_the_batch_and_marks_none(
    qtbot: QtBot, faulty: EngineClient, faults: Path, photos: Path
) -> None:
    (faults / "scarce").touch()
    log = BatchLog(faulty)
    batch = faulty.prefill(files(photos))
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == FAILED
    assert log.of("image_failed", batch) == log.of("image_done", batch) == []
    assert len(log.of("image_troubled", batch)) == MOST_TROUBLES_IN_A_ROW
    assert "memory" in ask(qtbot, faulty, files(photos, 1)[0], BOXES).failed[0]
    (faults / "scarce").unlink()
    (faults / "scarce-02").unlink(missing_ok=True)
    second = faulty.prefill(files(photos, 1))
    qtbot.waitUntil(lambda: log.status(second) == COMPLETED)
    assert len(log.of("image_done", second)) == 1


def test_an_image_that_the_engine_dies_of_twice_is_set_aside_and_not_damaged(
    qtbot: QtBot, faulty: EngineClient, faults: Path, photos: Path
) -> None:
    (faults / "deadly-02").touch()
    log = BatchLog(faulty)
    batch = faulty.prefill(files(photos, 1, 2, 3))
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    assert log.of("image_failed", batch) == []
    ((key, text),) = log.of("image_set_aside", batch)
    assert key == 102 and "the model cannot do this photo" in text
    assert [key for key, _ in log.of("image_done", batch)] == [101, 103]


# -- models


def test_switching_models(qtbot: QtBot, engine: EngineClient, photos: Path, models: tuple[str, str]) -> None:
    first = engine.info
    image = files(photos, 8)[0]
    before = ask(qtbot, engine, image, BOXES).done[0]
    with qtbot.waitSignal(engine.ready) as blocker:
        engine.load(models[1])
    second: EngineInfo = blocker.args[0]
    assert first
    assert second.hash != first.hash
    after = ask(qtbot, engine, image, BOXES).done[0]
    assert after.model_hash == second.hash
    assert not np.allclose(after.keypoints, before.keypoints)
    assert engine.before == first, "the model before can be asked still"
    again = ask(qtbot, engine, image, BOXES, model=first.hash).done[0]
    assert again.model_hash == first.hash
    np.testing.assert_allclose(again.keypoints, before.keypoints, atol=1e-3)
    with qtbot.waitSignal(engine.ready):
        kill(engine)
    assert engine.before is None, "of the restarted engine nobody knows another one"
    assert "not loaded any more" in ask(qtbot, engine, image, BOXES, model=first.hash).failed[0]
    assert engine.info == second  # the restarted engine has the model that was in use
    with qtbot.waitSignal(engine.ready):
        engine.load(models[0])


def test_refused_model_leaves_the_running_one(qtbot: QtBot, engine: EngineClient, photos: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"not a model")
    info, pid = engine.info, engine.pid
    with qtbot.waitSignal(engine.refused) as blocker:
        engine.load(str(bad))
    assert blocker.args[0] == str(bad)
    assert "bad.safetensors" in blocker.args[1]
    assert (engine.info, engine.pid) == (info, pid)
    assert ask(qtbot, engine, files(photos, 0)[0], BOXES).done


def load_at_death(engine: EngineClient, model: str) -> None:
    """Asks for a model at the moment when the engine has died and is not restarted yet."""
    engine.failed.connect(lambda _: engine.load(model), Qt.ConnectionType.SingleShotConnection)


def loaded_models(engine: EngineClient) -> list[str | None]:
    """The model of every `ready` from now on."""
    seen: list[str | None] = []
    engine.ready.connect(lambda info: seen.append(info.model))
    return seen


def test_a_model_of_other_keypoints_is_refused_when_it_is_loaded(
    qtbot: QtBot, engine: EngineClient, photos: Path, models: tuple[str, str], tmp_path: Path
) -> None:
    """It would be loaded, and fail while its people are painted."""
    from msarcnn.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
    from msarcnn.model import build_model
    from msarcnn.skeleton import bare_skeleton

    config = replace(load_checkpoint(Path(models[0]))[1].config, keypoints=3)
    hand = tmp_path / "hand.safetensors"
    save_checkpoint(hand, build_model(config), CheckpointInfo(config, bare_skeleton(("wrist", "thumb", "index"))))
    before = engine.info
    with qtbot.waitSignal(engine.refused) as blocker:
        engine.load(str(hand))
    model, reason = blocker.args
    assert model == str(hand)
    assert "hand.safetensors" in reason and "wrist, thumb, index" in reason and "left_ankle" in reason
    assert engine.info == before
    assert ask(qtbot, engine, files(photos, 0)[0], BOXES).done, "the earlier one still answers"


def test_a_model_wanted_while_the_engine_restarts_is_the_one_that_answers(
    qtbot: QtBot, engine: EngineClient, models: tuple[str, str]
) -> None:
    load_at_death(engine, models[1])
    with qtbot.waitSignal(engine.ready) as blocker:
        kill(engine)
    assert blocker.args[0].model == models[1]
    with qtbot.waitSignal(engine.ready):
        kill(engine)
    assert engine.info and engine.info.model == models[1]
    with qtbot.waitSignal(engine.ready):
        engine.load(models[0])


def test_a_bad_model_wanted_while_the_engine_restarts_leaves_the_earlier_one(
    qtbot: QtBot, engine: EngineClient, models: tuple[str, str]
) -> None:
    load_at_death(engine, "no such model")
    with qtbot.waitSignals([engine.refused, engine.ready]):
        kill(engine)
    assert engine.info and engine.info.model == models[0]


def test_each_of_two_quick_switches_says_which_model_it_is(
    qtbot: QtBot, engine: EngineClient, models: tuple[str, str]
) -> None:
    seen = loaded_models(engine)
    engine.load(models[1])
    engine.load(models[0])
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == [models[1], models[0]]


def test_a_model_wanted_after_giving_up_starts_the_engine(
    qtbot: QtBot, models: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit(9)")
    client = EngineClient(policy=RestartPolicy(most_deaths=1))
    try:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(tmp_path))
            with qtbot.waitSignal(client.gave_up):
                client.start()
        with qtbot.waitSignal(client.ready) as blocker:
            client.load(models[1])
        assert blocker.args[0].model == models[1]
    finally:
        client.close()


def test_engine_without_a_model_fails_requests_until_it_gets_one_and_closes_while_working(
    qtbot: QtBot, photos: Path, models: tuple[str, str]
) -> None:
    client = EngineClient(policy=PATIENT)
    log = BatchLog(client)
    try:
        assert "not started" in ask(qtbot, client, files(photos, 0)[0], BOXES).failed[0]
        client.start("no such model")
        waiting = client.prefill(files(photos, 0, 1))
        with qtbot.waitSignal(client.refused):
            pass
        assert log.status(waiting) == FAILED
        assert "no such" in ask(qtbot, client, files(photos, 0)[0], BOXES).failed[0]
        client.load(models[0])
        assert ask(qtbot, client, files(photos, 0)[0], BOXES).done  # waits for the model
        client.prefill(files(photos))
        qtbot.waitSignal(client.image_done).wait()
        pid = client.pid
        assert pid
        begin = time.monotonic()
        with qtbot.assertNotEmitted(client.batch_finished, wait=200):
            client.close()
        assert time.monotonic() - begin < 2.5
        assert not alive(pid)
    finally:
        client.close()


def test_a_batch_cancelled_without_an_engine_is_cancelled_and_not_failed(qtbot: QtBot, photos: Path) -> None:
    client = EngineClient(policy=PATIENT)
    log = BatchLog(client)
    batch = client.prefill(files(photos, 0))
    client.cancel(batch)
    qtbot.waitUntil(lambda: log.status(batch) == CANCELLED)
    client.close()


def test_gives_up_after_many_deaths_and_fails_the_batch(
    qtbot: QtBot, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A library that cannot be loaded: the child dies at every start.
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    client = EngineClient(policy=RestartPolicy(most_deaths=2, first_delay=0.0))
    log = BatchLog(client)
    try:
        with qtbot.waitSignal(client.gave_up) as blocker:
            client.start()
            batch = client.prefill(files(photos, 0))
        assert "not started again" in blocker.args[0]
        assert log.status(batch) == FAILED
        assert ask(qtbot, client, files(photos, 0)[0], BOXES).failed
    finally:
        client.close()


def test_engine_that_hangs_is_restarted(
    qtbot: QtBot, photos: Path, models: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.engine_link._WATCH_MS", 100)
    client = EngineClient(policy=PATIENT)
    client.start(models[0])
    try:
        qtbot.waitUntil(lambda: client.info is not None)
        monkeypatch.setattr(client._link, "_hang_seconds", 0.5)
        os.kill(client.pid or 0, signal.SIGSTOP)
        answers = Answers()
        with qtbot.waitSignal(client.failed) as blocker:
            client.estimate(files(photos, 0)[0], BOXES, False, answers.done.append, answers.failed.append)
        assert "no answer" in blocker.args[0]
        assert answers.failed
    finally:
        client.close()


def test_the_window_side_never_imports_the_model_library() -> None:
    check = (
        "import sys\n"
        "import app.workers.engine_client, app.workers.decoder_client, app.workers.trainer_client, app.workers.jobs\n"
        "heavy = {'torch', 'torchvision', 'cv2', 'PIL', 'PySide6.QtWidgets'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    finished = subprocess.run([sys.executable, "-P", "-c", check], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_an_estimate_cancelled_while_there_is_no_engine_is_never_answered(qtbot: QtBot, photos: Path) -> None:
    client, dropped, kept = EngineClient(policy=PATIENT), Answers(), Answers()
    image = files(photos, 0)[0]
    client.cancel_request(client.estimate(image, BOXES, False, dropped.done.append, dropped.failed.append))
    client.estimate(image, BOXES, False, kept.done.append, kept.failed.append)
    assert kept.count == 0, "later, not at once"
    qtbot.waitUntil(lambda: kept.count == 1)
    assert "not started" in kept.failed[0] and dropped.count == 0
    client.estimate(image, BOXES, False, dropped.done.append, dropped.failed.append)
    client.close()
    qtbot.wait(50)
    assert dropped.count == 0
