"""Every model has a name, and a name leads to its file or to a sentence."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from file_server import FileServer, serving
from safetensors.torch import save_file
from small_library import BACKBONE, BACKBONE_NAME, name_of, publish, weights_file
from small_models import save_small_model

from msarcnn import downloads
from msarcnn.checkpoint import CheckpointInfo, save_checkpoint, write_checkpoint
from msarcnn.checkpoint_error import CheckpointError
from msarcnn.config import ModelConfig
from msarcnn.downloads import DownloadError, lock_of
from msarcnn.library_file import LibraryError, LibraryFile
from msarcnn.model_files import CALIBRATED, is_torch_file, look_at
from msarcnn.model_library import ModelLibrary, backbone_weights, find_model
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.published_models import BACKBONE_WEIGHTS, PUBLISHED, ask_torchvision

CONTENT = weights_file()


@pytest.fixture
def server(home: Path) -> Iterator[FileServer]:
    with serving(CONTENT, name_of(CONTENT)) as served:
        publish(home, served.url, len(CONTENT))
        yield served


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("model") / "small.safetensors", seed=1)


def test_torchvisions_own_tables_say_what_there_is() -> None:
    models = {model.name: model for model in ask_torchvision()}
    assert tuple(models) == PUBLISHED
    coco = models["coco"]
    assert coco.pose and coco.file_name.startswith("keypointrcnn_resnet50_fpn_coco-")
    assert len(coco.sha256_prefix) == 8 and coco.size == pytest.approx(226 * 2**20, rel=0.01)
    assert coco.figures["keypoint_ap"] == 0.65 and coco.figures_on == "COCO-val2017"
    for backbone, name in BACKBONE_WEIGHTS.items():
        assert not models[name].pose and models[name].architecture == backbone
        assert models[name].file_name.startswith(backbone) and models[name].figures["top1"] > 0.7


def test_the_bundled_model_needs_no_library(home: Path) -> None:
    home.mkdir()
    (home / "library.json").write_text("{")
    bundled = find_model(None)
    assert bundled.is_file() and find_model(DEFAULT_MODEL) == bundled == find_model(bundled)


def test_names_and_paths_that_lead_nowhere_are_sentences(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file and no such model\. Known models: msa_rcnn.*, coco"):
        find_model(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match="no weights of this model are bundled"):
        find_model("msa_rcnn_resnet50_fpn")
    with pytest.raises(CheckpointError, match="weights of a backbone"):
        find_model("imagenet-resnet50")
    with pytest.raises(CheckpointError, match="lenet: no ImageNet weights"):
        backbone_weights("lenet")


def test_a_published_model_is_downloaded_once_and_found_by_its_name(home: Path, server: FileServer) -> None:
    path = home / name_of(CONTENT)
    with pytest.raises(CheckpointError) as caught:
        find_model("coco")
    for part in ("python -m msarcnn models download coco", server.url, str(path)):
        assert part in str(caught.value)
    library = ModelLibrary()
    entry = library.entry("coco")
    assert (entry.path, entry.hash, entry.size, entry.usable) == (None, None, len(CONTENT), False)
    entry = library.download("coco")
    assert entry.usable and entry.path == path == find_model("coco") and path.read_bytes() == CONTENT
    assert entry.hash is not None and path.name.startswith(f"keypoints-{entry.hash[:8]}")
    library.download("coco")
    assert len(server.asked) == 1
    with pytest.raises(CheckpointError, match="models download imagenet-resnet50"):
        backbone_weights("resnet50")
    (home / BACKBONE_NAME).write_bytes(BACKBONE)
    assert backbone_weights("resnet50") == home / BACKBONE_NAME


def test_a_file_that_somebody_brought_counts_when_it_is_the_published_one(home: Path, server: FileServer) -> None:
    path = home / name_of(CONTENT)
    path.write_bytes(CONTENT)
    assert find_model("coco") == path
    with pytest.raises(LibraryError, match="not downloaded by this program"):
        ModelLibrary().remove("coco")
    assert ModelLibrary().download("coco").usable and server.asked == []
    ModelLibrary().remove("coco")
    assert not path.exists(), "it has become the library's"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="damaged, or another file"):
        ModelLibrary().download("coco")
    with pytest.raises(CheckpointError, match="damaged, or another file: its SHA-256 begins with"):
        find_model("coco")
    entry = ModelLibrary().entry("coco")
    assert not entry.usable and "models download coco" in entry.problem


def test_removing_a_download_deletes_it_and_what_was_left_of_it(
    home: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_FIRST_PAUSE", 0.01)
    library = ModelLibrary()
    path = library.download("coco").path
    assert path is not None
    assert library.remove("coco").path == path and not path.exists()
    server.cut = [0] * 20
    with pytest.raises(DownloadError):
        library.download("coco")
    assert LibraryFile(home).read().downloaded == (path.name,), "what a program leaves that ends now can be deleted"
    path.with_name(f"{path.name}.part").write_bytes(b"half")
    with lock_of(path), pytest.raises(LibraryError, match=rf"{path.name}: it is being downloaded\. Cancel that"):
        library.remove("coco")
    assert library.entry("coco").here == 4
    library.remove("coco")
    assert {left.name for left in home.iterdir()} == {"library.json", "library.json.lock", f"{path.name}.lock"}
    library.remove("coco")


def test_a_file_is_added_by_reference_and_only_forgotten(home: Path, server: FileServer, small_model: Path) -> None:
    library = ModelLibrary()
    entry = library.add(small_model)
    assert (entry.name, entry.title, entry.kind, entry.path) == ("small", "small", "file", small_model)
    assert entry.usable and entry.architecture == "msa_rcnn_mobilenet_v2" and entry.hash is not None
    assert find_model("small") == small_model
    assert library.add(small_model, title="Kitchen, 1 May").title == "Kitchen, 1 May"
    again = library.add(small_model, name="kitchen")
    assert (again.name, again.title) == ("kitchen", "Kitchen, 1 May")
    assert [one.name for one in library.entries() if one.kind == "file"] == ["kitchen"]
    library.remove("kitchen")
    assert small_model.is_file()
    with pytest.raises(LibraryError, match="kitchen: no such model"):
        library.remove("kitchen")


def test_a_file_is_known_once_however_its_path_is_written(
    home: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, library = tmp_path / "mine.safetensors", ModelLibrary()
    file.write_bytes(small_model.read_bytes())
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.safetensors").symlink_to(file)
    paths = [Path("mine.safetensors"), Path("sub/../mine.safetensors"), Path("link.safetensors")]
    assert [library.add(path).name for path in paths] == ["mine"] * 3
    library.add(file, title="Mine")
    assert [library.title_of(path) for path in paths] == ["Mine"] * 3
    odd = Path(os.fsdecode(os.fsencode(file) + b"\xff"))
    file.rename(odd)
    with pytest.raises(LibraryError, match=r"mine\.safetensors\\udcff: the name is not valid text\. Rename"):
        library.add(odd)


def test_names_are_short_unique_and_never_a_files(
    home: Path, server: FileServer, small_model: Path, tmp_path: Path
) -> None:
    library = ModelLibrary()
    for number in range(3):
        copy = tmp_path / f"copy{number}.safetensors"
        copy.write_bytes(small_model.read_bytes())
        library.add(copy, title="Küche v1.2, 1 May 2026", fine_tuned=True)
    names = [entry.name for entry in library.entries() if entry.kind == "fine-tuned"]
    assert names == [f"k-che-v1-2-1-may-2026{end}" for end in ("", "-2", "-3")]
    for taken in ("coco", "msa_rcnn_resnet50_fpn", names[0]):
        with pytest.raises(LibraryError, match="the name is taken"):
            library.add(small_model, name=taken)
    for odd in ("best.safetensors", "../x", "a b", "-x"):
        with pytest.raises(LibraryError, match="not a name"):
            library.add(small_model, name=odd)


def test_the_program_itself_stays(home: Path) -> None:
    with pytest.raises(LibraryError, match="part of the program"):
        ModelLibrary().remove(DEFAULT_MODEL)


def test_a_fine_tuned_model_says_where_it_comes_from(
    home: Path, server: FileServer, tiny_model: torch.nn.Module, small_model: Path, tmp_path: Path
) -> None:
    library = ModelLibrary()
    parent = library.add(small_model, title="The first")
    figures = {"keypoints": {"AP": 0.5, "AR": 0.6}, "bbox": {"AP": -1.0}}
    before = {"keypoints": {"AP": 0.4}, "bbox": {"AP": 0.3}}
    lineage = {"parent": parent.hash, "data": ["aa11", "aa11", "bb22"], "before": before}
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, tiny_model, CheckpointInfo(tiny_model.config, lineage=lineage, metrics=figures))
    library.add(path, title="Kitchen, 1 May", fine_tuned=True)
    entry = library.entry("kitchen-1-may")
    assert (entry.kind, entry.parent, entry.parent_title) == ("fine-tuned", parent.hash, "The first")
    assert entry.figures == {"keypoint_ap": 0.5} and entry.before == {"keypoint_ap": 0.4, "box_ap": 0.3}
    assert entry.data == ("aa11", "bb22") and entry.date.startswith("20")
    assert library.add(path).kind == "fine-tuned", "adding it by hand takes nothing away"
    lineage = {"parent": parent.hash, "data": ["cc33"], "start": {"kind": CALIBRATED}, "parent_lineage": lineage}
    save_checkpoint(path, tiny_model, CheckpointInfo(tiny_model.config, lineage=lineage, metrics=figures))
    entry = library.entry("kitchen-1-may")
    assert entry.calibrated and (entry.parent_title, entry.data, entry.before) == ("The first", ("cc33",), {})
    assert entry.figures == {"keypoint_ap": 0.5} and entry.figures_on == "what its parent was judged on"


def test_a_model_whose_file_is_gone_or_damaged_says_so(
    home: Path, server: FileServer, small_model: Path, tmp_path: Path
) -> None:
    library, path = ModelLibrary(), tmp_path / "mine.safetensors"
    path.write_bytes(small_model.read_bytes())
    library.add(path)
    path.write_bytes(small_model.read_bytes()[:-1])
    entry = library.entry("mine")
    assert not entry.usable and "damaged or truncated" in entry.problem and str(path) in entry.problem
    path.unlink()
    entry = library.entry("mine")
    assert not entry.usable and "the file is gone" in entry.problem and "models remove mine" in entry.problem
    with pytest.raises(CheckpointError, match="gone"):
        find_model("mine")


def test_hashes_are_remembered_until_the_file_changes(home: Path, server: FileServer, small_model: Path) -> None:
    path = home / name_of(CONTENT)
    ModelLibrary().download("coco")
    stored = home / "library.json"
    content = json.loads(stored.read_text())
    content["hashes"][str(path)]["sha256"] = path.stem.rpartition("-")[2] + "0" * 56
    stored.write_text(json.dumps(content))
    hash_ = ModelLibrary().entry("coco").hash
    assert hash_ is not None and hash_.endswith("0000"), "not computed again"
    os.utime(path, (1, 1))
    again = ModelLibrary().entry("coco").hash
    assert again is not None and not again.endswith("0000")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"plain text, called a model", "not a model file"),
        (b"", "not a model file"),
        (b"PK\x03\x04 and then nothing", "damaged or truncated archive"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{not json       ", "not a model file"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{", "damaged or truncated"),
    ],
)
def test_what_is_no_model_is_not_added(home: Path, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"odd\.pth: .*{message}") as caught:
        ModelLibrary().add(path)
    assert "\n" not in str(caught.value) and not (home / "library.json").exists()


def test_a_header_as_long_as_an_archives_first_letters_is_none(tiny_config: ModelConfig, tmp_path: Path) -> None:
    path, wanted = tmp_path / "best.safetensors", int.from_bytes(b"PK", "little")
    title = ""
    for _ in range(3):  # lengths are rounded up to eight
        write_checkpoint(path, {"weight": torch.zeros(2)}, CheckpointInfo(tiny_config, title=title))
        title += "t" * (wanted - int.from_bytes(path.read_bytes()[:8], "little"))
    assert path.read_bytes().startswith(b"PK")
    assert look_at(path).layout == "msarcnn" and not is_torch_file(path)


def test_files_of_torch_are_told_from_programs_and_other_archives(tmp_path: Path) -> None:
    path, weights = tmp_path / "net.pth", {"weight": torch.zeros(3)}
    torch.save(weights, path)
    assert look_at(path).layout == "torch"
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    assert look_at(path).layout == "torch", "some of torchvision's files are as old as this layout"
    torch.save(weights, path, _use_new_zipfile_serialization=False, pickle_protocol=4)
    assert look_at(path).layout == "torch" and is_torch_file(path)
    path.write_bytes(CONTENT.replace(b"weights/data/0", b"/constants.pkl"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        look_at(path)
    save_file(weights, path)
    with pytest.raises(CheckpointError, match="not a model of this program"):
        look_at(path)
    path.write_bytes(CONTENT.replace(b"data.pkl", b"data.txt"))
    with pytest.raises(CheckpointError, match="not torch's"):
        look_at(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"added": [{"name": 1}]}', "damaged"),
        ('{"format": 2}', "newer version"),
    ],
)
def test_a_damaged_list_is_one_sentence(home: Path, small_model: Path, text: str, message: str) -> None:
    home.mkdir()
    (home / "library.json").write_text(text)
    for ask in (lambda: find_model("mine"), ModelLibrary().entries, lambda: ModelLibrary().add(small_model)):
        with pytest.raises(LibraryError, match=rf"library\.json: .*{message}") as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert (home / "library.json").read_text() == text, "what it was is still there to be looked at"


_CHILD = """
import sys
from pathlib import Path
from msarcnn.model_library import ModelLibrary
for path in sys.argv[1:]:
    ModelLibrary().add(Path(path))
"""


def test_two_processes_lose_none_of_each_others_entries(home: Path, small_model: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"model{number}.safetensors" for number in range(20)]
    for file in files:
        file.write_bytes(small_model.read_bytes())
    halves = (files[:10], files[10:])
    both = [subprocess.Popen([sys.executable, "-c", _CHILD, *map(str, half)]) for half in halves]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert set(ModelLibrary().names()) >= {file.stem for file in files}


def test_looking_for_a_model_loads_neither_torch_nor_the_web(home: Path, server: FileServer) -> None:
    program = (
        "import sys; from msarcnn.model_library import ModelLibrary, find_model; find_model(None);"
        "ModelLibrary().entries();"
        "print([name for name in ('torch', 'torchvision', 'requests', 'cv2') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
