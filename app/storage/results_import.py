"""Reads the detections of any model for a project: `python -P -m app.storage.results_import RESULTS.json PROJECT OUT`.

RESULTS is a COCO results list, or a COCO data set whose annotations have scores. People are matched to the project's
images by file name where the file has names, else by the image ids of the COCO files that the project was made from.
OUT becomes a small SQLite file that `Project.store_results` takes over. Progress and result are JSON lines on stdout,
errors {"error": s} with exit status 1.
"""

import argparse
import hashlib
import math
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from app.document.records import Box, PredictedJoint, Prediction
from app.storage import schema
from app.storage.child_lines import print_error, print_line
from app.storage.errors import ProjectError
from app.storage.rows import prediction_columns
from app.storage.staging import write_results
from msarcnn.skeleton import load_skeleton

_MARGIN = 0.1
"""Room around the joints of a person without a box, in shares of the longer side of their extent."""
_SHOWN = 100


class ResultsError(ValueError):
    """The file cannot be used as a whole; the message names it and the cure."""


class _Found(msgspec.Struct):
    image_id: int | str | None = None
    file_name: str | None = None
    category_id: int | None = None
    bbox: list[float] | None = None
    keypoints: list[float] | None = None
    score: float | None = None


class _Named(msgspec.Struct):
    id: int
    file_name: str


class _Category(msgspec.Struct):
    id: int
    name: str = ""


class _Dataset(msgspec.Struct):
    annotations: list[_Found]
    images: list[_Named] = []
    categories: list[_Category] = []


class ResultsReport(msgspec.Struct):
    """What was found.

    Attributes:
        model: Hash that stands for the model: of the file.
        name: What the model is called: the file's name.
        images: Images with at least one person.
        people: Usable detections.
        unmatched: Detections on images that the project does not have.
        problems: Sentences about detections that cannot be used; the first hundred.
    """

    model: str
    name: str
    images: int = 0
    people: int = 0
    unmatched: int = 0
    problems: list[str] = []


def stage_results(results: Path, project: Path, out: Path) -> ResultsReport:
    """Checks and matches a results file.

    Raises:
        ResultsError: it is no results file, has another skeleton, or fits no image of the project.
        ProjectError: the project cannot be read.
        OSError, sqlite3.Error: a file cannot be read or written.
    """
    data = results.read_bytes()
    found, names = _decode(results, data)
    by_name, by_id = _images(project)
    report = ResultsReport(hashlib.sha256(data).hexdigest()[:12], results.stem)
    scale = _score_scale(found)
    rows: list[tuple[Any, ...]] = []
    for index, person in enumerate(found):
        name = person.file_name or names.get(person.image_id)
        image = by_name.get(name.replace("\\", "/")) if name is not None else by_id.get(person.image_id)
        if image is None:
            report.unmatched += 1
            continue
        try:
            prediction = _prediction(results, index, person, report.model, scale)
        except ValueError as error:
            if isinstance(error, ResultsError):
                raise
            report.problems.append(f"{results.name}, entry {index}: {error}")
            continue
        rows.append((image, *prediction_columns(prediction)))
    if not rows:
        reason = f"none of its {len(found)} detections is on an image of this project" if found else "it is empty"
        raise ResultsError(
            f"{results}: {reason}. Images are matched by file name, or by the ids of the opened COCO file."
        )
    report.people, report.images = len(rows), len({row[0] for row in rows})
    report.problems = report.problems[:_SHOWN]
    write_results(out, report.model, report.name, rows)
    return report


def _decode(results: Path, data: bytes) -> tuple[list[_Found], dict[int | str | None, str]]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    names: dict[int | str | None, str] = {}
    try:
        if data.lstrip().startswith(b"{"):
            dataset = msgspec.json.decode(data, type=_Dataset)
            names = {image.id: image.file_name for image in dataset.images}
            people = {category.id for category in dataset.categories if category.name == "person"}
            found = [found for found in dataset.annotations if not people or found.category_id in people]
        else:
            # A list of keypoint results holds people only; one of boxes has other things, and COCO's people are 1.
            listed = msgspec.json.decode(data, type=list[_Found])
            found = [one for one in listed if one.keypoints or one.category_id in (None, 1)]
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{results}: this is no list of COCO results ({error}). Choose another file.") from error
    if found and all(one.score is None for one in found):
        raise ResultsError(f"{results}: its people have no scores, so they are labels. Open it as a COCO file instead.")
    return found, names


