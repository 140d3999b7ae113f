"""`python -m msarcnn audit`: labels that may be wrong, the most suspicious first."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msarcnn.audit import KINDS, Finding, Labelled, audit_image, audit_shapes
from msarcnn.coco import CocoDataset, Reading, read_coco
from msarcnn.dataset import DataError, labelled_images
from msarcnn.evaluation import encoded_results
from msarcnn.images import ImageError
from msarcnn.model_files import file_hash
from msarcnn.pose_model import People
from msarcnn.predictor import Predictor
from msarcnn.reading_notes import reading_notes
from msarcnn.seen_images import judged_on_seen
from msarcnn.skeleton import Skeleton

Report = Callable[[int, int, float], None]
"""Called after every image with (done, total, seconds left)."""
_WHOLE = 1e9


@dataclass(frozen=True)
class Audit:
    """Findings, the worst first, on so many images that could be read; names are all images' file names by id."""

    findings: list[Finding]
    images: int
    names: dict[int, str]
    skeleton: Skeleton
    problems: list[str]

    def text(self, most: int) -> str:
        """A line for each of the worst, and a count of each kind."""
        counts = Counter[str](finding.kind for finding in self.findings)
        lines = [self._line(finding) for finding in self.findings[:most]]
        total = ", ".join(f"{counts[kind]} x {about}" for kind, about in KINDS.items() if counts[kind])
        return "\n".join([*lines, f"{len(self.findings)} findings on {self.images} images: {total or 'nothing'}"])

    def _line(self, finding: Finding) -> str:
        joints = ", ".join(self.skeleton.keypoints[joint].replace("_", " ") for joint in finding.joints)
        who = " and ".join(f"annotation {person}" for person in finding.people) or "somebody"
        x, y, w, h = finding.box
        what = f"{who}{': ' + joints if joints else ''}: {KINDS[finding.kind]}"
        return f"{finding.suspicion:.2f}  {self.names[finding.image]}  {what}  (at {x:.0f}, {y:.0f}, {w:.0f} x {h:.0f})"

    def figures(self) -> dict[str, Any]:
        """Plain data."""
        named = [
            {
                **finding.figures(),
                "file_name": self.names[finding.image],
                "joints": [self.skeleton.keypoints[joint] for joint in finding.joints],
            }
            for finding in self.findings
        ]
        return {"images": self.images, "findings": named, "problems": self.problems}


def audit_labels(
    annotations: Path,
    images: list[Path],
    model: str | None,
    device: str,
    report: Report,
    reading: Reading | None = None,
) -> Audit:
    """Looks for wrong labels in a COCO file.

    Args:
        annotations, images: The file and its image folders.
        model: Name or file of a model that finds people by itself; None for the bundled one.
        device: Where to compute.
        report: Told about the progress.
        reading: What somebody has said about annotations that leave it open.

    Raises:
        CocoError, CheckpointError, DataError: the file or the model cannot be used, or no image can be read.
    """
    data = read_coco(annotations, keep_raw=False, roots=images, reading=reading)
    problems = [str(note) for note in reading_notes(data)]
    predictor = Predictor.load_for(model, device, problems.append)
    names = {image.id: image.file_name for image in data.images}
    seen = judged_on_seen(predictor.info.lineage, file_hash(annotations), list(names.values()))
    problems += [f"{annotations}: {seen}"] if seen else []
    people, ignored = labelled_people(data)
    chosen, unreadable = labelled_images(data, images), list[str]()
    findings, started, done = [], time.monotonic(), 0

    def failed(error: ImageError) -> None:
        unreadable.append(str(error))

    for result, features in encoded_results(predictor, chosen, failed):
        image, found = result.image_id, People(result.boxes, result.scores)
        findings += audit_image(predictor, features, image, people[image], ignored[image], found)
        done += 1
        passed = done + len(unreadable)
        report(passed, len(chosen), (time.monotonic() - started) / passed * (len(chosen) - passed))
    if unreadable and not done:
        raise DataError(f"none of the {len(chosen)} images could be read; the first: {unreadable[0]}")
    findings += audit_shapes(((image, one) for image, some in people.items() for one in some), data.skeleton)
    findings.sort(key=lambda finding: -finding.suspicion)
    return Audit(findings, done, names, data.skeleton, problems + unreadable)


def labelled_people(
    data: CocoDataset,
) -> tuple[dict[int, list[Labelled]], dict[int, list[tuple[float, float, float, float]]]]:
    """The single people of every image, and the boxes x, y, w, h in which nobody is judged, by image id."""
    by_image, lost = data.people_by_image(), data.images_that_lost_people
    people = {
        image.id: [Labelled(one.id, one.bbox, one.keypoints, one.area) for one in by_image[image.id] if not one.iscrowd]
        for image in data.images
    }
    ignored = {
        image.id: [
            *(one.bbox for one in by_image[image.id] if one.iscrowd),
            *image.ignore_regions,
            *([(0.0, 0.0, image.width or _WHOLE, image.height or _WHOLE)] if image.id in lost else ()),
        ]
        for image in data.images
    }
    return people, ignored
