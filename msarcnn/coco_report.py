"""What became of a data set's records: taken, repaired, left out and why, with counts; for people and for programs."""

import re
from typing import Literal

import msgspec

from msarcnn.coco import CocoDataset
from msarcnn.image_formats import unread_photos

_SHOWN_PLACES = 5
_EXAMPLES = 20


class ReportLine(msgspec.Struct):
    """One kind of thing that was found.

    Attributes:
        kind: "left out" for records that cannot be used, "note" for what was repaired or decided.
        text: What it is.
        count: How many records it concerns.
        places: The first of them.
        warns: Something is lost, or may be wrong.
    """

    kind: Literal["left out", "note"]
    text: str
    count: int
    places: list[str] = []
    warns: bool = False

    def __str__(self) -> str:
        places = ", ".join(self.places[:_SHOWN_PLACES])
        more = ", ..." if self.count > _SHOWN_PLACES and self.places else ""
        found = f"{self.count} left out: " if self.kind == "left out" else f"{self.count} x "
        return f"{found}{self.text}" + (f" ({places}{more})" if places else "")


class ReadReport(msgspec.Struct):
    """What was read of a file.

    Attributes:
        source: Its name.
        images: Usable images.
        people: Usable people, crowds included.
        others: Annotations of other things than people: kept for export, not shown.
        quarantined: Records that cannot be used: kept for export.
        lost_people: Those of them that are people, or may be.
        lines: What else is to be said, warnings first.
    """

    source: str
    images: int = 0
    people: int = 0
    others: int = 0
    quarantined: int = 0
    lost_people: int = 0
    lines: list[ReportLine] = []

    @property
    def warns(self) -> bool:
        """Whether somebody should look at it."""
        return self.lost_people > 0 or any(line.warns for line in self.lines)

    def summary(self) -> str:
        """One sentence."""
        said = f"{self.source}: {_counted(self.images, 'image')} and {_counted(self.people, 'person', 'people')}"
        if self.lost_people:
            return f"{said}; {_counted(self.lost_people, 'person', 'people')} could not be read"
        warnings = [line for line in self.lines if line.warns]
        return f"{said}; {warnings[0].count} x {warnings[0].text}" if warnings else said

    def text(self) -> str:
        """Everything, in lines."""
        parts = [
            f"{self.source}\n",
            f"Taken: {_counted(self.images, 'image')}, {_counted(self.people, 'person', 'people')}",
            f"Kept for export, not shown: {_counted(self.others, 'annotation')} of other things, "
            f"{_counted(self.quarantined, 'record')} that cannot be used",
        ]
        groups = {
            "Lost, or perhaps wrong": [line for line in self.lines if line.warns],
            "Left out": [line for line in self.lines if line.kind == "left out" and not line.warns],
            "Repaired and decided": [line for line in self.lines if line.kind == "note" and not line.warns],
        }
        for title, lines in groups.items():
            if lines:
                parts.append(f"\n{title}:")
                parts += [f"- {line}" for line in lines]
        return "\n".join(parts) + "\n"


def report_of(dataset: CocoDataset, source: str = "") -> ReadReport:
    """The report about a COCO file that has been read."""
    lines = [ReportLine("note", note.text, note.count, list(note.places), note.warns) for note in dataset.notes]
    for unread in unread_photos(image.file_name for image in dataset.images):
        text = f"{unread.kind} photos that are not read here: {unread.cure}"
        lines.append(ReportLine("note", text, unread.count, [unread.first], warns=True))
    groups: dict[tuple[str, str, bool], ReportLine] = {}
    for record in dataset.quarantined:
        # "its image 8 does not exist" and "its image 9 ..." are one kind of thing: the first stands for it.
        key = (record.section, re.sub(r"\d+", "#", record.reason), record.person)
        line = groups.setdefault(key, ReportLine("left out", record.reason, 0, [], record.person))
        line.count += 1
        if len(line.places) < _EXAMPLES:
            line.places.append(f"{record.section}[{record.index}]")
    return ReadReport(
        source or dataset.path.name,
        len(dataset.images),
        len(dataset.people),
        len(dataset.others),
        len(dataset.quarantined),
        dataset.lost_people,
        sorted([*groups.values(), *lines], key=lambda line: not line.warns),
    )


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
