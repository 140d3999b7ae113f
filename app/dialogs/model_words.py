"""A model of the library in words: its kind, its state, and what there is to know about it."""

from app.workers.library_client import ModelEntry, in_megabytes

_KINDS = {"bundled": "bundled", "download": "published", "fine-tuned": "fine-tuned here", "file": "file"}
_FIGURES = {"keypoint_ap": "joints", "box_ap": "boxes"}


def kind_of(entry: ModelEntry) -> str:
    return _KINDS.get(entry.kind, entry.kind)


def state_of(entry: ModelEntry, in_use: bool, downloading: bool, percent: int | None) -> str:
    """One or two words; percent of a download is None while it is not known."""
    if downloading:
        return "connecting…" if percent is None else f"downloading, {percent} %"
    if in_use:
        return "in use"
    if entry.problem:
        return "damaged" if entry.hash else "file is gone"
    if entry.path is None:
        if entry.here and entry.size:
            return f"{100 * entry.here // entry.size} % is here"
        return "not downloaded"
    return "ready"


def details_of(entry: ModelEntry) -> str:
    """Some lines: the problem, figures, where it comes from, terms, where it lies, its name for commands."""
    lines = [entry.problem] if entry.problem else []
    if entry.figures:
        lines.append(f"AP {_figures(entry)}{f', on {entry.figures_on}' if entry.figures_on else ''}")
    if entry.parent:
        parent = entry.parent_title or f"the model {entry.parent}, which is not in this list"
        data = f" on labels {', '.join(entry.data)}" if entry.data else ""
        lines.append(f"{'Calibrated' if entry.calibrated else 'Trained'} from {parent}{data}")
    if entry.licence:
        lines.append(f"Licence: {entry.licence}")
    if entry.path is None and entry.kind == "download":
        if entry.here:
            lines.append(f"{in_megabytes(entry.here)} of it are here")
        lines.append(entry.by_hand)
    elif entry.path is not None and not entry.problem:
        lines.append(str(entry.path))
    lines.append(f"On the command line: {entry.name}")
    return "\n".join(lines)


def _figures(entry: ModelEntry) -> str:
    shown = []
    for name, what in _FIGURES.items():
        if name in entry.figures:
            before = f" (before {entry.before[name]:.3f})" if name in entry.before else ""
            shown.append(f"{what} {entry.figures[name]:.3f}{before}")
    return ", ".join(shown)
