"""Streams the records of a project as one COCO file: what was imported first, then what was made here."""

import heapq
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from app.storage.background import Background
from app.storage.coco_person import (
    copy_scale,
    edited_raw,
    new_annotation,
    read_person,
    reordered,
    rescaled,
    stated_side,
    with_fields,
)
from app.storage.export_plan import (
    IdAllocator,
    Source,
    complete_plan,
    keep_people_only,
    merge_headers,
    orders_of_joints,
)
from app.storage.project_skeleton import read_skeleton
from app.storage.rows import person_from_json
from app.storage.snapshot import CONDITIONS, FINISHED, Only
from app.storage.staging import LOST_LABELS
from msarcnn.images import ImageError, image_size
from msarcnn.joint_names import own_order

Purpose = Literal["export", "training"]
Progress = Callable[[int, int], None]
"""done, total."""

_STEP = 2000
_NO_SCALE = (1.0, 1.0)


class _ImageIds(msgspec.Struct):
    id: int
    license: Any = None
    width: Any = None
    height: Any = None
    ignore_regions: Any = None


class _AnnotationIds(msgspec.Struct):
    id: int
    image_id: int
    category_id: int


_decode_image = msgspec.json.Decoder(_ImageIds, strict=False).decode
_decode_annotation = msgspec.json.Decoder(_AnnotationIds, strict=False).decode


