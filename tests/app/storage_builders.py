"""Small documents and COCO files that several tests start from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.document.document import Document
from app.document.records import Box, ImageRecord, Joint, PredictedJoint, Prediction
from app.storage.attach import AttachProgress
from app.storage.coco_import import stage_coco
from app.storage.project import Project
from msarcnn.coco_report import ReadReport
from msarcnn.skeleton import coco17

MODEL = "0123456789ab"
IMAGE = 1


def make_document(**record: Any) -> Document:
    """A document with one open image, key 1, and nobody in it."""
    document = Document(coco17())
    document.open_image(ImageRecord(IMAGE, 1, "a.jpg", 640, 480, **record), (), ())
    return document


def make_joints(v: int = 2, origin: str = MODEL) -> tuple[Joint, ...]:
    return tuple(Joint(10.0 + index, 20.0 + index, v, origin) for index in range(17))


def make_prediction(key: int, x: float = 0.0, score: float = 0.9, model: str = MODEL) -> Prediction:
    """A person of 50 x 100 pixels; joint confidences run from 0 to 0.8."""
    joints = tuple(PredictedJoint(x + index, 2.0 * index, index / 20) for index in range(17))
    return Prediction(key, model, Box(x, 0.0, 50.0, 100.0), score, joints)


def with_visibility(prediction: Prediction) -> Prediction:
    """The same of a model that tells v = 0, 1, 2 apart: 0, 1, 2, 0, ... are probable."""
    likely = ((0.75, 0.125, 0.125), (0.125, 0.75, 0.125), (0.125, 0.125, 0.75))
    joints = tuple(replace(joint, visibility=likely[index % 3]) for index, joint in enumerate(prediction.joints))
    return replace(prediction, joints=joints)


def make_project(path: Path, images: int = 3) -> Project:
    project = Project.create(path)
    root = project.add_root(path.parent)
    project.add_images(root, [f"{index:06}.jpg" for index in range(images)])
    return project


def find_image(project: Project, path: str, root: int = 1) -> int:
    """The key of an image by its identity."""
    return next(row.key for row in project.image_rows() if (row.root_key, row.path) == (root, path))


def keypoints(start: float = 10, v: int = 2) -> list[float]:
    return [value for index in range(17) for value in (start + index, start + 2 * index, v)]


def make_coco(**changes: Any) -> dict[str, Any]:
    """Two people, a crowd and a dog on two images, ids far from 1, with fields that nobody knows."""
    content: dict[str, Any] = {
        "info": {"description": "a test", "nested": [1, {"x": None}]},
        "licenses": [{"id": 3, "name": "free"}],
        "images": [
            {"id": 700, "file_name": "b/two.jpg", "width": 640, "height": 480, "license": 3, "extra": [1.50, True]},
            {"id": 42, "file_name": "a one.jpg", "width": 320, "height": 240},
        ],
        "categories": [
            {"id": 9, "name": "person", "keypoints": list(coco17().keypoints), "skeleton": [[1, 2]]},
            {"id": 18, "name": "dog"},
        ],
        "annotations": [
            {"id": 5, "image_id": 42, "category_id": 9, "bbox": [10, 10.0, 100, 150.50], "area": 9999.25,
             "iscrowd": 0, "keypoints": keypoints(), "num_keypoints": 17, "segmentation": [[1, 2, 3, 4, 5, 6]],
             "mood": "good"},
            {"id": 901, "image_id": 700, "category_id": 18, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0},
            {"id": 6, "image_id": 700, "category_id": 9, "bbox": [5, 5, 300, 300], "area": 90000, "iscrowd": 1,
             "keypoints": [0] * 51, "num_keypoints": 0,
             "segmentation": {"size": [480, 640], "counts": [0, 307200]}},
            {"id": 4, "image_id": 700, "category_id": 9, "bbox": [400, 50, 60, 90], "area": 5400, "iscrowd": 0},
        ],
        "videos": [],
    }  # fmt: skip
    return content | changes


def write_coco(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def import_coco(project: Project, source: Path, root: Path, batch: int = 2) -> tuple[ReadReport, AttachProgress]:
    """Stages and attaches a COCO file; returns the report and the last AttachProgress."""
    staging = source.with_suffix(".staging")
    report = stage_coco(source, staging, [root], lambda stage, done, total: None)
    steps = list(project.attach_staging(staging, batch))
    staging.unlink()
    return report, steps[-1]
