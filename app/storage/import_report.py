"""The report about the newest import, kept in the project: the first note of a hundred is not enough."""

import sqlite3

import msgspec

from app.storage.attach import AttachProgress
from app.storage.frames import OTHER_FRAME
from msarcnn.coco_report import ReadReport, ReportLine

__all__ = ["ReadReport", "add_left_out", "keep_report", "kept_report", "report_from_result", "report_to_json"]

_KEY = "import report"


def add_left_out(report: ReadReport, attached: AttachProgress) -> None:
    """Puts into the report on a file who of it could not be taken into the project."""
    if count := attached.people_left_out:
        text = f"people: {OTHER_FRAME}. Open the file in a project of its own to see them"
        report.lines.insert(0, ReportLine("left out", text, count, list(attached.left_out_on), warns=True))
        report.lost_people += count
        report.people -= count


def report_from_result(result: object) -> ReadReport:
    """From what a child said at its end; raises msgspec.ValidationError when it is none."""
    return msgspec.convert(result, ReadReport)


def report_to_json(report: ReadReport) -> str:
    """For programs, indented."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode()


def keep_report(connection: sqlite3.Connection, report: ReadReport) -> None:
    """Keeps it in the project, in the place of an earlier one; within the caller's transaction."""
    text = msgspec.json.encode(report).decode()
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, text))


def kept_report(connection: sqlite3.Connection) -> ReadReport | None:
    """The newest one; None when nothing was imported, or only by an earlier version."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    try:
        return msgspec.json.decode(row[0], type=ReadReport) if row else None
    except msgspec.MsgspecError:
        return None  # a later version's, with another shape
