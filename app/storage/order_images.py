"""In which order to label a project's images: `python -P -m app.storage.order_images PROJECT --by ORDER`.

"work": by what is expected to be left to do, the most first; "difference": each as unlike those before it, and those
that are finished, as can be; for a --model, else for the one that has looked at most. Images of which the model knows
nothing come last. The order is printed as one JSON line, {"event": "result", "images": [keys], "known": of how many
something is known}; errors as {"error": s}, status 1.
"""

import argparse
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.document.records import ImageState, Prediction
from app.storage.child_lines import run_child_work
from app.storage.looks import summaries_by
from app.storage.rows import PREDICTION_COLUMNS, prediction_from_columns
from app.storage.snapshot import snapshot
from app.storage.visibility import said_by_model
from msarcnn.image_order import expected_actions, farthest_first

ORDERS = ("work", "difference")
MOST_DIFFERENT = 3000
"""The others follow by how far they are from these: nobody labels so many before asking anew."""


def ordered(connection: sqlite3.Connection, by: str, model: str) -> tuple[list[int], int]:
    """Keys of all images in an order, and how many of them the model has said something of."""
    if not model:
        most = "SELECT model FROM looked GROUP BY model ORDER BY count(*) DESC, model LIMIT 1"
        (model,) = connection.execute(most).fetchone() or ("",)
    rows = connection.execute("SELECT id, state FROM image ORDER BY id").fetchall()
    known = _by_work(connection, model) if by == "work" else _by_difference(connection, model, rows)
    there = {key for key, _ in rows}
    known = [key for key in known if key in there]
    return [*known, *sorted(there.difference(known))], len(known)


def _by_work(connection: sqlite3.Connection, model: str) -> list[int]:
    """Of what a model has found and nobody has decided on; the most first."""
    work = {key: 0.0 for (key,) in connection.execute("SELECT image_id FROM looked WHERE model = ?", (model,))}
    found: dict[int, list[Prediction]] = defaultdict(list)
    rows = connection.execute(
        f"SELECT image_id, {PREDICTION_COLUMNS} FROM prediction WHERE model = ? AND status = 'open'", (model,)
    )
    for image, *columns in rows:
        found[image].append(prediction_from_columns(tuple(columns)))
    for image, people in found.items():
        scores = np.array([one.score for one in people])
        confidences = np.array([[joint.confidence for joint in one.joints] for one in people])
        visibility = None
        if all(said_by_model(one.joints) for one in people):
            visibility = np.array([[joint.visibility for joint in one.joints] for one in people])
        work[image] = expected_actions(scores, confidences, visibility)
    return sorted(work, key=lambda image: (-work[image], image))


def _by_difference(connection: sqlite3.Connection, model: str, rows: list[tuple[int, str]]) -> list[int]:
    summaries = summaries_by(connection, model)
    keys = [key for key, _ in rows if key in summaries]
    if not keys:
        return []
    finished = np.array([ImageState(state).finished for key, state in rows if key in summaries])
    order = farthest_first(np.stack([summaries[key] for key in keys]), finished, MOST_DIFFERENT)
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
            images, known = ordered(connection, options.by, options.model)
        return {"images": images, "known": known}

    problem = "cannot be looked through ({reason}). Free some space."
    return run_child_work(options.project, work, problem=problem)


if __name__ == "__main__":
    sys.exit(main())
