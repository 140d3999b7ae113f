"""Closing the window: nothing is lost, nothing is left running that was not meant to be."""

from collections.abc import Callable, Sequence
from typing import Protocol

from PySide6.QtCore import QObject

from app.controllers.fine_tuning import FineTuning
from app.controllers.messages import Messages
from app.controllers.prefill import Prefill
from app.controllers.session import Session
from app.workers.decoder_client import ImageLoader
from app.workers.engine_client import EngineClient

_DRAIN_SECONDS = 5.0
_TRAINING, _UNSAVED = "closing while training", "closing unsaved"
"""Topics of the two questions."""


class Closable(Protocol):
    """Has work in child processes that ends with the window."""

    def close(self) -> None: ...


class Closing(QObject):
    """Asks inline when closing would need a decision, then ends every child and writes what is left."""

    def __init__(
        self,
        session: Session,
        messages: Messages,
        fine_tuning: FineTuning,
        prefill: Prefill,
        jobs: Sequence[Closable],
        engine: EngineClient,
        loader: ImageLoader,
        close: Callable[[], object],
    ) -> None:
        super().__init__(session)
        self._session, self._messages, self._fine_tuning = session, messages, fine_tuning
        self._prefill, self._jobs = prefill, jobs
        self._engine, self._loader = engine, loader
        self._close = close
        self._training_decided = self._loss_accepted = False
        self._finished = False
        session.closed.connect(self._forget_answers)
        session.saved.connect(lambda pending: self._all_saved() if pending == 0 else None)
        fine_tuning.changed.connect(self._training_changed)

    def may_close(self) -> bool:
        """Returns whether the window may close now; if not, a message asks, and its answer closes."""
        if self._fine_tuning.running and not self._training_decided:
            choices = [("Keep it running", self._keep_training), ("Stop it, keep the best", self._stop_training)]
            text = "A training run is under way. It can go on without this window; its project finds it again."
            self._messages.post(text, "warning", choices, topic=_TRAINING, dismissed=self._forget_answers)
            return False
        if self._session.is_open and not self._loss_accepted and not self._saved():
            count = self._session.store.pending
            text = (
                f"{count} changes are not saved: the disk refuses them. Free some space, then close again. Closing now "
                "keeps them in a file beside the project, if there is room for that."
            )
            choices = [("Close without saving them", self._accept_loss)]
            self._messages.post(text, "error", choices, topic=_UNSAVED, dismissed=self._forget_answers)
            return False
        return True

    def _forget_answers(self) -> None:
        """They were given in order to close, or about a project that is closed."""
        self._training_decided = self._loss_accepted = False

    def _all_saved(self) -> None:
        self._messages.settle(_UNSAVED)
        self._forget_answers()

    def _training_changed(self) -> None:
        if not self._fine_tuning.running:
            self._messages.settle(_TRAINING)
            self._training_decided = False

    def finish(self) -> None:
        """Ends everything. Idempotent."""
        if self._finished:
            return
        self._finished = True
        self._prefill.cancel()
        for job in self._jobs:
            job.close()
        self._fine_tuning.close()
        self._engine.close()
        self._loader.close()
        self._session.close()

    def _saved(self) -> bool:
        try:
            return self._session.store.drain(_DRAIN_SECONDS)
        except TimeoutError:
            return False

    def _keep_training(self) -> None:
        self._training_decided = True
        self._close()

    def _stop_training(self) -> None:
        self._training_decided = True
        self._fine_tuning.stop_and_leave()
        self._close()

    def _accept_loss(self) -> None:
        self._loss_accepted = True
        self._close()
