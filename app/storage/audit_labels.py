"""Looks for labels of a project that may be wrong: `python -P -m app.storage.audit_labels PROJECT`.

Progress and result are JSON lines on stdout, errors {"error": s} with exit status 1. What somebody has called right is
left out.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.document.records import Person
from app.storage.audit_marks import Suspect, read_marks
from app.storage.child_lines import print_line, run_child_work
from app.storage.project_skeleton import read_skeleton
from app.storage.snapshot import count_images, labelled_images, snapshot
from msarcnn.audit import KINDS, Labelled, audit_image, audit_shapes
from msarcnn.checkpoint_error import CheckpointError
from msarcnn.images import ImageError, load_image
from msarcnn.predictor import Predictor


def audit_project(project: Path, model: str | None, device: str) -> dict[str, Any]:
    """Returns {"findings": [a Suspect as plain data, ...], the worst first, "images": how many, "problems": [...]}.

    Raises:
        ProjectError, CheckpointError: the project or the model cannot be used.
        OSError, sqlite3.Error: the snapshot cannot be written.
    """
    problems: list[str] = []
    predictor = Predictor.load_for(model, device, problems.append)
    findings, everybody, done = [], [], 0
    with tempfile.TemporaryDirectory() as folder, snapshot(project, Path(folder) / "audit") as connection:
        total, marks = count_images(connection, "labelled"), read_marks(connection)
        for number, image in enumerate(labelled_images(connection, "labelled"), 1):
            print_line("progress", done=number, total=total)
            people = [_labelled(person) for person in image.people if not person.is_crowd]
            everybody += [(image.key, person) for person in people]
            ignored = [[one.box.x, one.box.y, one.box.w, one.box.h] for one in image.people if one.is_crowd]
            size = (image.width, image.height) if image.width and image.height else None
            try:
                pixels = load_image(image.root / image.path, image.root, labelled_size=size).pixels
            except ImageError as error:
                problems.append(str(error))
                continue
            (features,) = predictor.encode([pixels])
            found = predictor.find(features)
            findings += audit_image(predictor, features, image.key, people, ignored, found)
            done += 1
        findings += audit_shapes(everybody, read_skeleton(connection))
    suspects = [
        Suspect(one.image, one.kind, KINDS[one.kind], one.suspicion, one.people, one.joints, one.box)
        for one in sorted(findings, key=lambda finding: -finding.suspicion)
    ]
    return {
        "findings": [one.to_plain() for one in suspects if one.mark not in marks],
        "images": done,
        "problems": problems[:100],
    }


def _labelled(person: Person) -> Labelled:
    keypoints = np.array([(joint.x, joint.y, joint.v) for joint in person.joints], dtype=float)
    box = (person.box.x, person.box.y, person.box.w, person.box.h)
    return Labelled(person.key, box, keypoints, person.area if person.area is not None else person.box.area)


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="app.storage.audit_labels", description="look for labels that may be wrong")
    parser.add_argument("project", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.project,
        lambda: audit_project(options.project, options.model, options.device),
        CheckpointError,
        problem="cannot be looked through ({reason}). Free some space.",
    )


if __name__ == "__main__":
    sys.exit(main())
