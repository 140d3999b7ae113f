"""The lines of a YOLO-pose label file as numbers: class, box, joints; what they mean is decided elsewhere."""

import math
from dataclasses import dataclass

_MOST_SHARES = 10.0
"""No place of a person is further away, in shares of the image: larger numbers are pixels, or nonsense."""


class LineError(ValueError):
    """A line that cannot be used; the message says why, without naming the line."""


@dataclass(frozen=True)
class YoloLine:
    """One object.

    Attributes:
        kind: Its class.
        box: Centre x, y, width, height in shares of the image.
        joints: (x, y, third value) of every joint, the places in shares of the image; the third value is None where
            the line has two numbers a joint. None without joints.
        score: The value behind all others that `save_conf` writes; None without.
        other_dimensions: It has another count of numbers a joint than the data set states.
    """

    kind: int
    box: tuple[float, float, float, float]
    joints: tuple[tuple[float, float, float | None], ...] | None
    score: float | None
    other_dimensions: bool


def read_line(words: list[str], joints: int, dimensions: int) -> YoloLine:
    """Reads the words of a line.

    Args:
        words: The line, split.
        joints: How many joints an object of the data set has.
        dimensions: Numbers a joint that the data set states, 2 or 3; a line with the other count is understood.

    Raises:
        LineError: with what is wrong.
    """
    other = 5 - dimensions
    per_joint = {5: 0, 6: 0}
    for numbers in (other, dimensions):
        per_joint |= {5 + joints * numbers: numbers, 6 + joints * numbers: numbers}
    if len(words) not in per_joint:
        full = 5 + joints * dimensions
        raise LineError(f"a line has neither a box (5 values) nor a box with {joints} joints ({full})")
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise LineError("a line holds something that is no number") from None
    if not all(map(math.isfinite, values)) or not values[0].is_integer() or values[0] < 0:
        raise LineError("a line holds a number that is not finite, or no class")
    count = per_joint[len(words)]
    places = values[5 : 5 + joints * count]
    xy = [value for index, value in enumerate(places) if index % (count or 1) < 2]
    if any(abs(value) > _MOST_SHARES for value in (*values[1:5], *xy)):
        raise LineError("a line holds a place that is no share of the image (divide pixels by width and height)")
    score = values[-1] if (len(words) - 5 - joints * count) == 1 else None
    x, y, w, h = values[1:5]
    triples = tuple(
        (places[at], places[at + 1], places[at + 2] if count == 3 else None) for at in range(0, len(places), count or 1)
    )
    return YoloLine(int(values[0]), (x, y, w, h), triples if count else None, score, count == other)
