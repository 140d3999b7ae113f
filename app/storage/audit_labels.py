"""Looks for labels of a project that may be wrong: `python -P -m app.storage.audit_labels PROJECT`.

Progress and result are JSON lines on stdout, errors {"error": s} with exit status 1. What somebody has called right is
left out.
"""

import argparse
import base64
import io
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from app.document.records import Person
from app.storage.audit_marks import Suspect, read_marks
from app.storage.child_lines import print_line, run_child_work
from app.storage.project_skeleton import read_skeleton
from app.storage.snapshot import LabelledImage, count_images, labelled_images, snapshot
from msarcnn.audit import KINDS, Labelled, audit_image, audit_shapes
from msarcnn.checkpoint_error import CheckpointError
from msarcnn.images import ImageError, load_image
from msarcnn.predictor import Predictor
from msarcnn.seen_images import judged_on_seen

MOST_PICTURES = 300
"""Of the most suspicious labels."""
PICTURE = 88
ROOM = 0.15
"""Around a box, of its longer side."""


def audit_project(project: Path, model: str | None, device: str) -> dict[str, Any]:
    """Returns {"findings": [a Suspect as plain data, ...], the worst first, "images": how many, "problems": [...], and
    "learnt": a sentence where the model has learnt from some of the images, else ""}.

    Raises:
        ProjectError, CheckpointError: the project or the model cannot be used.
        OSError, sqlite3.Error: the snapshot cannot be written.
    """
    problems: list[str] = []
    predictor = Predictor.load_for(model, device, problems.append)
    findings, everybody, images = [], [], {}
    with tempfile.TemporaryDirectory() as folder, snapshot(project, Path(folder) / "audit") as connection:
        total, marks = count_images(connection, "labelled"), read_marks(connection)
        for number, image in enumerate(labelled_images(connection, "labelled"), 1):
            print_line("progress", done=number, total=total)
            people = [_labelled(person) for person in image.people if not person.is_crowd]
            everybody += [(image.key, person) for person in people]
            ignored = [[one.box.x, one.box.y, one.box.w, one.box.h] for one in image.people if one.is_crowd]
            try:
                pixels = _pixels(image)
            except ImageError as error:
                problems.append(str(error))
                continue
            (features,) = predictor.encode([pixels])
            found = predictor.find(features)
            findings += audit_image(predictor, features, image.key, people, ignored, found)
            images[image.key] = image
        findings += audit_shapes(everybody, read_skeleton(connection))
    suspects = [
        Suspect(one.image, one.kind, KINDS[one.kind], one.suspicion, one.people, one.joints, one.box)
        for one in sorted(findings, key=lambda finding: -finding.suspicion)
    ]
    suspects = [one for one in suspects if one.mark not in marks]
    with_pictures = _with_pictures(suspects[:MOST_PICTURES], images)
    return {
        "findings": [one.to_plain() for one in (*with_pictures, *suspects[MOST_PICTURES:])],
        "images": len(images),
        "problems": problems[:100],
        "learnt": judged_on_seen(predictor.info.lineage, "", [image.path for image in images.values()]),
    }


def _with_pictures(suspects: Sequence[Suspect], images: Mapping[int, LabelledImage]) -> list[Suspect]:
    """The same with a small picture of the place, the joints marked; photos are read again, each once."""
    pictures: dict[str, str] = {}
    for number, key in enumerate(dict.fromkeys(one.image for one in suspects), 1):
        print_line("progress", done=number, total=len({one.image for one in suspects}))
        if key in images:
            with suppress(ImageError):  # it could be read a minute ago
                pixels = _pixels(images[key])
                joints = {person.key: person.joints for person in images[key].people}
                for one in suspects:
                    if one.image == key:
                        places = joints[one.people[0]] if one.people and one.people[0] in joints else ()
                        marked = [(places[index].x, places[index].y) for index in one.joints if index < len(places)]
                        pictures[one.mark] = _picture(pixels, one.box, marked)
    return [msgspec.structs.replace(one, picture=pictures.get(one.mark, "")) for one in suspects]


def _picture(pixels: np.ndarray, box: Sequence[float], marked: Sequence[tuple[float, float]]) -> str:
    """A JPEG of what is in and around a box x, y, w, h, at most PICTURE pixels a side, in base64."""
    x, y, w, h = box
    room = ROOM * max(w, h)
    height, width = pixels.shape[:2]
    left, top = max(round(x - room), 0), max(round(y - room), 0)
    right, bottom = min(round(x + w + room), width), min(round(y + h + room), height)
    if right <= left or bottom <= top:
        return ""
    part = Image.fromarray(pixels[top:bottom, left:right])
    scale = min(PICTURE / part.width, PICTURE / part.height)
    part = part.resize((max(round(part.width * scale), 1), max(round(part.height * scale), 1)))
    draw = ImageDraw.Draw(part)
    for mark_x, mark_y in marked:
        at_x, at_y = (mark_x - left) * scale, (mark_y - top) * scale
        draw.ellipse((at_x - 4, at_y - 4, at_x + 4, at_y + 4), outline="#ff3b6b", width=2)
    written = io.BytesIO()
    part.save(written, "JPEG", quality=80)
    return base64.b64encode(written.getvalue()).decode()


def _pixels(image: LabelledImage) -> np.ndarray:
    """Raises ImageError."""
    size = (image.width, image.height) if image.width and image.height else None
    return load_image(image.root / image.path, image.root, labelled_size=size).pixels


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
