"""Helpers of the tests that import a COCO file, change something, and export."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage_builders import MODEL, find_image, import_coco, make_joints, write_coco

from app.document.document import FIRST_OWN_PERSON_KEY
from app.document.records import HUMAN, Box, Change, Edit, ImageState, Joint, Person
from app.storage.coco_export import export_coco
from app.storage.project import Project


def load(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def exported(project: Project, **options: Any) -> Any:
    """The content of a project's COCO export."""
    out = project.path.with_name("out.json")
    export_coco(project.path, out, **options)
    return load(out)


def imported(project: Project, content: dict[str, Any]) -> None:
    """Imports a COCO file of this content."""
    import_coco(project, write_coco(project.path.with_name("source.json"), content), project.path.parent)


def edit(
    project: Project, path: str, change: Callable[[Person], Person | None], state: ImageState | None = None
) -> None:
    """Changes the first person of an image."""
    key = find_image(project, path)
    record, people, _ = project.load_image(key)
    states = Change(record.state, state) if state else None
    project.apply(Edit(key, "edit", (Change(people[0], change(people[0])),), state=states))


def add(project: Project, image: int, number: int = 0) -> Person:
    """Somebody drawn on an image, whom a model and a person have given joints."""
    joints = (Joint(1, 2, 2, HUMAN), Joint(3, 4, 1, MODEL), Joint(5, 6, 0, MODEL), *make_joints()[3:])
    person = Person(FIRST_OWN_PERSON_KEY + number, Box(600.5, 1, 10, 20.5), joints)
    project.apply(Edit(image, "add", (Change(None, person),)))
    return person


def differing(first: dict[str, Any], second: dict[str, Any]) -> set[str]:
    """The names of the fields in which two records differ."""
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}
