"""The paper's numbers beside ours: which model belongs to which row, what is said of its figures, what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msarcnn.benchmark_command import REFERENCE, TABLE_4, Benchmark, Row, Spread, paper_figures
from msarcnn.checkpoint import CheckpointInfo, save_checkpoint, write_checkpoint
from msarcnn.command_line import main
from msarcnn.crop_config import CROP_PRESETS
from msarcnn.evaluate_command import evaluate_model
from msarcnn.model import MSARCNN
from msarcnn.model_files import file_hash
from msarcnn.paper_tables import COLUMNS, TABLES
from msarcnn.presets import PRESETS
from msarcnn.summary import count_parameters, parameters_without_rpn
from msarcnn.synthetic import write_dataset
from msarcnn.tables_command import accuracy

METRICS = {
    "keypoints": {"AP": 0.6512, "AP50": 0.871, "AP75": 0.7, "APm": 0.6, "APl": -1.0, "AR": 0.7},
    "bbox": {"AP": 0.535, "AP50": 0.8},
}
SHOWN = {"AP": 65.12, "AP50": 87.1, "AP75": 70.0, "APm": 60.0, "APl": None, "box_AP": 53.5}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """The command's plain data, or its text."""

    def run(*arguments: object, text: bool = False) -> Any:
        status = main(["tables", *map(str, arguments), *([] if text else ["--json"])])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out if text else json.loads(captured.out)

    return run


@pytest.fixture
def save(tmp_path: Path, tiny_model: MSARCNN) -> Any:
    """Saves the tiny network under a preset's name; returns its file."""

    def save(name: str, metrics: dict[str, Any], file: str = "", **facts: Any) -> Path:
        config = replace(tiny_model.config, name=name, **facts.pop("changes", {}))
        path = tmp_path / f"{file or name}.safetensors"
        save_checkpoint(path, tiny_model, CheckpointInfo(config, metrics=metrics, **facts))
        return path

    return save


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """What `benchmark --json` would have printed: MSA R-CNN 1.24 times as slow, with 1.5 times the memory."""
    rows = [
        Row(REFERENCE, Spread(90, 80, 99)),
        Row("mask_rcnn_resnet50_fpn", Spread(100, 90, 110), training_bytes=4_000_000_000),
        Row("msa_rcnn_resnet50_fpn", Spread(124, 120, 130), training_bytes=6_000_000_000),
        Row("msa_rcnn_concat", Spread(150, 150, 150)),
    ]
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(Benchmark({"device": "A card", "runs": 5}, rows, "at most allocated").to_dict()))
    return path


def row(plain: dict[str, Any], table: int, words: str) -> dict[str, Any]:
    rows = next(one["rows"] for one in plain["tables"] if one["table"] == table)
    return next(one for one in rows if one["row"] == words)


def test_the_papers_numbers_and_its_own_words_about_them() -> None:
    ladder, aggregation, costs = ({row.words: row.figures for row in table.rows} for table in TABLES)
    assert [row["AP"] for row in ladder.values()] == [64.1, 64.4, 64.7, 66.2, 66.5, 67.4, 67.6, 70.3]
    assert ladder["MS-RoIAlign"]["box_AP"] == 54.8 and ladder["MS-RoIAlign"]["APl"] == 76.0
    assert aggregation["Sum"] == {"AP": 67.6, "parameters": 76.3, "training_gb": 10.8}
    assert aggregation["Concat"] == {"AP": 67.6, "parameters": 137.2, "training_gb": 14.4}
    ours, cpn = costs["MSA R-CNN"], costs["CPN-50 and its detector"]
    # paper section 8.4: CPN-50 takes 48 % longer and 70 % more memory than MSA R-CNN, Mask R-CNN+ 80 % more than
    # Mask R-CNN.
    assert cpn["seconds"] / ours["seconds"] == pytest.approx(1.48, abs=0.005)
    assert cpn["training_gb"] / ours["training_gb"] == pytest.approx(1.70, abs=0.005)
    assert (ours["time_ratio"], ours["memory_ratio"]) == (1.235, 1.403)
    assert (costs["Mask R-CNN+"]["time_ratio"], costs["Mask R-CNN+"]["memory_ratio"]) == (1.824, 1.844)
    assert {name for table in TABLES for row in table.rows for name in row.presets} <= {*PRESETS, *CROP_PRESETS}
    assert all(row.figures.keys() == {*table.columns} <= COLUMNS.keys() for table in TABLES for row in table.rows)


def test_the_benchmark_takes_the_papers_numbers_from_here() -> None:
    assert [tuple(paper_figures(name).values()) for name in TABLE_4] == [
        (0.17, 7.7),
        (0.31, 14.2),
        (0.31, 18.4),
        (0.21, 10.8),
    ]


