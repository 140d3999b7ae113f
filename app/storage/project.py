"""The project file: one SQLite database, one connection, used from one thread."""

import getpass
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from app.document.document import FIRST_OWN_PERSON_KEY, unbegun_state, with_marks
from app.document.records import Edit, ImageRecord, Person, Prediction, PredictionStatus
from app.storage import migrations, schema
from app.storage.attach import AttachProgress, Overlaps, attach_batches, export_mark, was_taken
from app.storage.audit_marks import add_mark
from app.storage.edit_rows import recount, store_person
from app.storage.errors import ProjectError, ReadOnlyProjectError
from app.storage.import_report import ReadReport, keep_report, kept_report
from app.storage.lock import ProjectLock
from app.storage.looks import IS_SHOWN, looks_at, models_that_looked, recount_looks, seen_by, store_summary
from app.storage.parts import PartReport, part_report, take_part
from app.storage.prediction_rows import (
    attach_results,
    predictions_on,
    store_model,
    store_prediction,
    store_tau,
    take_predictions,
    taus,
)
from app.storage.project_skeleton import read_skeleton, store_skeleton
from app.storage.rows import (
    IMAGE_COLUMNS,
    ROW_COLUMNS,
    ImageRow,
    edit_to_json,
    image_record,
    image_row,
)
from app.storage.snapshot import people_on
from app.storage.split import PROJECT_ID
from msarcnn.skeleton import Skeleton, coco17

_NEWEST_OPERATIONS = 5000
"""Among so many is looked for what was worked on last."""

OpenedImage = tuple[ImageRecord, tuple[Person, ...], tuple[Prediction, ...]]


