"""Whether an import measures a photo as the labels here do: in the same size, turned the same way."""

import sqlite3
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

OTHER_FRAME = "its photo has labels here that are measured in another size or turned another way"
"""The reason of imported records that are left out and kept for export."""

_HERE = (
    "FROM staging.image s JOIN staging.root r ON r.position = s.root JOIN main.root ON root.path = r.path "
    "JOIN main.image i ON i.root_id = root.id AND i.path = s.path "
    "WHERE s.position >= :start AND s.position < :end AND s.width > 0 AND s.height > 0"
)
# +: otherwise every record is looked for under each of the keys.
_QUERY = (
    "SELECT i.id, s.position, s.width, s.height, i.width, i.height, i.path, "
    "i.width AND i.height AND (EXISTS (SELECT 1 FROM person p WHERE p.image_id = i.id) "
    "OR EXISTS (SELECT 1 FROM prediction p WHERE p.image_id = i.id) "
    "OR EXISTS (SELECT 1 FROM source_image k WHERE k.image_id = i.id AND k.source_id = :source "
    "AND k.position < :start AND k.reason = '') "
    "OR i.id IN (SELECT image_id FROM other_annotation WHERE image_id IS NOT NULL)) "
    f"{_HERE} AND +i.id IN "
    f"(SELECT i.id {_HERE} AND (s.width != i.width OR s.height != i.height)) ORDER BY i.id, s.position"
)


class Frames(NamedTuple):
    """What an import says about the frames of photos that are here.

    Attributes:
        taken: Width and height by key, of images that nothing here is measured on.
        left_out: Paths of the others by the positions of the import's image records.
    """

    taken: dict[int, tuple[int, int]]
    left_out: dict[int, str]


def compare_frames(connection: sqlite3.Connection, source: int, start: int, end: int) -> Frames:
    """Compares the records from start to before end of the attached staging file, whose source here is `source`."""
    frames = Frames({}, {})
    rows = connection.execute(_QUERY, {"source": source, "start": start, "end": end})
    for image, entries in groupby(rows, key=itemgetter(0)):
        frame: tuple[int, int] | None = None
        for _, position, width, height, width_here, height_here, path, measured in entries:
            if frame is None:
                frame = (width_here, height_here) if measured else (width, height)
                frames.taken[image] = frame
            if (width, height) != frame:
                frames.left_out[position] = path
    return frames
