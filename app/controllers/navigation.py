"""From image to image, in the order of the list."""

from collections.abc import Callable

from app.document.selection import Selection
from app.panels.image_model import ImageListModel


class Navigation:
    """Goes to neighbours of the current image among the images that the list shows."""

    def __init__(self, model: ImageListModel, selection: Selection) -> None:
        self._model, self._selection = model, selection

    def next(self) -> None:
        self._go(self.neighbour(1))

    def previous(self) -> None:
        self._go(self.neighbour(-1))

    def next_unfinished(self) -> None:
        self._go(self._find(1, self._unfinished))

    def previous_unfinished(self) -> None:
        self._go(self._find(-1, self._unfinished))

    def neighbour(self, step: int) -> int | None:
        """Returns the key of the image `step` rows further down; None beyond the ends."""
        row = self._model.row_of(self._selection.current_image)
        wanted = 0 if row is None else row + step
        return self._model.keys[wanted] if 0 <= wanted < self._model.rowCount() else None

    def _find(self, step: int, wanted: Callable[[int], bool]) -> int | None:
        keys = self._model.keys
        row = self._model.row_of(self._selection.current_image)
        start = -1 if row is None else row
        rows = range(start + 1, len(keys)) if step > 0 else range(start - 1, -1, -1)
        return next((keys[row] for row in rows if wanted(keys[row])), None)

    def _unfinished(self, key: int) -> bool:
        record = self._model.record(key)
        return record is not None and not record.state.finished and self._model.damage(key) is None

    def _go(self, key: int | None) -> None:
        if key is not None:
            self._selection.current_image = key
