"""Checks of single COCO records: repaired with a note, quarantined, or clean. Pure but for the log."""

import math

import msgspec
import numpy as np

from msarcnn.coco_records import CocoImage, CocoPerson, PersonCategory, ReadLog
from msarcnn.images import UnsafePathError, safe_relative_path

BORDER_TOLERANCE = 0.02
"""A keypoint may lie outside the image by this share of its longer side and is then moved to the border."""

_VISIBILITIES = frozenset((0, 1, 2))
_MAX_SIDE = 1_000_000

Number = int | float


class RawImage(msgspec.Struct):
    """The fields of an image entry that are read, as the file has them."""

    id: int
    file_name: str
    width: Number | None = None
    height: Number | None = None
    image_root: int = 0
    ignore_regions: list[list[float]] | None = None


class RawAnnotation(msgspec.Struct):
    """The fields of a person's annotation that are read, as the file has them."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float] | None = None
    keypoints: list[float] | None = None
    num_keypoints: Number | None = None
    area: float | None = None
    iscrowd: Number | bool | None = None
    keypoint_weights: list[float] | None = None
    keypoint_sources: str | None = None
    score: float | None = None


class _Unusable(Exception):
    """A record for the quarantine; the text is the reason."""


def check_image(index: int, fields: RawImage, raw: str, log: ReadLog) -> CocoImage | None:
    """Returns the clean image, or None after putting it into quarantine."""
    place = f"images[{index}]"
    try:
        file_name = str(safe_relative_path(fields.file_name))
        regions = []
        for region in fields.ignore_regions or ():
            if len(region) != 4 or not _finite(region):
                raise _Unusable("an ignore region is not four finite numbers")
            regions.append(_upright_box(region, place, log))
        if fields.image_root < 0:
            raise _Unusable("its image_root is negative")
    except (UnsafePathError, _Unusable) as error:
        log.quarantine("images", index, fields.id, str(error), raw)
        return None
    width, height = _side(fields.width), _side(fields.height)
    if not (width and height):
        width = height = 0
        log.note("width and height are missing or impossible: they are taken from the file", place)
    return CocoImage(index, fields.id, file_name, width, height, fields.image_root, tuple(regions), raw)


def check_person(
    index: int, fields: RawAnnotation, image: CocoImage, category: PersonCategory, raw: str, log: ReadLog
) -> CocoPerson | None:
    """Returns the clean person with its keypoints in the skeleton's order, or None after putting it into quarantine."""
    place = f"annotations[{index}]"
    joints = len(category.keypoints)
    try:
        keypoints = _check_keypoints(fields.keypoints, image, joints, place, log)
        box = _check_box(fields.bbox, keypoints, image, place, log)
        iscrowd = _check_crowd(fields.iscrowd, place, log)
    except _Unusable as error:
        log.quarantine("annotations", index, fields.id, str(error), raw)
        return None
    labelled = int(np.count_nonzero(keypoints[:, 2]))
    if fields.num_keypoints is None:
        if labelled:
            log.note("num_keypoints is missing: counted", place)
    elif fields.num_keypoints != labelled:
        log.note("num_keypoints is not the number of labelled keypoints: counted again", place)
    area = fields.area
    if area is None or not math.isfinite(area) or area <= 0:
        log.note("area is missing or impossible: the box's is used", place)
        area = box[2] * box[3]
    weights, sources = _check_extras(fields, joints, place, log)
    if category.order is not None:
        keypoints = keypoints[list(category.order)]
        keypoints.flags.writeable = False
        weights = weights and tuple(weights[at] for at in category.order)
        sources = sources and "".join(sources[at] for at in category.order)
    score = fields.score if fields.score is not None and math.isfinite(fields.score) else None
    return CocoPerson(
        index,
        fields.id,
        fields.image_id,
        box,
        keypoints,
        labelled,
        area,
        iscrowd,
        weights,
        sources,
        score,
        raw,
    )


def _finite(values: list[float]) -> bool:
    return all(map(math.isfinite, values))


def _side(value: Number | None) -> int:
    """A stated width or height in pixels; 0 when it is missing or impossible."""
    if value is None or not math.isfinite(value) or not 1 <= value <= _MAX_SIDE or value != int(value):
        return 0
    return int(value)


