"""What keeps the model from photos: damaged files, an engine in trouble, photos that it dies of. Three things."""

from collections.abc import Iterable

from app.workers.engine_client import CANCELLED, COMPLETED


class Troubles:
    """Remembers, for the open project, on which images the model did not get through, and puts it in words.

    A damaged file is the file's fault: the list marks it. Where the engine failed, another try may do. A photo that
    the engine died of twice is set aside as long as that model answers: asking again would only kill it again.
    """

    def __init__(self) -> None:
        self._wanted: frozenset[int] = frozenset()
        """Images of the big batch."""
        self._damaged: list[str] = []
        self._passing: dict[int, str] = {}
        self._still_to_do: dict[int, str] = {}
        """Those of the big batch among them, whatever model answers by now."""
        self._set_aside: dict[int, str] = {}
        self._model = ""

    def forget(self) -> None:
        """Another project: its images have the same keys."""
        self._damaged.clear()
        self._passing.clear()
        self._still_to_do.clear()
        self._set_aside.clear()

    def model_ready(self, model: str) -> None:
        """A model (its hash) answers from now on; another one than before may do better."""
        if model != self._model:
            self._model = model
            self._passing.clear()
            self._set_aside.clear()

    def begin(self, wanted: Iterable[int]) -> None:
        """A big batch begins. wanted: images that somebody wants in it; those set aside among them stay out."""
        self._wanted = frozenset(wanted)
        self._damaged.clear()
        self._still_to_do.clear()

    def note_damaged(self, text: str) -> None:
        self._damaged.append(text)

    def note_passing(self, key: int, text: str) -> None:
        """The engine failed on an image."""
        self._passing[key] = text

    def note_still_to_do(self, key: int, text: str) -> bool:
        """The same of the big batch; returns whether that is news: it is said once, and not for every image."""
        first = not self._still_to_do
        self._still_to_do[key] = text
        return first

    def note_set_aside(self, key: int, text: str) -> None:
        self.note_done(key)
        self._set_aside[key] = text

    def note_done(self, key: int) -> None:
        self._passing.pop(key, None)
        self._still_to_do.pop(key, None)

    def is_passing(self, key: int) -> bool:
        """Whether the engine failed on it the last time."""
        return key in self._passing

    def set_aside(self, key: int) -> str:
        """Why the model cannot do a photo; "" when it may be asked."""
        return self._set_aside.get(key, "")

    def report(self, status: str) -> tuple[str, str]:
        """How a big batch ended, in words, and their level."""
        parts = []
        if self._damaged:
            parts.append(f"{_images(len(self._damaged))} cannot be read. The first: {self._damaged[0]}")
        if aside := [text for key, text in self._set_aside.items() if key in self._wanted]:
            parts.append(f"{_images(len(aside))} set aside. The first: {aside[0]}")
        if self._still_to_do:
            count, first = len(self._still_to_do), next(iter(self._still_to_do.values()))
            parts.append(f"The engine failed on {_images(count)}: {first} Pre-fill again to try once more.")
        if status == COMPLETED and not parts:
            return "The pre-fill is complete.", "success"
        if status == COMPLETED:
            return " ".join(["The pre-fill is through.", *parts]), "warning"
        if status == CANCELLED:
            head = "The pre-fill was cancelled; what it has found so far is kept."
            return " ".join([head, *parts]), "warning" if parts else "info"
        head = (
            "The pre-fill ended early."
            if self._still_to_do
            else "The model is not available: the pre-fill ended early."
        )
        return " ".join([head, *parts]), "error"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