class Project:
    """An open project. Not thread-safe: `writer.ProjectStore` owns the thread that uses it.

    Every method that writes is one transaction (or one a batch): it is in the file when the method returns,
    or nothing of it is. Writing raises `ReadOnlyProjectError` when open for reading, sqlite3.Error when the
    disk is full or fails.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, lock: ProjectLock | None, notes: Sequence[str] = ()
    ) -> None:
        """Use `open` or `create`."""
        self.path = path
        self.notes = tuple(notes)
        """What whoever opens it should know: sentences."""
        self.author = _user_name()
        self.skeleton = read_skeleton(connection)
        """The joints of its people."""
        self._connection = connection
        self._lock = lock
        self._next_own_key = self._read_next_own_key()

    @classmethod
    def create(cls, path: Path, skeleton: Skeleton | None = None) -> "Project":
        """Makes an empty project and opens it. Raises ProjectError when the name is taken or not writable.

        skeleton: The joints of its people; COCO's by default.
        """
        path = path.absolute()
        if path.exists():
            raise ProjectError(path, "it exists already", "Choose another name, or open it.")
        unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.msarcnn-tmp")
        try:
            unfinished.touch(exist_ok=False)
            with closing(schema.connect(unfinished, read_only=False)) as connection:
                schema.create_tables(connection)
                store_skeleton(connection, skeleton or coco17())
            unfinished.rename(path)
        except (OSError, sqlite3.Error) as error:
            unfinished.unlink(missing_ok=True)
            raise ProjectError(path, f"it cannot be created ({error})", "Choose a folder you can write to.") from error
        return cls.open(path, skeleton=skeleton)

    @classmethod
    def open(cls, path: Path, read_only: bool = False, skeleton: Skeleton | None = None) -> "Project":
        """Opens a project; for reading only also when its file or folder is not writable.

        A file of an older format is brought up to date first, with a copy kept beside it (`migrations`); for reading
        only it is left as it is.

        Raises:
            ProjectLockedError: another live process has it open for writing (read_only=True works).
            ProjectError: it is missing, no project, damaged, of a newer version, or its people have other joints than
                `skeleton` (COCO's by default). The file is untouched.
        """
        path = path.absolute()
        schema.check_header(path)
        lock = None
        notes: list[str] = []
        if not read_only and os.access(path, os.W_OK):
            try:
                lock = ProjectLock(path)
            except PermissionError:
                lock = None  # the folder is not writable: SQLite's journal could not be made either
        connection: sqlite3.Connection | None = None
        try:
            if lock is None:
                connection = migrations.connect_for_reading(path)
            else:
                connection = schema.connect(path, read_only=False)
                if copy := migrations.bring_up_to_date(connection, path):
                    notes.append(f"{path.name} was brought up to date for this program; as it was, it is in {copy}")
                schema.check_version(connection, path)
            if path.stat().st_size <= schema.CHECKED_ON_OPEN_BYTES:
                schema.quick_check(connection, path)
            project = cls(path, connection, lock, notes)
            _check_skeleton(project, skeleton or coco17())
            return project
        except (sqlite3.Error, OSError, ProjectError) as error:
            if connection is not None:
                connection.close()
            if lock is not None:
                lock.release()
            raise (error if isinstance(error, ProjectError) else schema.open_error(path, error)) from error

    def close(self) -> None:
        self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def read_only(self) -> bool:
        return self._lock is None

    def copy_into(self, connection: sqlite3.Connection) -> None:
        """Copies everything, as it is now, into an empty database. Raises sqlite3.Error."""
        self._connection.backup(connection)

    def check_table(self, table: str) -> None:
        """Checks one table's structure. Raises ProjectError when it is damaged."""
        try:
            schema.quick_check(self._connection, self.path, table)
        except sqlite3.DatabaseError as error:
            raise schema.open_error(self.path, error) from error

    def unchecked_tables(self) -> list[str]:
        """Tables that `open` did not check because the file is large; to be checked when there is time."""
        if self.path.stat().st_size <= schema.CHECKED_ON_OPEN_BYTES:
            return []
        return schema.table_names(self._connection)

    # Roots and images

    def add_root(self, path: Path) -> int:
        """The key of an image folder, added when it is new. Raises ProjectError for a name that is no text."""
        text = str(path.absolute())
        if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
            name = text.encode("utf-8", "backslashreplace").decode()
            raise ProjectError(self.path, f"the folder name {name} is not valid text", "Rename the folder.")
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", (text,))
            return self._value("SELECT id FROM root WHERE path = ?", text)

    def roots(self) -> dict[int, Path]:
        """Image folders by key."""
        return {key: Path(path) for key, path in self._connection.execute("SELECT id, path FROM root ORDER BY id")}

    def relocate_root(self, key: int, path: Path) -> None:
        """Says where an image folder has moved to; labels and states stay. ProjectError when it is in use."""
        with self._transaction():
            try:
                self._connection.execute("UPDATE root SET path = ? WHERE id = ?", (str(path.absolute()), key))
            except sqlite3.IntegrityError as error:
                raise ProjectError(self.path, f"{path} already is an image folder of it", "Choose another.") from error

    def add_images(self, root_key: int, paths: Sequence[str]) -> int:
        """Adds relative paths below a root; known ones are left alone. Returns how many were new."""
        with self._transaction():
            before = self._connection.total_changes
            self._connection.executemany(
                "INSERT OR IGNORE INTO image (root_id, path) VALUES (?, ?)", ((root_key, path) for path in paths)
            )
            return self._connection.total_changes - before

    def image_rows(self, shown: str = "") -> list[ImageRow]:
        """The image list, by key.

        shown: hash of the model whose look the rows tell of on images that it has looked at; elsewhere, and with "",
        it is the newest.
        """
        rows = self._connection.execute(
            f"SELECT {ROW_COLUMNS} FROM image i LEFT JOIN looked l ON l.image_id = i.id "
            f"WHERE l.model IS NULL OR {IS_SHOWN} ORDER BY i.id",
            {"shown": shown},
        )
        return list(map(image_row, rows))

    def image_count(self) -> int:
        return self._value("SELECT count(*) FROM image")

    def image(self, key: int) -> ImageRecord:
        """The record with all looks, the newest shown. Raises KeyError when there is no such image."""
        columns = self._connection.execute(f"SELECT {IMAGE_COLUMNS} FROM image WHERE id = ?", (key,)).fetchone()
        if columns is None:
            raise KeyError(key)
        return image_record(columns, looks_at(self._connection, key))

    def load_image(self, key: int) -> OpenedImage:
        """An image's record, people and predictions of all models. Raises KeyError when there is none."""
        record = self.image(key)
        return record, people_on(self._connection, key), self.predictions(key)

    def predictions(self, image: int) -> tuple[Prediction, ...]:
        """All predictions on an image, of every model, by key."""
        return predictions_on(self._connection, image)

    def update_image_size(self, image: int, width: int, height: int) -> ImageRecord:
        """Stores the size of the upright image in pixels, as read from its file."""
        with self._transaction():
            self._connection.execute("UPDATE image SET width = ?, height = ? WHERE id = ?", (width, height, image))
        return self.image(image)

    # Edits

    @property
    def next_person_key(self) -> int:
        """From here on no person of the project has had the key; for `Document.reserve_keys`."""
        return self._next_own_key

    def apply(self, edit: Edit) -> ImageRecord:
        """Stores an edit and its row of the operation log; what it writes counts, whatever was there before.

        Returns the image's record after it. Raises KeyError when there is no such image.
        """
        before, after = edit_to_json(edit)
        with self._transaction():
            record = self.image(edit.image)
            for change in edit.people:
                store_person(self._connection, edit.image, change)
            for predicted in edit.predictions:
                store_prediction(self._connection, edit.image, predicted)
            state = edit.state.after if edit.state and edit.state.after else record.state
            recount(self._connection, edit.image, unbegun_state(state, record.model))
            if edit.predictions:
                recount_looks(self._connection, edit.image)
            marked = with_marks(record, edit)
            if marked != record:
                self._connection.execute(
                    "UPDATE image SET flagged = ?, note = ? WHERE id = ?", (marked.flagged, marked.note, edit.image)
                )
            self._connection.execute(
                "INSERT INTO operation (time, author, image_id, text, before, after) VALUES (?, ?, ?, ?, ?, ?)",
                (time.time(), self.author, edit.image, edit.text, before, after),
            )
            next_key = max((c.after.key + 1 for c in edit.people if c.after), default=0)
            if next_key > self._next_own_key:
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('next_person_key', ?)", (next_key,))
        self._next_own_key = max(self._next_own_key, next_key)
        return self.image(edit.image)

    def operation_count(self) -> int:
        """How many rows the operation log has."""
        return self._value("SELECT count(*) FROM operation")

    # Predictions and models

    def add_model(self, model: str, name: str) -> None:
        """Remembers a model's name by its hash; what else is known of it stays."""
        with self._transaction():
            store_model(self._connection, model, name)

    def models_that_looked(self) -> dict[str, str]:
        """Names by hash ("": unknown) of the models that have looked at any image."""
        return models_that_looked(self._connection)

    def seen_by(self, model: str) -> set[int]:
        """Keys of the images that a model has looked at, whether it found somebody or not."""
        return seen_by(self._connection, model)

    def images_worked_on(self, most: int) -> list[int]:
        """Keys of the images whose labels were changed last, the newest first, `most` at most."""
        rows = self._connection.execute(
            "SELECT DISTINCT image_id FROM (SELECT image_id FROM operation ORDER BY id DESC LIMIT ?) LIMIT ?",
            (_NEWEST_OPERATIONS, most),
        )
        return [key for (key,) in rows]

    def taus(self) -> dict[str, float]:
        """Keypoint thresholds of the models that pre-filled something here, by hash."""
        return taus(self._connection)

    def store_predictions(
        self,
        image: int,
        model: str,
        predictions: Sequence[Prediction],
        width: int,
        height: int,
        tau: float | None = None,
        summary: np.ndarray | None = None,
    ) -> OpenedImage:
        """Replaces a model's open predictions on an image by new ones (their keys do not matter).

        People whom somebody accepted or rejected from this model before do not come back, and a person found
        again keeps its key. An unseen image becomes predicted. The size is only taken where none is known: labels
        and predictions are in the frame of the one that is. tau is the model's keypoint threshold, summary [C] what it
        sees on the image as a whole.

        Returns:
            The image's record, its people, and this model's open predictions with their keys.
        """
        with self._transaction():
            take_predictions(self._connection, image, model, predictions)
            self._connection.execute(
                "UPDATE image SET width = ?, height = ? WHERE id = ? AND (width = 0 OR height = 0)",
                (width, height, image),
            )
            if tau is not None:
                store_tau(self._connection, model, tau)
            if summary is not None:
                store_summary(self._connection, image, model, summary)
        record, people, stored = self.load_image(image)
        mine = tuple(p for p in stored if p.model == model and p.status is PredictionStatus.OPEN)
        return record, people, mine

    def attach_results(self, staged: Path, batch: int = 500) -> Iterator[list[int]]:
        """Takes over what `results_import` prepared as another model's predictions: one transaction a step.

        Yields the keys of the images done. Raises ProjectError when the file is unfinished.
        """
        if self.read_only:
            raise ReadOnlyProjectError(self.path)
        return attach_results(self._connection, self.path, staged, batch)

    # Imports

    def attach_staging(self, staging: Path, batch: int = 2000, overlaps: Overlaps = "mine") -> Iterator[AttachProgress]:
        """Takes over what `coco_import` prepared: one transaction each time the iterator is advanced."""
        if self.read_only:
            raise ReadOnlyProjectError(self.path)
        return attach_batches(self._connection, self.path, staging, self.author, batch, overlaps)

    def identify(self) -> str:
        """This project's id, by which the parts that it is split into know it."""
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (PROJECT_ID, secrets.token_hex(16)))
        return str(self._connection.execute("SELECT value FROM meta WHERE key = ?", (PROJECT_ID,)).fetchone()[0])

    def part_report(self, part: Path) -> PartReport:
        """Says what `take_part` would do. Raises ProjectError when the file is no part of this project."""
        return part_report(self._connection, self.path, part)

    def take_part(self, part: Path, conflicts: Overlaps, keys: range) -> Iterator[int]:
        """Brings the work on a part back (see `storage.parts`); yields the key of every image taken.

        keys: for new people, as many as `part_report` says; from `Document.reserve_block`.
        """
        if self.read_only:
            raise ReadOnlyProjectError(self.path)
        for image, used in take_part(self._connection, self.path, part, self.author, conflicts, keys):
            self._next_own_key = max(self._next_own_key, used)
            yield image

    def remember_export(self, digest: str) -> None:
        """Says that a file (its SHA-256) was written from this project: importing it would add nothing."""
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (export_mark(digest), time.time()))

    def remember_left(self, digest: str) -> None:
        """Says that somebody knows what a file (its SHA-256) has, and leaves it: it is not offered unasked again."""
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_left_mark(digest), time.time()))

    def was_left(self, digest: str) -> bool:
        """Whether `remember_left` was told of a file."""
        return self._value("SELECT count(*) FROM meta WHERE key = ?", _left_mark(digest)) > 0

    def keep_report(self, report: ReadReport) -> None:
        """Keeps what is to be said about the newest import."""
        with self._transaction():
            keep_report(self._connection, report)

    def kept_report(self) -> ReadReport | None:
        """What was to be said about the newest import; None when there was none."""
        return kept_report(self._connection)

    def call_right(self, mark: str) -> None:
        """Remembers that a label which an audit suspects is right (`Suspect.mark`)."""
        with self._transaction():
            add_mark(self._connection, mark)

    def knows_content(self, path: Path) -> bool:
        """Whether a file, as it is now, was imported to its end, written from here, or left. Raises OSError."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return was_taken(self._connection, digest) or self.was_left(digest)

    def source_root(self, path: Path) -> Path | None:
        """The image folder that a file was imported with, wherever that is now; None when it has brought no images."""
        row = self._connection.execute(
            "SELECT root.path FROM source s JOIN source_image i ON i.source_id = s.id JOIN image ON image.id = "
            "i.image_id JOIN root ON root.id = image.root_id WHERE s.path = ? GROUP BY root.id "
            "ORDER BY max(s.id) DESC, count(*) DESC",
            (str(path.absolute()),),
        ).fetchone()
        return Path(row[0]) if row else None

    def sources(self) -> list[tuple[int, str, bool]]:
        """Imported files: key, name, and whether all of it is attached (if not: import it again to go on)."""
        rows = self._connection.execute(
            "SELECT id, name, images_next >= images AND annotations_next >= annotations FROM source ORDER BY id"
        )
        return [(key, name, bool(complete)) for key, name, complete in rows]

    def _value(self, sql: str, *parameters: Any) -> int:
        return int(self._connection.execute(sql, parameters).fetchone()[0])

    def _read_next_own_key(self) -> int:
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'next_person_key'").fetchone()
        return row[0] if row else FIRST_OWN_PERSON_KEY

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self.read_only:
            raise ReadOnlyProjectError(self.path)
        with schema.transaction(self._connection):
            yield


def staged_digest(staging: Path) -> str:
    """The SHA-256 of what was prepared for an import. Raises sqlite3.Error when the file cannot be read."""
    with closing(schema.connect(staging, read_only=True)) as connection:
        return str(connection.execute("SELECT digest FROM source").fetchone()[0])


def _left_mark(digest: str) -> str:
    return f"left {digest}"


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return ""


def _check_skeleton(project: Project, wanted: Skeleton) -> None:
    own = project.skeleton.keypoints
    if own != wanted.keypoints:
        raise ProjectError(
            project.path,
            f"its people have other joints ({len(own)}: {', '.join(own[:3])}, ...) than this program shows "
            f"({len(wanted.keypoints)}: {', '.join(wanted.keypoints[:3])}, ...)",
            "Open it with the program that made it.",
        )
