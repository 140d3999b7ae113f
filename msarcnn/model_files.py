"""Looking at model files without torch: their identity, what they say about themselves, what is wrong with them."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from msarcnn.checkpoint_error import CheckpointError

FORMAT = "msarcnn/1"
"""The word by which a model of this program is known."""
CALIBRATED = "calibrated"
"""The kind of start, in a model's lineage, of one that has its parent's weights and figures."""

_LONGEST_HEADER = 100_000_000
"""Bytes; the safetensors library has the same bound."""
_HEAD = 9
"""Bytes at the beginning of a file that tell what it is."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_TORCH_SUFFIXES = {".pth", ".pt"}


@dataclass(frozen=True)
class FileLook:
    """What is known of a model file without loading it.

    Attributes:
        layout: "msarcnn" (safetensors of this program) or "torch" (a file of torch.save, as torchvision's are).
        architecture: The preset that its configuration started from; "" when it does not say.
        lineage, metrics: As in `msarcnn.checkpoint.CheckpointInfo`; {} when it does not say.
        on_crops: Whether it is a network on crops, which finds nobody by itself.
    """

    layout: str
    architecture: str = ""
    lineage: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    on_crops: bool = False


def look_at(path: Path) -> FileLook:
    """Tells a model from what only is called so; whether its weights fit is seen when it is loaded.

    Raises:
        CheckpointError: no such file, not a model, or one that was cut off.
    """
    try:
        with path.open("rb") as file:
            layout = torch_layout(file.read(_HEAD))
            if layout == "zip":
                return _look_at_zip(path)
            if layout == "pickle":
                return FileLook("torch")
            file.seek(0)
            return _look_at_safetensors(path, file)
    except FileNotFoundError as error:
        raise CheckpointError(path, "no such file", "Check the path, or list models with `models`") from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror})", "Check the file's permissions") from error


def torch_layout(head: bytes) -> Literal["zip", "pickle", ""]:
    """How torch.save has written a file, by its first nine bytes; "" for what it has not.

    A zip archive, or a bare pickle as before 2020 (some of torchvision's files are of that time); a safetensors file,
    whose ninth byte opens its JSON, is neither, whatever the length before that looks like.
    """
    if head[_HEAD - 1 :] == b"{":
        return ""
    return "zip" if head.startswith(_ZIP) else "pickle" if head.startswith(_PICKLE) else ""


def is_torch_file(path: Path) -> bool:
    """Whether a file is to be read as PyTorch's: by what it begins with, and only then by its name.

    False when the file is not there.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return bool(torch_layout(head)) or (head[_HEAD - 1 :] != b"{" and path.suffix.lower() in _TORCH_SUFFIXES)


def _look_at_zip(path: Path) -> FileLook:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CheckpointError(path, "a damaged or truncated archive", "Copy or download it again") from error
    if "constants.pkl" in names:
        raise CheckpointError(path, "a TorchScript program, not weights", "Choose a file of weights (a state dict)")
    if "data.pkl" not in names:
        raise CheckpointError(path, "an archive, but not torch's", "Choose a .safetensors or .pth file")
    return FileLook("torch")


def _look_at_safetensors(path: Path, file: BinaryIO) -> FileLook:
    header = _header(path, file)
    described = header.get("__metadata__")
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise CheckpointError(
            path, "not a model of this program (no configuration inside)", "Choose a file written by `train`"
        )
    facts = {name: _object(described.get(name)) for name in ("config", "lineage", "metrics")}
    config = facts["config"]
    name, on_crops = str(config.get("name", "")), "kind" in config
    return FileLook("msarcnn", name, facts["lineage"], facts["metrics"], on_crops)


def _header(path: Path, file: BinaryIO) -> dict[str, Any]:
    """The JSON at the beginning of a safetensors file: tensors by name, with the places of their bytes."""
    foreign = CheckpointError(path, "not a model file", "Choose a .safetensors file written by `train`, or a .pth file")
    size = path.stat().st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= _LONGEST_HEADER or file.read(1) != b"{":
        raise foreign
    truncated = CheckpointError(path, "damaged or truncated", "Copy or download it again")
    if 8 + length > size:
        raise truncated
    header = _object(b"{" + file.read(length - 1))
    if not header:
        raise foreign
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__" and _has_place(entry)]
    if 8 + length + max(ends, default=0) != size:
        raise truncated
    return header


def _has_place(entry: Any) -> bool:
    place = entry.get("data_offsets") if isinstance(entry, dict) else None
    return isinstance(place, list) and len(place) == 2 and isinstance(place[1], int)


def _object(text: Any) -> dict[str, Any]:
    """A JSON object; {} for anything else."""
    try:
        value = json.loads(text) if isinstance(text, str | bytes) else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def full_hash(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hash(path: Path) -> str:
    """Identity of a model file: the first 12 hexadecimal digits of its SHA-256. Raises OSError."""
    return full_hash(path)[:12]
