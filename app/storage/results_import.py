"""Reads the detections of any model for a project: `python -P -m app.storage.results_import RESULTS.json PROJECT OUT`.

RESULTS is a COCO results list, or a COCO data set whose annotations have scores. People are matched to the project's
images by file name where the file has names, else by the image ids of the COCO files that the project was made from.
Where several image folders have a name, the `image_root` of our own exports or the id says which one is meant. Joints
are in the skeleton's order, or in that of `keypoint_names`, or of the data set's category.
OUT becomes a small SQLite file that `Project.store_results` takes over. Progress and result are JSON lines on stdout,
errors {"error": s} with exit status 1.
"""

import argparse
import hashlib
import math
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec

from app.document.records import Box, PredictedJoint, Prediction
from app.storage import schema
from app.storage.child_lines import NOT_PREPARED, run_child_work
from app.storage.rows import prediction_columns
from app.storage.staging import write_results
from msarcnn.joint_names import JointOrder, joint_order, own_order
from msarcnn.person_names import is_person_name
from msarcnn.skeleton import load_skeleton

_MARGIN = 0.1
"""Room around the joints of a person without a box, in shares of the longer side of their extent."""
_SHOWN = 100


class ResultsError(ValueError):
    """The file cannot be used as a whole; the message names it and the cure."""


class _Found(msgspec.Struct):
    image_id: int | str | None = None
    file_name: str | None = None
    image_root: int | None = None
    category_id: int | None = None
    bbox: list[float] | None = None
    keypoints: list[float] | None = None
    keypoint_names: list[str] | None = None
    keypoint_scores: list[float] | None = None
    score: float | None = None
    box_score: float | None = None

    @property
    def rank(self) -> float | None:
        """What the program calls a person's score: that of the box, where `score` ranks poses."""
        return self.score if self.box_score is None else self.box_score


class _Named(msgspec.Struct):
    id: int
    file_name: str
    image_root: int | None = None


class _Category(msgspec.Struct):
    id: int
    name: str = ""
    keypoints: list[str] | None = None


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
    found = _decode(results, data)
    images = _read_images(project)
    report = ResultsReport(hashlib.sha256(data).hexdigest()[:12], results.stem)
    scale = _score_scale(found)
    rows: list[tuple[Any, ...]] = []
    for index, person in enumerate(found):
        image = images.find(person)
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
        reason = f"none of its {len(found)} detections is on an image of this project" if found else "nobody is in it"
        raise ResultsError(
            f"{results}: {reason}. Images are matched by file name, or by the ids of the opened COCO file."
        )
    report.people, report.images = len(rows), len({row[0] for row in rows})
    report.problems = report.problems[:_SHOWN]
    write_results(out, report.model, report.name, rows)
    return report


def _decode(results: Path, data: bytes) -> list[_Found]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        if data.lstrip().startswith(b"{"):
            found = _people_of(results, msgspec.json.decode(data, type=_Dataset))
        else:
            # A list of keypoint results holds people only; one of boxes has other things, and COCO's people are 1.
            listed = msgspec.json.decode(data, type=list[_Found])
            found = [one for one in listed if one.keypoints or one.category_id in (None, 1)]
    except RecursionError as error:
        raise ResultsError(f"{results}: it is nested too deeply. Choose another file.") from error
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{results}: this is no list of COCO results ({error}). Choose another file.") from error
    if found and all(one.rank is None for one in found):
        raise ResultsError(f"{results}: its people have no scores, so they are labels. Open it as a COCO file instead.")
    return found


def _people_of(results: Path, dataset: _Dataset) -> list[_Found]:
    """The people of a data set, with what it says of their images and joints."""
    images = {image.id: image for image in dataset.images}
    categories = {category.id: category for category in _people_categories(results, dataset.categories)}
    found = [one for one in dataset.annotations if not categories or one.category_id in categories]
    for one in found:
        if isinstance(one.image_id, int) and (image := images.get(one.image_id)) and not one.file_name:
            one.file_name, one.image_root = image.file_name, image.image_root
        if one.category_id is not None and (category := categories.get(one.category_id)):
            one.keypoint_names = one.keypoint_names or category.keypoints
    return found


def _people_categories(results: Path, categories: Sequence[_Category]) -> list[_Category]:
    """Those called as people are, else those with all of the skeleton's joints; none where there are no categories."""
    named = [category for category in categories if is_person_name(category.name)]
    people = named or [category for category in categories if joint_order(category.keypoints or ())]
    if categories and not people:
        listed = ", ".join(category.name for category in categories[:5])
        raise ResultsError(f"{results}: none of its categories ({listed}) is called person. Rename the one of people.")
    return people


