"""The whole loop on the sample project without a window: pre-fill, correct, export, fine-tune, pre-fill again.

For machines without a display: the same project file, engine, commands, exporter and trainer as in the window.
The sample's own labels play the person who corrects.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEventLoop, QObject, QTimer
from PySide6.QtGui import QUndoStack

from app.commands import images, joints, people, predictions
from app.commands.stack import push
from app.document.document import Document
from app.document.records import SAME_PERSON_IOU, Box, Edit, Joint, Person
from app.storage.folder_images import add_folder
from app.storage.project import Project
from app.storage.shipped import bundled_model, default_skeleton, sample_folder
from app.storage.visibility import Acceptance
from app.storage.writer import ProjectStore
from app.workers.engine_client import COMPLETED, EngineClient
from app.workers.jobs import run_child
from app.workers.payloads import ImageFile, PrefillResult
from app.workers.trainer_client import TrainerClient

TRAINING_STEPS = 10
ACCEPT_SCORE = 0.5
_TIMEOUT_MS = 600_000


class LoopError(RuntimeError):
    """A step of the loop failed; the message says which and why."""


@dataclass(frozen=True)
class Outcome:
    """What one pass of the model found, and the files that the loop has written."""

    before: int
    after: int
    files: tuple[Path, ...]


def main(say: Callable[[str], None] = print) -> int:
    """Runs the loop in a new temporary folder; says what it does; returns the exit status."""
    application = QCoreApplication.instance() or QCoreApplication(sys.argv[:1])
    folder = Path(tempfile.mkdtemp(prefix="msarcnn-sample-"))
    loop = Loop(folder, say)
    try:
        outcome = loop.run()
    except (LoopError, OSError) as error:
        print(f"The sample loop failed: {error}", file=sys.stderr)
        return 1
    finally:
        loop.close()
        application.processEvents()
    say(f"People found: {outcome.before} by the bundled model, {outcome.after} by the fine-tuned one. Written:")
    for path in outcome.files:
        say(f"  {path}")
    return 0


class Loop(QObject):
    """One run of the loop, step by step, each waiting for the one before."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        super().__init__()
        self.folder, self._say = folder, say
        self.project = folder / "sample.poseproj"
        self._store = ProjectStore.create(self.project)
        self._document = Document(default_skeleton())
        self._undo = QUndoStack()
        self._engine = EngineClient(self)
        self._trainer = TrainerClient(self)
        self._images: dict[int, ImageFile] = {}
        self._acceptances: dict[str, Acceptance] = {}

    def run(self) -> Outcome:
        """Runs all steps. Raises LoopError, OSError."""
        self._store.bind(self._document)
        self._open_images()
        self._say(f"{len(self._images)} images in {self.project}")
        self._start_engine(None)
        before = self._prefill()
        self._say(f"pre-filled: {before} people with a score of at least {ACCEPT_SCORE}")
        self._correct()
        self._say(f"corrected by the sample's own labels: {self._undo.count()} edits, each of them undoable")
        labels, frozen = self.folder / "labels.json", self.folder / "run" / "labels.json"
        self._export(labels, "export")
        frozen.parent.mkdir()
        roots = self._export(frozen, "training")["roots"]
        self._say(f"exported to {labels}; training {TRAINING_STEPS} steps on it")
        model = self._train(frozen, roots)
        self._start_engine(str(model))
        after = self._prefill()
        return Outcome(before, after, (self.project, labels, frozen.parent / "log.jsonl", model))

    def close(self) -> None:
        """Ends the children and closes the file."""
        self._trainer.cancel()
        self._engine.close()
        self._store.close()

    # -- steps

    def _open_images(self) -> None:
        root = sample_folder() / "images"

        def add(project: Project) -> list[tuple[int, str]]:
            add_folder(project, root)
            return [(row.key, row.path) for row in project.image_rows()]

        for key, path in self._store.call(add):
            self._images[key] = ImageFile(key, path, str(root))
            self._document.open_image(*self._store.call(partial(Project.load_image, key=key)))

    def _start_engine(self, model: str | None) -> None:
        answer = _Waiter()
        self._engine.ready.connect(answer.done)
        self._engine.refused.connect(lambda name, reason: answer.fail(f"the model {name} was refused: {reason}"))
        self._engine.gave_up.connect(answer.fail)
        (self._engine.load if model else self._engine.start)(model)
        info = answer.wait("the model's answer")[0]
        self._say(f"model {info.name} {info.hash} on {info.device}")
        self._acceptances[info.hash] = Acceptance(info.tau)

    def _prefill(self) -> int:
        """Pre-fills all images into the prediction layer; returns how many people are found with confidence."""
        found: list[int] = []

        def keep(batch: int, key: int, result: PrefillResult) -> None:
            stored = result.predictions(1)
            found.append(sum(prediction.score >= ACCEPT_SCORE for prediction in stored))
            self._store.call(
                lambda project: project.store_predictions(key, result.model_hash, stored, result.width, result.height)
            )
            record, _, mine = self._store.call(lambda project: project.load_image(key))
            self._document.set_predictions(key, mine, result.model_hash)
            self._document.update_record(record)

        answer = _Waiter()

        def failed(batch: int, key: int, text: str) -> None:
            answer.fail(text)

        def troubled(batch: int, key: int, text: str, again: bool) -> None:
            if not again:
                answer.fail(text)

        self._engine.image_done.connect(keep)
        self._engine.image_failed.connect(failed)
        self._engine.image_set_aside.connect(failed)
        self._engine.image_troubled.connect(troubled)
        self._engine.batch_finished.connect(answer.done)
        self._engine.prefill(self._images.values())
        status = answer.wait("the pre-fill")[1]
        self._engine.image_done.disconnect(keep)
        self._engine.image_failed.disconnect(failed)
        self._engine.image_set_aside.disconnect(failed)
        self._engine.image_troubled.disconnect(troubled)
        if status != COMPLETED:
            raise LoopError(f"the pre-fill ended as {status}")
        return sum(found)

    def _correct(self) -> None:
        """Accepts what was found, then makes it right, one command at a time, as a person would."""
        truth = json.loads((sample_folder() / "annotations.json").read_text())
        people_of: dict[str, list[Person]] = {entry["file_name"]: [] for entry in truth["images"]}
        names = {entry["id"]: entry["file_name"] for entry in truth["images"]}
        for annotation in truth["annotations"]:
            people_of[names[annotation["image_id"]]].append(_person(annotation))
        for key, file in self._images.items():
            self._do(predictions.accept_all(self._document, key, ACCEPT_SCORE, self._acceptances.__getitem__))
            for person in people_of[file.path]:
                self._correct_person(key, person)
            wanted = people_of[file.path]
            for extra in self._document.people(key):
                if not any(extra.box.iou(person.box) >= SAME_PERSON_IOU for person in wanted):
                    self._do(people.delete_person(self._document, key, extra.key))
            self._do(images.mark_done(self._document, key))
        self._store.drain()

    def _correct_person(self, image: int, truth: Person) -> None:
        matches = [person for person in self._document.people(image) if person.box.iou(truth.box) >= SAME_PERSON_IOU]
        if not matches:
            self._do(people.add_person(self._document, image, truth.box, truth.joints))
            return
        person = max(matches, key=lambda candidate: candidate.box.iou(truth.box))
        self._do(people.set_box(self._document, image, person.key, truth.box))
        for index, joint in enumerate(truth.joints):
            if joint.v:
                self._do(joints.move_joint(self._document, image, person.key, index, joint.x, joint.y))
            if self._document.person(image, person.key).joints[index].v != joint.v:
                self._do(joints.set_visibility(self._document, image, person.key, [index], joint.v))

    def _do(self, edit: Edit | None) -> None:
        if edit is not None:
            push(self._undo, self._document, edit)

    def _export(self, out: Path, purpose: str) -> dict[str, Any]:
        answer = _Waiter()
        result: dict[str, Any] = {}
        job = run_child("app.storage.coco_export", [str(self.project), str(out), "--purpose", purpose], self)
        job.progress.connect(lambda line: result.update(line) if line.get("event") == "result" else None)
        job.finished.connect(answer.done)
        code, message = answer.wait("the export")
        if code:
            raise LoopError(f"{out} was not written: {message}")
        return result

    def _train(self, labels: Path, roots: list[str]) -> Path:
        answer = _Waiter()
        self._trainer.finished.connect(answer.done)
        arguments = ["--annotations", str(labels), "--init", str(bundled_model()), "--val-fraction", "0.25"]
        for root in roots:
            arguments += ["--images", root]
        self._trainer.start(labels.parent, [*arguments, "--iterations", str(TRAINING_STEPS)])
        status, model, message = answer.wait("the training")
        if model is None:
            raise LoopError(f"the training ended as {status}: {message}")
        return Path(model)


class _Waiter(QObject):
    """Waits for one signal in a local event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = QEventLoop()
        self._arguments: tuple[Any, ...] | None = None
        self._problem = ""

    def done(self, *arguments: Any) -> None:
        if self._arguments is None:
            self._arguments = arguments
            self._loop.quit()

    def fail(self, problem: str) -> None:
        self._problem = self._problem or problem
        self._loop.quit()

    def wait(self, what: str) -> tuple[Any, ...]:
        """Returns the signal's arguments. Raises LoopError on failure or after ten minutes."""
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(_TIMEOUT_MS)
        timer.timeout.connect(lambda: self.fail(f"{what} took longer than {_TIMEOUT_MS // 60_000} minutes"))
        timer.start()
        if self._arguments is None and not self._problem:
            self._loop.exec()
        timer.stop()
        if self._problem or self._arguments is None:
            raise LoopError(self._problem or f"{what} did not end")
        return self._arguments


def _person(annotation: dict[str, Any]) -> Person:
    points = annotation["keypoints"]
    placed = tuple(
        Joint(float(x), float(y), int(v), "human" if v else "")
        for x, y, v in zip(points[::3], points[1::3], points[2::3], strict=True)
    )
    return Person(0, Box(*annotation["bbox"]), placed)
