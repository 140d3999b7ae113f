"""The main job in a real window: photos in, pre-filled, corrected with pointer and keys, COCO out."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from app.storage.shipped import sample_folder

pytestmark = pytest.mark.display

_HERE = Path(__file__).parent
_SESSION_SECONDS = 240


@pytest.fixture
def display(xvfb_path: str) -> Iterator[str]:
    """A virtual display of its own, e.g. ":3"."""
    numbers, written = os.pipe()
    server = subprocess.Popen(
        [xvfb_path, "-displayfd", str(written), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[written],
        stderr=subprocess.DEVNULL,
    )
    os.close(written)
    try:
        readable, _, _ = select.select([numbers], [], [], 30)
        number = os.read(numbers, 16).decode().strip() if readable else ""
        if not number:
            pytest.fail("Xvfb did not start")
        yield f":{number}"
    finally:
        os.close(numbers)
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def run_session(script: str, photos: Path, display: str, *more: str) -> tuple[dict[str, Any], Path]:
    """Returns what the session of a script here expects of its export, and the exported file."""
    base = photos.parent
    out, data = base / "exported.json", base / "data"
    environment = os.environ | {
        "DISPLAY": display,
        "QT_QPA_PLATFORM": "xcb",
        "MSARCNN_DATA_DIR": str(data),
        "MSARCNN_SETTINGS": str(base / "settings.ini"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_HERE), os.environ.get("PYTHONPATH")))),
    }
    done = subprocess.run(
        [sys.executable, "-P", str(_HERE / script), str(photos), str(out), *more, str(base / "window.png")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SESSION_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert left_behind(f"MSARCNN_DATA_DIR={data}") == []
    expected = json.loads(done.stdout.splitlines()[-1])
    assert expected["platform"] == "xcb"
    assert expected["heavy_modules"] == []
    assert expected["trouble"] == []
    assert (base / "window.png").read_bytes().startswith(b"\x89PNG")
    return expected, out


def left_behind(variable: str) -> list[str]:
    """The command lines of processes that have inherited an environment variable: wherever init has put them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # another user's, or it has just ended
            continue
    return found


def check_export(expected: dict[str, Any], out: Path, photos: Path) -> None:
    """Reads the file as any user of COCO would."""
    coco = COCO(str(out))
    files = {image["id"]: image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
    assert sorted(files.values()) == sorted(path.name for path in photos.iterdir())
    annotations = coco.loadAnns(coco.getAnnIds())
    counted = Counter(files[annotation["image_id"]] for annotation in annotations)
    assert {name: counted[name] for name in files.values()} == expected["people"]
    assert len(annotations) == expected["accepted"] + 1
    for annotation in annotations:
        visible = annotation["keypoints"][2::3]
        assert len(visible) == 17
        assert annotation["num_keypoints"] == sum(v > 0 for v in visible)
        assert annotation["iscrowd"] == 0 and annotation["area"] > 0
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["name"] == "person"
    assert len(category["keypoints"]) == 17 and category["keypoints"][0] == "nose"
    assert {annotation["category_id"] for annotation in annotations} == {category["id"]}
    check_dragged(expected, [a for a in annotations if files[a["image_id"]] == expected["dragged_file"]])


def check_dragged(expected: dict[str, Any], annotations: list[dict[str, Any]]) -> None:
    """The person who was drawn is there, with the joint where it was dropped."""
    (drawn,) = (a for a in annotations if a["bbox"] == pytest.approx(expected["dragged_box"], abs=0.01))
    start = 3 * expected["dragged_index"]
    assert drawn["keypoints"][start : start + 3] == pytest.approx(expected["dragged"], abs=0.01)
    assert drawn["num_keypoints"] == expected["dragged_labelled"]
    assert drawn["keypoint_sources"][expected["dragged_index"]] == "h"
    assert drawn["keypoint_sources"].count("h") == 1


def check_session(photos: Path, display: str) -> dict[str, Any]:
    """Runs and checks a session; returns what it expected."""
    expected, out = run_session("real_window_session.py", photos, display)
    check_export(expected, out, photos)
    return expected


def test_the_loop_in_a_real_window(display: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted((sample_folder() / "images").iterdir())[:4]:
        shutil.copy(path, photos)
    check_session(photos, display)


@pytest.mark.shared_data
def test_the_loop_in_a_real_window_on_real_photos(display: str, tmp_path: Path, coco_photos: Path) -> None:
    labels = json.loads((coco_photos / "annotations" / "person_keypoints_train.json").read_text())
    large = Counter(a["image_id"] for a in labels["annotations"] if a["num_keypoints"] >= 10 and a["area"] > 10_000)
    names = [image["file_name"] for image in labels["images"] if large[image["id"]]][:3]
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in names:
        shutil.copy(coco_photos / "images" / name, photos)
    expected = check_session(photos, display)
    assert expected["accepted"] > 0, "the model finds nobody on three photos with large people"


def plan_of(coco: Path, count: int) -> dict[str, list[dict[str, Any]]]:
    """Who is on the first photos with large people, by file name: at most two on each."""
    labels = json.loads((coco / "annotations" / "person_keypoints_train.json").read_text())
    names = {image["id"]: image["file_name"] for image in labels["images"]}
    plan: dict[str, list[dict[str, Any]]] = {}
    for person in labels["annotations"]:
        people = plan.get(names[person["image_id"]], [])
        if person["num_keypoints"] >= 10 and person["area"] > 10_000 and len(people) < 2:
            if not people and len(plan) == count:
                continue
            chosen = {"bbox": person["bbox"], "keypoints": person["keypoints"]}
            plan[names[person["image_id"]]] = [*people, chosen]
    return plan


@pytest.mark.shared_data
def test_ten_photos_labelled_with_keys_and_pointer_are_exported_as_drawn(
    display: str, tmp_path: Path, coco_photos: Path
) -> None:
    plan = plan_of(coco_photos, 10)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in plan:
        shutil.copy(coco_photos / "images" / name, photos)
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    expected, out = run_session("ten_images_session.py", photos, display, str(tmp_path / "plan.json"))
    content = json.loads(out.read_text())
    files = {image["id"]: image["file_name"] for image in content["images"]}
    assert sorted(files.values()) == sorted(plan)
    accepted = sorted(plan)[7:8]
    for name, drawn in expected["drawn"].items():
        found = [annotation for annotation in content["annotations"] if files[annotation["image_id"]] == name]
        assert len(found) == len(drawn), name
        for person in drawn:
            (written,) = (one for one in found if one["bbox"] == pytest.approx(person["bbox"], abs=0.01))
            assert written["iscrowd"] == person["iscrowd"]
            assert written["keypoints"] == pytest.approx(person["keypoints"], abs=0.01), name
        sources = {letter for one in found for letter in one["keypoint_sources"]}
        assert sources <= ({"p", "-"} if name in accepted else {"h", "-"}), name
