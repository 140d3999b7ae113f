"""From image to image, in the order of the list."""

from itertools import chain

from app.document.selection import Selection
from app.panels.image_filter import FINISHED
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
        self._go(self._find_unfinished(1))

    def previous_unfinished(self) -> None:
        self._go(self._find_unfinished(-1))

    def neighbour(self, step: int) -> int | None:
        """Returns the key of the image `step` rows further down; None beyond the ends.

        From an image that the filter hides it goes to the rows around the place that it would have.
        """
        row, keys = self._row(), self._model.keys
        wanted = row + step if self._listed else row + step - (step > 0)
        return keys[wanted] if 0 <= wanted < len(keys) else None

    def predecessor(self) -> int | None:
        """Returns the key of the image before the current one, whether the list shows it or not."""
        current = self._selection.current_image
        return self._model.before(current) if current is not None else None

    @property
    def _listed(self) -> bool:
        return self._model.row_of(self._selection.current_image) is not None

    def _row(self) -> int:
        """The current image's row, or the one that it would have."""
        current = self._selection.current_image
        row = self._model.row_of(current)
        return row if row is not None else self._model.place_of(current) if current is not None else 0

    def _find_unfinished(self, step: int) -> int | None:
        """The nearest unfinished image in one direction; at the end of the list it goes on at the other."""
        row, count = self._row(), self._model.rowCount()
        if step > 0:
            rows = chain(range(row + self._listed, count), range(row))
        else:
            rows = chain(range(row - 1, -1, -1), range(count - 1, row - 1 + self._listed, -1))
        keys, record, damage = self._model.keys, self._model.record, self._model.damage
        for at in rows:
            found = record(keys[at])
            if found is not None and found.state not in FINISHED and damage(keys[at]) is None:
                return keys[at]
        return None

    def _go(self, key: int | None) -> None:
        if key is not None:
            self._selection.current_image = key
