"""The lines of a YOLO-pose label file as numbers: class, box, joints; what they mean is decided elsewhere."""

import math
from dataclasses import dataclass

_MOST_SHARES = 10.0
"""No place of a person is further away, in shares of the image: larger numbers are pixels, or nonsense."""


_ROUNDING = 1e-3
"""A third value this near to 0, 1 or 2 is that."""


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
    """

    kind: int
    box: tuple[float, float, float, float]
    joints: tuple[tuple[float, float, float | None], ...] | None
    score: float | None


def kind_of(words: list[str]) -> int | None:
    """The class that a line begins with; None where that is none."""
    try:
        value = float(words[0])
    except ValueError:
        return None
    return int(value) if value >= 0 and value.is_integer() else None


def read_line(words: list[str], joints: int, dimensions: int) -> YoloLine:
    """Reads the words of a line.

    Args:
        words: The line, split.
        joints: How many joints an object of the data set has.
        dimensions: Numbers a joint, 2 or 3. A line with the other count may as well be an outline.

    Raises:
        LineError: with what is wrong.
    """
    full, other = 5 + joints * dimensions, 5 + joints * (5 - dimensions)
    if len(words) not in (5, 6, full, full + 1):
        if len(words) == other:
            reason = f"a line has {other} values: it is an outline, or kpt_shape should be [{joints}, {5 - dimensions}]"
            raise LineError(reason)
        raise LineError(f"a line has neither a box (5 values) nor a box with {joints} joints ({full})")
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise LineError("a line holds something that is no number") from None
    kind = kind_of(words)
    if kind is None or not all(map(math.isfinite, values)):
        raise LineError("a line holds a number that is not finite, or no class")
    places = values[5:full] if len(words) >= full else []
    triples = tuple(
        (places[at], places[at + 1], _settled(places[at + 2]) if dimensions == 3 else None)
        for at in range(0, len(places), dimensions)
    )
    if any(abs(value) > _MOST_SHARES for value in (*values[1:5], *(n for triple in triples for n in triple[:2]))):
        raise LineError("a line holds a place that is no share of the image (divide pixels by width and height)")
    score = values[-1] if len(words) in (6, full + 1) else None
    x, y, w, h = values[1:5]
    return YoloLine(kind, (x, y, w, h), triples or None, score)


def _settled(third: float) -> float:
    return next((whole for whole in (0.0, 1.0, 2.0) if abs(third - whole) <= _ROUNDING), third)