def _upright_box(box: list[float], place: str, log: ReadLog) -> tuple[float, float, float, float]:
    """Swaps the corners of a box of negative width or height."""
    x, y, width, height = box
    if width < 0 or height < 0:
        log.note("box of negative width or height: its corners are swapped", place)
        x, width = (x + width, -width) if width < 0 else (x, width)
        y, height = (y + height, -height) if height < 0 else (y, height)
    return x, y, width, height


def _check_box(
    box: list[float] | None, keypoints: np.ndarray, image: CocoImage, place: str, log: ReadLog
) -> tuple[float, float, float, float]:
    if box is None or box == [0, 0, 0, 0]:
        # Some tools write no box for a person of whom only joints were labelled.
        points = keypoints[keypoints[:, 2] > 0, :2]
        if not len(points) or not (np.ptp(points, axis=0) > 0).all():
            raise _Unusable("bbox is missing" if box is None else "bbox is empty")
        log.note("bbox is missing or empty: the one around the labelled keypoints is used", place)
        box = [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()]
    if len(box) != 4 or not _finite(box):
        raise _Unusable("bbox is not four finite numbers")
    x, y, width, height = _upright_box(box, place, log)
    if not (width > 0 and height > 0):
        raise _Unusable("bbox is empty")
    if not (math.isfinite(x + width) and math.isfinite(y + height) and math.isfinite(width * height)):
        raise _Unusable("bbox is beyond all images")
    if image.width and (x >= image.width or y >= image.height or x + width <= 0 or y + height <= 0):
        raise _Unusable("bbox lies outside the image")
    return x, y, width, height


def _check_keypoints(values: list[float] | None, image: CocoImage, joints: int, place: str, log: ReadLog) -> np.ndarray:
    """Returns float64 [joints, 3], read-only."""
    if not values:
        keypoints = np.zeros((joints, 3))
    else:
        if len(values) != 3 * joints:
            raise _Unusable(f"keypoints has {len(values)} numbers instead of {3 * joints}")
        if not _finite(values):
            raise _Unusable("keypoints contains a number that is not finite")
        if not _VISIBILITIES.issuperset(values[2::3]):
            raise _Unusable("keypoints contains a visibility that is not 0, 1 or 2")
        keypoints = np.array(values, dtype=np.float64).reshape(joints, 3)
        if image.width and not _inside(values, image):
            _repair_outside(keypoints, image, place, log)
    keypoints.flags.writeable = False
    return keypoints


def _inside(values: list[float], image: CocoImage) -> bool:
    xs, ys = values[0::3], values[1::3]
    return min(xs) >= 0 and min(ys) >= 0 and max(xs) <= image.width and max(ys) <= image.height


def _repair_outside(keypoints: np.ndarray, image: CocoImage, place: str, log: ReadLog) -> None:
    """Moves labelled joints that are slightly outside to the border; those far outside lose their label."""
    size = np.array([image.width, image.height], dtype=np.float64)
    inside = np.clip(keypoints[:, :2], 0.0, size)
    distance = np.abs(keypoints[:, :2] - inside).max(axis=1)
    labelled = keypoints[:, 2] > 0
    tolerance = BORDER_TOLERANCE * size.max()
    near = labelled & (distance > 0) & (distance <= tolerance)
    far = labelled & (distance > tolerance)
    keypoints[near, :2] = inside[near]
    keypoints[far] = 0.0
    if near.any():
        log.note("labelled keypoints slightly outside the image: moved to its border", place)
    if far.any():
        log.note("labelled keypoints far outside the image: taken as not labelled", place)


def _check_crowd(value: Number | bool | None, place: str, log: ReadLog) -> bool:
    if value is None:
        log.note("iscrowd is missing: taken as 0", place)
        return False
    if value not in (0, 1):
        raise _Unusable("iscrowd is not 0 or 1")
    return bool(value)


def _check_extras(
    fields: RawAnnotation, joints: int, place: str, log: ReadLog
) -> tuple[tuple[float, ...] | None, str | None]:
    weights, sources = fields.keypoint_weights, fields.keypoint_sources
    if weights is not None and (len(weights) != joints or not _finite(weights) or min(weights) < 0):
        log.note(f"keypoint_weights is not {joints} numbers >= 0: left out", place)
        weights = None
    if sources is not None and (len(sources) != joints or not set(sources) <= set("hip-")):
        log.note(f"keypoint_sources is not {joints} letters out of h, i, p, -: left out", place)
        sources = None
    return (None if weights is None else tuple(weights)), sources
