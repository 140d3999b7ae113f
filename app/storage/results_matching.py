"""What the detections of another program refer to in a project: images, categories, orders of joints, pixels."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from sqlite3 import Connection, DatabaseError
from typing import Any, NamedTuple

import msgspec

from app.storage import migrations, schema
from app.storage.coco_person import copy_scale, stated_side
from app.storage.export_plan import Source, categories_of, joint_names, read_sources
from app.storage.project_skeleton import read_skeleton
from msarcnn.coco_categories import is_people
from msarcnn.skeleton import Skeleton

_COCO_PERSON = 1
_ROUNDING = 1.02
"""A box may reach so far beyond the image, as a factor."""


class Found(msgspec.Struct):
    """A detection as it stands in a results file."""

    image_id: int | str | None = None
    file_name: str | None = None
    image_root: int | None = None
    image_size: tuple[float, float] | None = None
    category_id: int | None = None
    bbox: list[float] | None = None
    keypoints: list[float] | None = None
    keypoint_names: list[str] | None = None
    keypoint_scores: list[float] | None = None
    keypoint_visibility: list[int] | None = None
    score: float | None = None
    box_score: float | None = None

    @property
    def rank(self) -> float | None:
        """What the program calls a person's score: that of the box, where `score` ranks poses."""
        return self.score if self.box_score is None else self.box_score


class Match(NamedTuple):
    """The key of an image, and whether a detection names it by an id of a file that was imported."""

    key: int
    by_id: bool


class _Record(msgspec.Struct):
    id: int
    width: Any = None
    height: Any = None


@dataclass(frozen=True)
class ProjectImages:
    """A project's images by what a detection may call them.

    Attributes:
        paths: Relative paths by key.
        sizes: Widths and heights in pixels by key; zeros where they are not known.
        by_name: Keys by relative path, and by bare file name, where there is one such image only.
        by_place: Keys by number of the image folder, as in an export of all images, and relative path.
        by_id: Keys by the ids of imported files, where there is one such image only.
        scales: Of images whose imported record is about a copy of another size: its pixels to one of the photo's.
        orders: Names of a category's joints by image and category id, where the imported file orders them its own way.
        people, things: Category ids of the imported files: of people, and of anything else.
        posed_things: Those of the latter that have keypoints, too.
        skeleton: The project's.
    """

    paths: Mapping[int, str]
    sizes: Mapping[int, tuple[int, int]]
    by_name: Mapping[str, int]
    by_place: Mapping[tuple[int | None, str], int]
    by_id: Mapping[int | str | None, int]
    scales: Mapping[int, tuple[float, float]]
    orders: Mapping[tuple[int, int | None], list[str]]
    people: frozenset[int | None]
    things: frozenset[int | None]
    posed_things: frozenset[int | None]
    skeleton: Skeleton

    def find(self, found: Found) -> Match | None:
        """The image that a detection is on."""
        key = self.by_id.get(found.image_id)
        # Some programs name the photo where COCO has its id.
        name = found.file_name or (found.image_id if key is None and isinstance(found.image_id, str) else None)
        if not name:
            return Match(key, True) if key is not None else None
        name = name.replace("\\", "/")
        named = self.by_name.get(name, self.by_place.get((found.image_root, name)))
        if named is not None:
            return Match(named, False)
        # The ids may be another file's: one helps to choose among images of a name, no more.
        same = key is not None and name in (self.paths[key], PurePosixPath(self.paths[key]).name)
        return Match(key, False) if same and key is not None else None

    def is_person(self, found: Found) -> bool:
        """Whether a detection of a list without categories is of a person: by the ids of the imported files."""
        if found.category_id is None or found.category_id in self.people:
            return True
        if found.keypoints:
            return found.category_id not in self.posed_things  # a program may number its categories its own way
        return found.category_id == _COCO_PERSON and found.category_id not in self.things


def read_project_images(project: Path) -> ProjectImages:
    """Reads them from a project's file. Raises ProjectError when it cannot be read."""
    schema.check_header(project)
    try:
        with closing(migrations.connect_for_reading(project)) as connection:
            return _read(connection)
    except DatabaseError as error:
        raise schema.open_error(project, error) from error


def _read(connection: Connection) -> ProjectImages:
    rows = connection.execute("SELECT id, root_id, path, width, height FROM image").fetchall()
    paths = {key: path for key, _, path, _, _ in rows}
    sizes = {key: (width, height) for key, _, _, width, height in rows}
    numbers = {root: number for number, root in enumerate(sorted({root for _, root, *_ in rows}))}
    bare = _unique((PurePosixPath(path).name, key) for key, path in paths.items())
    full = _unique((path, key) for key, path in paths.items())
    sources = {source.key: source for source in read_sources(connection, None)}
    ids: list[tuple[int, int]] = []
    scales: dict[int, tuple[float, float]] = {}
    orders: dict[tuple[int, int | None], list[str]] = {}
    decode = msgspec.json.Decoder(_Record, strict=False).decode
    for key, source, raw in connection.execute(
        "SELECT image_id, source_id, raw FROM source_image WHERE image_id IS NOT NULL ORDER BY source_id"
    ):
        record = decode(raw)  # of a usable image: its id can be read
        ids.append((record.id, key))
        if scale := copy_scale((stated_side(record.width), stated_side(record.height)), sizes[key]):
            scales.setdefault(key, scale)
        for category, order in sources[source].orders.items():
            if not order.is_own:
                orders.setdefault((key, category), joint_names(sources[source].header, category))
    skeleton = read_skeleton(connection)
    people = {key for source in sources.values() for key in _people(source, skeleton)}
    others = [one for source in sources.values() for one in categories_of(source.header) if one.id not in people]
    return ProjectImages(
        paths,
        sizes,
        bare | full,
        {(numbers[root], path): key for key, root, path, _, _ in rows},
        _unique(ids),
        scales,
        orders,
        frozenset(people),
        frozenset(category.id for category in others),
        frozenset(category.id for category in others if category.keypoints),
        skeleton,
    )


def _people(source: Source, skeleton: Skeleton) -> set[int]:
    named = {category.id for category in categories_of(source.header) if is_people(category, skeleton)}
    return named if source.category_id is None else named | {source.category_id}


def _unique(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    """Keys by name, without the names of several."""
    keys: dict[Any, int] = {}
    ambiguous = {name for name, key in pairs if keys.setdefault(name, key) != key}
    return {name: key for name, key in keys.items() if name not in ambiguous}


def in_files_pixels(found: Iterable[tuple[Found, Match]], images: ProjectImages) -> bool:
    """Whether detections by ids of a file about copies of another size are in the copies' pixels, not in the photos'.

    The smaller frame that holds all of them: a model that has seen the photos finds people beyond the smaller copies,
    and one that has seen larger copies finds people beyond the photos.
    """
    larger = False
    for one, match in found:
        if not match.by_id or match.key not in images.scales or not one.bbox or len(one.bbox) != 4:
            continue
        sx, sy = images.scales[match.key]
        width, height = (side * _ROUNDING for side in images.sizes[match.key])
        right, bottom = one.bbox[0] + one.bbox[2], one.bbox[1] + one.bbox[3]
        larger = sx > 1
        if larger and (right > width or bottom > height):
            return True
        if not larger and (right > width * sx or bottom > height * sy):
            return False
    return not larger
