"""Reads the detections of any model for a project: `python -P -m app.storage.results_import RESULTS.json PROJECT OUT`.

RESULTS is a COCO results list, or a COCO data set whose annotations have scores. People are matched to the project's
images by file name where the file has names, else by the image ids of the COCO files that the project was made from.
Where several image folders have a name, the `image_root` of our own exports or the id says which one is meant. Joints
are in the order of `keypoint_names`, of the data set's category, or, matched by id, of that of the imported file, else
in the skeleton's. `image_size` says in which pixels an entry is, where these are not the photo's.
OUT becomes a small SQLite file that `Project.store_results` takes over. Progress and result are JSON lines on stdout,
errors {"error": s} with exit status 1.
"""

import argparse
import hashlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.document.records import Box, PredictedJoint, Prediction
from app.storage.child_lines import NOT_PREPARED, run_child_work
from app.storage.coco_person import copy_scale
from app.storage.results_matching import Found, Match, ProjectImages, in_files_pixels, read_project_images
from app.storage.rows import prediction_columns
from app.storage.staging import write_results
from msarcnn.coco_categories import Category, is_people
from msarcnn.joint_names import JointOrder, joint_order, own_order
from msarcnn.skeleton import Skeleton

_MARGIN = 0.1
"""Room around the joints of a person without a box, in shares of the longer side of their extent."""
_SHOWN = 100
_NO_SCALE = (1.0, 1.0)
_CERTAIN = {0: (1.0, 0.0, 0.0), 1: (0.0, 1.0, 0.0), 2: (0.0, 0.0, 1.0)}
"""Probabilities of somebody who says no more than a v."""


class ResultsError(ValueError):
    """The file cannot be used as a whole; the message names it and the cure."""


class _Named(msgspec.Struct):
    id: int
    file_name: str
    image_root: int | None = None


class _Dataset(msgspec.Struct):
    annotations: list[Found]
    images: list[_Named] = []
    categories: list[Category] = []


class ResultsReport(msgspec.Struct):
    """What was found.

    Attributes:
        model: Hash that stands for the model: of the file.
        name: What the model is called: the file's name.
        images: Images with at least one person.
        people: Usable detections.
        others: Detections of other things.
        unmatched: Detections on images that the project does not have.
        problems: Sentences about detections that cannot be used; the first hundred.
    """

    model: str
    name: str
    images: int = 0
    people: int = 0
    others: int = 0
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
    images = read_project_images(project)
    report = ResultsReport(hashlib.sha256(data).hexdigest()[:12], results.stem)
    found = _decode(results, data, images, report)
    matched = [(index, one, match) for index, one in found if (match := images.find(one))]
    report.unmatched = len(found) - len(matched)
    reader = _Reader(results, images, [(one, match) for _, one, match in matched], report.model)
    rows: list[tuple[Any, ...]] = []
    for index, one, match in matched:
        try:
            rows.append((match.key, *prediction_columns(reader.prediction(index, one, match))))
        except ResultsError:
            raise
        except ValueError as error:
            report.problems.append(f"{results.name}, entry {index}: {error}")
    if not rows:
        reason = f"none of its {len(found)} detections is on an image of this project" if found else "nobody is in it"
        reason += f" ({report.others} are of other things)" if report.others else ""
        raise ResultsError(
            f"{results}: {reason}. Images are matched by file name, or by the ids of the opened COCO file."
        )
    if reader.scaled:
        report.problems.append(
            f"{reader.scaled} on photos with labels of another size are taken to be measured as those labels are"
        )
    report.people, report.images = len(rows), len({row[0] for row in rows})
    report.problems = report.problems[:_SHOWN]
    write_results(out, report.model, report.name, rows)
    return report


