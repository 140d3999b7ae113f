"""`python -m msarcnn tables`: the paper's Tables 1, 2 and 4, its numbers beside ours."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

from msarcnn.coco import Reading
from msarcnn.config import DEVICE_HELP, ModelConfig, NetworkConfig
from msarcnn.crop_config import CROP_PRESETS
from msarcnn.paper_tables import COLUMNS, TABLE_1, TABLES, PaperTable
from msarcnn.presets import DEFAULT_MODEL, PRESETS

if TYPE_CHECKING:
    from msarcnn.checkpoint import CheckpointInfo

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Line: TypeAlias = tuple[str, str, dict[str, float | None]]

_ALL: dict[str, NetworkConfig] = {**PRESETS, **CROP_PRESETS}
_MAKE_BENCHMARK = "`python -m msarcnn benchmark --json > FILE`"


@dataclass(frozen=True)
class Source:
    """Where figures come from: a model or a benchmark's file as it was given, and what they were measured on."""

    name: str
    measured_on: str
    notes: list[str]


@dataclass(frozen=True)
class Ours:
    """What is known of a network of ours.

    Attributes:
        config: Its configuration, whose name says which row it belongs to.
        figures: By column; None where one was looked for and is not there.
        source: The number of its Source, from 1; None: nothing was measured.
    """

    config: NetworkConfig
    figures: dict[str, float | None]
    source: int | None = None

    def plain(self, columns: Sequence[str]) -> dict[str, Any]:
        """{"preset", "source", "figures"}, these by column; parameters are counted where they are asked for."""
        figures = {key: self.figures.get(key) for key in columns}
        if "parameters" in figures:
            from msarcnn.summary import parameters_without_rpn

            assert isinstance(self.config, ModelConfig), "Table 2 is about MS-RoIAlign"
            figures["parameters"] = round(parameters_without_rpn(self.config) / 1e6, 2)
        return {"preset": self.config.name, "source": self.source, "figures": figures}


class _Milliseconds(msgspec.Struct):
    median: Annotated[float, msgspec.Meta(gt=0)]


class _Measured(msgspec.Struct):
    name: str
    whole: _Milliseconds
    ratios: dict[str, float]
    training_bytes: int | None

    def figures(self) -> dict[str, float | None]:
        """Table 4's columns, without AP."""
        return {
            "seconds": round(self.whole.median / 1000, 5),
            "time_ratio": self.ratios.get("time_to_mask_rcnn"),
            "training_gb": round(self.training_bytes / 1e9, 3) if self.training_bytes else None,
            "memory_ratio": self.ratios.get("memory_to_mask_rcnn"),
        }


class _Benchmark(msgspec.Struct):
    """The part of a Benchmark's plain data (msarcnn.benchmark_command) that is shown."""

    machine: dict[str, Any]
    training_memory: str
    rows: list[_Measured]


def add_tables_command(commands: Commands) -> argparse.ArgumentParser:
    """Adds `tables` to the parser of the command line; returns it for the options of all that read COCO files."""
    tables = commands.add_parser("tables", help="the paper's Tables 1, 2 and 4, its numbers beside ours")
    tables.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="trained models: names or files")
    tables.add_argument("--annotations", type=Path, help="COCO file to judge them on (default: figures in their files)")
    tables.add_argument("--images", type=Path, help="its image folder")
    tables.add_argument("--benchmark", type=Path, metavar="FILE", help="what `benchmark --json` printed")
    tables.add_argument(
        "--detector", metavar="MODEL", help=f"what finds people for a network on crops (default {DEFAULT_MODEL})"
    )
    tables.add_argument("--device", default="auto", help=DEVICE_HELP)
    tables.add_argument("--json", action="store_true")
    tables.set_defaults(function=run_tables)
    return tables


