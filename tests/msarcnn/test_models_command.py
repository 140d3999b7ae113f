"""`models` as a script, and as the window, calls it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serving
from small_library import name_of, publish, weights_file
from small_models import save_small_model

from msarcnn.command_line import main
from msarcnn.presets import DEFAULT_MODEL

CONTENT = weights_file(3_000_000)


@pytest.fixture
def server(home: Path) -> Iterator[FileServer]:
    with serving(CONTENT, name_of(CONTENT)) as served:
        publish(home, served.url, len(CONTENT))
        yield served


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["models", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def lines_of(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_list_is_for_people_and_for_programs(
    capsys: pytest.CaptureFixture[str], home: Path, server: FileServer
) -> None:
    status, out, _ = run(capsys)
    assert status == 0 and run(capsys, "list")[1] == out
    assert "keypoint AP 0.650, box AP 0.546 on COCO-val2017; 2.9 MB" in out and "not downloaded" in out
    assert (
        f"  Without a network, bring {server.url} from elsewhere and put it here as {home / name_of(CONTENT)}." in out
    )
    status, out, _ = run(capsys, "--json")
    for arguments in (("--json", "list"), ("list", "--json")):
        assert run(capsys, *arguments)[1] == out
    models = {model["name"]: model for model in json.loads(out)["models"]}
    assert models[DEFAULT_MODEL]["kind"] == "bundled" and models[DEFAULT_MODEL]["path"]
    assert models["msa_rcnn_resnet50_fpn"]["path"] is None and models["coco"]["path"] is None
    assert not models["imagenet-resnet50"]["pose"]


def test_a_download_shows_its_progress(capsys: pytest.CaptureFixture[str], home: Path, server: FileServer) -> None:
    server.pause = 0.001
    status, out, errors = run(capsys, "download", "coco")
    assert status == 0 and out.strip() == str(home / name_of(CONTENT)) and "2.9 MB, 100%" in errors
    assert run(capsys, "path", "coco")[1] == out
    assert "COCO Keypoint R-CNN" in run(capsys, "show", "coco")[1]
    assert run(capsys, "remove", "coco")[1] == "coco: deleted\n"
    status, out, errors = run(capsys, "path", "coco")
    assert status == 2 and out == "" and "not downloaded yet" in errors and len(errors.splitlines()) == 1
    status, out, errors = run(capsys, "download", "coco", "--json")
    *progress, result = lines_of(out)
    assert status == 0 and errors == "" and len(progress) >= 2
    assert progress[-1] == {"event": "progress", "done": len(CONTENT), "total": len(CONTENT)}
    assert result["event"] == "result" and result["model"]["path"] == str(home / name_of(CONTENT))  # type: ignore[index]


def test_files_come_and_go_by_their_names(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    small = save_small_model(tmp_path / "small.safetensors", seed=1)
    status, out, _ = run(capsys, "add", small, "--title", "Kitchen, 1 May", "--fine-tuned", "--json")
    added = lines_of(out)[-1]["model"]
    assert status == 0 and added["name"] == "kitchen-1-may" and added["kind"] == "fine-tuned"  # type: ignore[index]
    assert run(capsys, "path", "kitchen-1-may", "--json")[1] == f'{{"event": "result", "path": "{small}"}}\n'
    assert run(capsys, "add", small, "--name", "kitchen")[1] == f"kitchen: {small}\n"
    assert run(capsys, "remove", "kitchen")[1] == "kitchen: forgotten; its file stays\n"
    assert small.is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["download", "nothing"], "nothing to download"),
        (["remove", DEFAULT_MODEL], "part of the program"),
        (["add", "missing.safetensors"], "no such file"),
        (["show", "nothing"], "Known models: msa_rcnn_resnet50_fpn"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(
    capsys: pytest.CaptureFixture[str], server: FileServer, arguments: list[str], message: str
) -> None:
    status, out, errors = run(capsys, *arguments)
    assert status == 2 and out == "" and message in errors and len(errors.splitlines()) == 1
    status, out, errors = run(capsys, *arguments, "--json")
    assert status == 2 and errors == ""
    (line,) = lines_of(out)
    assert list(line) == ["error"] and message in str(line["error"])


def test_a_cancelled_download_ends_at_once_and_leaves_what_it_has(home: Path, server: FileServer) -> None:
    server.pause = 0.02
    command = [sys.executable, "-P", "-m", "msarcnn", "models", "download", "coco", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["event"] == "progress"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == "" and process.returncode == 143
    target = home / name_of(CONTENT)
    have = target.with_name(f"{target.name}.part").stat().st_size
    assert 0 < have < len(CONTENT) and not target.exists()
    server.pause = 0
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ended.stdout.splitlines()[-1])["event"] == "result"
    assert server.asked[-1]["Range"] == f"bytes={have}-" and target.read_bytes() == CONTENT
