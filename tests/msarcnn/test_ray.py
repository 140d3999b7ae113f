"""`predict --ray` with real Rays of this machine: the file is the one without Ray, whatever happens on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_models import save_small_model

from msarcnn.command_line import main
from msarcnn.prediction_parts import encode_images
from msarcnn.predictor import Predictor
from msarcnn.prefill import images_asked_for
from msarcnn.ray_cluster import LOADING, Attempts, RayUseError
from msarcnn.ray_predict import MOST_ATTEMPTS, Instruction, PartWorker, prefill_with_ray
from msarcnn.synthetic import write_dataset

if sys.version_info >= (3, 14):
    pytest.importorskip("ray", reason="Ray has no release for this version of Python")
import ray

IMAGES = 40
THRESHOLD = 0.02
_MARK = f"MSARCNN_TEST_RAY={os.getpid()}"
"""In the environment of every process that these tests start, by whatever way."""


@pytest.fixture(scope="module", autouse=True)
def marked():
    name, _, value = _MARK.partition("=")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        yield
    assert gone(), "processes are left behind"


def processes(command=b""):
    """Those that these tests started, whose command begins so."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            ours = _MARK.encode() in (place / "environ").read_bytes().split(b"\0")
            if ours and int(place.name) != os.getpid() and (place / "cmdline").read_bytes().startswith(command):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def gone(seconds=20.0):
    end = time.monotonic() + seconds
    while processes() and time.monotonic() < end:
        time.sleep(0.05)
    return not processes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos with odd names and ids, one of them damaged, their labels, two models, and what is found without Ray."""
    folder = tmp_path_factory.mktemp("ray")
    write_dataset(folder, images=IMAGES, seed=1, size=(160, 120))
    (folder / "images").rename(folder / "phötos %20")
    data = json.loads((folder / "annotations.json").read_text())
    for image in data["images"]:
        new = f"ü {image['id']} & co.jpg"
        (folder / "phötos %20" / image["file_name"]).rename(folder / "phötos %20" / new)
        image |= {"id": image["id"] + 900, "file_name": new}
    data["annotations"] = []
    (folder / "annotations.json").write_text(json.dumps(data))
    (folder / "phötos %20" / data["images"][17]["file_name"]).write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    save_small_model(folder / "model.safetensors", 0)
    save_small_model(folder / "other.safetensors", 1)
    threads = torch.get_num_threads()
    # As many as a worker has here. An untrained model's heatmaps are flat, and with two threads one joint of ten
    # thousand has its peak elsewhere.
    torch.set_num_threads(1)
    for kind in ("coco", "results"):
        assert main(arguments(folder, f"plain_{kind}.json", "--format", kind)) == 0
    torch.set_num_threads(threads)
    return folder


def arguments(place, output, *more, model="model.safetensors"):
    photos = ["--annotations", place / "annotations.json", "--images", place / "phötos %20"]
    chosen = ["--model", place / model, "--device", "cpu", "--threshold", THRESHOLD]
    return [str(argument) for argument in ["predict", *photos, *chosen, "--output", place / output, *more]]


@pytest.fixture(scope="module")
def interrupted(place):
    """A command that SIGTERM ended when its first part was there: (exit status, its stderr)."""
    command = [sys.executable, "-m", "msarcnn", *arguments(place, "o.json", "--ray", "local")]
    one_core = os.environ | {"RAY_OVERRIDE_RESOURCES": '{"CPU": 1}'}
    with (place / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors, cwd=Path(__file__).parents[2], env=one_core)
        while process.poll() is None and not list(place.glob("o.json.parts/0*.json")):
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        return process.wait(60), (place / "errors.txt").read_text()


@pytest.fixture(scope="module")
def local_ray():
    """A Ray of two cores in this process, used by what asks for one."""
    small = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 100 << 20, "include_dashboard": False}
    ray.init("local", log_to_driver=False, **small)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def resumed(place, interrupted, local_ray):
    """The command again, with a worker killed at the first new part: (times of parts before, after, its lines)."""
    before = {file.name: file.stat().st_mtime_ns for file in place.glob("o.json.parts/0*.json")}
    lines, reports = [], []

    def report(done, total, seconds):
        if not reports:
            os.kill(processes(b"ray::MapWorker")[0], signal.SIGKILL)
        reports.append(done)
        if done == total:
            shutil.copytree(place / "o.json.parts", place / "again.json.parts")

    asked = images_asked_for([], place / "annotations.json", place / "phötos %20")
    model = str(place / "model.safetensors")
    prefill_with_ray("local", 2, model, "auto", asked, place / "o.json", False, THRESHOLD, report, lines.append)
    after = {file.name: file.stat().st_mtime_ns for file in place.glob("again.json.parts/0*.json")}
    return before, after, lines, reports


def test_no_cluster_is_one_line(place, capsys):
    assert not ray.is_initialized()
    assert main(arguments(place, "none.json", "--ray", "127.0.0.1:1")) == 2
    errors = capsys.readouterr().err
    assert "no Ray cluster at 127.0.0.1:1" in errors and len(errors.strip().splitlines()) == 1


def test_sigterm_keeps_the_parts_and_ends_ray(place, interrupted):
    status, errors = interrupted
    kept = len(list(place.glob("o.json.parts/0*.json")))
    assert status == 130 and 1 <= kept < IMAGES
    assert f"stopped: {kept} of {IMAGES} parts are kept in {place / 'o.json.parts'}" in errors
    said = errors.strip().splitlines()
    assert "Traceback" not in errors and 2 <= len(said) <= 2 + kept, errors
    assert said[0].startswith("Ray: 1 workers") and all(" images, " in line for line in said[1:-1])
    assert not (place / "o.json").exists()
    assert gone(), "Ray that we started ends with us"


def test_parts_of_another_model_are_refused(place, interrupted, capsys):
    before = sorted(file.name for file in place.glob("o.json.parts/*"))
    assert main(arguments(place, "o.json", "--ray", "local", model="other.safetensors")) == 2
    errors = capsys.readouterr().err
    assert f"{place / 'o.json.parts'} has parts of another prediction (another model): remove" in errors
    assert len(errors.strip().splitlines()) == 1
    assert sorted(file.name for file in place.glob("o.json.parts/*")) == before


def test_only_missing_parts_are_computed_though_a_worker_dies(place, resumed):
    before, after, lines, reports = resumed
    assert len(after) == IMAGES and before.items() <= after.items()
    assert reports == list(range(len(before) + 1, IMAGES + 1))
    assert lines == [f"{len(before)} of {IMAGES} parts are there from before", "Ray: 2 workers on cpu, 1 cores each"]
    assert not (place / "o.json.parts").exists()


def test_the_file_is_the_one_without_ray(place, resumed):
    assert (place / "o.json").read_bytes() == (place / "plain_coco.json").read_bytes()
    written = json.loads((place / "o.json").read_text())
    assert len(written["images"]) == IMAGES - 1 and len(written["annotations"]) > IMAGES


def test_finished_parts_become_results_without_ray(place, resumed, capsys):
    assert main(arguments(place, "again.json", "--ray", "nowhere", "--format", "results", "--json")) == 0
    assert (place / "again.json").read_bytes() == (place / "plain_results.json").read_bytes()
    output = capsys.readouterr()
    facts = json.loads(output.out)
    assert facts["images"] == IMAGES - 1 and len(facts["problems"]) == 1
    assert "ü 18 & co.jpg" in facts["problems"][0] and facts["problems"][0] in output.err
    assert not (place / "again.json.parts").exists()


@pytest.fixture(scope="module")
def attempts(local_ray):
    return ray.remote(Attempts).options(num_cpus=0).remote()


def worker(place, attempts, **changes):
    model = place / "model.safetensors"
    loaded = Predictor.load(model, "cpu")
    facts = {"model": str(model), "model_hash": loaded.hash, "threshold": 0.1, "device": "cpu", "workers": 9}
    return PartWorker(Instruction(**facts | changes), attempts)


def test_images_that_kill_every_worker_are_named(place, attempts):
    images = images_asked_for([], place / "annotations.json", place / "phötos %20").images[:2]
    row = {"part": 5, "images": encode_images(images)}
    started = worker(place, attempts)
    assert started(row)["part"] == 5
    for _ in range(MOST_ATTEMPTS):
        ray.get(attempts.begin.remote(5))
    with pytest.raises(RayUseError, match=r"3 workers died of the images from ü 1 & co\.jpg to ü 2 & co\.jpg"):
        started(row)


def test_workers_that_die_of_the_model_end_the_prediction(place, attempts):
    worker(place, attempts)
    for _ in range(2 * MOST_ATTEMPTS):
        ray.get(attempts.begin.remote(LOADING))
    with pytest.raises(RayUseError, match="die while they load the model"):
        worker(place, attempts, workers=2)


def test_another_model_on_a_node_is_refused(place, attempts):
    with pytest.raises(RayUseError, match=r"model\.safetensors is another file on a node"):
        worker(place, attempts, model_hash="0123456789ab")