class CocoWriter:
    """One run: remembers which images are in the file and under which ids."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        sources: list[Source],
        source: int | None,
        only: Only,
        purpose: Purpose,
        progress: Progress,
    ) -> None:
        self.image_count = self.annotation_count = self.people_count = 0
        self.skipped: list[str] = []
        self._connection = connection
        self._sources = sources
        self._skeleton = read_skeleton(connection)
        self._plan = merge_headers(sources, self._skeleton)
        self._by_itself = source is not None
        self._everything = only == "all" and purpose == "export"
        self._choice = CONDITIONS[only]
        if purpose == "training" and only == "all":
            self._choice = f"({FINISHED} OR i.people > 0)"
        self._training = purpose == "training"
        self.background = Background(connection)
        self._progress = progress
        self._done = 0
        self._total = self._count("image") + self._count("person") + self._count("other_annotation")
        roots = connection.execute(
            "SELECT id, path FROM root WHERE EXISTS "
            f"(SELECT 1 FROM image i WHERE i.root_id = root.id AND {self._choice}) ORDER BY id"
        ).fetchall()
        self.roots = [path for _, path in roots]
        self._root_index = {key: index for index, (key, _) in enumerate(roots)}
        self._writes_roots = self._training or (len(roots) > 1 and not self._by_itself)
        self._image_ids = IdAllocator(max((s.max_image_id for s in sources), default=0))
        self._annotation_ids = IdAllocator(max((s.max_annotation_id for s in sources), default=0))
        self._written: dict[int, int] = {}
        """Image key -> id in the file."""
        self._scales: dict[int, tuple[float, float]] = {}
        """Image key -> pixels of the record in `_written` to one of the photo's, where it is about a copy."""

        self._set_aside: dict[str, int] = {}
        """The text of a record whose image is not the project's -> its id in the file."""

    @property
    def notes(self) -> list[str]:
        """Sentences about sources that do not fit together."""
        return self._plan.notes

    def write(self, file: BinaryIO) -> None:
        """Streams the file. The images are listed first, since the header depends on which people there are."""
        with tempfile.TemporaryFile() as images:
            self._write_list(images, self._images())
            category = self._complete_plan()
            plan = self._plan
            file.write(b"{")
            for index, name in enumerate(plan.layout):
                file.write((b"\n" if index == 0 else b",\n") + msgspec.json.encode(name) + b": ")
                if name == "images":
                    images.seek(0)
                    while block := images.read(1 << 20):
                        file.write(block)
                elif name == "annotations":
                    self._write_list(file, self._annotations(category))
                else:
                    file.write(bytes(plan.header[name]))
            file.write(b"\n}\n")

    def image_ids(self) -> dict[int, int]:
        """Goes through the images as `write` does; returns their ids in the file by key."""
        for _ in self._images():
            pass
        return dict(self._written)

    def scale(self, image: int) -> tuple[float, float]:
        """The file's pixels to one of the photo's, in x and in y, of an image that has been gone through."""
        return self._scales.get(image, _NO_SCALE)

    def _write_list(self, file: BinaryIO, records: Iterator[str]) -> None:
        file.write(b"[")
        for index, record in enumerate(records):
            file.write((b"\n" if index == 0 else b",\n") + record.encode())
        file.write(b"\n]")

    def _complete_plan(self) -> int:
        """Returns the category of people made here."""
        own = new_keypoints = False
        rows = self._connection.execute(
            "SELECT id, image_id, source_id, data FROM person WHERE data IS NOT NULL AND deleted = 0"
        )
        for key, image, source, data in rows:
            if image in self._written:
                own = own or source is None
                new_keypoints = new_keypoints or person_from_json(key, data, "").labelled_joints > 0
        category = complete_plan(self._plan, own, new_keypoints)
        if self._training and "categories" in self._plan.header:
            keep_people_only(self._plan, {category, *self._people_categories()})
        return category

    def _people_categories(self) -> Iterator[int]:
        for source in self._sources:
            rows = self._connection.execute(
                "SELECT DISTINCT json_extract(raw, '$.category_id') FROM person WHERE source_id = ?", (source.key,)
            )
            for (key,) in rows:
                yield source.categories.get(int(key), int(key))

    # Images

    def _images(self) -> Iterator[str]:
        for source in self._sources:
            yield from self._source_images(source)
        if self._by_itself:
            return
        rows = self._connection.execute(
            f"SELECT id, root_id, path, width, height FROM image i WHERE {self._choice} "
            "AND NOT EXISTS (SELECT 1 FROM source_image s WHERE s.image_id = i.id AND s.reason = '') ORDER BY id"
        )
        for key, root, path, width, height in rows:
            record = self._own_image(key, root, path, width, height)
            if record is not None:
                yield record

    def _source_images(self, source: Source) -> Iterator[str]:
        rows = self._connection.execute(
            "SELECT s.raw, CASE s.reason WHEN '' THEN i.id END, i.root_id, i.width, i.height "
            "FROM source_image s LEFT JOIN image i ON i.id = s.image_id "
            f"WHERE s.source_id = ? AND CASE s.reason WHEN '' THEN {self._choice} ELSE ? END ORDER BY s.position",
            (source.key, self._everything),
        )
        here: set[int] = set()
        for raw, key, root, width, height in rows:
            self._advance()
            try:
                ids = _decode_image(raw)
            except msgspec.ValidationError:  # one that could not be read has no id that could collide
                self.image_count += 1
                yield raw
                continue
            stated = (stated_side(ids.width), stated_side(ids.height))
            scale = (copy_scale(stated, (width, height)) if key is not None else None) or _NO_SCALE
            if scale != _NO_SCALE:
                source.scales[ids.id] = scale
            if key is not None and key in self._written and key not in here:
                source.images[ids.id] = self._written[key]  # an earlier source has the same image
                if (kept := self.scale(key)) != scale:
                    source.moves[ids.id] = (kept[0] / scale[0], kept[1] / scale[1])
                continue
            if key is None and raw in self._set_aside:
                source.images[ids.id] = self._set_aside[raw]  # an earlier source has the same record
                continue
            new = self._image_ids.claim(ids.id)
            changes: dict[str, object] = {}
            if new != ids.id:
                source.images[ids.id] = new
                changes["id"] = new
            if isinstance(ids.license, int) and ids.license in source.licenses:
                changes["license"] = source.licenses[ids.license]
            if self._writes_roots and root is not None:
                changes["image_root"] = self._root_index[root]
            if key is None:
                self._set_aside[raw] = new
            else:
                here.add(key)
                if stated == (height, width) and self._is_only_others(key, source):
                    changes |= {"width": width, "height": height}
                if key not in self._written:
                    self._written[key], self._scales[key] = new, scale
                if self._training and (ignored := self._ignored(key, width or stated[0], height or stated[1], scale)):
                    there = ids.ignore_regions if isinstance(ids.ignore_regions, list) else []
                    changes["ignore_regions"] = [*there, *ignored]
            self.image_count += 1
            yield with_fields(raw, **changes) if changes else raw

    def _is_only_others(self, image: int, source: Source) -> bool:
        """Whether people of other sources, or from here, are written on an image, and none of this one."""
        if self._by_itself:
            return False
        rows = self._connection.execute(
            "SELECT DISTINCT source_id FROM person WHERE image_id = ? AND deleted = 0", (image,)
        ).fetchall()
        return bool(rows) and (source.key,) not in rows

    def _ignored(
        self, key: int, width: int, height: int, scale: tuple[float, float] = _NO_SCALE
    ) -> list[tuple[float, ...]]:
        """Where an image must not teach background, in the pixels of its record."""
        sx, sy = scale
        regions = self.background.ignored(key, width, height)
        return [(x * sx, y * sy, w * sx, h * sy) for x, y, w, h in regions]

    def _own_image(self, key: int, root: int, path: str, width: int, height: int) -> str | None:
        """The record of an image that came from a folder."""
        self._advance()
        if not width or not height:
            folder = Path(self.roots[self._root_index[root]])
            try:
                width, height = image_size(folder / path, folder)
            except ImageError as error:
                if self._training:
                    self.skipped.append(str(error))
                    return None
        new = self._image_ids.new()
        self._written[key] = new
        self.image_count += 1
        record: dict[str, object] = {"id": new, "file_name": path, "width": width, "height": height}
        if self._training and (ignored := self._ignored(key, width, height)):
            record["ignore_regions"] = ignored
        if self._writes_roots:
            record["image_root"] = self._root_index[root]
        return msgspec.json.encode(record).decode()

    # Annotations

    def _annotations(self, category: int) -> Iterator[str]:
        for source in self._sources:
            yield from self._source_annotations(source)
        people = self._connection.execute(
            "SELECT id, image_id, data FROM person WHERE source_id IS NULL AND deleted = 0 ORDER BY id"
        )
        order = orders_of_joints(self._plan.header, self._skeleton).get(category, own_order(self._skeleton))
        for person_key, image, data in people:
            self._advance()
            if image in self._written:
                self.annotation_count += 1
                self.people_count += 1
                person = person_from_json(person_key, data, "")
                key = self._annotation_ids.new()
                yield new_annotation(person, key, self._written[image], category, order, self.scale(image))

    def _source_annotations(self, source: Source) -> Iterator[str]:
        people = self._connection.execute(
            "SELECT position, 1, image_id, raw, id, data, imported FROM person "
            "WHERE source_id = ? AND deleted = 0 ORDER BY position",
            (source.key,),
        )
        others = self._connection.execute(
            "SELECT position, 0, image_id, raw, 0, NULL, NULL FROM other_annotation WHERE source_id = ? "
            "AND (image_id IS NOT NULL OR ?) AND reason != ? AND NOT ? ORDER BY position",
            (source.key, self._everything, LOST_LABELS, self._training),
        )
        own = own_order(self._skeleton)
        for _, is_person, image, raw, key, data, imported in heapq.merge(people, others, key=lambda row: row[0]):
            self._advance()
            if image is not None and image not in self._written:
                continue
            self.annotation_count += 1
            self.people_count += is_person
            try:
                ids = _decode_annotation(raw)
            except msgspec.ValidationError:  # one that could not be read is kept as it is
                yield raw
                continue
            text = raw
            if is_person and data is not None:
                before, after = read_person(key, None, imported, raw), person_from_json(key, data, raw)
                order = source.orders.get(ids.category_id, own)
                text = edited_raw(raw, before, after, order, source.scales.get(ids.image_id, _NO_SCALE))
            if places := source.places.get(ids.category_id):
                text = reordered(text, places)
            if scale := source.moves.get(ids.image_id):
                text = rescaled(text, scale)
            yield self._renumbered(source, text, ids)

    def _renumbered(self, source: Source, text: str, ids: _AnnotationIds) -> str:
        changes: dict[str, int] = {}
        new = self._annotation_ids.claim(ids.id)
        if new != ids.id:
            source.annotations[ids.id] = changes["id"] = new
        if ids.image_id in source.images:
            changes["image_id"] = source.images[ids.image_id]
        if ids.category_id in source.categories:
            changes["category_id"] = source.categories[ids.category_id]
        return with_fields(text, **changes) if changes else text

    def _count(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def _advance(self) -> None:
        self._done += 1
        if self._done % _STEP == 0:
            self._progress(min(self._done, self._total), self._total)
