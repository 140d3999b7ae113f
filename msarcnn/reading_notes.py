"""What became of a COCO file's records when it was read, in sentences: what was repaired, and what was left out."""

from dataclasses import dataclass

from msarcnn.coco import CocoDataset
from msarcnn.coco_report import report_of


@dataclass(frozen=True)
class ReadingNote:
    """A sentence that names the file. lost: records were left out, or may be wrong, not only repaired."""

    text: str
    lost: bool

    def __str__(self) -> str:
        return self.text


def reading_notes(data: CocoDataset) -> list[ReadingNote]:
    """One note a line of the report (`coco_report`), warnings first."""
    lines = report_of(data).lines
    return [ReadingNote(f"{data.path}: {line}", line.kind == "left out" or line.warns) for line in lines]


def why_nobody(data: CocoDataset) -> str:
    """Why a file that has annotations has no person to learn from or to judge by; empty when it has no annotation."""
    reasons = [note.text.removeprefix(f"{data.path}: ") for note in reading_notes(data) if note.lost]
    if data.others:
        people = ", ".join(str(category.id) for category in data.categories)
        person = f"people are {people}" if people else "it has no category of people"
        reasons.append(f"annotations of other categories: {len(data.others)} ({person})")
    crowds = sum(person.iscrowd for person in data.people)
    if crowds:
        reasons.append(f"crowds: {crowds}")
    return "; ".join(reasons)
