"""A network small enough to run in milliseconds, and the people it is shown."""

from pathlib import Path

import numpy as np
import pytest
import torch

from msarcnn.checkpoint import CheckpointInfo, save_checkpoint
from msarcnn.config import ModelConfig
from msarcnn.model import MSARCNN, build_model
from msarcnn.presets import preset

torch.set_num_threads(2)


@pytest.fixture
def tiny_config() -> ModelConfig:
    return preset(
        "msa_rcnn_mobilenet_v2", fpn_channels=16, box_head_width=32, keypoint_width=16, min_size=96, max_size=160
    )


@pytest.fixture
def tiny_model(tiny_config: ModelConfig) -> MSARCNN:
    torch.manual_seed(0)
    return build_model(tiny_config)


@pytest.fixture
def tiny_checkpoint(tiny_model: MSARCNN, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, tiny_model, CheckpointInfo(tiny_model.config))
    return path


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (120, 90, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def cuda() -> torch.device:
    """The GPU; only `make test-gpu` sees one."""
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU that PyTorch can use is here (make test-gpu)")
    return torch.device("cuda:0")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model library of the test's own; not made yet."""
    folder = tmp_path / "library"
    monkeypatch.setenv("MSARCNN_HOME", str(folder))
    return folder
