"""Whose predictions the window shows: those of the model that answers, until somebody chooses another model's."""

from collections import Counter

from PySide6.QtCore import QObject

from app.controllers.choices import Choice
from app.controllers.session import Session
from app.workers.engine_client import EngineClient
from app.workers.payloads import EngineInfo

NEWEST = ""
"""The choice that no model is: of every image the newest look."""


class ShownModel(QObject):
    """What was chosen holds until another model answers, or the project is closed."""

    def __init__(self, session: Session, engine: EngineClient) -> None:
        super().__init__(session)
        self._session = session
        self._answering = NEWEST
        engine.ready.connect(self._ready)
        session.closed.connect(lambda: session.show_model(self._answering))

    def choices(self) -> list[Choice]:
        """The newest looks, and the models that have looked at images of the project, by name."""
        models, shown = self._session.models, self._session.shown_model
        often = Counter(models.values())
        named = [
            (name if name and often[name] == 1 else f"{name} {model}".strip(), model) for model, name in models.items()
        ]
        newest = Choice(NEWEST, "Newest", shown not in models)
        return [newest, *(Choice(model, text, model == shown) for text, model in sorted(named))]

    def choose(self, model: str) -> None:
        """Shows a model's predictions where it has looked, elsewhere the newest."""
        self._session.show_model(model)

    def _ready(self, info: EngineInfo) -> None:
        if info.hash != self._answering:  # the same one, restarted, is no reason to show something else
            self._answering = info.hash
            self._session.show_model(info.hash)
