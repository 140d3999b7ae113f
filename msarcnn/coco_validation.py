"""Checks of single COCO records: repaired with a note, quarantined, or clean. Pure but for the log."""

import math
from typing import NamedTuple

import msgspec
import numpy as np

from msarcnn.coco_records import CocoImage, CocoPerson, PersonCategory, ReadLog
from msarcnn.file_names import relative_end
from msarcnn.images import UnsafePathError, safe_relative_path

BORDER_TOLERANCE = 0.02
"""A keypoint may lie outside the image by this share of its longer side and is then moved to the border."""

_VISIBILITIES = frozenset((0, 1, 2))
_SURE = 0.5
"""A joint of this confidence is taken to be visible, one of less not to be labelled."""
_CONFIDENCES = "visibilities between 0 and 1 are taken as confidences"
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
    keypoints: list[float | None] | None = None
    num_keypoints: Number | None = None
    area: float | None = None
    iscrowd: Number | bool | None = None
    bbox_weight: float | None = None
    keypoint_weights: list[float] | None = None
    keypoint_sources: str | None = None
    score: float | None = None


class UnusableError(Exception):
    """A record for the quarantine; the text is the reason."""


def check_image(index: int, fields: RawImage, raw: str, log: ReadLog) -> CocoImage | None:
    """Returns the clean image, or None after putting it into quarantine."""
    place = f"images[{index}]"
    try:
        file_name = _file_name(fields.file_name, place, log)
        regions = []
        for region in fields.ignore_regions or ():
            if len(region) != 4 or not _finite(region):
                raise UnusableError("an ignore region is not four finite numbers")
            regions.append(_upright_box(region, place, log))
        if fields.image_root < 0:
            raise UnusableError("its image_root is negative")
    except (UnsafePathError, UnusableError) as error:
        log.quarantine_image(index, fields.id, str(error), raw)
        return None
    width, height = _side(fields.width), _side(fields.height)
    if not (width and height):
        width = height = 0
        log.note("width and height are missing or impossible: they are taken from the file", place)
    return CocoImage(index, fields.id, file_name, width, height, fields.image_root, tuple(regions), raw)


class ThirdValues(NamedTuple):
    """What stands behind x and y in some keypoints: visibilities, confidences, or both.

    Attributes:
        fractional: Some are no whole numbers.
        flagged: Some are as large as no confidence is.
    """

    fractional: bool = False
    flagged: bool = False

    @property
    def are_confidences(self) -> bool:
        return self.fractional and not self.flagged


def third_values(fields: RawAnnotation) -> ThirdValues:
    values = (fields.keypoints or ())[2::3] if len(fields.keypoints or ()) % 3 == 0 else ()
    if _VISIBILITIES.issuperset(values):
        return ThirdValues(flagged=2 in values)
    known = [v for v in values if v is not None and math.isfinite(v)]
    return ThirdValues(any(v != int(v) for v in known), any(v >= 2 for v in known))


def check_person(
    index: int,
    fields: RawAnnotation,
    image: CocoImage,
    category: PersonCategory,
    raw: str,
    log: ReadLog,
    confident: bool = False,
) -> CocoPerson | None:
    """Returns the clean person with its keypoints in the skeleton's order, or None after putting it into quarantine.

    confident: others of the category have confidences in place of visibilities, and nobody has visibilities.
    """
    place = f"annotations[{index}]"
    joints = category.order.count
    try:
        confident = confident or third_values(fields).are_confidences
        keypoints = _check_keypoints(fields.keypoints, image, joints, confident, place, log)
        if not category.keypoints and keypoints.any():
            log.note("the category does not name its joints: they are taken to be in COCO's order", place, warns=True)
        box = _check_box(fields.bbox, keypoints, image, place, log)
        iscrowd = _check_crowd(fields.iscrowd, place, log)
    except UnusableError as error:
        log.quarantine_annotation(index, fields.id, fields.image_id, str(error), raw)
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
    box_weight = _check_box_weight(fields.bbox_weight, place, log)
    if not category.order.is_own:
        keypoints = np.array(category.order.read(list(keypoints), np.zeros(3)))
        labelled = int(np.count_nonzero(keypoints[:, 2]))
        weights = weights and tuple(category.order.read(weights, 0.0))
        sources = sources and "".join(category.order.read(sources, "-"))
    keypoints.flags.writeable = False
    score = fields.score if fields.score is not None and math.isfinite(fields.score) else None
    return CocoPerson(
        index,
        fields.id,
        fields.image_id,
        category.id,
        box,
        keypoints,
        labelled,
        area,
        iscrowd,
        weights,
        sources,
        box_weight,
        score,
        raw,
    )