def _decode(results: Path, data: bytes, images: ProjectImages, report: ResultsReport) -> list[tuple[int, Found]]:
    """The people of a file, each with its place; counts what else there is."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        if data.lstrip().startswith(b"{"):
            dataset = msgspec.json.decode(data, type=_Dataset)
            every, people = dataset.annotations, _people_of(results, dataset, images.skeleton)
        else:
            every = msgspec.json.decode(data, type=list[Found])
            people = [(index, one) for index, one in enumerate(every) if images.is_person(one)]
    except RecursionError as error:
        raise ResultsError(f"{results}: it is nested too deeply. Choose another file.") from error
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{results}: this is no list of COCO results ({error}). Choose another file.") from error
    if people and all(one.rank is None for _, one in people):
        raise ResultsError(f"{results}: its people have no scores, so they are labels. Open it as a COCO file instead.")
    report.others = len(every) - len(people)
    return people


def _people_of(results: Path, dataset: _Dataset, skeleton: Skeleton) -> list[tuple[int, Found]]:
    """The people of a data set, with what it says of their images and joints."""
    images = {image.id: image for image in dataset.images}
    categories = {category.id: category for category in _people_categories(results, dataset.categories, skeleton)}
    every = enumerate(dataset.annotations)
    found = [(index, one) for index, one in every if not categories or one.category_id in categories]
    for _, one in found:
        if isinstance(one.image_id, int) and (image := images.get(one.image_id)) and not one.file_name:
            one.file_name, one.image_root = image.file_name, image.image_root
        if one.category_id is not None and (category := categories.get(one.category_id)):
            one.keypoint_names = one.keypoint_names or category.keypoints
    return found


def _people_categories(results: Path, categories: Sequence[Category], skeleton: Skeleton) -> list[Category]:
    """Those of people; none where there are no categories."""
    people = [category for category in categories if is_people(category, skeleton)]
    if categories and not people:
        listed = ", ".join(category.name for category in categories[:5])
        raise ResultsError(f"{results}: none of its categories ({listed}) is called person. Rename the one of people.")
    return people


class _Reader:
    """Makes predictions of a file's entries; what is the same for all of them is found out first.

    Attributes:
        scaled: So many were taken to be in the pixels of copies of another size, though nothing says so.
    """

    def __init__(
        self, results: Path, images: ProjectImages, matched: Sequence[tuple[Found, Match]], model: str
    ) -> None:
        self._results, self._images, self._model = results, images, model
        # Some tools write sums of scores: the highest becomes 1 then.
        ranks = [one.rank for one, _ in matched if one.rank is not None and math.isfinite(one.rank)]
        self._score_scale = 1.0 / max([1.0, *ranks])
        self._as_labels = in_files_pixels(matched, images)
        self.scaled = 0

    def prediction(self, index: int, person: Found, match: Match) -> Prediction:
        """Raises ValueError for an entry that cannot be used, ResultsError when none can."""
        order = self._order(index, person, match)
        values = person.keypoints or [0.0] * (3 * order.count)
        if len(values) != 3 * order.count:
            raise ResultsError(
                f"{self._results}: entry {index} has {len(values) / 3:g} keypoints instead of {order.count}. "
                "Say what they are in keypoint_names, or in the category of a data set."
            )
        score = person.rank or 0.0
        if not all(map(math.isfinite, [*values, *(person.bbox or ()), score])):
            raise ValueError("a number is not finite")
        sx, sy = self._scale(person, match)
        xs, ys = [x / sx for x in values[::3]], [y / sy for y in values[1::3]]
        placed = list(map(PredictedJoint, xs, ys, _confidences(person, values), _visibility(person, order.count)))
        missing = PredictedJoint(0.0, 0.0, 0.0, _CERTAIN[0] if person.keypoint_visibility else None)
        joints = tuple(order.read(placed, missing))
        box = _box(person, joints, (sx, sy))
        return Prediction(0, self._model, box, min(max(score * self._score_scale, 0.0), 1.0), joints)

    def _order(self, index: int, person: Found, match: Match) -> JointOrder:
        names = person.keypoint_names
        if not names and match.by_id:
            names = self._images.orders.get((match.key, person.category_id))
        if not names:
            return own_order(self._images.skeleton)
        order = joint_order(names, self._images.skeleton)
        if order is None:
            raise ResultsError(
                f"{self._results}: entry {index} names its keypoints {', '.join(names[:4])}, ...: their order is not "
                f"known. Name them as COCO does ({', '.join(self._images.skeleton.keypoints[:3])}, ...)."
            )
        return order

    def _scale(self, person: Found, match: Match) -> tuple[float, float]:
        """The entry's pixels to one of the photo's, in x and in y."""
        size = self._images.sizes[match.key]
        if person.image_size is not None:
            width, height = map(round, person.image_size)
            return copy_scale((width, height), size) or _NO_SCALE
        scale = self._images.scales.get(match.key)
        if scale is None or not match.by_id or not self._as_labels:
            return _NO_SCALE
        self.scaled += 1
        return scale


def _confidences(person: Found, values: Sequence[float]) -> list[float]:
    scores = person.keypoint_scores
    if scores is None or not person.keypoints:
        # The third number is a confidence, or COCO's flag 0, 1, 2: cut to 0..1 a flag says the same.
        return [min(max(value, 0.0), 1.0) for value in values[2::3]]
    if 3 * len(scores) != len(values) or not all(0.0 <= score <= 1.0 for score in scores):
        raise ValueError(f"its keypoint_scores are not {len(values) // 3} numbers from 0 to 1")
    return scores


def _visibility(person: Found, count: int) -> Sequence[tuple[float, float, float] | None]:
    said = person.keypoint_visibility
    if not said or not person.keypoints:
        return [None] * count
    if len(said) != count or not set(said) <= set(_CERTAIN):
        raise ValueError(f"its keypoint_visibility is not {count} numbers 0, 1 or 2")
    return [_CERTAIN[v] for v in said]


def _box(person: Found, joints: Sequence[PredictedJoint], scale: tuple[float, float]) -> Box:
    if person.bbox is not None:
        if len(person.bbox) != 4 or person.bbox[2] <= 0 or person.bbox[3] <= 0:
            raise ValueError(f"its box {person.bbox} is none")
        return Box(*(side / factor for side, factor in zip(person.bbox, scale * 2, strict=True)))
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
