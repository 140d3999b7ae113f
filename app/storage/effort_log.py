"""What the work on a project cost, from its operation log: `python -P -m app.storage.effort_log PROJECT [--csv OUT]`.

The figures are printed as one JSON line, {"event": "result", "rows": [...]}; errors as {"error": s}, status 1.

A session is a run of operations of one author without a pause of more than `SESSION_PAUSE` seconds. Time between two
operations counts up to `IDLE` seconds: who thinks longer than that has gone for coffee. The first operation of a
session counts nothing, since nobody knows when its work began.

What happens to a person counts for the model that placed the joints at first ("" for none, or imported).
"""

import argparse
import csv
import io
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec

from app.document.records import HUMAN, IMPORTED
from app.storage import schema
from app.storage.child_lines import print_error, print_line
from app.storage.errors import ProjectError
from app.storage.rows import BROUGHT_IN, PersonData
from app.storage.snapshot import snapshot
from msarcnn.coco import atomic_writer

SESSION_PAUSE = 30 * 60.0
IDLE = 60.0


class Operation(NamedTuple):
    """A row of the operation log; before and after are JSON texts (see `rows.edit_to_json`)."""

    time: float
    author: str
    image: int
    before: str
    after: str


class EffortRow(msgspec.Struct):
    """What one author did in one session with the people of one model.

    Attributes:
        started: Seconds since 1970 of the session's first operation.
        author: Who did it.
        model: Hash of the model that placed the joints at first; "" for none.
        name: What that model is called, as far as the project knows.
        images: Images on which something was done.
        people: People added or changed and still there at the end of the session.
        accepted: Predictions accepted.
        untouched: Of them, those of which nothing was changed up to now.
        rejected: Predictions rejected.
        drawn: Boxes drawn, pasted, duplicated.
        boxes_changed: Box changes.
        deleted: People deleted.
        joints_moved: Joints placed or moved by hand.
        visibility_set: Joints whose visibility was changed without moving them.
        seconds: Time at work.
    """

    started: float
    author: str
    model: str
    name: str = ""
    images: int = 0
    people: int = 0
    accepted: int = 0
    untouched: int = 0
    rejected: int = 0
    drawn: int = 0
    boxes_changed: int = 0
    deleted: int = 0
    joints_moved: int = 0
    visibility_set: int = 0
    seconds: float = 0.0

    @property
    def seconds_per_person(self) -> float | None:
        return self.seconds / self.people if self.people else None


class _Side(msgspec.Struct):
    people: dict[int, PersonData | None] = {}
    predictions: dict[int, str | None] = {}


_side = msgspec.json.Decoder(_Side)


class _Session:
    """The counting of one session."""

    def __init__(self, started: float, author: str) -> None:
        self.started, self.author, self.last = started, author, started
        self.rows: dict[str, EffortRow] = {}
        self._images: dict[str, set[int]] = {}
        self._people: dict[str, set[int]] = {}

    def row(self, model: str) -> EffortRow:
        return self.rows.setdefault(model, EffortRow(self.started, self.author, model))

    def touch(self, model: str, image: int, person: int | None, there: bool = True) -> None:
        self._images.setdefault(model, set()).add(image)
        if person is not None:
            people = self._people.setdefault(model, set())
            (people.add if there else people.discard)(person)

    def finish(self) -> Iterable[EffortRow]:
        for model, row in self.rows.items():
            row.images, row.people = len(self._images.get(model, ())), len(self._people.get(model, ()))
            row.seconds = round(row.seconds, 1)
        return self.rows.values()


