"""What became of a data set's files and lines: everything that was not taken as it is, counted by reason."""

from dataclasses import dataclass, field
from typing import Literal

from msarcnn.coco_report import ReadReport, ReportLine

_EXAMPLES = 20


@dataclass
class YoloReport:
    """Collects while a data set is read.

    Attributes:
        lines: One for each reason.
        lost_people: Lines of labels that could not be read.
        losses: How often something was lost, whatever it was.
    """

    lines: list[ReportLine] = field(default_factory=list)
    lost_people: int = 0
    losses: int = 0

    def lose(self, text: str, place: str = "", count: int = 1, people: int = 0) -> None:
        """Something is not there now that may be labels of people: a warning."""
        self._count("left out", text, place, count, warns=True)
        self.lost_people += people
        self.losses += 1

    def leave_out(self, text: str) -> None:
        """Something was left out that is nobody."""
        self._count("left out", text, "", 1, warns=False)

    def note(self, text: str, place: str = "", count: int = 1, warns: bool = False) -> None:
        """Something was repaired."""
        self._count("note", text, place, count, warns)

    def decide(self, text: str) -> None:
        """Something about the data set as a whole was decided: said once."""
        if all(line.text != text for line in self.lines):
            self._count("note", text, "", 1, warns=False)

    def add_to(self, report: ReadReport) -> None:
        """Puts everything into the report on what was made of the data set, warnings first."""
        report.lost_people += self.lost_people
        report.lines = sorted([*self.lines, *report.lines], key=lambda line: not line.warns)

    def _count(self, kind: Literal["left out", "note"], text: str, place: str, count: int, warns: bool) -> None:
        line = next((line for line in self.lines if (line.kind, line.text) == (kind, text)), None)
        if line is None:
            line = ReportLine(kind, text, 0, [], warns)
            self.lines.append(line)
        line.count += count
        if place and len(line.places) < _EXAMPLES:
            line.places.append(place)
