"""What an audit of the labels suspects, and what somebody has called right: that is kept in the project for good."""

import sqlite3
from typing import Any

import msgspec

_KEY = "audit: right"


class Suspect(msgspec.Struct, frozen=True):
    """A label that may be wrong.

    Attributes:
        image: The image's key.
        kind: A short name of what may be wrong, e.g. "miss".
        about: The same for people.
        suspicion: 0..1.
        people: Keys: one, two that are one, none for somebody who is not labelled.
        joints: Indices of the joints that it is about.
        box: x, y, w, h in pixels: where to look.
        picture: A small JPEG of it in base64, or "".
    """

    image: int
    kind: str
    about: str
    suspicion: float
    people: tuple[int, ...]
    joints: tuple[int, ...]
    box: tuple[float, float, float, float]
    picture: str = ""

    @property
    def mark(self) -> str:
        """What it is known by: of somebody who is not labelled, where that is, to some pixels."""
        who = ",".join(map(str, self.people)) or ",".join(str(round(side / 16)) for side in self.box)
        return f"{self.image}/{self.kind}/{who}/{','.join(map(str, self.joints))}"

    def to_plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def suspects_of(findings: object) -> list[Suspect]:
    """From what the child says; raises msgspec.ValidationError when it is none."""
    return msgspec.convert(findings, list[Suspect])


def read_marks(connection: sqlite3.Connection) -> set[str]:
    """The marks of what was called right; those of a later version with another shape are not known."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    try:
        return set(msgspec.json.decode(row[0], type=list[str])) if row else set()
    except msgspec.MsgspecError:
        return set()


def add_mark(connection: sqlite3.Connection, mark: str) -> None:
    """Remembers that something is right; within the caller's transaction."""
    marks = sorted({*read_marks(connection), mark})
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, msgspec.json.encode(marks).decode()))
