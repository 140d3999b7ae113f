"""`python -m msarcnn models`: what there is, downloading, adding, removing.

With --json every line on standard output is an object: {"event": "progress", "done": ..., "total": ...} while something
comes, then {"event": "result", ...} or {"error": "a sentence"}. The list alone has no "event".
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

from msarcnn.model_entry import ModelEntry
from msarcnn.model_library import ModelLibrary
from msarcnn.sizes import in_megabytes

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_TERMINATED = 143
"""Exit status, as a shell would report the signal."""
_SECONDS_BETWEEN = 0.2


def add_models_command(commands: Commands) -> None:
    """Adds `models` and its own commands to the parser of the command line."""
    models = commands.add_parser("models", help="known models: list, download, add, remove")
    models.add_argument("--json", action="store_true")
    models.set_defaults(function=run_models, work=_list)
    own = models.add_subparsers(dest="models_command", metavar="COMMAND")
    _add(own, "list", "all models, and where their files are (also without a command)", _list)
    _add(own, "download", "bring published weights here, or the rest of them", _download, name=True)
    added = _add(own, "add", "give a model file a name; the file stays where it is", _add_file)
    added.add_argument("file", type=Path)
    added.add_argument("--name", default="", help="what commands take (default: after the title or the file)")
    added.add_argument("--title", default="", help="what people read")
    added.add_argument("--fine-tuned", action="store_true", help="it was made here by `train`")
    _add(own, "remove", "delete a download; forget a file, which stays where it is", _remove, name=True)
    _add(own, "show", "all that is known of a model", _show, name=True)
    _add(own, "path", "where a model's file is", _path, name=True)


def _add(commands: Commands, command: str, text: str, work: Any, name: bool = False) -> argparse.ArgumentParser:
    parser = commands.add_parser(command, help=text)
    # Absent instead of False: `models --json download coco` has it before the command.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    if name:
        parser.add_argument("name")
    parser.set_defaults(work=work)
    return parser


def run_models(arguments: argparse.Namespace) -> int:
    """Does what the arguments say; returns the exit status. Without --json errors are the caller's to show."""
    # As an exit, a cancelled download closes what it has, and lets go of its lock.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        arguments.work(ModelLibrary(), arguments)
    except (ValueError, OSError) as error:
        if not arguments.json:
            raise
        _print({"error": str(error)})
        return 2
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _list(library: ModelLibrary, arguments: argparse.Namespace) -> None:
    entries = library.entries()
    if arguments.json:
        _print({"models": [entry.to_plain() for entry in entries]})
    else:
        print("\n".join(line for entry in entries for line in _lines(entry)))


def _download(library: ModelLibrary, arguments: argparse.Namespace) -> None:
    shown = 0.0

    def show(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < _SECONDS_BETWEEN and done != total:
            return
        shown = now
        if arguments.json:
            _print({"event": "progress", "done": done, "total": total})
        else:
            whole = f" of {in_megabytes(total)}, {done / total:.0%}" if total else ""
            print(f"{in_megabytes(done)}{whole}   ", end="\r", file=sys.stderr, flush=True)

    entry = library.download(arguments.name, show)
    if not arguments.json and shown:
        print(file=sys.stderr)
    _result(entry, arguments, str(entry.path))


def _add_file(library: ModelLibrary, arguments: argparse.Namespace) -> None:
    entry = library.add(arguments.file, arguments.name, arguments.title, arguments.fine_tuned)
    _result(entry, arguments, f"{entry.name}: {entry.path}")


def _remove(library: ModelLibrary, arguments: argparse.Namespace) -> None:
    entry = library.remove(arguments.name)
    what = "deleted" if entry.kind == "download" else "forgotten; its file stays"
    _result(entry, arguments, f"{entry.name}: {what}")


def _show(library: ModelLibrary, arguments: argparse.Namespace) -> None:
    entry = library.entry(arguments.name)
    facts = {name: value for name, value in entry.to_plain().items() if value not in (None, "", {}, [])}
    _result(entry, arguments, "\n".join(f"{name:>12}  {_shown(value)}" for name, value in facts.items()))


def _path(library: ModelLibrary, arguments: argparse.Namespace) -> None:
    path = library.path_of(arguments.name)
    if arguments.json:
        _print({"event": "result", "path": str(path)})
    else:
        print(path)


def _result(entry: ModelEntry, arguments: argparse.Namespace, text: str) -> None:
    if arguments.json:
        _print({"event": "result", "model": entry.to_plain()})
    else:
        print(text)


def _lines(entry: ModelEntry) -> list[str]:
    """Lines of the list: name and file, then what it is; of what is not here, then how to bring it by hand."""
    places = {"download": "not downloaded", "architecture": "no weights; train it, or name a file of your own"}
    first = f"{entry.name:<28} {entry.path or places.get(entry.kind, 'no file')}"
    facts = [entry.title, entry.kind if entry.kind != "architecture" else "", _figures(entry)]
    facts.append(in_megabytes(entry.size) if entry.size else "")
    second = entry.problem or "; ".join(fact for fact in facts if fact)
    return [
        f"{'':<28} {line}" if number else line for number, line in enumerate((first, second, entry.by_hand)) if line
    ]


def _figures(entry: ModelEntry) -> str:
    words = {"keypoint_ap": "keypoint AP", "box_ap": "box AP", "top1": "top-1"}
    shown = ", ".join(f"{words.get(name, name)} {value:.3f}" for name, value in entry.figures.items())
    return f"{shown} on {entry.figures_on}" if shown and entry.figures_on else shown


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:.3f}" for name, number in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)