class EffortCounter:
    """Goes through operations in their order.

    models: the model of every prediction, by the prediction's key.
    """

    def __init__(self, models: dict[int, str]) -> None:
        self._models = models
        self._sessions: list[_Session] = []
        self._current: dict[str, _Session] = {}
        self._origin: dict[int, str] = {}
        self._accepted: dict[int, EffortRow] = {}
        """By person: where an accepted prediction counts of which nothing was changed up to now."""
        self._deleted: dict[int, EffortRow] = {}

    def add(self, operation: Operation) -> None:
        """Counts one operation; rows that are no edit of one image (imports) are passed over."""
        if operation.image == 0:
            return
        before, after = _side.decode(operation.before), _side.decode(operation.after)
        session = self._session(operation)
        gap = operation.time - session.last
        session.last = operation.time
        seconds = gap if 0 < gap <= IDLE else 0.0
        accepted = self._predictions(session, operation.image, before, after)
        models = [self._person(session, operation, key, before, after, accepted) for key in after.people]
        model = models[0] if models else next(iter(session.rows), "")
        session.row(model).seconds += seconds
        session.touch(model, operation.image, None)

    def rows(self) -> list[EffortRow]:
        """The figures so far, by session and model."""
        rows = [row for session in self._sessions for row in session.finish()]
        for row in rows:
            row.untouched = 0
        for row in self._accepted.values():
            row.untouched += 1
        return rows

    def _session(self, operation: Operation) -> _Session:
        session = self._current.get(operation.author)
        if session is None or operation.time - session.last > SESSION_PAUSE:
            session = self._current[operation.author] = _Session(operation.time, operation.author)
            self._sessions.append(session)
        return session

    def _predictions(self, session: _Session, image: int, before: _Side, after: _Side) -> bool:
        """Counts decisions on predictions; returns whether some were accepted."""
        accepted = False
        for key, status in after.predictions.items():
            row = session.row(self._models.get(key, ""))
            was = before.predictions.get(key)
            accepted = accepted or status == "accepted"
            row.accepted += (status == "accepted") - (was == "accepted")
            row.rejected += (status == "rejected") - (was == "rejected")
            session.touch(row.model, image, None)
        return accepted

    def _person(
        self, session: _Session, operation: Operation, key: int, before: _Side, after: _Side, accepted: bool
    ) -> str:
        old, new = before.people.get(key), after.people[key]
        known = new or old
        if known is not None and not self._origin.get(key):
            self._origin[key] = _model_of(known)
        model = self._origin.get(key, "")
        row = session.row(model)
        session.touch(model, operation.image, key, there=new is not None)
        self._accepted.pop(key, None)
        if new is None:
            if "accepted" not in before.predictions.values():  # else it is an accepting undone
                row.deleted += 1
                self._deleted[key] = row
        elif old is None and accepted:
            corrected = sum(joint[3] == HUMAN for joint in new.joints)  # dragged, which accepted the person
            row.joints_moved += corrected
            if not corrected:
                self._accepted[key] = row
        elif old is None and key in self._deleted:
            self._deleted.pop(key).deleted -= 1  # undone, perhaps in another session
        elif old is None:
            row.drawn += 1
        else:
            row.boxes_changed += old.box != new.box
            for was, joint in zip(old.joints, new.joints, strict=True):
                if joint[3] != HUMAN or was == joint:
                    continue
                moved = (was[0], was[1]) != (joint[0], joint[1])
                row.joints_moved += moved
                row.visibility_set += not moved and was[2] != joint[2]
        return model


def _model_of(person: PersonData) -> str:
    return next((joint[3] for joint in person.joints if joint[3] not in (HUMAN, IMPORTED, "")), "")


def effort_rows(project: Path) -> list[EffortRow]:
    """The figures of a project; it may be open for writing elsewhere.

    Raises:
        ProjectError: it cannot be read.
    """
    try:
        # On a copy: a long reading would keep the window's edits from the disk.
        with (
            TemporaryDirectory(prefix="msarcnn-effort-") as folder,
            snapshot(project, Path(folder) / "copy") as connection,
        ):
            counter = EffortCounter(dict(connection.execute("SELECT id, model FROM prediction")))
            for row in connection.execute(
                "SELECT time, author, image_id, before, after FROM operation WHERE substr(text, 1, ?) != ? ORDER BY id",
                (len(BROUGHT_IN), BROUGHT_IN),
            ):
                counter.add(Operation(*row))
            names = dict(connection.execute("SELECT hash, name FROM model"))
        rows = counter.rows()
        for effort in rows:
            effort.name = names.get(effort.model, "")
        return rows
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise schema.open_error(project, error) from error


HEADER = [
    *("session", "author", "model", "images", "people", "accepted", "untouched", "rejected", "drawn", "boxes changed"),
    *("deleted", "joints moved", "visibility set", "seconds", "seconds per person"),
]


def table_row(row: EffortRow) -> list[Any]:
    """A row's values in the order of `HEADER`."""
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.started))
    each = row.seconds_per_person
    counts = [
        row.images, row.people, row.accepted, row.untouched, row.rejected, row.drawn, row.boxes_changed, row.deleted,
        row.joints_moved, row.visibility_set,
    ]  # fmt: skip
    model = f"{row.name} {row.model}".strip()
    return [started, row.author, model, *counts, row.seconds, "" if each is None else round(each, 1)]


def write_csv(rows: Iterable[EffortRow], path: Path) -> None:
    """Writes the figures atomically. Raises OSError."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(map(table_row, rows))
    with atomic_writer(path) as file:
        file.write(text.getvalue().encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.effort_log", description="what the work on a project cost")
    parser.add_argument("project", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args(arguments)
    try:
        rows = effort_rows(options.project)
        if options.csv:
            write_csv(rows, options.csv)
    except (ProjectError, OSError) as error:
        print_error(str(error))
        return 1
    print_line("result", header=HEADER, rows=[table_row(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
