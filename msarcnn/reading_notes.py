"""What became of a COCO file's records when it was read, in sentences: what was repaired, and what was left out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from msarcnn.coco import CocoDataset

_PLACES = 3
"""Places that a sentence about many records names."""


@dataclass(frozen=True)
class ReadingNote:
    """A sentence that names the file. lost: records were left out, not only repaired."""

    text: str
    lost: bool

    def __str__(self) -> str:
        return self.text


def reading_notes(data: CocoDataset) -> list[ReadingNote]:
    """One note a kind of repair, then one a reason for which records were left out, with their number and places."""
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in data.quarantined:
        reasons[record.section, record.reason].append(f"{record.section}[{record.index}]")
    return [
        *(ReadingNote(f"{data.path}: {note}", False) for note in data.notes),
        *(
            ReadingNote(f"{data.path}: {section} left out: {len(places)}, {reason} ({_some(places)})", True)
            for (section, reason), places in reasons.items()
        ),
    ]


def why_nobody(data: CocoDataset) -> str:
    """Why a file that has annotations has no person to learn from or to judge by; empty when it has no annotation."""
    reasons = [note.text.removeprefix(f"{data.path}: ") for note in reading_notes(data) if note.lost]
    if data.others:
        person = f"its person category is {data.person.id}" if data.person else "it has no person category"
        reasons.append(f"annotations of other categories: {len(data.others)} ({person})")
    crowds = sum(person.iscrowd for person in data.people)
    if crowds:
        reasons.append(f"crowds: {crowds}")
    return "; ".join(reasons)


def _some(places: Sequence[str]) -> str:
    more = len(places) - _PLACES
    return ", ".join(places[:_PLACES]) + (f" and {more} more" if more > 0 else "")
