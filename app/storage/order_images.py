"""In which order to label a project's images: `python -P -m app.storage.order_images PROJECT --by ORDER`.

"work": by what is expected to be left to do, the most first; "difference": each as unlike those before it, and those
that are finished, as can be; for a --model, else for the one that has looked at most. Images of which the model knows
nothing come last. The order is printed as one JSON line, {"event": "result", "images": [keys], "known": of how many
something is known, "open": of how many of these there is work left}; errors as {"error": s}, status 1.
"""

import argparse
import sqlite3
import sys
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.document.records import SAME_PERSON_IOU, ImageState
from app.storage.child_lines import run_child_work
from app.storage.looks import summaries_by
from app.storage.rows import PREDICTION_COLUMNS, prediction_from_columns
from app.storage.snapshot import people_on, snapshot
from app.storage.visibility import said_by_model
from msarcnn.image_order import expected_actions, farthest_first

ORDERS = ("work", "difference")
MOST_DIFFERENT = 3000
"""The others follow by how far they are from these: nobody labels so many before asking anew."""


def ordered(connection: sqlite3.Connection, by: str, model: str) -> tuple[list[int], int, int]:
    """Keys of all images in an order; of how many something is known, and of how many of these there is work left."""
    if not model:
        most = "SELECT model FROM looked GROUP BY model ORDER BY count(*) DESC, model LIMIT 1"
        (model,) = connection.execute(most).fetchone() or ("",)
    finished = {key: ImageState(state).finished for key, state in connection.execute("SELECT id, state FROM image")}
    known = _by_work(connection, model, finished) if by == "work" else _by_difference(connection, model, finished)
    still_open = sum(not finished[key] for key in known)
    return [*known, *sorted(finished.keys() - set(known))], len(known), still_open


def _by_work(connection: sqlite3.Connection, model: str, finished: dict[int, bool]) -> list[int]:
    """By what a model has found and nobody has labelled, the most first; on a finished image nothing is left to do."""
    work = {key: 0.0 for (key,) in connection.execute("SELECT image_id FROM looked WHERE model = ?", (model,))}
    rows = connection.execute(
        f"SELECT image_id, {PREDICTION_COLUMNS} FROM prediction WHERE model = ? AND status = 'open' ORDER BY image_id",
        (model,),
    )
    for image, found in groupby(rows, key=lambda row: int(row[0])):
        if finished.get(image, True):
            continue
        labels = [one.box for one in people_on(connection, image)]
        people = [prediction_from_columns(columns) for _, *columns in found]
        people = [one for one in people if not any(one.box.iou(box) >= SAME_PERSON_IOU for box in labels)]
        if people:
            visibility = None
            if all(said_by_model(one.joints) for one in people):
                visibility = np.array([[joint.visibility for joint in one.joints] for one in people])
            scores = np.array([one.score for one in people])
            confidences = np.array([[joint.confidence for joint in one.joints] for one in people])
            work[image] = expected_actions(scores, confidences, visibility)
    return sorted(work, key=lambda image: (finished.get(image, True), -work[image], image))


def _by_difference(connection: sqlite3.Connection, model: str, finished: dict[int, bool]) -> list[int]:
    summaries = summaries_by(connection, model)
    keys = [key for key in finished if key in summaries]
    if not keys:
        return []
    done = np.array([finished[key] for key in keys])
    order = farthest_first(np.stack([summaries[key] for key in keys]), done, MOST_DIFFERENT)
    return [keys[index] for index in order]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--by", choices=ORDERS, required=True)
    parser.add_argument("--model", default="")
    options = parser.parse_args(arguments)

    def work() -> dict[str, object]:
        with (
            TemporaryDirectory(prefix="msarcnn-order-") as folder,
            snapshot(options.project, Path(folder) / "copy") as connection,
        ):
            images, known, still_open = ordered(connection, options.by, options.model)
        return {"images": images, "known": known, "open": still_open}

    problem = "cannot be looked through ({reason}). Free some space."
    return run_child_work(options.project, work, problem=problem)


if __name__ == "__main__":
    sys.exit(main())
