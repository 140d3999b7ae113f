"""The engine on a GPU that is short of memory, goes away, or is not there: a real process, a fake GPU."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QCoreApplication
from pytestqt.qtbot import QtBot
from small_models import save_small_model
from test_engine import BOXES, PATIENT, BatchLog, ask, files

from app.workers.engine_client import COMPLETED, EngineClient
from app.workers.payloads import DeviceInfo


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_small_model(tmp_path_factory.mktemp("models") / "one.safetensors", 0))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 images: the even ones wide, the odd ones high; and a damaged one."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(12):
        pixels = rng.integers(0, 255, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).resize((320, 240) if index % 2 == 0 else (240, 320)).save(folder / f"{index:02}.jpg")
    (folder / "damaged.jpg").write_bytes((folder / "00.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture
def engine(qapp: QCoreApplication, qtbot: QtBot, gpu: Path, model: str) -> Iterator[EngineClient]:
    client = EngineClient(policy=PATIENT)
    found: list[tuple[DeviceInfo, ...]] = []
    client.devices_found.connect(found.append)
    client.start(model)
    qtbot.waitUntil(lambda: bool(found))
    assert [device.id for device in found[0]] == ["fake:0", "cpu"]
    yield client
    client.close()


def batches(gpu: Path) -> list[int]:
    return [int(line) for line in (gpu / "batches").read_text().split()]


def test_auto_finds_it_and_says_what_there_is(engine: EngineClient) -> None:
    info = engine.info
    assert info is not None
    assert (info.device, info.device_info.name, info.device_info.bytes) == ("fake:0", "Fake GPU", 8 << 30)


def test_a_batch_goes_through_it_in_groups_of_like_shape(
    qtbot: QtBot, engine: EngineClient, photos: Path, gpu: Path
) -> None:
    log = BatchLog(engine)
    images = files(photos)
    images[3] = images[3].__class__(103, "damaged.jpg", str(photos))
    images[4] = images[4].__class__(104, "missing.jpg", str(photos))
    batch = engine.prefill(images)
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    assert sorted(key for key, _ in log.of("image_failed", batch)) == [103, 104]
    assert sorted(key for key, _ in log.of("image_done", batch)) == [100, 101, 102, *range(105, 112)]
    assert max(batches(gpu)) > 1 and sum(batches(gpu)) == 10
    sizes = {key: (result.width, result.height) for key, result in log.of("image_done", batch)}
    assert all(size == ((320, 240) if key % 2 == 0 else (240, 320)) for key, size in sizes.items())


def test_results_are_those_of_one_image_at_a_time(qtbot: QtBot, engine: EngineClient, photos: Path) -> None:
    log = BatchLog(engine)
    together = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: log.status(together) is not None)
    engine.set_device("cpu")
    with qtbot.waitSignal(engine.ready):
        pass
    assert engine.info is not None and engine.info.device == "cpu" and engine.info.batch == 1
    single = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: log.status(single) is not None)
    expected = dict(log.of("image_done", single))
    moved = []
    for key, result in log.of("image_done", together):
        np.testing.assert_allclose(result.boxes, expected[key].boxes, atol=1e-3)
        moved.append(np.abs(result.keypoints - expected[key].keypoints).ravel())
    assert np.quantile(np.concatenate(moved), 0.99) < 0.01, "two cells of equal height may change places, no more"


def test_too_little_memory_halves_the_batch_and_damages_no_photo(
    qtbot: QtBot, engine: EngineClient, photos: Path, gpu: Path
) -> None:
    ask(qtbot, engine, files(photos, 1)[0], BOXES)
    (gpu / "room").write_text("1")
    said: list[str] = []
    engine.noticed.connect(said.append)
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert len(log.of("image_done", batch)) == 12
    assert log.of("image_failed", batch) == log.of("image_troubled", batch) == said == []
    (gpu / "room").write_text("0")
    assert ask(qtbot, engine, files(photos, 5)[0], BOXES).done
    assert len(said) == 1 and "fake:0 is short of memory" in said[0] and "the CPU does what does not fit" in said[0]
    assert engine.info is not None and engine.info.device == "fake:0"


def test_a_gpu_that_goes_away_is_said_once_and_the_cpu_goes_on(
    qtbot: QtBot, engine: EngineClient, photos: Path, gpu: Path
) -> None:
    image = files(photos, 1)[0]
    expected = ask(qtbot, engine, image, BOXES).done[0]
    said: list[str] = []
    engine.noticed.connect(said.append)
    (gpu / "lost").touch()
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    answers = ask(qtbot, engine, image, BOXES)
    np.testing.assert_allclose(answers.done[0].keypoints, expected.keypoints, atol=1e-2)
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert len(log.of("image_done", batch)) == 12
    assert said == ["fake:0 does not answer any more: the CPU goes on. Choose it again to try it anew."]
    assert engine.info is not None and (engine.info.device, engine.info.batch) == ("cpu", 1)
    (gpu / "lost").unlink()
    pid = engine.pid
    with qtbot.waitSignal(engine.ready):
        engine.set_device("auto")
    assert engine.info is not None and engine.info.device == "fake:0" and engine.pid != pid


def test_a_device_that_was_chosen_once_and_is_not_there_is_said(
    qtbot: QtBot, qapp: QCoreApplication, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    client = EngineClient(device="cuda:7")
    said: list[str] = []
    client.noticed.connect(said.append)
    client.start(model)
    qtbot.waitUntil(lambda: len(said) == 1)
    assert "Device 'cuda:7' cannot be used here" in said[0] and said[0].endswith("The CPU computes.")
    assert client.info is not None and client.info.device == "cpu"
    client.close()


def test_a_group_that_fails_is_done_image_by_image(qtbot: QtBot, engine: EngineClient, photos: Path, gpu: Path) -> None:
    ask(qtbot, engine, files(photos, 1)[0], BOXES)
    (gpu / "broken").touch()
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.status(batch) == COMPLETED
    assert len(log.of("image_done", batch)) == 12 and log.of("image_troubled", batch) == []


def test_a_full_gpu_is_said_and_the_cpu_computes(qtbot: QtBot, gpu: Path, model: str) -> None:
    (gpu / "full").touch()
    client = EngineClient(policy=PATIENT)
    said: list[str] = []
    client.noticed.connect(said.append)
    client.start(model)
    qtbot.waitUntil(lambda: len(said) == 1)
    assert "cannot be loaded onto fake:0 (CUDA out of memory" in said[0]
    assert client.info is not None and client.info.device == "cpu"
    (gpu / "full").unlink()
    with qtbot.waitSignal(client.ready):
        client.set_device("auto")
    assert client.info is not None and client.info.device == "fake:0"
    client.close()


def test_queued_images_are_done_by_the_model_that_was_asked_however_often_it_is_switched(
    qtbot: QtBot, engine: EngineClient, photos: Path, model: str, tmp_path: Path
) -> None:
    asked = engine.info
    assert asked is not None
    others = [str(save_small_model(tmp_path / f"{seed}.safetensors", seed)) for seed in (5, 6)]
    log = BatchLog(engine)
    batch = engine.prefill(files(photos))
    for other in (*others, model, others[0]):
        engine.load(other)
    qtbot.waitUntil(lambda: log.status(batch) is not None)
    assert log.of("image_troubled", batch) == []
    assert asked.hash in {result.model_hash for _, result in log.of("image_done", batch)}
    qtbot.waitUntil(lambda: engine.info is not None and engine.info.model == others[0])
    assert ask(qtbot, engine, files(photos, 2)[0], BOXES).done
