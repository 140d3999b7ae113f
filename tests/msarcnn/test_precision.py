"""Computing in bfloat16 only where the hardware has it, and saying when somebody insists."""

import os
import subprocess
import sys

import pytest
import torch

from msarcnn import precision
from msarcnn.config import TrainConfig
from msarcnn.precision import Chosen, choose_precision, has_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_what_the_hardware_has(monkeypatch, fast):
    monkeypatch.setattr(precision, "has_bf16", lambda device: fast)
    assert choose_precision("auto", CPU) == Chosen(fast)
    assert choose_precision("fp32", CPU) == Chosen(False)


def test_a_slow_wish_is_obeyed_with_a_warning(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    chosen = choose_precision("bf16", CPU)
    assert chosen.bf16 and "choose fp32" in chosen.warning
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    assert choose_precision("bf16", CPU) == Chosen(True)


@pytest.mark.parametrize(
    ("capabilities", "onednn", "expected"),
    [
        ({"avx2": True}, False, False),
        # AVX-512 without the bfloat16 instructions: oneDNN says that it can, and emulates them.
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, True, False),
        ({"avx512_bf16": True}, True, True),
        ({"avx512_bf16": True}, False, False),
        ({"amx_bf16": True}, True, True),
        ({"bf16": True}, True, True),
    ],
)
def test_a_processor_needs_the_instructions_and_a_library_that_uses_them(monkeypatch, capabilities, onednn, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn, raising=False)
    assert has_bf16(CPU) is expected
    assert has_bf16(torch.device("mps")) is False


def test_hidden_instructions_are_not_there():
    code = "import torch; from msarcnn.precision import has_bf16; print(has_bf16(torch.device('cpu')))"
    hidden = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, env=os.environ | hidden, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False"


def test_settings_of_before_mean_what_they_meant():
    settings = TrainConfig().to_dict()
    del settings["precision"]
    assert TrainConfig.from_dict({**settings, "mixed_precision": True}).precision == "bf16"
    assert TrainConfig.from_dict({**settings, "mixed_precision": False}).precision == "fp32"
    assert TrainConfig.from_dict(settings).precision == "auto"