def _images(project: Path) -> tuple[dict[str, int], dict[int | str | None, int]]:
    """Images by name (relative path, and bare file name where it is unique), and by the ids of imported files."""
    schema.check_header(project)
    try:
        with closing(schema.connect(project, read_only=True)) as connection:
            schema.check_version(connection, project)
            rows = connection.execute("SELECT id, path FROM image").fetchall()
            raws = connection.execute("SELECT image_id, raw FROM source_image WHERE image_id IS NOT NULL").fetchall()
    except sqlite3.DatabaseError as error:
        raise schema.open_error(project, error) from error
    by_name: dict[str, int] = {}
    bare: dict[str, list[int]] = {}
    for key, path in rows:
        bare.setdefault(PurePosixPath(path).name, []).append(key)
        by_name[path] = key
    for name, keys in bare.items():
        if len(keys) == 1:
            by_name.setdefault(name, keys[0])
    by_id: dict[int | str | None, int] = {}
    ambiguous = set()
    for key, raw in raws:
        number = msgspec.json.decode(raw, type=_Id).id
        if by_id.setdefault(number, key) != key:
            ambiguous.add(number)
    return by_name, {number: key for number, key in by_id.items() if number not in ambiguous}


class _Id(msgspec.Struct):
    id: int


def _score_scale(found: Sequence[_Found]) -> float:
    """Some tools write sums of scores: the highest becomes 1 then."""
    highest = max((one.score for one in found if one.score is not None and math.isfinite(one.score)), default=1.0)
    return 1.0 / highest if highest > 1.0 else 1.0


def _prediction(results: Path, index: int, person: _Found, model: str, scale: float) -> Prediction:
    count = len(load_skeleton().keypoints)
    values = person.keypoints or [0.0] * (3 * count)
    if len(values) != 3 * count:
        raise ResultsError(
            f"{results}: entry {index} has {len(values) / 3:g} keypoints, this program's skeleton has {count}. "
            "Only results for COCO's 17 keypoints can be opened."
        )
    numbers = [*values, *(person.bbox or ()), person.score or 0.0]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    # The third number is a confidence, or COCO's flag 0, 1, 2: cut to 0..1 a flag says the same.
    confidences = [min(max(value, 0.0), 1.0) for value in values[2::3]]
    joints = tuple(map(PredictedJoint, values[::3], values[1::3], confidences))
    return Prediction(0, model, _box(person, joints), min(max((person.score or 0.0) * scale, 0.0), 1.0), joints)


def _box(person: _Found, joints: Sequence[PredictedJoint]) -> Box:
    if person.bbox is not None:
        if len(person.bbox) != 4 or person.bbox[2] <= 0 or person.bbox[3] <= 0:
            raise ValueError(f"its box {person.bbox} is none")
        return Box(*person.bbox)
    placed = [joint for joint in joints if joint.confidence > 0]
    if len(placed) < 2:
        raise ValueError("it has neither a box nor two keypoints")
    left, right = min(joint.x for joint in placed), max(joint.x for joint in placed)
    top, bottom = min(joint.y for joint in placed), max(joint.y for joint in placed)
    room = _MARGIN * max(right - left, bottom - top, 1.0)
    return Box(left - room, top - room, right - left + 2 * room, bottom - top + 2 * room)


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="app.storage.results_import", description="prepare another model's detections"
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("project", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    try:
        report = stage_results(options.results, options.project, options.out)
    except (ResultsError, ProjectError) as error:
        print_error(str(error))
        return 1
    except (OSError, sqlite3.Error) as error:
        print_error(f"{options.results}: cannot be prepared ({error}). Check the disk.")
        return 1
    print_line("result", **msgspec.structs.asdict(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