def _file_name(stated: str, place: str, log: ReadLog) -> str:
    """A relative name that stays inside the image folder: of a name that leads elsewhere, its end."""
    try:
        return str(safe_relative_path(stated))
    except UnsafePathError:
        end = relative_end(stated)
        if end is None:
            raise
        log.note("file names lead out of the image folder: only their ends are looked for in it", place)
        return end


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
    fault = _box_fault(box)
    if box is None or fault:
        # Some tools write no box, or one of no size, for a person of whom only joints were labelled.
        points = keypoints[keypoints[:, 2] > 0, :2]
        if not len(points):
            raise UnusableError(f"bbox is {fault}")
        log.note(f"bbox is {fault}: the one around the labelled keypoints is used", place)
        box = _box_around(points)
    x, y, width, height = _upright_box(box, place, log)
    if not (math.isfinite(x + width) and math.isfinite(y + height) and math.isfinite(width * height)):
        raise UnusableError("bbox is beyond all images")
    if image.width and (x >= image.width or y >= image.height or x + width <= 0 or y + height <= 0):
        raise UnusableError("bbox lies outside the image")
    return x, y, width, height


def _box_fault(box: list[float] | None) -> str:
    if box is None:
        return "missing"
    if len(box) != 4 or not _finite(box):
        return "not four finite numbers"
    return "empty" if box[2] == 0 or box[3] == 0 else ""


def _box_around(points: np.ndarray) -> list[float]:
    """x, y, width, height around points [N, 2]; joints on a line have a narrow box, but have one."""
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    size = np.maximum(extent, max(0.1 * extent.max(), 1.0))
    return [*(low - (size - extent) / 2).tolist(), *size.tolist()]


def _check_keypoints(
    values: list[float | None] | None, image: CocoImage, joints: int, confident: bool, place: str, log: ReadLog
) -> np.ndarray:
    """Returns float64 [joints, 3]."""
    if not values:
        return np.zeros((joints, 3))
    if len(values) != 3 * joints:
        text = f"keypoints are not the {3 * joints} numbers of {joints} joints: left out, the box is kept"
        log.note(text, place, warns=True)
        return np.zeros((joints, 3))
    if confident:
        log.note(f"{_CONFIDENCES}: visible from {_SURE} on", place, warns=True)
        thirds = [v if v is None or not math.isfinite(v) else 2.0 * (v >= _SURE) for v in values[2::3]]
        values = [n for x, y, v in zip(values[0::3], values[1::3], thirds, strict=True) for n in (x, y, v)]
    if None in values or not _VISIBILITIES.issuperset(values[2::3]) or not _finite(values):  # type: ignore[arg-type]
        values = [n for at in range(0, len(values), 3) for n in _read_joint(values[at : at + 3], place, log)]
    keypoints = np.array(values, dtype=np.float64).reshape(joints, 3)
    if image.width and not _inside(keypoints, image):
        _repair_outside(keypoints, image, place, log)
    return keypoints


def _read_joint(triple: list[float | None], place: str, log: ReadLog) -> tuple[float, float, float]:
    """A joint as it can be used; one that cannot is not labelled."""
    x, y, v = triple
    if x is None or y is None or v is None or not _finite([x, y, v]):
        log.note("a joint without a number: taken as not labelled", place, warns=True)
        return 0.0, 0.0, 0.0
    if v in _VISIBILITIES:
        return x, y, v
    if 0 < v < 1:
        log.note(f"{_CONFIDENCES}: visible from {_SURE} on", place, warns=True)
        return (x, y, 2.0) if v >= _SURE else (x, y, 0.0)
    if v > 2:
        log.note("a visibility above 2: taken as visible", place, warns=True)
        return x, y, 2.0
    log.note("a visibility that is not 0, 1 or 2: the joint is taken as not labelled", place, warns=True)
    return x, y, 0.0


def _inside(keypoints: np.ndarray, image: CocoImage) -> bool:
    places = keypoints[:, :2]
    return bool(places.min() >= 0 and places[:, 0].max() <= image.width and places[:, 1].max() <= image.height)


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
        log.note("labelled keypoints far outside the image: taken as not labelled", place, warns=True)


def _check_crowd(value: Number | bool | None, place: str, log: ReadLog) -> bool:
    if value is None:
        log.note("iscrowd is missing: taken as 0", place)
        return False
    if value not in (0, 1):
        raise UnusableError("iscrowd is not 0 or 1")
    return bool(value)


def _check_box_weight(value: float | None, place: str, log: ReadLog) -> float:
    if value is not None and not (math.isfinite(value) and value >= 0):
        log.note("bbox_weight is not a number >= 0: left out", place)
        value = None
    return 1.0 if value is None else value


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
