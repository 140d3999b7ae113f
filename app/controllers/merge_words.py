"""What is said of a merge: what it would bring, and what it has brought."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.storage.attach import AttachProgress

_SHOWN = 3


def is_here(report: Mapping[str, Any]) -> bool:
    """Whether everything in a file is in the project; report: the fields of a `MergeReport`."""
    return bool(report["people"] == report["same"] and not report["new"])


def offer(name: str, report: Mapping[str, Any], again: bool) -> str:
    """Sentences about a file and the project; again: the file was imported before and has changed since."""
    gone, overlapping = report["gone"], report["overlapping"]
    one, many = "is not in it any more, but stays", "are not in it any more, but stay"
    left = _people(gone, f"of its earlier version {one}", f"of its earlier version {many}")
    left = f" {left} here." if gone else ""
    if is_here(report):
        return f"{name}: everything in it is here already.{left}"
    coming = report["people"] - report["same"] - overlapping - report["left_out"]
    since = " was changed since it was imported" if again else ""
    text = f"{name}{since}: {_people(coming, 'is', 'are')} new, {report['same']} here already"
    text += f", and {_counted(report['new'], 'image is', 'images are')} new." if report["new"] else "."
    text += left
    text += f" {_left_out(report['left_out'])}." if report["left_out"] else ""
    if overlapping:
        on = f"{'lies' if overlapping == 1 else 'lie'} on labels of this project ({first(report['paths'])})"
        text += f" {overlapping} {on}. Who stays there?"
    return text


def outcome(name: str, state: AttachProgress) -> str:
    """Sentences about a merge that is over."""
    replaced = state.people_replaced
    place = f" for {_counted(replaced, 'label', 'labels')} that {'was' if replaced == 1 else 'were'} here"
    text = f"{name}: {_people(state.people_added, 'came', 'came')}{place if replaced else ''}"
    text += f", {state.people_skipped} did not."
    if state.people_left_out:
        text += f" {_left_out(state.people_left_out)} ({first(state.left_out_on)})."
    return text


def first(paths: Sequence[str]) -> str:
    """The first few of some paths, and how many more there are."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


def _people(count: int, one: str, many: str) -> str:
    """So many people with the verb that fits."""
    return _counted(count, f"person {one}", f"people {many}")


def _left_out(count: int) -> str:
    whose = _people(count, "of it is", "of it are")
    return f"{whose} left out, since the photo has labels here in another size or turned"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
