"""What lies under the pointer: pure geometry, no Qt.

All coordinates are pixels of the upright image; radii are given on screen and divided by the view's scale,
so that a joint is as easy to grab in a small picture as in an enlarged one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import hypot

from app.commands.predictions import Proposal
from app.document.records import Box, Person

JOINT_RADIUS = 9.0
"""Screen pixels within which a joint or a handle is hit."""
EDGE_RADIUS = 5.0
"""Screen pixels within which a box's border or a bone is hit."""


class Part(StrEnum):
    """The kind of thing that was hit, from the most specific to the least."""

    JOINT = "joint"
    HANDLE = "handle"
    EDGE = "edge"
    BONE = "bone"
    BODY = "body"
    NOTHING = "nothing"


class Handle(StrEnum):
    """A box's eight handles by compass point."""

    NW = "nw"
    N = "n"
    NE = "ne"
    E = "e"
    SE = "se"
    S = "s"
    SW = "sw"
    W = "w"


@dataclass(frozen=True, slots=True)
class Hit:
    """What was hit. Exactly one of person and prediction is set, unless part is NOTHING."""

    part: Part = Part.NOTHING
    person: int | None = None
    joint: int | None = None
    handle: Handle | None = None
    prediction: int | None = None

    def __bool__(self) -> bool:
        return self.part is not Part.NOTHING


@dataclass(frozen=True, slots=True)
class Visible:
    """What the canvas shows, and can therefore be hit.

    selected is the key of the selected person, or prediction of the selected prediction: its handles exist, and it wins
    ties. joints are those that are selected of it; they win among joints that lie on each other. edges are the
    skeleton's bones. Hidden boxes or skeletons are not hit, except those of the selected person or proposal; hints
    (v = 0) are shown and hit only on the selected one.
    """

    people: Sequence[Person]
    proposals: Sequence[Proposal] = ()
    selected: int | None = None
    edges: Sequence[tuple[int, int]] = ()
    boxes: bool = True
    skeleton: bool = True
    joints: Sequence[int] = ()
    prediction: int | None = None

    @property
    def joint(self) -> int | None:
        """The joint that was selected last."""
        return self.joints[-1] if self.joints else None


def handle_places(box: Box) -> dict[Handle, tuple[float, float]]:
    """Returns where the eight handles of a box are."""
    middle_x, middle_y = box.x + box.w / 2, box.y + box.h / 2
    return {
        Handle.NW: (box.x, box.y),
        Handle.NE: (box.right, box.y),
        Handle.SE: (box.right, box.bottom),
        Handle.SW: (box.x, box.bottom),
        Handle.N: (middle_x, box.y),
        Handle.E: (box.right, middle_y),
        Handle.S: (middle_x, box.bottom),
        Handle.W: (box.x, middle_y),
    }


def resized(box: Box, handle: Handle, x: float, y: float, smallest: float = 1.0) -> Box:
    """Returns the box with one handle dragged to (x, y); a handle dragged across the far side mirrors the box."""
    left, top, right, bottom = box.x, box.y, box.right, box.bottom
    if "w" in handle.value:
        left = x
    if "e" in handle.value:
        right = x
    if "n" in handle.value:
        top = y
    if "s" in handle.value:
        bottom = y
    left, right = min(left, right), max(left, right)
    top, bottom = min(top, bottom), max(top, bottom)
    return Box(left, top, max(right - left, smallest), max(bottom - top, smallest))


def nearest_on_image(x: float, y: float, extent: tuple[int, int]) -> tuple[float, float]:
    """Returns the place on an image of this width and height that is nearest to (x, y) (0: unknown, it stays)."""
    width, height = extent
    return (min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))) if width else (x, y)


def clipped(box: Box, width: float, height: float) -> Box:
    """Returns the part of a box that lies on the image (width 0: unknown, the box stays as it is)."""
    if width <= 0 or height <= 0:
        return box
    left, top = min(max(box.x, 0.0), width), min(max(box.y, 0.0), height)
    right, bottom = min(max(box.right, 0.0), width), min(max(box.bottom, 0.0), height)
    return Box(left, top, right - left, bottom - top)


