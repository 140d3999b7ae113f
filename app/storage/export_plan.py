"""How the records of one or several sources fit into one COCO file: header, categories and ids."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.storage.project_skeleton import read_skeleton
from msarcnn.coco_categories import Category
from msarcnn.joint_names import JointOrder, joint_named, joint_order, own_order
from msarcnn.skeleton import Skeleton

_SECTIONS = ("info", "images", "annotations", "categories")

Fields = dict[str, msgspec.Raw]


@dataclass
class Source:
    """An imported file as the export sees it; the maps hold only what has to change.

    Attributes:
        orders: How the skeleton's joints stand in the file, by category.
        places: By category, for each joint to be written its place in the file: where it joins one of another order.
        scales: By the id of an image record, its pixels to one of the photo's in x and y: records of another size.
        moves: By the id of an image record in whose place another one is written, the latter's pixels to one of its.
    """

    key: int
    name: str
    header: Fields
    layout: list[str]
    category_id: int | None
    max_image_id: int
    max_annotation_id: int
    orders: dict[int, JointOrder] = field(default_factory=dict)
    places: dict[int, tuple[int, ...]] = field(default_factory=dict)
    scales: dict[int, tuple[float, float]] = field(default_factory=dict)
    moves: dict[int, tuple[float, float]] = field(default_factory=dict)
    categories: dict[int, int] = field(default_factory=dict)
    licenses: dict[int, int] = field(default_factory=dict)
    images: dict[int, int] = field(default_factory=dict)
    annotations: dict[int, int] = field(default_factory=dict)


class IdAllocator:
    """Keeps ids where it can: the first to come with an id has it, the next gets one after the largest."""

    def __init__(self, largest: int) -> None:
        self._taken: set[int] = set()
        self._next = max(largest, 0) + 1

    def claim(self, wanted: int) -> int:
        """`wanted` if it is free, else a new id."""
        if wanted in self._taken:
            return self.new()
        self._taken.add(wanted)
        return wanted

    def new(self) -> int:
        """An id larger than all of the sources'."""
        self._next += 1
        return self._next - 1


def read_sources(connection: sqlite3.Connection, only: int | None) -> list[Source]:
    """The project's sources in the order of their import, or one of them."""
    rows = connection.execute(
        "SELECT id, name, header, layout, category_id, max_image_id, max_annotation_id FROM source "
        "WHERE ?1 IS NULL OR id = ?1 ORDER BY id",
        (only,),
    )
    skeleton = read_skeleton(connection)
    sources = [
        Source(
            key,
            name,
            msgspec.json.decode(header, type=Fields),
            msgspec.json.decode(layout),
            category,
            max_image,
            max_annotation,
        )
        for key, name, header, layout, category, max_image, max_annotation in rows
    ]
    for source in sources:
        source.orders = orders_of_joints(source.header, skeleton)
    return sources


def orders_of_joints(header: Fields, skeleton: Skeleton) -> dict[int, JointOrder]:
    """How the joints of each category stand; one whose names say nothing has the skeleton's own order."""
    records = _records(header.get("categories"))
    return {_id(record): joint_order(_joint_names(record), skeleton) or own_order(skeleton) for record in records}


def categories_of(header: Fields) -> list[Category]:
    """The categories as an import understands them."""
    raw = header.get("categories")
    return msgspec.json.decode(raw or b"null", type=list[Category] | None, strict=False) or []


def joint_names(header: Fields, category: int) -> list[str]:
    """The names of a category's joints, as the file spells and orders them."""
    return next((_joint_names(one) for one in _records(header.get("categories")) if _id(one) == category), [])


def _joint_names(record: Fields) -> list[str]:
    return msgspec.json.decode(record.get("keypoints", _raw(None)), type=list[str] | None) or []


@dataclass
class Plan:
    """The frame of the file to write.

    Attributes:
        header: Top-level fields but images and annotations.
        layout: All top-level names, in order.
        category_id: The category of people made here; None when there is none.
        skeleton: The project's.
        notes: Sentences about what did not fit together.
    """

    header: Fields
    layout: list[str]
    category_id: int | None
    skeleton: Skeleton
    notes: list[str] = field(default_factory=list)


def merge_headers(sources: list[Source], skeleton: Skeleton) -> Plan:
    """Merges the sources' headers and fills their category and licence maps; a single one stays as it is.

    skeleton: The project's.
    """
    if not sources:
        info = _raw({"description": "Human poses, labelled with MSA R-CNN"})
        return Plan({"info": info}, list(_SECTIONS), None, skeleton)
    plan = Plan(dict(sources[0].header), list(sources[0].layout), None, skeleton)
    for source in sources[1:]:
        source.categories = _merge_records(plan, source, "categories")
        source.licenses = _merge_records(plan, source, "licenses")
        for name in source.layout:
            if name in source.header:
                _add(plan, name, source.header[name])
            elif name not in plan.layout:
                plan.layout.append(name)
    people = [one.categories.get(one.category_id, one.category_id) for one in sources if one.category_id is not None]
    orders = orders_of_joints(plan.header, skeleton)
    # The first that takes all joints of somebody new.
    whole = (key for key in people if None not in orders.get(key, own_order(skeleton)).places)
    plan.category_id = next(whole, next(iter(people), None))
    return plan


