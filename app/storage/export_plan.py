"""How the records of one or several sources fit into one COCO file: header, categories and ids."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

import msgspec

from msarcnn.coco_categories import Category
from msarcnn.joint_names import JointOrder, joint_order, own_order
from msarcnn.skeleton import load_skeleton

_SECTIONS = ("info", "images", "annotations", "categories")

Fields = dict[str, msgspec.Raw]


@dataclass
class Source:
    """An imported file as the export sees it; the maps hold only ids that had to change.

    `orders` says by category how its joints stand in the file, `written_orders` how in the file to be written.
    """

    key: int
    name: str
    header: Fields
    layout: list[str]
    category_id: int | None
    max_image_id: int
    max_annotation_id: int
    orders: dict[int, JointOrder] = field(default_factory=dict)
    written_orders: dict[int, JointOrder] = field(default_factory=dict)
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
        source.orders = orders_of_joints(source.header)
    return sources


def orders_of_joints(header: Fields) -> dict[int, JointOrder]:
    """How the joints of each category stand; one whose names say nothing has the skeleton's own order."""
    records = _records(header.get("categories"))
    return {_id(record): joint_order(_joint_names(record)) or own_order() for record in records}


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
        category_id: The person category; None when there is none.
    """

    header: Fields
    layout: list[str]
    category_id: int | None


def merge_headers(sources: list[Source]) -> Plan:
    """Merges the sources' headers and fills their category and licence maps; a single one stays as it is."""
    if not sources:
        info = _raw({"description": "Human poses, labelled with MSA R-CNN"})
        return Plan({"info": info}, list(_SECTIONS), None)
    plan = Plan(dict(sources[0].header), list(sources[0].layout), sources[0].category_id)
    for source in sources[1:]:
        source.categories = _merge_records(plan, source, "categories")
        source.licenses = _merge_records(plan, source, "licenses")
        if plan.category_id is None and source.category_id is not None:
            plan.category_id = source.categories.get(source.category_id, source.category_id)
        for name in source.layout:
            if name in source.header:
                _add(plan, name, source.header[name])
            elif name not in plan.layout:
                plan.layout.append(name)
    written = orders_of_joints(plan.header)
    for source in sources:
        source.written_orders = {
            key: written.get(source.categories.get(key, key), order) for key, order in source.orders.items()
        }
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
        if not joint_order(_joint_names(record)):
            record.update(_skeleton_fields())
    plan.header["categories"] = _raw(kept)


def _merge_records(plan: Plan, source: Source, section: str) -> dict[int, int]:
    """Adds a source's records of a section; returns the ids that changed. The same name keeps one record."""
    mine: list[Fields] = _records(plan.header.get(section))
    known = {_id(record): record for record in mine}
    names = {_name(record): _id(record) for record in mine}
    ids = IdAllocator(max(known, default=0))
    for key in known:
        ids.claim(key)
    changed: dict[int, int] = {}
    for record in _records(source.header.get(section)):
        old = _id(record)
        if _name(record) in names:
            new = names[_name(record)]
        else:
            new = ids.claim(old)
            mine.append({**record, "id": _raw(new)})
            names[_name(record)] = new
        if new != old:
            changed[old] = new
    if mine:
        _add(plan, section, _raw(mine))
        plan.header[section] = _raw(mine)
    return changed


def _add_person_category(plan: Plan) -> int:
    categories = _records(plan.header.get("categories"))
    key = max((_id(record) for record in categories), default=0) + 1
    person = {"id": _raw(key), "name": _raw("person"), "supercategory": _raw("person"), **_skeleton_fields()}
    _add(plan, "categories", _raw([]))
    plan.header["categories"] = _raw([*categories, person])
    return key


def _complete_category(plan: Plan) -> None:
    categories = _records(plan.header.get("categories"))
    for record in categories:
        if _id(record) == plan.category_id and not msgspec.json.decode(record.get("keypoints", _raw(None))):
            record.update(_skeleton_fields())
            plan.header["categories"] = _raw(categories)


def _skeleton_fields() -> Fields:
    skeleton = load_skeleton()
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
