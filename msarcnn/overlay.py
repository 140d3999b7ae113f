"""People drawn over a photo, for looking at labels outside of the app."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msarcnn.opencv import cv2
from msarcnn.skeleton import Skeleton

_BOX = (77, 208, 165)
_CROWD = (199, 146, 234)
_RIM = (0, 0, 0)
_SUBPIXEL_BITS = 4
"""OpenCV draws at sixteenths of a pixel."""
_REACH = 4
"""Places further away than so many sides of the picture are drawn there: OpenCV refuses very large numbers."""


@dataclass(frozen=True)
class DrawnPerson:
    """box: x, y, w, h in pixels. joints: K times x, y, v; v = 0 is not drawn, v = 1 (occluded) hollow."""

    box: tuple[float, float, float, float]
    joints: Sequence[tuple[float, float, int]]
    crowd: bool = False


def draw_people(pixels: np.ndarray, people: Sequence[DrawnPerson], skeleton: Skeleton) -> np.ndarray:
    """Draws boxes, bones in the colours of the sides, and joints.

    Args:
        pixels: uint8 [H, W, 3], RGB; not changed.
        people: In pixels of the picture, of which they may reach out however far; the last is on top.
        skeleton: Edges and colours.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    picture = np.ascontiguousarray(pixels).copy()
    colors = {side: _rgb(color) for side, color in skeleton.colors.items()}
    for person in people:
        size = min(max(person.box[2] * person.box[3], 1.0) ** 0.5, max(picture.shape[:2]))
        line = max(round(size / 90), 1)
        _draw_box(picture, person, line)
        for first, second in skeleton.edges:
            a, b = person.joints[first], person.joints[second]
            if a[2] and b[2]:
                same = skeleton.sides[first] == skeleton.sides[second]
                _line(picture, a, b, colors[skeleton.sides[first] if same else "c"], line)
        for joint, side in zip(person.joints, skeleton.sides, strict=True):
            if joint[2]:
                _dot(picture, joint, colors[side], max(size / 60, 2.0), line)
    return picture


def _draw_box(picture: np.ndarray, person: DrawnPerson, line: int) -> None:
    x, y, w, h = person.box
    color = _CROWD if person.crowd else _BOX
    for width, paint in ((line + 2, _RIM), (line, color)):
        corners = _fixed(picture, x, y), _fixed(picture, x + w, y + h)
        cv2.rectangle(picture, *corners, paint, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _line(
    picture: np.ndarray,
    a: tuple[float, float, int],
    b: tuple[float, float, int],
    color: tuple[int, int, int],
    width: int,
) -> None:
    ends = _fixed(picture, a[0], a[1]), _fixed(picture, b[0], b[1])
    for thick, paint in ((width + 2, _RIM), (width, color)):
        cv2.line(picture, *ends, paint, thick, cv2.LINE_AA, _SUBPIXEL_BITS)


def _dot(
    picture: np.ndarray, joint: tuple[float, float, int], color: tuple[int, int, int], radius: float, line: int
) -> None:
    if joint[2] == 1:
        radius = max(radius, line + 2.5)  # else the ring would have no inside
    fixed = round(radius * (1 << _SUBPIXEL_BITS))
    center = _fixed(picture, joint[0], joint[1])
    if joint[2] == 1:
        for width, paint in ((line + 2, _RIM), (line, color)):
            cv2.circle(picture, center, fixed, paint, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    else:
        cv2.circle(picture, center, fixed + (1 << _SUBPIXEL_BITS), _RIM, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.circle(picture, center, fixed, color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(picture: np.ndarray, x: float, y: float) -> tuple[int, int]:
    """A place as OpenCV takes it with a shift; pixel centres are at half numbers here, at whole ones there."""
    scale, far = 1 << _SUBPIXEL_BITS, float(_REACH * max(picture.shape[:2]))
    x, y = min(max(x, -far), far), min(max(y, -far), far)
    return round((x - 0.5) * scale), round((y - 0.5) * scale)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