def test_nothing_given_is_dashes_and_how_to_fill_them(run: Any) -> None:
    text = run(text=True)
    assert "Mask R-CNN (baseline)    paper                     64.1    86.4    69.3    58.9    72.7    52.7\n" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["mask_rcnn_p2", *"------"] in lines
    assert ["msa_rcnn_concat", "-", "137.2", "-"] in lines
    assert ["MSA", "R-CNN", "paper", "67.6", "0.21", "1.24", "10.8", "1.40"] in lines
    assert ["cpn50", *"-----"] in lines
    assert "--models FILE" in text and "--benchmark FILE" in text and "[1]" not in text
    for block in text.split("\n\n")[:3]:
        assert len({len(line) for line in block.splitlines()[1:]}) == 1, "its columns are aligned"


def test_figures_of_the_files_stand_in_their_rows(run: Any, save: Any) -> None:
    first = save("ms_roi_align", METRICS)
    second = save("ms_roi_align", {"keypoints": {"AP": 0.7}}, file="second")
    plain = run("--models", first, second)
    one, two = row(plain, 1, "MS-RoIAlign")["ours"]
    assert one == {"preset": "ms_roi_align", "source": 1, "figures": SHOWN}
    assert two["source"] == 2 and two["figures"]["AP"] == 70.0 and two["figures"]["box_AP"] is None
    assert row(plain, 1, "MS-RoIAlign")["paper"]["AP"] == 67.4
    assert row(plain, 1, "MS-KpsNet")["ours"][0]["source"] is None
    assert [source["name"] for source in plain["sources"]] == [str(first), str(second)]
    assert plain["sources"][0]["measured_on"] == "figures in its file, on the images that its training held out"
    assert plain["in_none_of_the_tables"] == []
    text = run("--models", first, second, text=True)
    assert "  ms_roi_align [1]          65.1    87.1    70.0    60.0       -    53.5\n" in text
    assert f"\n[2] {second}: figures in its file" in text and "--models FILE" not in text


def test_the_papers_network_is_in_all_three_tables_with_its_own_parameters(
    run: Any, save: Any, tiny_model: MSARCNN
) -> None:
    plain = run("--models", save("msa_rcnn_resnet50_fpn", METRICS))
    parts = count_parameters(tiny_model)
    assert parameters_without_rpn(tiny_model.config) == sum(parts.values()) - parts["rpn"]
    tiny = round((sum(parts.values()) - parts["rpn"]) / 1e6, 2)
    assert row(plain, 1, "Average of top-2s")["ours"][0]["figures"] == SHOWN
    (summed,) = row(plain, 2, "Sum")["ours"]
    assert summed["figures"] == {"AP": 65.12, "parameters": tiny, "training_gb": None}
    (concat,) = row(plain, 2, "Concat")["ours"]
    assert concat["figures"] == {"AP": None, "parameters": 137.24, "training_gb": None}
    (ours,) = row(plain, 4, "MSA R-CNN")["ours"]
    assert ours["figures"] == {"AP": 65.12, **dict.fromkeys(TABLES[2].columns[1:])}
    (note,) = plain["sources"][0]["notes"]
    assert note.startswith("its network is not the preset's: backbone, fpn_channels, ")


def test_others_are_listed_below(run: Any, save: Any) -> None:
    model = save("msa_rcnn_mobilenet_v2", METRICS)
    plain = run("--models", model)
    assert plain["in_none_of_the_tables"] == [{"preset": "msa_rcnn_mobilenet_v2", "source": 1, "figures": SHOWN}]
    changed = "its network is not the preset's: fpn_channels, box_head_width, keypoint_width, min_size, max_size"
    assert plain["sources"][0]["notes"] == [changed]
    below = run("--models", model, text=True).partition("\nIn none of the tables\n")[2]
    assert ["msa_rcnn_mobilenet_v2", "[1]", "65.1", "87.1", "70.0", "60.0", "-", "53.5"] in [
        line.split() for line in below.splitlines()
    ]


