"""What a project knows about where nobody is: unfinished images must not teach unlabelled people as background."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence

from app.document.records import SAME_PERSON_IOU, Box, ImageState, Person, Prediction, PredictionStatus
from app.storage.coco_person import read_person
from app.storage.rows import PREDICTION_COLUMNS, prediction_from_columns
from msarcnn.coco_reading import read_ids
from msarcnn.coco_records import ANY_SIDE

SEEN_SCORE = 0.1
"""From this score on a prediction may be somebody. Fainter ones are mostly nobody, and good examples of that."""
_MARGIN = 0.15
"""Share of its size by which a prediction's box is grown on every side: the person may reach beyond it."""

Region = tuple[float, float, float, float]
"""x, y, width, height in pixels of the image."""


class Background:
    """Answers, image by image, in which regions an unlabelled person may stand.

    Attributes:
        in_part: So many of the images asked about have such regions beside background.
        unknown: So many have no background at all.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lost = _images_that_lost_people(connection)
        self.in_part = self.unknown = 0

    def ignored(self, key: int, width: float, height: float) -> list[Region]:
        """The regions of an image that must not be taught as background; width and height are 0 when unknown.

        A finished image is complete: none. So is one whose labels all come from an imported file, as far as nobody
        knows better and nobody was lost on the way: that is what such files mean. Where an imported person could not be
        read, the image is one region. Where a model has looked for people, those whom it sees and nobody
        has labelled or rejected are regions. Elsewhere only the labelled people are known, and the image is one region:
        nothing smaller would do, since a box counts as ignored where one region covers half of it.
        """
        state, looked = self._connection.execute(
            "SELECT state, EXISTS (SELECT 1 FROM looked WHERE image_id = image.id) FROM image WHERE id = ?", (key,)
        ).fetchone()
        if ImageState(state).finished:
            return []
        rows = self._connection.execute(
            "SELECT source_id, id, data, imported, raw FROM person WHERE image_id = ? AND deleted = 0", (key,)
        ).fetchall()
        imported = bool(rows) and all(source is not None for source, *_ in rows)
        if key in self._lost or not (looked or imported):
            self.unknown += 1
            return [(0.0, 0.0, float(width or ANY_SIDE), float(height or ANY_SIDE))]
        predictions = self._connection.execute(
            f"SELECT {PREDICTION_COLUMNS} FROM prediction WHERE image_id = ?", (key,)
        )
        people = [read_person(*columns) for _, *columns in rows]
        regions = _regions(people, list(map(prediction_from_columns, predictions)), width, height)
        self.in_part += bool(regions)
        return regions


def _images_that_lost_people(connection: sqlite3.Connection) -> set[int]:
    """Keys of the images with imported annotations that may be people and could not be read."""
    broken: dict[int, set[int | None]] = defaultdict(set)
    rows = connection.execute("SELECT source_id, raw FROM other_annotation WHERE reason NOT IN ('', 'category')")
    for source, raw in rows:
        broken[source].add(read_ids(raw).image_id)
    lost: set[int] = set()
    for source, ids in broken.items():
        images = connection.execute(
            "SELECT image_id, raw FROM source_image WHERE source_id = ? AND image_id IS NOT NULL", (source,)
        )
        lost.update(key for key, raw in images if read_ids(raw).id in ids)
    return lost


def _regions(people: Sequence[Person], predictions: Sequence[Prediction], width: float, height: float) -> list[Region]:
    known = [person.box for person in people]
    # Also where another model saw the same person: somebody has decided about them.
    known += [one.box for one in predictions if one.status is not PredictionStatus.OPEN]
    return [
        _grown(one.box, width, height)
        for one in predictions
        if one.status is PredictionStatus.OPEN
        and one.score >= SEEN_SCORE
        and not any(one.box.iou(box) >= SAME_PERSON_IOU for box in known)
    ]


def _grown(box: Box, width: float, height: float) -> Region:
    left, top = max(box.x - _MARGIN * box.w, 0.0), max(box.y - _MARGIN * box.h, 0.0)
    right = min(box.right + _MARGIN * box.w, width or ANY_SIDE)
    bottom = min(box.bottom + _MARGIN * box.h, height or ANY_SIDE)
    return left, top, max(right - left, 0.0), max(bottom - top, 0.0)
