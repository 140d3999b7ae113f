"""One person, two annotations: some tools keep the box in one category and the joints in another."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from msarcnn.coco_records import CocoOther, CocoPerson, PersonCategory, ReadLog
from msarcnn.oks import box_overlaps
from msarcnn.person_names import may_be_the_same

_SHARE_INSIDE = 0.8
"""Of the labelled joints inside a box of the same person."""
_SAME_BOX_IOU = 0.9
"""Where nobody's joints tell, boxes of two categories are the same person's from this overlap on."""


def without_twins(
    people: Sequence[CocoPerson], categories: Mapping[int, PersonCategory], log: ReadLog
) -> tuple[list[CocoPerson], list[CocoOther]]:
    """Takes away boxes of people whose joints are annotations of another category.

    Only where a category has boxes alone and another one joints: in one category nobody is labelled twice on purpose.
    And only where both may mean the same people: a child's joints in a man's box are another person's. Who has joints
    is the person, or whoever has the same box but no visible joint; a box around nobody of those stays, as a person
    without joints.

    Returns:
        The people, and the boxes that were taken away: kept for export.
    """
    with_joints = {person.category_id for person in people if person.num_keypoints}
    boxes_only = {person.category_id for person in people} - with_joints
    if not with_joints or not boxes_only:
        return list(people), []
    boxes: dict[int, list[CocoPerson]] = defaultdict(list)
    for person in people:
        if person.category_id in boxes_only and not person.iscrowd:
            boxes[person.image_id].append(person)
    same_people = {
        key: {other for other in boxes_only if may_be_the_same(categories[key].name, categories[other].name)}
        for key in with_joints
    }
    taken: dict[int, CocoPerson] = {}
    # Whoever has joints chooses first.
    for person in sorted(people, key=lambda person: not person.num_keypoints):
        if person.category_id in with_joints and not person.iscrowd:
            alike = same_people[person.category_id]
            free = [
                box
                for box in boxes[person.image_id]
                if box.category_id in alike and box.index not in taken and _is_twin(person, box)
            ]
            if free:
                twin = min(free, key=lambda box: box.bbox[2] * box.bbox[3])
                taken[twin.index] = twin
    for index, twin in taken.items():
        name = categories[twin.category_id].name
        log.note(f"boxes of {name} around people whose joints are in another category", f"annotations[{index}]")
    others = [CocoOther(one.index, one.id, one.image_id, one.category_id, one.raw) for one in taken.values()]
    return [person for person in people if person.index not in taken], others


def _is_twin(person: CocoPerson, box: CocoPerson) -> bool:
    x, y, w, h = box.bbox
    if not person.num_keypoints:
        corners = np.array([[x, y, x + w, y + h]])
        return bool(box_overlaps(corners, person.bbox)[0] >= _SAME_BOX_IOU)
    labelled = person.keypoints[person.keypoints[:, 2] > 0]
    inside = (labelled[:, 0] >= x) & (labelled[:, 0] <= x + w) & (labelled[:, 1] >= y) & (labelled[:, 1] <= y + h)
    return bool(inside.mean() >= _SHARE_INSIDE)
