"""From the labels of the project to a better model: export, train, use."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.canvas.key_names import KeyNames
from app.controllers import places
from app.controllers.exporting import ExportJob, training_job, when_saved
from app.controllers.messages import Messages
from app.controllers.models import Models
from app.controllers.session import Session
from app.dialogs.fine_tune import FineTuneSettings, LabelCounts
from app.panels.image_model import ImageListModel
from app.storage.shipped import bundled_model
from app.workers.run_log import can_resume, finished_model, note_use, was_used
from app.workers.trainer_client import TrainerClient, TrainerError

_LABELS = "labels.json"
_TOPIC = "training"


class FineTuning(QObject):
    """One run at a time. It goes on without the window, and is found again when its project is opened."""

    began = Signal(str)
    """A run is prepared or found; a sentence about it."""
    logged = Signal(object)
    """dict: a line of the run's log."""
    ended = Signal(str)
    """The run is over; a sentence about how."""
    asked = Signal(object)
    """LabelCounts: the dialog shall open."""
    offered = Signal(object)
    """Path | None: the model of a finished run that is there to be used; None when there is none any more."""
    changed = Signal()

    def __init__(
        self,
        session: Session,
        trainer: TrainerClient,
        model: ImageListModel,
        models: Models,
        messages: Messages,
        key_names: KeyNames,
    ) -> None:
        super().__init__(session)
        self._key_names = key_names
        self._session, self._trainer, self._images = session, trainer, model
        self._models, self._messages = models, messages
        self._export: ExportJob | None = None
        self._waiting = False
        self._run: Path | None = None
        self._offer: Path | None = None
        self._worse = False
        session.opened.connect(self.attach)
        session.closed.connect(self._leave)
        trainer.run_event.connect(self.logged)
        trainer.run_event.connect(self._heard)
        trainer.finished.connect(self._finished)
        models.answering.connect(self._answering)

    @property
    def running(self) -> bool:
        return self._waiting or self._export is not None or self._trainer.run_folder is not None

    def counts(self) -> LabelCounts:
        """Counts what there is to learn from, from the list's rows."""
        rows = list(self._images.records())
        finished = [row for row in rows if row.state.finished]
        labelled = [row for row in rows if row.people > 0]
        return LabelCounts(
            len(finished), sum(row.people for row in finished), len(labelled), sum(row.people for row in labelled)
        )

    def ask(self) -> None:
        if not self._session.is_open:
            self._messages.post("Open photos or a project first: fine-tuning learns from its labels.", "info")
        elif self.running:
            self._refuse()
        else:
            self.asked.emit(self.counts())

    def start(self, settings: FineTuneSettings) -> None:
        """Freezes the labels into a new run folder, then trains on them."""
        if self.running:
            self._refuse()
            return
        self._waiting = self._session.is_open
        self.changed.emit()
        when_saved(self._session, self._messages, lambda project: self._freeze(project, settings), self._stop_waiting)

    def _refuse(self) -> None:
        self._messages.post("A training run is under way: stop or cancel it first.", "info")

    def _stop_waiting(self) -> None:
        self._waiting = False
        self.changed.emit()

    def _freeze(self, project: Path, settings: FineTuneSettings) -> None:
        self._stop_waiting()
        run = places.runs_of(project) / time.strftime(places.RUN_NAMES)
        try:
            run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._messages.post(f"{run}: the run's folder cannot be made ({error.strerror}).", "error")
            return
        self._export = training_job(project, run / _LABELS, settings.only, self)
        self._export.finished.connect(lambda result, error: self._frozen(run, settings, result, error))
        self.began.emit("Freezing the labels…")
        self.changed.emit()

    def _frozen(self, run: Path, settings: FineTuneSettings, result: dict[str, Any] | None, error: str) -> None:
        self._export = None
        if result is None:
            self._over(error or "The fine-tuning was cancelled.", "error" if error else "info")
            return
        images, unknown = int(result["images"]), int(result["unknown"])
        if unknown:
            noun = "image is" if unknown == 1 else "images are"
            why = "neither finished nor pre-filled, or lost people in an import"
            text = f"{unknown} of {images} {noun} {why}: nobody knows who else is on them. "
            if unknown == images:
                key = self._key_names.hint(" ({mark_done})")
                cure = f"Mark those as done on which everybody is labelled{key}, or pre-fill them."
                self._over(f"{text}A model cannot learn from them where nobody is. {cure}", "error")
                return
            self._messages.post(f"{text}The run learns their labels, not their background.", "info", topic="background")
        try:
            arguments = self.arguments(run / _LABELS, result["roots"], settings)
        except FileNotFoundError as problem:
            self._over(str(problem), "error")
            return
        self._begin(run, arguments, "Starting the training…")

    def resume(self, run: Path) -> None:
        """Goes on with a run that ended before it was done, from its last checkpoint and on its frozen labels."""
        if self.running:
            self._refuse()
        else:
            self._begin(run, ["--resume"], "Going on with the training…")

    def _begin(self, run: Path, arguments: Sequence[str], text: str) -> None:
        self._withdraw_offer()
        self._run = run
        try:
            self._trainer.start(run, arguments)
        except TrainerError as problem:
            self._over(str(problem), "error")
            return
        self.began.emit(text)
        self.changed.emit()

    def arguments(self, labels: Path, roots: Sequence[str], settings: FineTuneSettings) -> list[str]:
        """Returns the train command's arguments. Raises FileNotFoundError when no model is there to start from."""
        init = settings.init or self._models.model_path or bundled_model()
        arguments = ["--annotations", str(labels), "--init", str(init), "--epochs", str(settings.epochs)]
        for root in roots:
            arguments += ["--images", root]
        arguments += ["--val-fraction", str(settings.val_fraction), "--seed", str(settings.seed)]
        arguments += ["--batch", str(settings.batch), "--lr", str(settings.lr)]
        return [*arguments, "--train", settings.train, "--device", settings.device]

    def stop(self) -> None:
        self._trainer.stop()

    def cancel(self) -> None:
        if self._export:
            self._export.cancel()
        self._trainer.cancel()

    def pause(self, paused: bool) -> None:
        (self._trainer.pause if paused else self._trainer.resume_run)()

    def attach(self) -> None:
        """Finds the run that an earlier window of this project left running, or the model that it has become."""
        project = self._session.path
        if project is None or self.running:
            return
        for run in places.runs_newest_first(project)[:1]:
            self._run = run
            if self._trainer.attach(run):
                self.began.emit("A training run of this project is under way.")
                self.changed.emit()
            elif (model := finished_model(run)) and model != self._models.model_path and not was_used(run):
                self._note_model(model, run)
                self._offer_model(
                    model, f"This project's last fine-tuning is over, its model was not used yet: {model}"
                )

    def close(self) -> None:
        """Leaves a run to itself; ends an export that prepares one."""
        self._waiting = False
        if self._export:
            self._export.close()
            self._export = None
        self._trainer.detach()

    def stop_and_leave(self) -> None:
        """Tells the run to end and keep its best model, without waiting for that."""
        self._trainer.stop()
        self.close()

    def use_offered(self) -> None:
        """Uses the model of the last run."""
        if self._offer is not None:
            self._models.use(self._offer)

    def _answering(self, model: Path | None) -> None:
        """The offer is taken once its model answers, not before: it may be refused."""
        if model is not None and model == self._offer and self._run is not None:
            note_use(self._run)
            self._note_model(model, self._run)
            self._withdraw_offer()

    def _note_model(self, model: Path, run: Path) -> None:
        """Lets the library know what a run has made, by the project's name and the run's time."""
        if (project := self._session.path) is not None:
            self._models.add_fine_tuned(model, f"{places.title_of(project)}, {places.time_of(run)}")

    # The end of a run

    def _leave(self) -> None:
        self.close()
        self._withdraw_offer()
        self.ended.emit("")
        self.changed.emit()

    def _heard(self, event: dict[str, Any]) -> None:
        if event.get("event") == "end":
            self._worse = bool(event.get("worse"))

    def _finished(self, status: str, model: object, message: str) -> None:
        if status in ("completed", "stopped") and isinstance(model, str):
            word = "complete" if status == "completed" else "stopped"
            if self._run is not None:
                self._note_model(Path(model), self._run)
            self._offer_model(Path(model), f"The fine-tuning is {word}. {message}".strip(), not self._worse)
        elif status == "cancelled":
            self._over("The fine-tuning was cancelled; the model in use stays.", "info")
        else:
            self._over(f"The fine-tuning did not succeed: {message}", "error", [self._cure()])

    def _cure(self) -> tuple[str, Callable[[], None]]:
        """What to do about a run that failed: go on from its checkpoint, or begin anew with other settings."""
        run = self._run
        if run is not None and can_resume(run):
            return "Resume", lambda: self.resume(run)
        return "Fine-tune again…", self.ask

    def _offer_model(self, model: Path, what: str, better: bool = True) -> None:
        self._offer = model
        choice = "Use this model" if better else "Use it all the same"
        self._over(what, "success" if better else "warning", [(choice, self.use_offered)])
        self.offered.emit(model)

    def _withdraw_offer(self) -> None:
        self._offer = None
        self._messages.settle(_TOPIC)
        self.offered.emit(None)

    def _over(self, text: str, level: str, choices: Sequence[tuple[str, Callable[[], None]]] = ()) -> None:
        self.ended.emit(text)
        self._messages.post(text, level, choices, topic=_TOPIC)
        self.changed.emit()
