"""The right side of the status bar: pointer, zoom, model, and whether everything is on disk."""

from PySide6.QtWidgets import QLabel, QSizePolicy, QStatusBar


class StatusWidgets:
    """The labels that the window's status bar shows all the time."""

    def __init__(self, bar: QStatusBar) -> None:
        self.hint = QLabel(bar)
        # Gives way to the progress of background work.
        self.hint.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.pointer = QLabel(bar)
        self.pointer.setMinimumWidth(110)
        self.zoom = QLabel(bar)
        self.model = QLabel("model: starting…", bar)
        self.saved = QLabel("", bar)
        self._set_aside = 0
        bar.addWidget(self.hint, 1)
        for label in (self.pointer, self.zoom, self.model, self.saved):
            bar.addPermanentWidget(label)
        bar.setSizeGripEnabled(False)

    def show_pointer(self, x: float, y: float) -> None:
        self.pointer.setText(f"x {x:.1f}  y {y:.1f}")

    def show_scale(self, scale: float) -> None:
        self.zoom.setText(f"{scale * 100:.0f} %")

    def show_saved(self, pending: int) -> None:
        """Says "saved" only when every edit is committed, or else how many are not in the project."""
        if self._set_aside:
            others = "the others are" if pending == 0 else f"saving {pending}…"
            self._show(f"{self._set_aside} NOT SAVED, {others}", "no")
        else:
            self._show("saved" if pending == 0 else f"saving {pending}…", "yes")

    def show_set_aside(self, count: int) -> None:
        """So many edits of this session are in a side file, since the project does not take them."""
        self._set_aside = count
        self.show_saved(0)

    def clear_saved(self) -> None:
        """No project is open."""
        self._set_aside = 0
        self.saved.clear()

    def show_not_saved(self, reason: str) -> None:
        self._show(f"NOT SAVED: {reason}", "no")

    def _show(self, text: str, saved: str) -> None:
        self.saved.setText(text)
        if self.saved.property("saved") != saved:
            self.saved.setProperty("saved", saved)
            self.saved.style().unpolish(self.saved)
            self.saved.style().polish(self.saved)
