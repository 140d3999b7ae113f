"""Project files of older formats: brought up to date as a whole, or left as they were."""

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from storage_builders import MODEL, make_project

from app.document.records import HUMAN, IMPORTED, Box, Change, Edit, ImageState, Look, Person, PredictionStatus
from app.storage import migrations, schema
from app.storage.coco_export import export_coco
from app.storage.errors import ProjectError
from app.storage.project import Project
from app.storage.snapshot import snapshot

_FORMAT_1 = Path(__file__).parent / "data" / "schema_1.poseproj.gz"
"""Written by the program of format 1: an imported file with edits, predictions decided on, drawn figures only."""
_NEWEST = schema.SCHEMA_VERSION


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.poseproj"
    path.write_bytes(gzip.decompress(_FORMAT_1.read_bytes()))
    return path


@pytest.fixture
def next_format(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the program have the next format from now on, which adds a column to images; or another one."""

    def add_column(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE image ADD COLUMN stars INTEGER NOT NULL DEFAULT 0")
        connection.execute("UPDATE image SET stars = 5 WHERE flagged")

    def give(step: migrations.Migration = add_column) -> None:
        monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
        monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)

    return give


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()[0])


def check_content(project: Project) -> None:
    rows = {row.path: row for row in project.image_rows()}
    assert {path: (row.state, row.people, row.flagged) for path, row in rows.items()} == {
        "a one.jpg": (ImageState.DONE, 1, False),
        "c.jpg": (ImageState.IN_PROGRESS, 1, False),
        "b/two.jpg": (ImageState.IN_PROGRESS, 1, True),
    }
    (edited,) = project.load_image(rows["a one.jpg"].key)[1]
    assert edited.joints[3].x == 33.25
    assert [edited.joints[index].origin for index in (2, 3)] == [IMPORTED, HUMAN]
    assert project.image(rows["b/two.jpg"].key).note == "look again"
    assert [found.status for found in project.predictions(rows["c.jpg"].key)] == [
        PredictionStatus.ACCEPTED,
        PredictionStatus.REJECTED,
        PredictionStatus.OPEN,
    ]
    assert project.taus() == {MODEL: 0.4}
    assert project.operation_count() == 5
    assert project.sources() == [(1, "train.json", True)]


def test_every_format_has_a_way_to_the_newest() -> None:
    assert len(migrations.MIGRATIONS) == schema.SCHEMA_VERSION - 1


def test_a_file_of_format_1_opens_is_worked_on_and_exported(old: Path, tmp_path: Path) -> None:
    project = Project.open(old)
    check_content(project)
    key = project.next_person_key
    project.apply(Edit(2, "add", (Change(None, Person(key, Box(1, 2, 30, 40), project.load_image(1)[1][0].joints)),)))
    project.close()
    assert version_of(old) == schema.SCHEMA_VERSION
    export_coco(old, tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert {image["file_name"] for image in written["images"]} == {"a one.jpg", "b/two.jpg", "c.jpg"}
    assert len(written["annotations"]) == 5  # edited, crowd, dog, accepted, drawn; the deleted one is gone
    edited = next(one for one in written["annotations"] if one["id"] == 5)
    assert edited["mood"] == "good" and edited["keypoints"][9:12] == [33.25, 16, 2]


def test_a_migrated_file_has_the_tables_and_indexes_of_a_new_one(old: Path, tmp_path: Path) -> None:
    Project.open(old).close()
    make_project(tmp_path / "new.poseproj").close()

    def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(path)) as connection:
            names = schema.table_names(connection)
            found = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
            indexes = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
            return {**found, "indexes": connection.execute(indexes).fetchall()}

    assert tables(old) == tables(tmp_path / "new.poseproj")


def test_format_2_knows_every_models_looks(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        (two,) = connection.execute("SELECT id FROM image WHERE path = 'b/two.jpg'").fetchone()
        (one,) = connection.execute("SELECT id FROM image WHERE path = 'a one.jpg'").fetchone()
        insert = (
            "INSERT INTO prediction (image_id, model, status, score, x, y, w, h, joints) "
            "VALUES (?, ?, ?, ?, 1, 2, 3, 4, x'')"
        )
        for model, status, score in (
            *(("bbbb", "open", 0.5), ("aaaa", "open", 0.75), ("aaaa", "open", 0.25), ("aaaa", "accepted", 0.125)),
            *(("cccc", "rejected", 0.5), ("bbbb", "open", 0.625)),
        ):
            connection.execute(insert, (two, model, status, score))
        # In format 1, an image's columns are about the model that has looked last.
        connection.execute(
            "UPDATE image SET model = 'aaaa', predictions = 2, lowest_confidence = 0.25 WHERE id = ?", (two,)
        )
        connection.execute(insert, (one, "bbbb", "open", 0.5))
        connection.execute(
            "UPDATE image SET model = 'aaaa', predictions = 0, lowest_confidence = NULL WHERE id = ?", (one,)
        )
        connection.commit()
        before = connection.execute("SELECT path, model, predictions, lowest_confidence FROM image").fetchall()
    project = Project.open(old)
    assert [(r.path, r.model, r.predictions, r.lowest_confidence) for r in project.image_rows()] == before
    assert [(r.model, r.predictions, r.lowest_confidence) for r in map(project.image, (two, one))] == [
        ("aaaa", 2, 0.25),
        ("aaaa", 0, None),
    ]
    assert project.image(two).looks == (Look("cccc"), Look("bbbb", 2, 0.5), Look("aaaa", 2, 0.25))
    assert project.image(one).looks == (Look("bbbb", 1, 0.5), Look("aaaa"))
    (row,) = [row for row in project.image_rows("bbbb") if row.key == one]
    assert (row.model, row.predictions, row.lowest_confidence) == ("bbbb", 1, 0.5)
    assert project.seen_by("aaaa") == {one, two} and project.seen_by("cccc") == {two}
    project.close()


def test_an_older_file_is_brought_up_to_date_and_kept_as_it_was(old: Path, next_format: Callable[..., None]) -> None:
    before = old.read_bytes()
    next_format()
    project = Project.open(old)
    check_content(project)
    (note,) = project.notes
    kept = old.parent / "old.poseproj.backups" / "format-1.poseproj"
    assert str(kept) in note
    project.close()
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT path, stars FROM image WHERE stars").fetchall() == [("b/two.jpg", 5)]
    assert version_of(old) == schema.SCHEMA_VERSION == _NEWEST + 1
    assert version_of(kept) == 1
    with closing(sqlite3.connect(kept)) as copy, closing(sqlite3.connect(":memory:")) as original:
        original.deserialize(before)
        assert list(copy.iterdump()) == list(original.iterdump())
    again = Project.open(old)
    assert again.notes == ()
    again.close()


def test_a_migration_that_fails_half_way_changes_nothing(old: Path, next_format: Callable[..., None]) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM person")
        connection.execute("UPDATE image SET nonsense = 1")

    before = old.read_bytes()
    next_format()
    next_format(fail)
    for _ in range(2):  # the lock is free again, too
        with pytest.raises(ProjectError, match=r"older format \(1\) and cannot be brought up to date .*nonsense"):
            Project.open(old)
    assert old.read_bytes() == before


def test_no_migration_without_its_copy(
    old: Path, next_format: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.read_bytes()
    next_format()
    (old.parent / "old.poseproj.backups").write_text("a file where the folder should be")
    with pytest.raises(ProjectError, match="It is as it was: free some space"):
        Project.open(old)
    assert old.read_bytes() == before


def test_an_older_file_is_read_without_being_changed(old: Path, next_format: Callable[..., None]) -> None:
    before = old.read_bytes()
    next_format()
    project = Project.open(old, read_only=True)
    assert project.read_only and project.notes == ()
    check_content(project)
    project.close()
    with snapshot(old, old.with_name("beside.json")) as connection:
        assert connection.execute("SELECT sum(stars) FROM image").fetchone() == (5,)
    assert old.read_bytes() == before
    assert sorted(path.name for path in old.parent.iterdir()) == ["old.poseproj"]


def test_a_newer_file_is_refused_and_left_alone(old: Path, next_format: Callable[..., None]) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(f"UPDATE meta SET value = {_NEWEST + 2} WHERE key = 'schema_version'")
        connection.commit()
    before = old.read_bytes()
    next_format()
    words = rf"newer version of this program \(format {_NEWEST + 2}, this one knows {_NEWEST + 1}\)"
    for read_only in (False, True):
        with pytest.raises(ProjectError, match=words):
            Project.open(old, read_only)
    assert old.read_bytes() == before