def test_what_is_said_of_figures_that_are_no_plain_ones(run: Any, save: Any, tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    write_checkpoint(whole, {}, CheckpointInfo(PRESETS["msa_rcnn_tta"], metrics=METRICS))
    none, bare = save("ms_kpsnet", {}), save("ms_kpsnet", {"proposals": {"AR100": 0.9}}, file="rpn")
    parents = save("mask_rcnn_1x1", METRICS, lineage={"metrics": "of the parent"})
    sources = run("--models", whole, none, bare, parents)["sources"]
    assert sources[0]["notes"] == ["judged with one look at an image, not at its test scales"]
    assert sources[1]["measured_on"] == "no figures in its file: give --annotations and --images"
    assert sources[2]["measured_on"] == sources[1]["measured_on"]
    assert sources[3]["measured_on"] == "figures in its file, of the parent"


def test_of_damaged_metrics_nothing_is_taken() -> None:
    for metrics in ({}, {"keypoints": 3, "bbox": []}, {"keypoints": {"AP": "0.5"}}):
        assert set(accuracy(metrics).values()) == {None}


def test_models_are_judged_where_images_are_given(run: Any, save: Any, tmp_path: Path) -> None:
    annotations = write_dataset(tmp_path / "data", images=2)
    images = tmp_path / "data" / "images"
    lineage = {"data": [file_hash(annotations)]}
    model = save("ms_roi_align", METRICS, lineage=lineage, changes={"box_score_threshold": 0.0})
    plain = run("--models", model, "--annotations", annotations, "--images", images, "--device", "cpu")
    judged = evaluate_model(annotations, images, str(model), "cpu", lambda *_: None)
    figures = row(plain, 1, "MS-RoIAlign")["ours"][0]["figures"]
    assert figures["AP"] == round(100 * judged.figures["keypoints"]["AP"], 2) != SHOWN["AP"]
    assert figures["box_AP"] == round(100 * judged.figures["bbox"]["AP"], 2) != SHOWN["box_AP"]
    (source,) = plain["sources"]
    assert source["measured_on"] == f"judged on {annotations}"
    assert any("the model was trained on this very file" in note for note in source["notes"])


def test_joints_of_unknown_names_are_asked_about_as_everywhere(
    run: Any, save: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = write_dataset(tmp_path / "data", images=1)
    content = json.loads(annotations.read_text())
    content["categories"][0]["keypoints"] = [f"joint {number}" for number in range(17)]
    annotations.write_text(json.dumps(content))
    words = [
        "--models",
        save("ms_roi_align", {}),
        "--annotations",
        annotations,
        "--images",
        tmp_path / "data" / "images",
    ]
    words += ["--device", "cpu"]
    assert main(["tables", *map(str, words)]) == 2 and "--joints-in-coco-order" in capsys.readouterr().err
    figures = row(run(*words, "--joints-in-coco-order"), 1, "MS-RoIAlign")["ours"][0]["figures"]
    assert figures["AP"] is not None


def test_a_benchmark_stands_beside_the_papers_ratios(run: Any, bench: Path) -> None:
    plain = run("--benchmark", bench)
    (mask,), (msa,) = (row(plain, 4, words)["ours"] for words in ("Mask R-CNN", "MSA R-CNN"))
    assert mask["figures"]["time_ratio"] == mask["figures"]["memory_ratio"] == 1.0
    costs = {"seconds": 0.124, "time_ratio": 1.24, "training_gb": 6.0, "memory_ratio": 1.5}
    assert msa["figures"] == {"AP": None, **costs} and msa["source"] == 1
    assert row(plain, 4, "Mask R-CNN+")["ours"][0]["source"] is None
    (concat,) = row(plain, 2, "Concat")["ours"]
    assert concat["figures"] == {"AP": None, "parameters": 137.24, "training_gb": None} and concat["source"] == 1
    assert row(plain, 2, "Sum")["ours"][0]["figures"]["training_gb"] == 6.0
    assert row(plain, 1, "Mask R-CNN (baseline)")["ours"][0]["source"] is None, "no AP was measured"
    assert plain["in_none_of_the_tables"] == []
    (source,) = plain["sources"]
    assert source["measured_on"] == "measured on device: A card, runs: 5"
    assert source["notes"] == ["memory to train: at most allocated", f"measured, but in no row: {REFERENCE}"]
    text = run("--benchmark", bench, text=True)
    assert ["msa_rcnn_resnet50_fpn", "[1]", "-", "0.124", "1.24", "6.0", "1.50"] in [
        line.split() for line in text.splitlines()
    ]
    assert "--benchmark FILE" not in text


def test_a_benchmark_without_memory_says_nothing_of_it(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    measured = Benchmark(
        {"device": "CPU"}, [Row("mask_rcnn_plus_64x4d", Spread(2000, 1900, 2100))], "at most allocated"
    )
    path.write_text(json.dumps(measured.to_dict()))
    plain = run("--benchmark", path)
    (plus,) = row(plain, 4, "Mask R-CNN+")["ours"]
    assert plus["preset"] == "mask_rcnn_plus_64x4d" and plus["figures"]["seconds"] == 2.0
    assert {plus["figures"][key] for key in ("time_ratio", "training_gb", "memory_ratio")} == {None}
    assert plain["sources"][0]["notes"] == []


GOOD = {"machine": {}, "training_memory": "", "rows": []}
ZERO = {"name": "mask_rcnn_plus", "whole": {"median": 0}, "ratios": {}, "training_bytes": None}


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--benchmark", b"[]", "x.json: not a benchmark (Expected `object`"),
        ("--benchmark", json.dumps({**GOOD, "rows": [{}]}).encode(), "missing required field `name`"),
        ("--benchmark", json.dumps({**GOOD, "rows": [ZERO]}).encode(), "Expected `float` > 0"),
        ("--benchmark", b'{"machine": {"cpu": "\xff"}}', "x.json: not a benchmark ("),
        ("--benchmark", None, "x.json: cannot be read (No such file or directory): make it with `python -m msarcnn"),
        ("--models", b"no model at all", "x.json: not a readable safetensors file"),
        ("--models", None, "x.json: no such file and no such model"),
        ("--annotations", b"{}", "--annotations and --images go together"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["tables", option, str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and len(captured.err.splitlines()) == 1
    assert captured.err.startswith("msarcnn tables: ")


def test_images_without_models_are_no_question(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["tables", "--annotations", "a.json", "--images", str(tmp_path)]) == 2
    assert "name them with --models" in capsys.readouterr().err