class _Images(NamedTuple):
    """The project's images, by key: what a detection may call them.

    Attributes:
        paths: Relative paths by key.
        by_name: Keys by relative path, and by bare file name, where there is one such image only.
        by_place: Keys by number of the image folder, as in an export of all images, and relative path.
        by_id: Keys by the ids of imported files, where there is one such image only.
    """

    paths: dict[int, str]
    by_name: dict[str, int]
    by_place: dict[tuple[int | None, str], int]
    by_id: dict[int | str | None, int]

    def find(self, person: _Found) -> int | None:
        """The key of the image that a person is on."""
        key = self.by_id.get(person.image_id)
        if not person.file_name:
            return key
        name = person.file_name.replace("\\", "/")
        if name in self.by_name:
            return self.by_name[name]
        if (person.image_root, name) in self.by_place:
            return self.by_place[person.image_root, name]
        # The ids may be another file's: one helps to choose among images of a name, no more.
        return key if key is not None and name in (self.paths[key], PurePosixPath(self.paths[key]).name) else None


def _read_images(project: Path) -> _Images:
    schema.check_header(project)
    try:
        with closing(schema.connect(project, read_only=True)) as connection:
            schema.check_version(connection, project)
            rows = connection.execute("SELECT id, root_id, path FROM image").fetchall()
            raws = connection.execute("SELECT image_id, raw FROM source_image WHERE image_id IS NOT NULL").fetchall()
    except sqlite3.DatabaseError as error:
        raise schema.open_error(project, error) from error
    paths = {key: path for key, _, path in rows}
    bare = _unique((PurePosixPath(path).name, key) for key, path in paths.items())
    full = _unique((path, key) for key, path in paths.items())
    numbers = {root: number for number, root in enumerate(sorted({root for _, root, _ in rows}))}
    places: dict[tuple[int | None, str], int] = {(numbers[root], path): key for key, root, path in rows}
    ids = _unique((msgspec.json.decode(raw, type=_Id).id, key) for key, raw in raws)
    return _Images(paths, bare | full, places, ids)


def _unique(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    """Keys by name, without the names of several."""
    keys: dict[Any, int] = {}
    ambiguous = {name for name, key in pairs if keys.setdefault(name, key) != key}
    return {name: key for name, key in keys.items() if name not in ambiguous}


class _Id(msgspec.Struct):
    id: int


def _score_scale(found: Sequence[_Found]) -> float:
    """Some tools write sums of scores: the highest becomes 1 then."""
    highest = max((one.rank for one in found if one.rank is not None and math.isfinite(one.rank)), default=1.0)
    return 1.0 / highest if highest > 1.0 else 1.0


def _prediction(results: Path, index: int, person: _Found, model: str, scale: float) -> Prediction:
    order = _order(results, index, person)
    values = person.keypoints or [0.0] * (3 * order.count)
    if len(values) != 3 * order.count:
        raise ResultsError(
            f"{results}: entry {index} has {len(values) / 3:g} keypoints instead of {order.count}. "
            "Say what they are in keypoint_names, or in the category of a data set."
        )
    score = person.rank or 0.0
    if not all(map(math.isfinite, [*values, *(person.bbox or ()), score])):
        raise ValueError("a number is not finite")
    placed = list(map(PredictedJoint, values[::3], values[1::3], _confidences(person, values)))
    joints = tuple(order.read(placed, PredictedJoint(0.0, 0.0, 0.0)))
    return Prediction(0, model, _box(person, joints), min(max(score * scale, 0.0), 1.0), joints)


def _order(results: Path, index: int, person: _Found) -> JointOrder:
    if not person.keypoint_names:
        return own_order()
    order = joint_order(person.keypoint_names)
    if order is None:
        names = ", ".join(person.keypoint_names[:4])
        raise ResultsError(
            f"{results}: entry {index} names its keypoints {names}, ...: their order is not known. Name them as COCO "
            f"does ({', '.join(load_skeleton().keypoints[:3])}, ...)."
        )
    return order


def _confidences(person: _Found, values: Sequence[float]) -> list[float]:
    scores = person.keypoint_scores
    if scores is None or not person.keypoints:
        # The third number is a confidence, or COCO's flag 0, 1, 2: cut to 0..1 a flag says the same.
        return [min(max(value, 0.0), 1.0) for value in values[2::3]]
    if 3 * len(scores) != len(values) or not all(0.0 <= score <= 1.0 for score in scores):
        raise ValueError(f"its keypoint_scores are not {len(values) // 3} numbers from 0 to 1")
    return scores


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

    def work() -> dict[str, Any]:
        return msgspec.structs.asdict(stage_results(options.results, options.project, options.out))

    return run_child_work(options.results, work, ResultsError, problem=NOT_PREPARED)


if __name__ == "__main__":
    sys.exit(main())
