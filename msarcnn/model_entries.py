"""What the model library knows of each model, put together from its file and from who published it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from msarcnn.checkpoint_error import CheckpointError
from msarcnn.downloads import by_hand, part_of
from msarcnn.library_file import AddedModel, LibraryFile
from msarcnn.model_entry import ModelEntry
from msarcnn.model_files import CALIBRATED, look_at
from msarcnn.presets import DEFAULT_MODEL
from msarcnn.published_models import PublishedModel
from msarcnn.resources import bundled_weights

TITLES = {
    "msa_rcnn_mobilenet_v2_175": "MSA R-CNN MobileNetV2, wide",
    "msa_rcnn_mobilenet_v2": "MSA R-CNN MobileNetV2",
    "msa_rcnn_resnet50_fpn": "MSA R-CNN ResNet-50",
    "mask_rcnn_resnet50_fpn": "Mask R-CNN ResNet-50, the paper's baseline",
}


def bundled_entry(library: LibraryFile) -> ModelEntry:
    """The model that came with the program."""
    entry = ModelEntry(DEFAULT_MODEL, TITLES[DEFAULT_MODEL], "bundled", architecture=DEFAULT_MODEL)
    try:
        path = bundled_weights()
    except FileNotFoundError as error:
        return replace(entry, problem=str(error))
    entry = replace(
        _described(entry, path, library), licence="part of this program", figures_on="74 photos of COCO-val2017"
    )
    # What it began from and learnt from is in the model card, and its file's date is the installation's.
    return replace(entry, parent="", data=(), date="")


def added_entry(model: AddedModel, library: LibraryFile) -> ModelEntry:
    """A file that the library refers to."""
    entry = ModelEntry(model.name, model.title, model.kind, figures_on="its held-out images")
    path = Path(model.path)
    if not path.is_file():
        problem = CheckpointError(path, "the file is gone", gone_cure(model.name))
        return replace(entry, path=path, figures_on="", problem=str(problem))
    return _described(entry, path, library)


def download_entry(model: PublishedModel, library: LibraryFile) -> ModelEntry:
    """A published model, here or not."""
    path = library.folder / model.file_name
    entry = ModelEntry(
        model.name,
        model.title,
        "download",
        model.pose,
        size=model.size or None,
        architecture=model.architecture,
        licence=model.licence,
        figures=model.figures,
        figures_on=model.figures_on,
        url=model.url,
    )
    if not path.is_file():
        part = part_of(path)
        return replace(entry, here=part.stat().st_size if part.is_file() else 0, by_hand=by_hand(model.url, path))
    entry = replace(entry, path=path)
    try:
        entry = replace(entry, **_facts(path, library))
        check_published(model, library)
    except CheckpointError as error:
        return replace(entry, problem=str(error))
    return entry


def architecture_entries() -> Iterator[ModelEntry]:
    """Presets that no weights come with and that one might train; the rows of the paper's tables are no choice."""
    for name, title in TITLES.items():
        if name != DEFAULT_MODEL:
            yield ModelEntry(name, title, "architecture", architecture=name)


def check_published(model: PublishedModel, library: LibraryFile) -> None:
    """Raises CheckpointError when a downloaded file, brought here by whomever, is not what its name says."""
    path = library.folder / model.file_name
    digest = _hash(path, library)
    if not digest.startswith(model.sha256_prefix):
        reason = f"damaged, or another file: its SHA-256 begins with {digest[:8]}"
        raise CheckpointError(path, reason, f"Delete it, then run `python -m msarcnn models download {model.name}`")


def gone_cure(name: str) -> str:
    """What to do when the file of an added model is not where it was."""
    return f"Put it back, or take it out of the library (`python -m msarcnn models remove {name}`)"


_ON_CROPS = "a network on crops, which needs a detector in front: for `evaluate` and `predict`, not for the app"


def _described(entry: ModelEntry, path: Path, library: LibraryFile) -> ModelEntry:
    """An entry with what its file says."""
    entry = replace(entry, path=path)
    try:
        entry = replace(entry, **_facts(path, library))
        look = look_at(path)
    except CheckpointError as error:
        return replace(entry, figures_on="", problem=str(error))
    figures = _figures(look.metrics)
    start = look.lineage.get("start")
    calibrated = isinstance(start, dict) and start.get("kind") == CALIBRATED
    figures_on = "what its parent was judged on" if calibrated else entry.figures_on
    return replace(
        entry,
        architecture=look.architecture,
        figures=figures,
        figures_on=figures_on if figures else "",
        before={} if calibrated else _figures(look.lineage.get("before")),
        parent=_text(look.lineage.get("parent")),
        data=_texts(look.lineage.get("data")),
        calibrated=calibrated,
        problem=_ON_CROPS if look.on_crops else entry.problem,
    )


def _facts(path: Path, library: LibraryFile) -> dict[str, Any]:
    """What is known of any file. Raises CheckpointError when it cannot be read."""
    digest = _hash(path, library)
    stat = path.stat()
    date = datetime.fromtimestamp(stat.st_mtime).isoformat(timespec="seconds")
    return {"hash": digest[:12], "size": stat.st_size, "date": date}


def _hash(path: Path, library: LibraryFile) -> str:
    try:
        return library.hash_of(path)
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror})", "Check the file's permissions") from error


def _figures(metrics: Any) -> dict[str, float]:
    """Of an evaluation's figures the two that name a model's worth."""
    shown = {}
    for name, kind in (("keypoint_ap", "keypoints"), ("box_ap", "bbox")):
        of_kind = metrics.get(kind) if isinstance(metrics, dict) else None
        value = of_kind.get("AP") if isinstance(of_kind, dict) else None
        if isinstance(value, int | float) and value >= 0:
            shown[name] = float(value)
    return shown


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_text, values)))) if isinstance(values, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