def complete_plan(plan: Plan, has_own_people: bool, has_new_keypoints: bool) -> int:
    """Adds what the people need that were made or edited here; returns the category of new people.

    That is a person category where there is none, and the skeleton to one that has no keypoints yet.
    """
    announced = "categories" in plan.layout and "categories" not in plan.header
    if plan.category_id is None and (has_own_people or announced):
        plan.category_id = _add_person_category(plan)
    elif has_new_keypoints:
        _complete_category(plan)
    if has_own_people and "annotations" not in plan.layout:
        plan.layout.append("annotations")
    return plan.category_id or 0


def keep_people_only(plan: Plan, people: set[int]) -> None:
    """For a file to train on: categories of people alone, named so that nobody has to be asked again."""
    kept = [record for record in _records(plan.header.get("categories")) if _id(record) in people]
    for record in kept:
        record["name"] = _raw("person")
        if not joint_order(_joint_names(record), plan.skeleton):
            record.update(_skeleton_fields(plan.skeleton))
    plan.header["categories"] = _raw(kept)


def _merge_records(plan: Plan, source: Source, section: str) -> dict[int, int]:
    """Adds a source's records of a section; returns the ids that changed.

    One record is kept of a name, and of categories of one name with the same joints: `source.places` says how those
    stand in it.
    """
    mine: list[Fields] = _records(plan.header.get(section))
    has_joints = section == "categories"
    names = {_name(record) for record in mine}
    known = {_meaning(record, has_joints, plan.skeleton): record for record in reversed(mine)}
    ids = IdAllocator(max(map(_id, mine), default=0))
    for one in mine:
        ids.claim(_id(one))
    changed: dict[int, int] = {}
    for record in _records(source.header.get(section)):
        old, meaning = _id(record), _meaning(record, has_joints, plan.skeleton)
        kept = known.get(meaning)
        if kept is None:
            kept = known[meaning] = {**record, "id": _raw(ids.claim(old))}
            mine.append(kept)
            if _name(record) in names:
                plan.notes.append(
                    f"{source.name}: its category {_name(record)[:100]} has other joints than an earlier file's, "
                    f"it stays one of its own with the id {_id(kept)}"
                )
            names.add(_name(record))
        elif has_joints:
            if _joint_names(record) and not _joint_names(kept):
                kept.update(_skeleton_fields(plan.skeleton))
            here, there = _joints(kept, plan.skeleton), _joints(record, plan.skeleton)
            if here != there:
                source.places[old] = tuple(map(there.index, here))
        if _id(kept) != old:
            changed[old] = _id(kept)
    if mine:
        _add(plan, section, _raw(mine))
        plan.header[section] = _raw(mine)
    return changed


def _meaning(record: Fields, has_joints: bool, skeleton: Skeleton) -> tuple[object, ...]:
    """What two records have in common that are one: their names, and of categories their joints in whatever order."""
    if not has_joints:
        return (_name(record),)
    joints = _joints(record, skeleton)
    return _name(record), frozenset(joints) if len(set(joints)) == len(joints) else joints


def _joints(record: Fields, skeleton: Skeleton) -> tuple[str, ...]:
    """A category's joints in the skeleton's words, where it has some; all of the skeleton's where it names none."""
    names = _joint_names(record) or skeleton.keypoints
    return tuple(joint_named(name, skeleton) or name.strip().casefold() for name in names)


def _add_person_category(plan: Plan) -> int:
    categories = _records(plan.header.get("categories"))
    key = max((_id(record) for record in categories), default=0) + 1
    person = {
        "id": _raw(key),
        "name": _raw("person"),
        "supercategory": _raw("person"),
        **_skeleton_fields(plan.skeleton),
    }
    _add(plan, "categories", _raw([]))
    plan.header["categories"] = _raw([*categories, person])
    return key


def _complete_category(plan: Plan) -> None:
    categories = _records(plan.header.get("categories"))
    for record in categories:
        if _id(record) == plan.category_id and not msgspec.json.decode(record.get("keypoints", _raw(None))):
            record.update(_skeleton_fields(plan.skeleton))
            plan.header["categories"] = _raw(categories)


def _skeleton_fields(skeleton: Skeleton) -> Fields:
    edges = [[first + 1, second + 1] for first, second in skeleton.edges]  # COCO counts keypoints from 1
    return {"keypoints": _raw(skeleton.keypoints), "skeleton": _raw(edges)}


def _add(plan: Plan, name: str, value: msgspec.Raw) -> None:
    if name not in plan.header:
        plan.header[name] = value
        if name not in plan.layout:
            plan.layout.append(name)


def _records(raw: msgspec.Raw | None) -> list[Fields]:
    """The section's records that are objects with an id; anything else has no id that could collide."""
    content = msgspec.json.decode(raw, type=Any) if raw is not None else None
    if not isinstance(content, list) or not all(isinstance(record, dict) and _has_id(record) for record in content):
        return []
    return msgspec.json.decode(raw or b"[]", type=list[Fields])


def _has_id(record: dict[str, Any]) -> bool:
    try:
        msgspec.convert(record.get("id"), int, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _id(record: Fields) -> int:
    return msgspec.json.decode(record["id"], type=int, strict=False)


def _name(record: Fields) -> str:
    return str(msgspec.json.decode(record["name"])) if "name" in record else bytes(record["id"]).decode()


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
