"""Where the small plates of text go, so that none hides another: pure geometry in image pixels."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF

from app.document.records import Box

Size = tuple[float, float]
"""Width and height in screen pixels."""


def beside_point(x: float, y: float, size: Size, unit: float) -> tuple[QRectF, ...]:
    """Places for a joint's name, the best first: right of the joint, left of it, below, above.

    Args:
        x: Image pixels.
        y: Image pixels.
        size: Of the plate.
        unit: Image pixels a screen pixel.
    """
    w, h, gap = size[0] * unit, size[1] * unit, 12 * unit
    return (
        QRectF(x + gap, y - 4 * unit - h, w, h),
        QRectF(x - gap - w, y - 4 * unit - h, w, h),
        QRectF(x - w / 2, y + gap, w, h),
        QRectF(x - w / 2, y - 6 * unit - 2 * h, w, h),
    )


def around_box(box: Box, size: Size, unit: float, right_edge: float) -> tuple[QRectF, ...]:
    """Places for what is said about a box, the best first: over its corners, then under them.

    Args:
        box: Image pixels.
        size: Of the plate.
        unit: Image pixels a screen pixel.
        right_edge: Where the photo ends: plates are moved left of it.
    """
    w, h, gap = size[0] * unit, size[1] * unit, 3 * unit
    above, below = box.y - gap - h, box.bottom + gap
    furthest = right_edge - w
    return tuple(QRectF(min(x, furthest), y, w, h) for y in (above, below) for x in (box.x, box.right - w))


def free_places(wishes: Sequence[Sequence[QRectF]], right_edge: float) -> list[QRectF | None]:
    """Gives every plate the first of its places that nobody has, or none.

    Args:
        wishes: The places of each plate; the first plates choose first.
        right_edge: x beyond which no plate reaches.
    """
    taken: list[QRectF] = []
    given: list[QRectF | None] = []
    for places in wishes:
        free = (
            place
            for place in places
            if place.right() <= right_edge and not any(place.intersects(other) for other in taken)
        )
        given.append(next(free, None))
        taken += [place for place in given[-1:] if place is not None]
    return given
