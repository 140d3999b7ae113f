"""PyTorch's own files (.pth, .pt): weights by name are read, and nothing in the file is ever executed."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from msarcnn.checkpoint_error import CheckpointError, first_line
from msarcnn.model_files import torch_layout

_STATE_DICT = "Save the network's state_dict() with torch.save, and choose that file"


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """Reads a state dictionary: tensors on the CPU by name, as they were saved (any layout of torch.save).

    Raises:
        CheckpointError: no such file, a truncated one, or one that holds anything but weights; that is not opened.
    """
    try:
        with path.open("rb") as file:
            content = _load(path, file)
    except FileNotFoundError as error:
        raise CheckpointError(path, "no such file", "Check the path, or list models with `models`") from error
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(
            path, f"cannot be read ({error.strerror})", "Check the file and its permissions"
        ) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            path, "damaged, or more than weights: objects that could run a program, so it was not opened", _STATE_DICT
        ) from error
    except Exception as error:
        # A damaged file makes the reader fail in any of a dozen ways; which one says nothing to anybody.
        raise CheckpointError(
            path, f"cut off or damaged ({first_line(error).rstrip('.')})", "Copy or download it again"
        ) from error
    return _checked(path, content)


def _load(path: Path, file: BinaryIO) -> object:
    layout = torch_layout(file.read(9))
    if layout == "zip":
        _check_archive(path, file)
    elif not layout:
        raise CheckpointError(path, "no file of PyTorch's, whatever its name says", "Copy or download it again")
    file.seek(0)
    with warnings.catch_warnings(action="ignore"):  # about pickle's protocols
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_archive(path: Path, file: BinaryIO) -> None:
    """Raises CheckpointError for a TorchScript program, and for what would unfold to any size in memory."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise CheckpointError(path, "a TorchScript program, which is not run here", _STATE_DICT)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(path, "a compressed archive, which torch.save never writes", _STATE_DICT)


def _checked(path: Path, content: object) -> dict[str, Tensor]:
    """The content as weights by name. Raises CheckpointError for anything else."""
    if not isinstance(content, dict) or not content:
        raise CheckpointError(path, f"no weights by name but {type(content).__name__}", _STATE_DICT)
    for name, value in content.items():
        if not isinstance(name, str) or type(value) is not Tensor:
            inner = f"{name!r} is {type(value).__name__}"
            raise CheckpointError(path, f"not weights by name alone ({inner[:80]})", _STATE_DICT)
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
            raise CheckpointError(path, f"{name} is no plain tensor", _STATE_DICT)
    return dict(content)
