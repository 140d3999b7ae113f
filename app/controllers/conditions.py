"""Which actions make sense now: the names that `enabled_when` of app.actions refers to."""

from PySide6.QtCore import QObject, QTimer, Signal

from app.canvas.layers import SWITCHES, Layers
from app.controllers.clipboard import Clipboard
from app.controllers.estimation import Estimation
from app.controllers.fine_tuning import FineTuning
from app.controllers.prefill import Prefill
from app.controllers.session import Session

NAMES = frozenset(
    (
        "project",
        "writable project",
        "shown image",
        "image",
        "shown person",
        "shown pose",
        "person",
        "people",
        "no people",
        "joint",
        "shown joint",
        "placing",
        "copied",
        "adjusted",
        "selected images",
        "prediction",
        "finished",
        "undo",
        "redo",
        "training",
        "no training",
    )
)


class Conditions(QObject):
    """Gathers changes of the session and emits once per round of the event loop."""

    changed = Signal()

    def __init__(
        self,
        session: Session,
        layers: Layers,
        prefill: Prefill,
        estimation: Estimation,
        fine_tuning: FineTuning,
        clipboard: Clipboard,
    ) -> None:
        super().__init__(session)
        self._session, self._layers, self._prefill, self._fine_tuning = session, layers, prefill, fine_tuning
        self._estimation, self._clipboard = estimation, clipboard
        self._placing = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.changed)
        document, stack = session.document, session.undo_stack
        for signal in (
            session.opened,
            session.closed,
            session.image_loaded,
            session.selection.changed,
            document.people_changed,
            document.image_changed,
            stack.indexChanged,
            layers.changed,
            prefill.changed,
            estimation.changed,
            fine_tuning.changed,
            clipboard.changed,
        ):
            signal.connect(self._touch)

    def now(self) -> frozenset[str]:
        """The conditions that hold."""
        session = self._session
        selection, document = session.selection, session.document
        image = selection.current_image
        loaded = image is not None and document.is_open(image)
        people = document.people(image) if loaded and image is not None else ()
        writable = loaded and not session.read_only
        holds = {
            "project": session.is_open,
            "writable project": session.is_open and not session.read_only,
            "shown image": loaded,
            "image": writable,
            "shown person": loaded and selection.person is not None,
            "shown pose": loaded and (selection.person is not None or selection.prediction is not None),
            "person": writable and selection.person is not None,
            "people": bool(people),
            "no people": writable and not people,
            "joint": writable and selection.person is not None and selection.joint is not None,
            "shown joint": writable
            and selection.joint is not None
            and (selection.person is not None or selection.prediction is not None),
            "prediction": writable and selection.prediction is not None,
            "finished": writable and image is not None and document.image(image).state.finished,
            "placing": writable and self._placing,
            "adjusted": not self._layers.adjustments.neutral,
            "selected images": session.is_open and not session.read_only and self._prefill.has_selected,
            "copied": writable and self._clipboard.filled,
            "undo": session.undo_stack.canUndo() and not session.read_only,
            "redo": session.undo_stack.canRedo() and not session.read_only,
            "training": self._fine_tuning.running,
            "no training": not self._fine_tuning.running,
        }
        return frozenset(name for name, true in holds.items() if true)

    def layers(self) -> dict[str, bool]:
        """The on/off state of everything that has a tick in a menu."""
        shown = {layer: self._layers.shows(layer) for layer in SWITCHES}
        record = self._session.current_record()
        flagged = record is not None and record.flagged
        return shown | {"automatic": self._prefill.automatic, "refine": self._estimation.refines, "flag": flagged}

    def set_placing(self, placing: bool) -> None:
        """Says whether clicks on the canvas place one joint after the other."""
        self._placing = placing
        self._touch()

    def _touch(self, *_: object) -> None:
        self._timer.start()