def run_tables(arguments: argparse.Namespace) -> int:
    """Prints the tables; returns the exit status.

    Raises:
        ValueError: arguments that do not go together; CheckpointError, DataError, CocoError: a file cannot be used.
    """
    from msarcnn.checkpoint import read_checkpoint
    from msarcnn.model_library import find_model

    judging = arguments.annotations is not None
    if judging != (arguments.images is not None):
        raise ValueError("--annotations and --images go together: give both, or neither")
    if judging and not arguments.models:
        raise ValueError("--annotations is to judge models on: name them with --models")
    # Whatever cannot be read is said before the first model is judged for hours.
    measured = None if arguments.benchmark is None else read_benchmark(arguments.benchmark)
    infos = {model: read_checkpoint(find_model(model))[1] for model in arguments.models}
    sources, ours = [], []
    for number, (model, info) in enumerate(infos.items(), 1):
        metrics, source = _judged(arguments, model, info) if judging else _stored(model, info)
        sources.append(source)
        ours.append(Ours(info.config, accuracy(metrics), number))
    if measured is not None:
        sources.append(_source_of(arguments.benchmark, measured))
        ours += [Ours(_ALL[row.name], row.figures(), len(sources)) for row in measured.rows if row.name in _ALL]
    known = {name for table in TABLES for row in table.rows for name in row.presets}
    others = [one for one in ours if one.config.name not in known and "AP" in one.figures]
    plain = {
        "tables": [compared(table, ours) for table in TABLES],
        "in_none_of_the_tables": [one.plain(TABLE_1.columns) for one in others],
        "sources": [{"number": number, **asdict(source)} for number, source in enumerate(sources, 1)],
    }
    print(json.dumps(plain) if arguments.json else "\n".join([*_text(plain), *_hints(arguments)]))
    return 0


def read_benchmark(path: Path) -> _Benchmark:
    """What `benchmark --json` has printed into a file. Raises DataError."""
    from msarcnn.dataset import DataError

    try:
        return msgspec.json.decode(path.read_bytes(), type=_Benchmark)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): make it with {_MAKE_BENCHMARK}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not a benchmark ({error}): make one with {_MAKE_BENCHMARK}") from error


def accuracy(metrics: Any) -> dict[str, float | None]:
    """Table 1's columns, in per cent, of an evaluation's figures; None for what nobody could be judged by."""

    def percent(kind: str, name: str) -> float | None:
        of_kind = metrics.get(kind) if isinstance(metrics, dict) else None
        value = of_kind.get(name) if isinstance(of_kind, dict) else None
        return round(100 * value, 2) if isinstance(value, int | float) and value >= 0 else None

    return {key: percent("bbox", "AP") if key == "box_AP" else percent("keypoints", key) for key in TABLE_1.columns}


def compared(table: PaperTable, ours: Iterable[Ours]) -> dict[str, Any]:
    """A table as plain data: the paper's figures of a row, and everything of ours that belongs beside them."""
    rows = []
    for row in table.rows:
        found = [one for one in ours if one.config.name in row.presets and one.figures.keys() & {*table.columns}]
        found = found or [Ours(_ALL[name], {}) for name in row.presets[:1]]
        plain = [one.plain(table.columns) for one in found]
        rows.append({"row": row.words, "paper": dict(row.figures), "ours": plain})
    return {"table": table.number, "caption": table.caption, "columns": list(table.columns), "rows": rows}


def _source_of(path: Path, measured: _Benchmark) -> Source:
    where = ", ".join(f"{key}: {value}" for key, value in measured.machine.items())
    shown = {name for table in TABLES if "training_gb" in table.columns for row in table.rows for name in row.presets}
    notes = []
    if any(row.training_bytes for row in measured.rows):
        notes.append(f"memory to train: {measured.training_memory}")
    if others := [row.name for row in measured.rows if row.name not in shown]:
        notes.append(f"measured, but in no row: {', '.join(others)}")
    return Source(str(path), f"measured on {where}", notes)


