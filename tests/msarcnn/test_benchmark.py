"""The paper's Table 4 as a command: what is measured, what it is compared with, and that the numbers add up."""

import json

import pytest
import torch

from msarcnn import benchmark_command
from msarcnn.benchmark_command import PARTS, REFERENCE, Benchmark, Row, Spread, benchmark, training_memory
from msarcnn.command_line import main
from msarcnn.cpn import CPN
from msarcnn.crop_config import CropConfig
from msarcnn.devices import CPU
from msarcnn.model import build_model
from msarcnn.presets import preset

NARROW = {"fpn_channels": 16, "box_head_width": 32, "keypoint_width": 16, "min_size": 96, "max_size": 128}


def test_every_part_of_every_model_in_turns():
    configs = {name: preset(name, **NARROW) for name in ("mask_rcnn_resnet50_fpn", "msa_rcnn_mobilenet_v2")}
    measured = benchmark(list(configs), CPU, 2, 3, reference=False, configs=configs)
    mask, msa = measured.rows
    for row in (mask, msa):
        assert set(row.parts) == set(PARTS)
        assert all(0 < part.least <= part.median <= part.most for part in row.parts.values())
        assert row.whole.most >= sum(part.least for part in row.parts.values()) - 0.1
        assert row.parameters and row.multiply_adds and row.training_bytes
    assert mask.paper == {"seconds": 0.17, "training_gb": 7.7}
    ratios = measured.ratios(msa)
    assert ratios["time_to_mask_rcnn"] == pytest.approx(msa.whole.median / mask.whole.median, abs=1e-3)
    assert ratios["memory_to_mask_rcnn"] == pytest.approx(msa.training_bytes / mask.training_bytes, abs=1e-3)
    assert "2 images" in measured.memory_is and json.dumps(measured.to_dict())
    assert "msa_rcnn_mobilenet_v2: " in measured.text()


def test_a_pipeline_is_its_detector_and_a_network_on_crops(monkeypatch):
    monkeypatch.setitem(benchmark_command.CROP_PRESETS, "cpn50", CropConfig(width=32, height=64, channels=16))
    configs = {"mask_rcnn_resnet50_fpn": preset("mask_rcnn_resnet50_fpn", **NARROW)}
    measured = benchmark(["mask_rcnn_resnet50_fpn", "cpn50"], CPU, 1, 2, reference=False, configs=configs)
    mask, pipeline = measured.rows
    crops = sum(value.numel() for value in CPN(benchmark_command.CROP_PRESETS["cpn50"]).parameters())
    assert pipeline.parameters == mask.parameters + crops
    assert set(pipeline.parts) == set(PARTS) and pipeline.training_bytes > mask.training_bytes
    assert pipeline.paper == {"seconds": 0.31, "training_gb": 18.4}
    torch.manual_seed(0)
    one, two = (training_memory(CPN(CropConfig(width=32, height=64, channels=16)), CPU, people) for people in (1, 2))
    assert one < two, "crops of every person"


def test_ratios_are_to_the_reference_and_to_our_baseline():
    rows = [Row(REFERENCE, Spread(200, 190, 210)), Row("mask_rcnn_resnet50_fpn", Spread(100, 90, 110))]
    table = Benchmark({}, [*rows, Row("msa_rcnn_resnet50_fpn", Spread(124, 120, 130))], "")
    assert table.ratios(table.rows[2]) == {"time_to_reference": 0.62, "time_to_mask_rcnn": 1.24}


def test_a_cpus_training_memory_is_what_is_kept_and_less_of_it_when_forgotten():
    config = preset("msa_rcnn_mobilenet_v2", **NARROW)
    torch.manual_seed(0)
    network = build_model(config)
    plain = training_memory(network, CPU)
    weights = sum(value.nbytes for value in network.state_dict().values())
    assert plain > 2 * weights
    torch.manual_seed(0)
    again = build_model(config)
    again.backbone.forgets = again.roi_heads.forgets = True
    assert training_memory(again, CPU) < 0.9 * plain


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr(benchmark_command, "preset", lambda name: preset(name, **NARROW))
    monkeypatch.setattr(benchmark_command, "_reference", lambda people: torch.nn.Identity())
    status = main(["benchmark", "--models", "msa_rcnn_mobilenet_v2", "--runs", "1", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert status == 0 and [row["name"] for row in printed["rows"]] == [REFERENCE, "msa_rcnn_mobilenet_v2"]
    assert printed["machine"]["people"] == 3
    assert main(["benchmark", "--runs", "0"]) == 2