def spanned(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Returns the box between two corners."""
    return Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


def joints_within(box: Box, visible: Visible) -> tuple[int, tuple[int, ...]] | None:
    """Returns whose joints lie in a box, and which: a person's key and indices; None when no label's joint does.

    The selected person is meant if any of theirs do, else the one with the most.
    """
    best: tuple[int, tuple[int, ...]] | None = None
    for person in visible.people:
        chosen = person.key == visible.selected
        if not (visible.skeleton or chosen):
            continue
        inside = tuple(
            index
            for index, joint in enumerate(person.joints)
            if joint.has_place and (joint.v or chosen) and _inside(box, joint.x, joint.y)
        )
        if inside and chosen:
            return person.key, inside
        if inside and (best is None or len(inside) > len(best[1])):
            best = person.key, inside
    return best


def hit_test(x: float, y: float, scale: float, visible: Visible) -> Hit:
    """Returns what a user who points at (x, y) most likely means.

    Args:
        x: Pixels of the upright image.
        y: Pixels of the upright image.
        scale: Screen pixels per image pixel.
        visible: What is shown.

    Returns:
        The nearest joint within a screen radius, else a handle or box border, else a bone, else the smallest box
        around the point; a `Hit` with part NOTHING when there is none.
    """
    return next(hits(x, y, scale, visible), Hit())


def hits(x: float, y: float, scale: float, visible: Visible) -> Iterator[Hit]:
    """Yields everything under (x, y), the likeliest first; a repeated click goes down this list."""
    joint_radius, edge_radius = JOINT_RADIUS / scale, EDGE_RADIUS / scale
    yield from _joints(x, y, joint_radius, visible)
    yield from _handles(x, y, joint_radius, visible)
    yield from _borders(x, y, edge_radius, visible)
    yield from _bones(x, y, edge_radius, visible)
    yield from _bodies(x, y, visible)


def _joints(x: float, y: float, radius: float, visible: Visible) -> Iterator[Hit]:
    found = []
    poses = [(False, person, person.key == visible.selected) for person in visible.people]
    poses += [(True, proposal.person, proposal.key == visible.prediction) for proposal in visible.proposals]
    for proposed, person, chosen in poses:
        if not (visible.skeleton or chosen):
            continue
        for index, joint in enumerate(person.joints):
            # Most joints of a crowd are somewhere else: the cheapest question comes first.
            if abs(joint.x - x) <= radius and abs(joint.y - y) <= radius and joint.has_place and (joint.v or chosen):
                distance = hypot(joint.x - x, joint.y - y)
                if distance <= radius:
                    # A tie of joints that lie on each other goes to the selected joint, then to whoever is selected,
                    # then to labels before proposals, and to these before hints.
                    lead = radius / 3 * (chosen + (chosen and index in visible.joints))
                    found.append((distance - lead, joint.v == 0, proposed, person.key, index))
    for _, _, proposed, key, index in sorted(found):
        yield Hit(Part.JOINT, prediction=key, joint=index) if proposed else Hit(Part.JOINT, person=key, joint=index)


def _handles(x: float, y: float, radius: float, visible: Visible) -> Iterator[Hit]:
    found = [(person.box, Hit(person=person.key)) for person in visible.people if person.key == visible.selected]
    found += [
        (proposal.person.box, Hit(prediction=proposal.key))
        for proposal in visible.proposals
        if proposal.key == visible.prediction
    ]
    for box, hit in found:
        places = sorted((hypot(px - x, py - y), handle) for handle, (px, py) in handle_places(box).items())
        for distance, handle in places:
            if distance <= radius:
                yield replace(hit, part=Part.HANDLE, handle=handle)


def _borders(x: float, y: float, radius: float, visible: Visible) -> Iterator[Hit]:
    found = []
    for person in visible.people:
        chosen = person.key == visible.selected
        if visible.boxes or chosen:
            found.append((_border_distance(person.box, x, y), not chosen, Hit(Part.EDGE, person=person.key)))
    for proposal in visible.proposals:
        found.append((_border_distance(proposal.person.box, x, y), True, Hit(Part.EDGE, prediction=proposal.key)))
    for distance, _, hit in sorted(found, key=lambda item: item[:2]):
        if distance <= radius:
            yield hit


def _bones(x: float, y: float, radius: float, visible: Visible) -> Iterator[Hit]:
    found = []
    for person in visible.people:
        chosen = person.key == visible.selected
        if not (visible.skeleton or chosen):
            continue
        joints = person.joints
        distances = [
            _segment_distance(x, y, joints[a].x, joints[a].y, joints[b].x, joints[b].y)
            for a, b in visible.edges
            if joints[a].placed and joints[b].placed and (chosen or (joints[a].v and joints[b].v))
        ]
        nearest = min(distances, default=radius + 1)
        if nearest <= radius:
            found.append((not chosen, nearest, person.key))
    for _, _, key in sorted(found):
        yield Hit(Part.BONE, person=key)


def _bodies(x: float, y: float, visible: Visible) -> Iterator[Hit]:
    found = [
        (person.box.area, Hit(Part.BODY, person=person.key)) for person in visible.people if _inside(person.box, x, y)
    ]
    found += [
        (proposal.person.box.area, Hit(Part.BODY, prediction=proposal.key))
        for proposal in visible.proposals
        if _inside(proposal.person.box, x, y)
    ]
    for _, hit in sorted(found, key=lambda item: item[0]):
        yield hit


def _inside(box: Box, x: float, y: float) -> bool:
    return box.x <= x <= box.right and box.y <= y <= box.bottom


def _border_distance(box: Box, x: float, y: float) -> float:
    if _inside(box, x, y):
        return min(x - box.x, box.right - x, y - box.y, box.bottom - y)
    return hypot(max(box.x - x, 0.0, x - box.right), max(box.y - y, 0.0, y - box.bottom))


def _segment_distance(x: float, y: float, ax: float, ay: float, bx: float, by: float) -> float:
    length = (bx - ax) ** 2 + (by - ay) ** 2
    along = 0.0 if length == 0 else min(max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0.0), 1.0)
    return hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay))