def _judged(arguments: argparse.Namespace, model: str, info: "CheckpointInfo") -> tuple[Any, Source]:
    from msarcnn.evaluate_command import evaluate_model

    def report(done: int, total: int, seconds: float) -> None:
        end = "\n" if done == total else "\r"
        print(f"{model}: {done}/{total} images, {seconds:.0f} s left   ", end=end, file=sys.stderr, flush=True)

    reading = Reading(tuple(arguments.people or ()), arguments.joints_in_coco_order)
    detector = None if isinstance(info.config, ModelConfig) else arguments.detector or DEFAULT_MODEL
    judged = evaluate_model(
        arguments.annotations, arguments.images, model, arguments.device, report, reading=reading, detector=detector
    )
    behind = [f"behind {detector}, which finds the people"] if detector else []
    return judged.figures, Source(model, f"judged on {arguments.annotations}", _notes(info) + behind + judged.problems)


def _stored(model: str, info: "CheckpointInfo") -> tuple[Any, Source]:
    if not any(value is not None for value in accuracy(info.metrics).values()):
        return {}, Source(model, "no figures in its file: give --annotations and --images", _notes(info))
    said = info.lineage.get("metrics")
    on = said if isinstance(said, str) else "on the images that its training held out"
    # A training looks once, whatever the configuration says.
    scales = isinstance(info.config, ModelConfig) and info.config.test_scales
    looks = ["judged with one look at an image, not at its test scales"] if scales else []
    detector = info.lineage.get("detector")
    looks += [f"behind a detector, the model {detector[:12]}"] if isinstance(detector, str) else []
    return info.metrics, Source(model, f"figures in its file, {on}", _notes(info) + looks)


def _notes(info: "CheckpointInfo") -> list[str]:
    preset, own = _ALL.get(info.config.name, info.config).to_dict(), info.config.to_dict()
    names = [name for name, value in own.items() if preset.get(name) != value]
    return [f"its network is not the preset's: {', '.join(names)}"] if names else []


def _text(plain: dict[str, Any]) -> list[str]:
    """The tables for people, names of all of them equally wide; below them where our figures come from."""
    blocks: list[tuple[str, Sequence[str], list[Line]]] = []
    for table in plain["tables"]:
        lines: list[Line] = []
        for row in table["rows"]:
            lines.append((row["row"], "paper", row["paper"]))
            lines += [_line(one) for one in row["ours"]]
        blocks.append((f"Table {table['table']}: {table['caption']}", table["columns"], lines))
    if others := plain["in_none_of_the_tables"]:
        blocks.append(("In none of the tables", TABLE_1.columns, [_line(one) for one in others]))
    first, second = (max(len(line[place]) for _, _, lines in blocks for line in lines) for place in (0, 1))
    text = []
    for title, keys, lines in blocks:
        heads = [COLUMNS[key][0].rjust(6) for key in keys]
        text += [title, "  ".join([" " * first, " " * second, *heads])]
        for words, whose, figures in lines:
            cells = [_cell(key, figures.get(key)).rjust(len(head)) for key, head in zip(keys, heads, strict=True)]
            text.append("  ".join([words.ljust(first), whose.ljust(second), *cells]))
        text.append("")
    for source in plain["sources"]:
        text.append(f"[{source['number']}] {source['name']}: {source['measured_on']}")
        text += [f"    {note}" for note in source["notes"]]
    return text


def _line(one: dict[str, Any]) -> Line:
    return "", one["preset"] + (f" [{one['source']}]" if one["source"] else ""), one["figures"]


def _cell(key: str, value: float | None) -> str:
    return "-" if value is None else format(value, COLUMNS[key][1])


def _hints(arguments: argparse.Namespace) -> list[str]:
    """How to fill what is empty."""
    hints = []
    if not arguments.models:
        hints.append("AP of ours: --models FILE ..., with --annotations and --images to judge all of them on one file.")
    if arguments.benchmark is None:
        hints.append(f"Time and memory of ours: --benchmark FILE, made with {_MAKE_BENCHMARK}.")
    return hints
