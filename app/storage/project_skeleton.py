"""The joints that the people of a project have: kept in its file, so that it says by itself what its numbers mean."""

import sqlite3

import msgspec

from msarcnn.skeleton import Skeleton, coco17

_KEY = "skeleton"


def store_skeleton(connection: sqlite3.Connection, skeleton: Skeleton) -> None:
    """Writes it into a new project."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, msgspec.json.encode(skeleton).decode()))


def read_skeleton(connection: sqlite3.Connection) -> Skeleton:
    """The project's; COCO-17 where the file says nothing. Raises sqlite3.DatabaseError when it cannot be read."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    if row is None:
        return coco17()
    try:
        return msgspec.json.decode(row[0], type=Skeleton)
    except (msgspec.MsgspecError, TypeError) as error:
        problem = sqlite3.DatabaseError(f"its skeleton cannot be read: {error}")
        problem.sqlite_errorcode = sqlite3.SQLITE_CORRUPT  # damage, with damage's cure; not a disk's trouble
        raise problem from error
